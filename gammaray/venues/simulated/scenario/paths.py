"""Paths of underlyings through sessions: real or drawn days, bridged by the minute so that open, high, low and close are hit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import NANOS, from_datetime
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.scenario.protocol import DailyBar

FloatArray = NDArray[np.float64]

MINUTE_NS = 60 * NANOS
_CANDIDATES = 48


@dataclass(frozen=True, slots=True)
class DayPath:
    """One session of one underlying by the minute.

    price: dollars at minute 0 (the open) to the close, shape (minutes + 1,). level: the volatility level at the same times. rho, mean: the
    surface's skew correlation and long-run volatility that day. volume: shares of the day.
    """

    day: date
    price: FloatArray
    level: FloatArray
    rho: float
    mean: float
    volume: float


@dataclass(frozen=True, slots=True)
class UnderlyingPath:
    """An underlying through a scenario: its sessions in order, and daily bars that end before the first of them."""

    symbol: str
    days: tuple[DayPath, ...]
    before: tuple[DailyBar, ...]


@lru_cache(maxsize=8)
def session_calendar(first: date, last: date) -> TradingCalendar:
    """The trading calendar between two dates, built once (a tenth of a second each)."""
    return TradingCalendar(first, last)


def bridge_day(
    rng: np.random.Generator, minutes: int, open_: float, high: float, low: float, close: float
) -> FloatArray:
    """A path of `minutes` + 1 prices from `open_` to `close` whose extremes on the grid are `high` and `low`.

    Of a few Brownian bridges the one whose extremes come nearest is taken, and its excursions beyond open and close are stretched to end at
    `high` and `low`; where the bridge never leaves the range of open and close on a side, that extreme is missed. Raises ValueError unless
    low ≤ open, close ≤ high and low > 0.
    """
    if not 0 < low <= min(open_, close) <= max(open_, close) <= high:
        raise ValueError(f"open_, high, low, close: not a bar: {open_}, {high}, {low}, {close}")
    start, end = np.log(open_), np.log(close)
    # E[range] of a driftless Brownian motion over a unit of time is 1.6 σ (Parkinson 1980).
    sigma = max(np.log(high / low), 1e-5) / 1.6
    steps = rng.standard_normal((_CANDIDATES, minutes)) * (sigma / np.sqrt(minutes))
    walk = np.concatenate([np.zeros((_CANDIDATES, 1)), np.cumsum(steps, axis=1)], axis=1)
    time = np.linspace(0.0, 1.0, minutes + 1)
    paths = start + (end - start) * time + walk - walk[:, -1:] * time
    miss = np.abs(paths.max(axis=1) - np.log(high)) + np.abs(paths.min(axis=1) - np.log(low))
    path = paths[int(np.argmin(miss))]
    top, bottom = max(start, end), min(start, end)
    path = _stretch(path, top, np.log(high))
    path = -_stretch(-path, -bottom, -np.log(low))
    price = np.exp(path)
    price[0], price[-1] = open_, close
    return np.asarray(np.clip(price, low, high))


def _stretch(path: FloatArray, edge: float, extreme: float) -> FloatArray:
    """Scale what lies above `edge` so that the highest point becomes `extreme`."""
    top = float(path.max())
    if top <= edge + 1e-12:
        return path
    return np.where(path > edge, edge + (path - edge) * ((extreme - edge) / (top - edge)), path)


def brownian_bridge(rng: np.random.Generator, minutes: int) -> FloatArray:
    """A standard Brownian bridge from 0 to 0 on `minutes` + 1 points."""
    walk = np.concatenate([[0.0], np.cumsum(rng.standard_normal(minutes))]) / np.sqrt(minutes)
    return np.asarray(walk - walk[-1] * np.linspace(0.0, 1.0, minutes + 1))


def session_bar(path: DayPath, calendar: TradingCalendar) -> DailyBar:
    """The daily bar of a session of a path, stamped with its midnight in New York."""
    session = calendar.session(path.day)
    price = path.price
    bar = Bar(
        midnight_ns(path.day), float(price[0]), float(price.max()), float(price.min()), float(price[-1]), path.volume
    )
    return DailyBar(path.day, session.close_ns, bar)


def minute_bars(path: DayPath, open_ns: int) -> list[Bar]:
    """One-minute bars of a session; the day's volume is spread by a U-shape over it."""
    price = np.round(path.price, 2)
    minutes = len(price) - 1
    shape = 1.0 + 2.0 * (2.0 * (np.arange(minutes) + 0.5) / minutes - 1.0) ** 2
    volume = np.floor(path.volume * shape / shape.sum())
    first, last = price[:-1], price[1:]
    return [
        Bar(open_ns + i * MINUTE_NS, float(a), float(max(a, b)), float(min(a, b)), float(b), float(v))
        for i, (a, b, v) in enumerate(zip(first, last, volume, strict=True))
    ]


def midnight_ns(day: date) -> int:
    """Midnight in New York at which a day begins: the stamp of its daily bar."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK))


def check_aligned(paths: Sequence[UnderlyingPath]) -> None:
    """Raise ValueError unless all paths have the same sessions, at least one, with the same number of minutes."""
    if not paths or not paths[0].days:
        raise ValueError("paths: expected at least one underlying with at least one session")
    shape = [(day.day, len(day.price)) for day in paths[0].days]
    for path in paths[1:]:
        if [(day.day, len(day.price)) for day in path.days] != shape:
            raise ValueError(f"paths: sessions of {path.symbol} differ from those of {paths[0].symbol}")
