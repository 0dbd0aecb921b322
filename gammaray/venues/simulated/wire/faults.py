"""Faults that the admin API arms: answers that fail, delays, and streams that lose, repeat or reorder messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gammaray.venues.simulated.wire.errors import syntax_error

STREAMS = ("trade_updates", "options", "stocks", "news")
STREAM_ACTIONS = ("mute", "unmute", "drop", "duplicate", "reorder", "disconnect", "refuse")


@dataclass(slots=True)
class HttpFault:
    """Spoils the next `count` requests whose method and path prefix match.

    status 0: only the latency. after_accept: the request is carried out, and its answer replaced by the error.
    """

    method: str
    path: str
    status: int
    count: int
    after_accept: bool = False
    latency_ms: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether it applies to a request."""
        return self.count > 0 and self.method in {"", method} and path.startswith(self.path)


@dataclass(slots=True)
class StreamFault:
    """What happens to the WebSocket messages of one stream (a data message may hold many quotes)."""

    muted: bool = False
    drop: int = 0
    duplicate: int = 0
    reorder: int = 0
    refuse: int = 0

    def pass_through(self, frame: bytes | str, held: list[bytes | str]) -> list[bytes | str]:
        """What to send instead of a frame; `held` keeps a frame that is sent after its successor."""
        if self.muted:
            return []
        if self.drop > 0:
            self.drop -= 1
            return []
        if self.reorder > 0 and not held:
            self.reorder -= 1
            held.append(frame)
            return []
        frames = [frame]
        if self.duplicate > 0:
            self.duplicate -= 1
            frames.append(frame)
        frames.extend(held)
        held.clear()
        return frames


@dataclass(slots=True)
class FaultBoard:
    """All armed faults."""

    http: list[HttpFault] = field(default_factory=list)
    streams: dict[str, StreamFault] = field(default_factory=lambda: {name: StreamFault() for name in STREAMS})

    def take(self, method: str, path: str) -> HttpFault | None:
        """The fault of a request, counted down; None when none applies."""
        for fault in self.http:
            if fault.matches(method, path):
                fault.count -= 1
                self.http = [f for f in self.http if f.count > 0]
                return fault
        return None

    def clear(self) -> None:
        """Disarm everything. Streams keep their objects: open connections hold them."""
        self.http.clear()
        for fault in self.streams.values():
            fault.muted = False
            fault.drop = fault.duplicate = fault.reorder = fault.refuse = 0

    def describe(self) -> dict[str, Any]:
        """The armed faults as JSON."""
        return {
            "http": [{name: getattr(fault, name) for name in HttpFault.__slots__} for fault in self.http],
            "streams": {
                name: {key: getattr(fault, key) for key in StreamFault.__slots__}
                for name, fault in self.streams.items()
            },
        }


def _integer(body: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise syntax_error(f"invalid {name}: expected a whole number from {low} to {high}")
    return value


def read_http_fault(body: Mapping[str, Any]) -> HttpFault:
    """An HTTP fault from the admin API's JSON. Raises ExchangeReject (422) naming the field."""
    status = _integer(body, "status", 0, 0, 599)
    if status and status < 400:
        raise syntax_error("invalid status: expected 0 or an error status")
    path = body.get("path", "/v2")
    method = body.get("method", "")
    after_accept = body.get("after_accept", False)
    if not isinstance(path, str) or not path.startswith("/"):
        raise syntax_error("invalid path: expected a path prefix")
    if not isinstance(method, str):
        raise syntax_error("invalid method: expected a string")
    if not isinstance(after_accept, bool):
        raise syntax_error("invalid after_accept: expected true or false")
    return HttpFault(
        method=method.upper(),
        path=path,
        status=status,
        count=_integer(body, "count", 1, 1, 1_000_000),
        after_accept=after_accept,
        latency_ms=_integer(body, "latency_ms", 0, 0, 600_000),
    )
