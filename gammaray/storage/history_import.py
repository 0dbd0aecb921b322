"""Importer of real daily history: S&P 500 and VIX from the data sets inside the `arch` wheel.

The option columns are not quotes of the time: they are read off `LevelSurface` at the level of VIX, the surface that the simulated
exchange quotes from, so that imported and live records have one meaning. Spread and size columns stay unknown.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from gammaray.market.daily import DailyRecord
from gammaray.market.level_surface import DEFAULT_SHAPE, LevelSurface, SurfaceShape
from gammaray.storage.history import History
from gammaray.storage.history_daily import append_daily_records
from gammaray.types.calendar import TradingCalendar

if TYPE_CHECKING:
    import pandas as pd

SOURCE = "arch.data.sp500+vix"


def sp500_records(
    first: date, last: date, *, underlying: str = "SPY", price_scale: float = 1.0, shape: SurfaceShape = DEFAULT_SHAPE
) -> list[DailyRecord]:
    """Daily records between two dates (inclusive) for which both data sets have the day (2014-01-03 to 2018-12-31).

    price_scale: multiplies index points (0.1 makes it look like SPY). Raises ValueError when no day is covered.
    """
    from arch.data import sp500, vix

    prices = _by_day(sp500.load(), ["Open", "High", "Low", "Close"])
    levels = _by_day(vix.load().dropna(), ["vix"])
    records = []
    for session in TradingCalendar(first, last).sessions:
        if session.day not in prices or session.day not in levels:
            continue
        # The index's published open may lie a rounding outside its own range, hence the minimum and maximum of all four.
        values = [price * price_scale for price in prices[session.day]]
        factors = LevelSurface(levels[session.day][0] / 100.0, shape).factors()
        records.append(
            DailyRecord(
                underlying=underlying,
                day=session.day,
                ts_ns=session.close_ns,
                open=values[0],
                high=max(values),
                low=min(values),
                close=values[3],
                atm_iv_30d=factors.atm_30d,
                atm_iv_90d=factors.atm_90d,
                skew_25d=factors.skew_25d,
                source=SOURCE,
            )
        )
    if not records:
        raise ValueError(f"first, last: no day between {first} and {last} is in both data sets")
    return records


def import_sp500(
    history: History,
    first: date,
    last: date,
    *,
    underlying: str = "SPY",
    price_scale: float = 1.0,
    shape: SurfaceShape = DEFAULT_SHAPE,
) -> int:
    """Write the records of `sp500_records` into the history; a second call with the same range writes nothing. Returns how many were new."""
    records = sp500_records(first, last, underlying=underlying, price_scale=price_scale, shape=shape)
    return append_daily_records(history, records)


def _by_day(frame: pd.DataFrame, columns: list[str]) -> dict[date, list[float]]:
    return dict(zip(frame.index.date, frame[columns].to_numpy(dtype="float64").tolist(), strict=True))  # type: ignore[attr-defined]


SPY_SCALE = 0.1
"""SPY trades at a tenth of the index."""
COVERED = (date(2014, 1, 3), date(2018, 12, 31))
"""Days for which both data sets have values."""


def import_spy(history: History, first: date, last: date) -> int:
    """Write SPY's daily records between two dates, as far as the data sets reach. Returns how many were new."""
    first, last = max(first, COVERED[0]), min(last, COVERED[1])
    if first > last:
        return 0
    return import_sp500(history, first, last, underlying="SPY", price_scale=SPY_SCALE)
