"""What a quote stream makes of frames, good and bad."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from gammaray.venues.alpaca import quote_stream
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.quote_stream import QuoteStream

TS = 1_517_841_000_000_000_001
SYMBOL = "SPY180202C00285000"


@pytest.fixture
def stream() -> QuoteStream:
    """A stream that is not connected."""
    return QuoteStream("options", AlpacaSettings.simulated("http://127.0.0.1:1"), lambda: False)


def quote(**changes: Any) -> dict[str, Any]:
    stamp = msgpack.Timestamp(TS // 10**9, TS % 10**9)
    fields = {
        "T": "q",
        "S": SYMBOL,
        "t": stamp,
        "bx": "C",
        "bp": 1.2,
        "bs": 3,
        "ax": "B",
        "ap": 1.25,
        "as": 4,
        "c": "A",
    }
    return {**fields, **changes}


def test_rows_keep_order_values_and_nanoseconds(stream: QuoteStream) -> None:
    assert stream.receive(msgpack.packb([quote(), quote(bp=1.21)]))
    assert stream.drain() == [(SYMBOL, TS, 1.2, 1.25, 3, 4), (SYMBOL, TS, 1.21, 1.25, 3, 4)]
    assert stream.drain() == []
    assert stream.wait_for_count(TS, 2, 0.0)
    assert not stream.wait_for_count(TS, 3, 0.0)
    assert not stream.take_gap()


def test_control_messages_are_no_quotes(stream: QuoteStream) -> None:
    assert not stream.receive(msgpack.packb([{"T": "success", "msg": "connected"}]))
    assert not stream.receive(msgpack.packb([{"T": "error", "code": 405, "msg": "symbol limit exceeded"}]))
    assert stream.errors == ["405 symbol limit exceeded"]
    assert not stream.take_gap()


@pytest.mark.parametrize("frame", [b"\xc1", msgpack.packb(7), msgpack.packb([{"T": "q"}]), msgpack.packb(["q"]), b""])
def test_what_cannot_be_read_is_a_gap(stream: QuoteStream, frame: bytes) -> None:
    assert not stream.receive(frame)
    assert stream.take_gap()
    assert stream.drain() == []


def test_a_backlog_that_nobody_drains_is_dropped(stream: QuoteStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quote_stream, "MAX_ROWS", 3)
    frame = msgpack.packb([quote(), quote()])
    stream.receive(frame)
    stream.receive(frame)
    assert len(stream.drain()) == 2
    assert stream.take_gap()


def test_only_recent_stamps_are_counted(stream: QuoteStream) -> None:
    for i in range(200):
        stream.receive(msgpack.packb([quote(t=msgpack.Timestamp(1_517_841_000 + i, 0))]))
    assert stream.wait_for_count((1_517_841_000 + 199) * 10**9, 1, 0.0)
    assert not stream.wait_for_count(1_517_841_000 * 10**9, 1, 0.0)
