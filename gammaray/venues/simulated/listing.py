"""Which expirations and strikes an option class has, by the rules that exchanges list them under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from gammaray.types.calendar import TradingCalendar

_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class ListingRules:
    """Expirations: the next `weeks` Fridays and the third Fridays of the next `months` months; a Friday without a session moves to the day before.

    Strikes: every `near_step` dollars within `near_width` of the spot (a fraction), every `far_step` within `far_width`. Strikes are added as the
    spot moves and never taken away.
    """

    weeks: int = 6
    months: int = 6
    near_step: float = 1.0
    near_width: float = 0.05
    far_step: float = 5.0
    far_width: float = 0.12

    def __post_init__(self) -> None:
        if self.weeks < 1 or self.months < 1:
            raise ValueError(f"weeks, months: must be positive, were {self.weeks}, {self.months}")
        if not 0 < self.near_step <= self.far_step:
            raise ValueError(f"near_step: expected 0 < near_step ≤ far_step, was {self.near_step}, {self.far_step}")
        if not 0 < self.near_width <= self.far_width < 1:
            raise ValueError(f"near_width: expected 0 < near ≤ far < 1, was {self.near_width}, {self.far_width}")

    def expirations(self, day: date, calendar: TradingCalendar) -> tuple[date, ...]:
        """Expirations listed on a session day, in order, the day's own included. `calendar` must reach `months` + 1 months further."""
        friday = day + timedelta(days=(_FRIDAY - day.weekday()) % 7)
        fridays = {friday + timedelta(weeks=week) for week in range(self.weeks)}
        months = [day.month - 1 + ahead for ahead in range(self.months + 1)]
        monthly = [third_friday(day.year + month // 12, month % 12 + 1) for month in months]
        fridays.update([third for third in monthly if third >= friday][: self.months])
        return tuple(sorted({calendar.on_or_before(f).day for f in fridays if calendar.on_or_before(f).day >= day}))

    def strikes(self, spot: float) -> tuple[int, ...]:
        """Strikes in thousandths of a dollar for a spot, in order."""
        near = _grid(spot * (1 - self.near_width), spot * (1 + self.near_width), self.near_step)
        far = _grid(spot * (1 - self.far_width), spot * (1 + self.far_width), self.far_step)
        return tuple(sorted(near | far))


def third_friday(year: int, month: int) -> date:
    """The third Friday of a month, the standard monthly expiration."""
    first = date(year, month, 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)


def _grid(low: float, high: float, step: float) -> set[int]:
    """Multiples of `step` in [low, high], in thousandths."""
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return {round(step * 1000) * i for i in range(max(first, 1), last + 1)}
