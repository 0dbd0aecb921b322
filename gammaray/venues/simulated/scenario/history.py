"""The scenario `history`: SPY as a tenth of the real S&P 500, its volatility level the real VIX, from the data sets in the arch wheel."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from gammaray.operations.settings import HISTORY_FIRST, HISTORY_LAST
from gammaray.types.calendar import TradingCalendar
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.listing import ListingRules
from gammaray.venues.simulated.scenario.generated import GeneratedScenario
from gammaray.venues.simulated.scenario.paths import (
    DayPath,
    UnderlyingPath,
    bridge_day,
    brownian_bridge,
    midnight_ns,
    session_calendar,
)
from gammaray.venues.simulated.scenario.protocol import DailyBar

_SYMBOL = "SPY"
_INDEX_POINTS_PER_SHARE = 10.0
# Change of the log level per unit of log return within a day: VIX moves about six times as much as the index, the other way.
_LEVEL_BETA = -6.0
_PATH_STREAM = 11


@lru_cache(maxsize=1)
def index_history() -> tuple[tuple[date, float, float, float, float, float], ...]:
    """(day, open, high, low, close, volume) of the S&P 500 in index points, 1999–2018, as in `arch.data.sp500`."""
    import arch.data.sp500

    table = arch.data.sp500.load()
    columns = [table[name].to_numpy(dtype=np.float64) for name in ("Open", "High", "Low", "Close", "Volume")]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(
        (stamp.date(), open_, high, low, close, volume)
        for stamp, (open_, high, low, close, volume) in zip(table.index, rows, strict=True)
    )


@lru_cache(maxsize=1)
def volatility_history() -> dict[date, float]:
    """Closing VIX as a fraction (0.135), 2014–2018, as in `arch.data.vix`."""
    import arch.data.vix

    table = arch.data.vix.load()
    values = table["vix"].to_numpy(dtype=np.float64)
    return {
        stamp.date(): float(value) / 100 for stamp, value in zip(table.index, values, strict=True) if np.isfinite(value)
    }


def history_scenario(
    *,
    seed: int,
    first: date = HISTORY_FIRST,
    last: date = HISTORY_LAST,
    steps_per_session: int = 13,
    rules: ListingRules | None = None,
) -> GeneratedScenario:
    """Real days from `first` to `last` inclusive, bridged within the day by a seeded process.

    Raises ValueError, naming the argument, when the range holds no session for which index and VIX are known (2014-01-06 to 2018-12-31).
    """
    bars = index_history()
    levels = volatility_history()
    days = [i for i, bar in enumerate(bars) if first <= bar[0] <= last]
    if not days:
        raise ValueError(f"first, last: no session of the S&P 500 history from {first} to {last}")
    missing = [day for day in (bars[days[0] - 1][0], *(bars[i][0] for i in days)) if day not in levels]
    if missing:
        raise ValueError(f"first, last: no VIX for {missing[0]}; the history reaches from 2014-01-06 to 2018-12-31")
    calendar = session_calendar(bars[days[0]][0] - timedelta(days=10), bars[days[-1]][0] + timedelta(days=260))
    rng = np.random.default_rng([seed, _PATH_STREAM])
    paths: list[DayPath] = []
    skew, mean = 0.0, 0.0
    for i in days:
        # Slow drifts of skew and long-run level that the index level does not explain: half-lives of about a month.
        skew = 0.97 * skew + 0.010 * float(rng.standard_normal())
        mean = 0.97 * mean + 0.012 * float(rng.standard_normal())
        paths.append(_day_path(rng, i, calendar, skew, mean))
    before = tuple(_daily_bar(i) for i in range(days[0]))
    path = UnderlyingPath(_SYMBOL, tuple(paths), before)
    return GeneratedScenario(
        "history", [path], calendar=calendar, seed=seed, steps_per_session=steps_per_session, rules=rules
    )


def _day_path(rng: np.random.Generator, i: int, calendar: TradingCalendar, skew: float, mean: float) -> DayPath:
    """One real day by the minute; the level goes from yesterday's VIX close to today's and leans against the index on the way."""
    day, open_, high, low, close, volume = index_history()[i]
    previous_day, previous_close = index_history()[i - 1][0], index_history()[i - 1][4]
    session = calendar.session(day)
    minutes = (session.close_ns - session.open_ns) // 60_000_000_000
    top, bottom = max(high, open_, close), min(low, open_, close)
    price = bridge_day(rng, minutes, open_, top, bottom, close) / _INDEX_POINTS_PER_SHARE
    start, end = np.log(volatility_history()[previous_day]), np.log(volatility_history()[day])
    # A quarter of the day's change is taken to have come over night.
    progress = 0.25 + 0.75 * np.linspace(0.0, 1.0, minutes + 1)
    to_come = np.log(price * _INDEX_POINTS_PER_SHARE / previous_close) - progress * np.log(close / previous_close)
    level = start + (end - start) * progress + _LEVEL_BETA * to_come + 0.02 * brownian_bridge(rng, minutes)
    return DayPath(
        day=day,
        price=price,
        level=np.clip(np.exp(level), 0.05, 1.5),
        rho=float(np.clip(-0.72 + skew, -0.85, -0.55)),
        mean=float(np.clip(0.165 * np.exp(mean), 0.12, 0.25)),
        volume=np.floor(volume / 40),
    )


def _daily_bar(i: int) -> DailyBar:
    """A day before the scenario; it is known by the midnight after it at the latest."""
    day, open_, high, low, close, volume = index_history()[i]
    points = _INDEX_POINTS_PER_SHARE
    bar = Bar(midnight_ns(day), open_ / points, high / points, low / points, close / points, float(volume // 40))
    return DailyBar(day, midnight_ns(day + timedelta(days=1)), bar)
