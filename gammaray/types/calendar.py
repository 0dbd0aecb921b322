"""Sessions of the US equity and option markets: which days trade, when they open and close, holidays and half days."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; times are UTC nanoseconds."""

    day: date
    open_ns: int
    close_ns: int


class TradingCalendar:
    """The XNYS calendar of `exchange_calendars` between two dates.

    `first` and `last` are inclusive. Raises ValueError when `first` is after `last`.
    """

    def __init__(self, first: date, last: date) -> None:
        if first > last:
            raise ValueError(f"first: {first} is after last {last}")
        self.first = first
        self.last = last

    @cached_property
    def sessions(self) -> tuple[Session, ...]:
        """Every session in the range, in order."""
        import exchange_calendars  # half a second to import

        # The library wants a calendar of some length; a margin also lets `first` fall on a holiday.
        calendar = exchange_calendars.get_calendar(
            "XNYS", start=self.first - timedelta(days=10), end=self.last + timedelta(days=10)
        )
        schedule = calendar.schedule
        opens = schedule["open"].to_numpy(dtype="datetime64[ns]").astype("int64")
        closes = schedule["close"].to_numpy(dtype="datetime64[ns]").astype("int64")
        days = [stamp.date() for stamp in schedule.index]
        return tuple(
            Session(day, int(opens[i]), int(closes[i])) for i, day in enumerate(days) if self.first <= day <= self.last
        )

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The dates of the sessions."""
        return tuple(session.day for session in self.sessions)

    def is_session(self, day: date) -> bool:
        """Whether the exchanges trade on that date."""
        i = bisect_left(self.days, day)
        return i < len(self.days) and self.days[i] == day

    def session(self, day: date) -> Session:
        """The session of a date. Raises ValueError when there is none."""
        i = bisect_left(self.days, day)
        if i == len(self.days) or self.days[i] != day:
            raise ValueError(f"day: no session on {day}")
        return self.sessions[i]

    def on_or_before(self, day: date) -> Session:
        """The last session not after a date. Raises ValueError outside the range."""
        i = bisect_right(self.days, day) - 1
        if i < 0:
            raise ValueError(f"day: {day} is before the calendar's first session")
        return self.sessions[i]

    def after(self, day: date) -> Session:
        """The first session after a date. Raises ValueError outside the range."""
        i = bisect_right(self.days, day)
        if i == len(self.days):
            raise ValueError(f"day: {day} is at or beyond the calendar's last session")
        return self.sessions[i]

    def at(self, now_ns: int) -> Session | None:
        """The session that is open at a time (open ≤ now < close), if any."""
        i = bisect_right([session.open_ns for session in self.sessions], now_ns) - 1
        if i < 0 or now_ns >= self.sessions[i].close_ns:
            return None
        return self.sessions[i]
