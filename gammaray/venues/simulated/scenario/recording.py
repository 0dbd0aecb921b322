"""A recording: option quotes of one underlying by step, as the recorded scenario replays them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gammaray.types.calendar import TradingCalendar
from gammaray.types.instruments import ExerciseStyle, OptionContract, Right
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.instruments import CASH_SETTLED
from gammaray.venues.simulated.scenario.paths import midnight_ns
from gammaray.venues.simulated.scenario.protocol import DailyBar, Phase

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]

_KEYS = ["root", "expiration", "strike", "right"]


@dataclass(frozen=True, slots=True)
class UnderlyingQuote:
    """Prices in cents; last, low and high are of the time since the step before."""

    bid: int
    ask: int
    bid_size: int
    ask_size: int
    last: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class RecordedFlow:
    """Recorded trades as orders that take liquidity: contract indices, +1 for a buyer, quantities."""

    contract: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    side: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    qty: IntArray = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """What was quoted anew at one time. contract: indices into `Recording.contracts`, shape (n,).

    quotes: bid, ask (cents), bid size, ask size, shape (4, n); size 0 is no quote.
    """

    ts_ns: int
    day: date
    phase: Phase
    contract: IntArray
    quotes: IntArray
    underlying: UnderlyingQuote
    flow: RecordedFlow


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded sessions of one underlying. listed: contract indices by day. closes: official close by day in cents."""

    source: str
    underlying: str
    contracts: tuple[OptionContract, ...]
    open_interest: IntArray
    steps: tuple[RecordedStep, ...]
    listed: Mapping[date, IntArray]
    closes: Mapping[date, int]
    daily_bars: tuple[DailyBar, ...]
    minute_bars: Mapping[date, tuple[Bar, ...]]
    calendar: TradingCalendar


class QuoteRows:
    """Rows of an option quote file with their contracts numbered by root, expiration, strike and right.

    number: contract index of each row. ts: UTC nanoseconds of each row. day: date of each row. quotes: shape (4, rows) as in RecordedStep.
    """

    def __init__(self, path: Path, days: Sequence[date], default_size: int) -> None:
        """Read the rows of some days. Raises ValueError when there are none."""
        import pyarrow.parquet as pq

        columns = [
            "ts",
            "underlying",
            *_KEYS,
            "bid",
            "ask",
            "bid_size",
            "ask_size",
            "open_interest",
            "underlying_price",
        ]
        table: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas()
        table = table[table["ts"].dt.date.isin(set(days))].reset_index(drop=True)
        if table.empty:
            raise ValueError(f"data: {path} has no quotes on the days asked for")
        self.underlying = str(table["underlying"].iloc[0])
        self.number: IntArray = table.groupby(_KEYS, sort=True).ngroup().to_numpy().astype(np.int64)
        first = table[_KEYS].iloc[np.unique(self.number, return_index=True)[1]]
        self.contracts = tuple(_contract(self.underlying, *row) for row in first.itertuples(index=False, name=None))
        self.open_interest: IntArray = np.zeros(len(self.contracts), dtype=np.int64)
        self.open_interest[self.number] = np.nan_to_num(table["open_interest"].to_numpy()).astype(np.int64)
        self.ts: IntArray = table["ts"].dt.tz_convert(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
        self.underlying_price = table["underlying_price"].to_numpy(dtype=np.float64)
        self.day = table["ts"].dt.date.to_numpy()
        prices = np.rint(np.nan_to_num(table[["bid", "ask"]].to_numpy(dtype=np.float64).T) * 100).astype(np.int64)
        sizes = np.nan_to_num(table[["bid_size", "ask_size"]].to_numpy(dtype=np.float64).T, nan=default_size)
        self.quotes: IntArray = np.concatenate([prices, np.where(prices > 0, np.maximum(sizes.astype(np.int64), 1), 0)])

    def days(self) -> list[date]:
        """The days with rows, in order."""
        return sorted(set(self.day))

    def listed(self) -> dict[date, IntArray]:
        """Contracts quoted on each day."""
        return {day: np.unique(self.number[self.day == day]) for day in self.days()}


def _contract(underlying: str, root: str, expiration: date, strike: float, right: str) -> OptionContract:
    style = ExerciseStyle.EUROPEAN if underlying in CASH_SETTLED else ExerciseStyle.AMERICAN
    return OptionContract(underlying, expiration, round(strike * 1000), Right(right), root, exercise_style=style)


def daily_bar(calendar: TradingCalendar, day: date, prices: Sequence[float]) -> DailyBar:
    """A daily bar from (open, high, low, close, volume)."""
    open_, high, low, close, volume = prices
    return DailyBar(day, calendar.session(day).close_ns, Bar(midnight_ns(day), open_, high, low, close, volume))
