"""Armed faults do what they say, as often as they say, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gammaray.venues.simulated.model import ExchangeReject
from gammaray.venues.simulated.wire import outbox as outbox_module
from gammaray.venues.simulated.wire.faults import FaultBoard, HttpFault, StreamFault, read_http_fault
from gammaray.venues.simulated.wire.outbox import Outbox


def through(fault: StreamFault, frames: str) -> str:
    held: list[bytes | str] = []
    return "".join(str(sent) for frame in frames for sent in fault.pass_through(frame, held))


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (StreamFault(), "abcdef"),
        (StreamFault(muted=True), ""),
        (StreamFault(drop=2), "cdef"),
        (StreamFault(duplicate=2), "aabbcdef"),
        (StreamFault(reorder=1), "bacdef"),
        (StreamFault(reorder=2), "badcef"),
        (StreamFault(drop=1, duplicate=1), "bbcdef"),
    ],
)
def test_streams(fault: StreamFault, sent: str) -> None:
    assert through(fault, "abcdef") == sent


def test_http_faults_count_down_and_match_by_method_and_prefix() -> None:
    board = FaultBoard()
    board.http.append(HttpFault("POST", "/v2/orders", 504, 2))
    assert board.take("GET", "/v2/orders") is None
    assert board.take("POST", "/v2/positions") is None
    assert [board.take("POST", "/v2/orders/x") is not None for _ in range(3)] == [True, True, False]
    assert board.http == []


def test_an_empty_method_matches_any() -> None:
    board = FaultBoard([HttpFault("", "/v2", 500, 2)])
    assert board.take("DELETE", "/v2/orders") is not None
    assert board.take("GET", "/v2/clock") is not None


def test_clearing_reaches_open_connections() -> None:
    board = FaultBoard()
    held_by_a_connection = board.streams["options"]
    held_by_a_connection.muted = True
    held_by_a_connection.drop = 3
    board.clear()
    assert through(held_by_a_connection, "ab") == "ab"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": 200}, "status"),
        ({"status": "500"}, "status"),
        ({"count": 0}, "count"),
        ({"count": True}, "count"),
        ({"path": "orders"}, "path"),
        ({"method": 5}, "method"),
        ({"after_accept": "yes"}, "after_accept"),
        ({"latency_ms": -1}, "latency_ms"),
    ],
)
def test_bad_faults_name_the_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(ExchangeReject, match=f"invalid {field}"):
        read_http_fault(body)


class Socket:
    """A client that reads only when it is let."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.reading = asyncio.Event()
        self.closed_with: int | None = None

    async def send_text(self, frame: str) -> None:
        await self.reading.wait()
        self.sent.append(frame)

    async def close(self, code: int) -> None:
        self.closed_with = code


def test_an_outbox_keeps_order_and_says_when_it_is_drained() -> None:
    async def scenario() -> list[str]:
        socket = Socket()
        box = Outbox(socket, StreamFault(drop=1))  # type: ignore[arg-type]
        sender = asyncio.create_task(box.run())
        box.put("control", control=True)
        for frame in "abc":
            box.put(frame)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.drained(), 0.05)
        socket.reading.set()
        await asyncio.wait_for(box.drained(), 1)
        sender.cancel()
        return socket.sent

    assert asyncio.run(scenario()) == ["control", "b", "c"]


def test_a_client_that_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MAX_QUEUED_BYTES", 100)

    async def scenario() -> tuple[bool, int | None]:
        socket = Socket()
        box = Outbox(socket, StreamFault())  # type: ignore[arg-type]
        sender = asyncio.create_task(box.run())
        await asyncio.sleep(0)
        for _ in range(20):
            box.put("0123456789")
        await asyncio.wait_for(box.drained(), 1)
        await asyncio.sleep(0)
        sender.cancel()
        return box.closed, socket.closed_with

    assert asyncio.run(scenario()) == (True, 1008)
