"""One record per underlying and session: what the daily features are made from, and how a session's snapshots become one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from scipy.interpolate import PchipInterpolator

from gammaray.market.snapshot import ChainSnapshot, SurfaceSlice

MONTH = 30 / 365
QUARTER = 90 / 365


@dataclass(frozen=True, slots=True)
class DailyRecord:
    """One session of one underlying. Prices in dollars, volatilities annual, NaN where unknown.

    ts_ns: the close, when the session is over. known_ns: when the record was known here (not before ts_ns; 0 means ts_ns).
    samples: how many observations of the spot are behind high and low; 0 for an exchange's own high and low.
    skew_25d: 25-delta put minus call volatility at 30 days. relative_spread: median of (ask − bid) / mid over good quotes.
    size_imbalance: (put − call) / (put + call) of the sizes quoted. intraday_variance: sum of squared log returns within the session.
    source: provenance.
    """

    underlying: str
    day: date
    ts_ns: int
    open: float
    high: float
    low: float
    close: float
    samples: int = 0
    atm_iv_30d: float = math.nan
    atm_iv_90d: float = math.nan
    skew_25d: float = math.nan
    intraday_variance: float = math.nan
    relative_spread: float = math.nan
    size_imbalance: float = math.nan
    source: str = ""
    known_ns: int = 0

    def __post_init__(self) -> None:
        for name in ("open", "high", "low", "close"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name}: must be positive and finite, was {value} ({self.underlying} {self.day})")
        if self.low > min(self.open, self.close) or self.high < max(self.open, self.close):
            raise ValueError(
                f"high, low: {self.high}, {self.low} do not contain open {self.open} and close {self.close} "
                f"({self.underlying} {self.day})"
            )
        for name in ("atm_iv_30d", "atm_iv_90d"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"{name}: must be positive, was {getattr(self, name)} ({self.underlying} {self.day})")
        if self.samples < 0:
            raise ValueError(f"samples: must not be negative, was {self.samples}")
        if self.known_ns == 0:
            object.__setattr__(self, "known_ns", self.ts_ns)
        elif self.known_ns < self.ts_ns:
            raise ValueError(f"known_ns: {self.known_ns} is before ts_ns {self.ts_ns}")


class DailyRecordBuilder:
    """Makes the daily record of a session from its snapshots.

    Only snapshots taken while the session is open count. Implied volatilities and skew are those of the last snapshot with a
    surface; spread and size imbalance are medians over the session.
    """

    def __init__(self, underlying: str) -> None:
        self.underlying = underlying
        self._last_ts = 0
        self._slices: tuple[SurfaceSlice, ...] = ()
        self._clear()

    def add(self, snapshot: ChainSnapshot) -> None:
        """Take in a snapshot. Raises ValueError for one of another underlying or older than the last."""
        if snapshot.underlying != self.underlying:
            raise ValueError(f"snapshot: expected {self.underlying}, was {snapshot.underlying}")
        if not snapshot.session_open or not math.isfinite(snapshot.spot):
            return
        if snapshot.ts_ns < self._last_ts:
            raise ValueError(f"snapshot: ts_ns {snapshot.ts_ns} is before {self._last_ts}")
        self._last_ts = snapshot.ts_ns
        self._spots.append(snapshot.spot)
        if snapshot.surface:
            self._slices = snapshot.surface
        good = np.flatnonzero(snapshot.good())
        if good.size:
            bid, ask = snapshot.bid[good], snapshot.ask[good]
            self._spreads.append(float(np.median(2.0 * (ask - bid) / (ask + bid))))
            sizes = snapshot.bid_size[good] + snapshot.ask_size[good]
            total = float(sizes.sum())
            if total > 0.0:
                calls = float(sizes[snapshot.table.is_call[good]].sum())
                self._imbalances.append((total - 2.0 * calls) / total)

    @property
    def samples(self) -> int:
        """Snapshots taken in since the last `finish`."""
        return len(self._spots)

    def finish(self, day: date, close_ns: int, source: str = "snapshots", known_ns: int = 0) -> DailyRecord:
        """The record of the session, and a fresh start. Raises ValueError when there was no snapshot."""
        if not self._spots:
            raise ValueError(f"day: no snapshot of {self.underlying} on {day}")
        spots = np.array(self._spots)
        record = DailyRecord(
            underlying=self.underlying,
            day=day,
            ts_ns=close_ns,
            open=float(spots[0]),
            high=float(spots.max()),
            low=float(spots.min()),
            close=float(spots[-1]),
            samples=spots.size,
            atm_iv_30d=atm_term_volatility(self._slices, MONTH),
            atm_iv_90d=atm_term_volatility(self._slices, QUARTER),
            skew_25d=_skew(self._slices, MONTH),
            intraday_variance=float(np.sum(np.diff(np.log(spots)) ** 2)),
            relative_spread=float(np.median(self._spreads)) if self._spreads else math.nan,
            size_imbalance=float(np.median(self._imbalances)) if self._imbalances else math.nan,
            source=source,
            known_ns=known_ns,
        )
        self._clear()
        return record

    def _clear(self) -> None:
        self._last_ts = 0
        self._spots: list[float] = []
        self._spreads: list[float] = []
        self._imbalances: list[float] = []
        self._slices = ()


def with_official_prices(record: DailyRecord, open_: float, high: float, low: float, close: float) -> DailyRecord:
    """The record with the exchange's own prices of the session in place of the sampled ones. Raises ValueError as `DailyRecord` does."""
    return replace(record, open=open_, high=high, low=low, close=close, samples=0)


def atm_term_volatility(surface: tuple[SurfaceSlice, ...], tau: float) -> float:
    """At-the-money implied volatility at `tau` years from the slices of a snapshot; NaN without any.

    Total variance is interpolated by a monotone cubic (Fritsch and Carlson 1980) through the expiries and the origin; beyond them the
    volatility is that of the nearest. Monthly expiries lie far apart, and a straight line between them overstates the middle of an
    upward term structure.
    """
    if not surface:
        return math.nan
    times = np.array([0.0, *(piece.tau for piece in surface)])
    variance = np.array([0.0, *(piece.atm_volatility**2 * piece.tau for piece in surface)])
    if tau <= times[1]:
        return surface[0].atm_volatility
    if tau >= times[-1]:
        return surface[-1].atm_volatility
    return math.sqrt(float(PchipInterpolator(times, variance)(tau)) / tau)


def _skew(surface: tuple[SurfaceSlice, ...], tau: float) -> float:
    """25-delta skew at `tau` years, linear in time between expiries, flat beyond them; NaN without any."""
    if not surface:
        return math.nan
    return float(np.interp(tau, [piece.tau for piece in surface], [piece.skew_25d for piece in surface]))
