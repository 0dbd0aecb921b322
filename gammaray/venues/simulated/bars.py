"""Bars as of a time: of underlyings from the scenario, of contracts from the tape. Nothing after `now_ns` shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, to_datetime
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.scenario.paths import midnight_ns
from gammaray.venues.simulated.scenario.protocol import Scenario
from gammaray.venues.simulated.tape import Tape

_MINUTE_NS = 60 * NANOS


def new_york_day(ts_ns: int) -> date:
    """The date in New York."""
    return to_datetime(ts_ns).astimezone(NEW_YORK).date()


def underlying_bars(
    scenario: Scenario, symbol: str, *, start_ns: int, end_ns: int, step: str, now_ns: int
) -> list[Bar]:
    """Daily or one-minute bars whose left edge is in [start_ns, end_ns]; today's daily bar is the part so far."""
    if step == "1Day":
        days = scenario.daily_bars(symbol)
        done = [d.bar for d in days if d.known_ns <= now_ns and start_ns <= d.bar.ts_ns <= end_ns]
        today = new_york_day(now_ns)
        edge = midnight_ns(today)
        if start_ns <= edge <= end_ns and not any(bar.ts_ns == edge for bar in done[-1:]):
            minutes = _known_minutes(scenario, symbol, today, now_ns)
            if minutes:
                done.append(_merge(minutes, edge))
        return done
    day, last = new_york_day(max(start_ns, 0)), new_york_day(min(end_ns, now_ns))
    bars: list[Bar] = []
    while day <= last:
        bars.extend(bar for bar in _known_minutes(scenario, symbol, day, now_ns) if start_ns <= bar.ts_ns <= end_ns)
        day += timedelta(days=1)
    return bars


def _known_minutes(scenario: Scenario, symbol: str, day: date, now_ns: int) -> list[Bar]:
    return [bar for bar in scenario.minute_bars(symbol, day) if bar.ts_ns + _MINUTE_NS <= now_ns]


def _merge(bars: Sequence[Bar], ts_ns: int) -> Bar:
    return Bar(
        ts_ns,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )


def contract_bars(tape: Tape, row: int, *, start_ns: int, end_ns: int, step: str) -> list[Bar]:
    """Bars of a contract's prints; minutes (or days) without a print have none."""
    ts, cents, qty = tape.of(row, start_ns, end_ns)
    if step == "1Day":
        edges = np.array([midnight_ns(new_york_day(int(t))) for t in ts], dtype=np.int64)
    else:
        edges = ts // _MINUTE_NS * _MINUTE_NS
    bars: list[Bar] = []
    for edge in np.unique(edges):
        mine = edges == edge
        price = cents[mine] / 100
        bars.append(
            Bar(
                int(edge),
                float(price[0]),
                float(price.max()),
                float(price.min()),
                float(price[-1]),
                float(qty[mine].sum()),
            )
        )
    return bars
