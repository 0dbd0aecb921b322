"""Sessions around the exchange's time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS
from gammaray.venues.simulated.api import ExchangeApi

LONGEST_CLOSURE = timedelta(days=10)


def new_york_date(ns: int) -> date:
    """The date in New York."""
    return datetime.fromtimestamp(ns // NANOS, NEW_YORK).date()


def sessions_around(exchange: ExchangeApi, now_ns: int) -> Sequence[tuple[date, int, int]]:
    """Sessions from ten days before a time to ten days after: at least the one before, the current and the two next."""
    today = new_york_date(now_ns)
    return exchange.sessions(today - LONGEST_CLOSURE, today + LONGEST_CLOSURE)


def session_at_or_after(exchange: ExchangeApi, now_ns: int) -> tuple[date, int, int]:
    """The session that is open at a time, or else the next one."""
    return next(session for session in sessions_around(exchange, now_ns) if session[2] > now_ns)


def previous_session(exchange: ExchangeApi, now_ns: int) -> tuple[date, int, int] | None:
    """The last session before the day (in New York) of a time."""
    today = new_york_date(now_ns)
    earlier = [session for session in sessions_around(exchange, now_ns) if session[0] < today]
    return earlier[-1] if earlier else None


def close_of(exchange: ExchangeApi, day: date) -> int:
    """When trading ends on a day, or on the last session before it (expirations listed on a holiday)."""
    return exchange.sessions(day - LONGEST_CLOSURE, day)[-1][2]
