"""Client of the venue's admin API: the clock of lock-step runs, faults, assignment, halts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from gammaray.venues.protocol import VenueAmbiguous, VenueRejected, VenueUnavailable


@dataclass(frozen=True, slots=True)
class PublishedCount:
    """Option quotes of one time stamp by underlying: published, and addressed to the connected option client (before faults)."""

    ts_ns: int
    options: Mapping[str, int]
    addressed: Mapping[str, int]
    stocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClockState:
    """The venue's clock. `next_step_ns` is None at the end; session is the open one or the next."""

    clock_ns: int
    next_step_ns: int | None
    start_ns: int
    end_ns: int
    finished: bool
    speed: float | None
    last_event_id: int
    session_day: str
    session_open_ns: int
    session_close_ns: int
    published: tuple[PublishedCount, ...] = ()
    """What a step published; empty otherwise."""

    def addressed(self) -> tuple[int, dict[str, int]] | None:
        """(ts_ns, quotes addressed to us by underlying) of the last time stamp that the step published; None if it published nothing."""
        if not self.published:
            return None
        last = self.published[-1]
        return last.ts_ns, {symbol: last.addressed.get(symbol, 0) for symbol in last.stocks}

    def total_addressed(self) -> Counter[str]:
        """Quotes addressed to us by underlying over every time stamp of the step."""
        total: Counter[str] = Counter()
        for count in self.published:
            total.update(count.addressed)
        return total


def _read_clock(body: Mapping[str, Any]) -> ClockState:
    session = body["session"]
    return ClockState(
        clock_ns=body["clock_ns"],
        next_step_ns=body["next_step_ns"],
        start_ns=body["start_ns"],
        end_ns=body["end_ns"],
        finished=body["finished"],
        speed=body["speed"],
        last_event_id=body["last_event_id"],
        session_day=session["day"],
        session_open_ns=session["open_ns"],
        session_close_ns=session["close_ns"],
        published=tuple(
            PublishedCount(row["ts_ns"], row["options"], row["addressed"], tuple(row["stocks"]))
            for row in body.get("published", ())
        ),
    )


class AdminClient:
    """Calls the admin API of a simulated venue.

    Methods raise VenueRejected for a refusal, VenueUnavailable when the venue cannot be reached, VenueAmbiguous when the answer was lost.
    """

    def __init__(self, base_url: str, *, token: str = "", timeout_s: float = 120.0) -> None:
        headers = {"X-Admin-Token": token} if token else {}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise VenueUnavailable(f"{method} {path}: {error}") from error
        except httpx.TransportError as error:
            raise VenueAmbiguous(f"{method} {path}: {error!r}") from error
        content = response.json() if response.content else {}
        if response.is_error:
            raise VenueRejected(str(content.get("message", "")), int(content.get("code", 0)), response.status_code)
        return dict(content)

    def clock(self) -> ClockState:
        """The state of the clock."""
        return _read_clock(self._call("GET", "/admin/clock"))

    def step(self, steps: int = 1) -> ClockState:
        """Advance by steps of the scenario; returns once everything published was handed to the sockets."""
        return _read_clock(self._call("POST", "/admin/clock/step", {"steps": steps}))

    def step_to(self, to_ns: int) -> ClockState:
        """Advance to a time, through every step on the way."""
        return _read_clock(self._call("POST", "/admin/clock/step", {"to_ns": to_ns}))

    def run(self, speed: float) -> ClockState:
        """Let the clock run at a multiple of the wall's."""
        return _read_clock(self._call("POST", "/admin/clock/run", {"speed": speed}))

    def pause(self) -> ClockState:
        """Stop the clock."""
        return _read_clock(self._call("POST", "/admin/clock/pause"))

    def barrier(self) -> tuple[int, int]:
        """(clock_ns, last_event_id), after everything published so far was handed to the sockets."""
        body = self._call("GET", "/admin/barrier")
        return body["clock_ns"], body["last_event_id"]

    def http_fault(
        self,
        *,
        method: str = "",
        path: str = "/v2",
        status: int = 0,
        count: int = 1,
        after_accept: bool = False,
        latency_ms: int = 0,
    ) -> None:
        """Spoil the next `count` requests with that method (any: "") and path prefix. status 0: only delay them."""
        body = {
            "method": method,
            "path": path,
            "status": status,
            "count": count,
            "after_accept": after_accept,
            "latency_ms": latency_ms,
        }
        self._call("POST", "/admin/faults/http", body)

    def stream_fault(self, stream: str, action: str, count: int = 1) -> None:
        """Spoil a stream (trade_updates, options, stocks, news): mute, unmute, drop, duplicate, reorder, disconnect, refuse."""
        self._call("POST", "/admin/faults/stream", {"stream": stream, "action": action, "count": count})

    def clear_faults(self) -> None:
        """Disarm every fault."""
        self._call("DELETE", "/admin/faults")

    def snapshot(self) -> str:
        """Keep the venue's state in its journal now; returns the SHA-256 of the state."""
        return str(self._call("POST", "/admin/snapshot")["sha256"])

    def assign(self, symbol: str, qty: int = 1) -> None:
        """Assign contracts of a short position early."""
        self._call("POST", "/admin/assign", {"symbol": symbol, "qty": qty})

    def halt(self, symbol: str, halted: bool = True) -> None:
        """Halt (or resume) an underlying and its options."""
        self._call("POST", "/admin/halt", {"symbol": symbol, "halted": halted})
