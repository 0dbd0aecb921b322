"""Clocks. Whatever needs the time is handed one, so that live, simulated and back-test runs share the code."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

NANOS = 1_000_000_000


class Clock(Protocol):
    """Says what time it is."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        ...


class WallClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return time.time_ns()


class VirtualClock:
    """A clock that moves only when told, and never back."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        """Move to `now_ns`. Raises ValueError when that lies in the past."""
        if now_ns < self._now_ns:
            raise ValueError(f"now_ns: {now_ns} is before the clock's {self._now_ns}")
        self._now_ns = now_ns


def to_datetime(ns: int) -> datetime:
    """An aware UTC datetime (microseconds: the nanoseconds below are cut)."""
    return datetime.fromtimestamp(ns // NANOS, UTC).replace(microsecond=ns % NANOS // 1000)


def from_datetime(moment: datetime) -> int:
    """UTC nanoseconds of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"moment: expected an aware datetime, was naive {moment.isoformat()}")
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * NANOS + moment.microsecond * 1000


def format_ns(ns: int) -> str:
    """RFC 3339 in UTC with as many fractional digits as needed: 2018-02-05T14:30:00Z."""
    text = f"{datetime.fromtimestamp(ns // NANOS, UTC):%Y-%m-%dT%H:%M:%S}"
    fraction = ns % NANOS
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def parse_ns(text: str) -> int:
    """Nanoseconds of an RFC 3339 time with up to nine fractional digits. Raises ValueError for text without a zone or malformed."""
    head, dot, tail = text.partition(".")
    if not dot:
        return from_datetime(datetime.fromisoformat(text))
    digits = len(tail) - len(tail.lstrip("0123456789"))
    whole = from_datetime(datetime.fromisoformat(head + tail[digits:]))
    return whole + int(tail[:digits][:9].ljust(9, "0"))
