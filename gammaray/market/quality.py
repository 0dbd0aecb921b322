"""Quality rules for the quotes of a chain. Every rule sets one bit of `Quality` per row; a row with any bit set is quarantined.

Sources: the no-arbitrage bounds are Merton (1973); the jump rule compares a quote with what the previous snapshot's implied
volatility says after the common move of its expiry has been taken out, so that a market-wide shock is not a bad quote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gammaray.market.snapshot import ChainSnapshot, Quality

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Thresholds of the rules.

    stale_after_s: age from which an option quote is stale when the spot has moved since it came by more than delta can hide in
    `stale_spreads` spreads. Venues send a quote only when it changes, so age alone says little; from dead_after_s on it is enough.
    spot_stale_after_s: age of the underlying's quote at which the feed counts as mute, which makes every row stale.
    bounds_tolerance: dollars by which a quote may lie outside the no-arbitrage bounds. parity_tolerance: beyond it, share of the spot
    by which pairs of quotes may contradict each other: the forward is an estimate, and dividends are not known to the day.
    jump_spreads, jump_relative, jump_dollars: a quote jumps when it is off by more than each of: that many spreads, that share
    of the expected price, that many dollars.
    jump_within_s: age of the previous snapshot beyond which nothing is said about jumps.
    jump_share: when more than this share of an expiry's rows would be flagged, the market moved, and none is.
    """

    stale_after_s: float = 900.0
    stale_spreads: float = 1.0
    dead_after_s: float = 23_400.0
    spot_stale_after_s: float = 600.0
    bounds_tolerance: float = 0.02
    parity_tolerance: float = 2e-4
    jump_spreads: float = 4.0
    jump_relative: float = 0.5
    jump_dollars: float = 0.25
    jump_within_s: float = 3600.0
    jump_share: float = 0.1

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not value >= 0.0:
                raise ValueError(f"{name}: must not be negative, was {value}")


def side_flags(bid: FloatArray, ask: FloatArray) -> NDArray[np.uint8]:
    """Missing, negative, crossed and locked quotes. A side is missing when it is NaN or zero. Arrays of shape (n,), dollars."""
    no_bid = ~(bid != 0.0) | np.isnan(bid)
    no_ask = ~(ask != 0.0) | np.isnan(ask)
    both = ~(no_bid | no_ask)
    flags = np.zeros(bid.shape, np.uint8)
    flags[no_bid] |= np.uint8(Quality.MISSING_BID)
    flags[no_ask] |= np.uint8(Quality.MISSING_ASK)
    flags[(bid < 0.0) | (ask < 0.0)] |= np.uint8(Quality.NEGATIVE)
    flags[both & (bid > ask)] |= np.uint8(Quality.CROSSED)
    flags[both & (bid == ask)] |= np.uint8(Quality.LOCKED)
    return flags


def bound_flags(
    bid: FloatArray,
    ask: FloatArray,
    is_call: NDArray[np.bool_],
    strike: FloatArray,
    spot: float,
    discount: FloatArray,
    forward: FloatArray,
    tolerance: float,
) -> NDArray[np.uint8]:
    """Quotes that no price can justify: the ask below discounted intrinsic value, or the bid above the spot (call) or the strike (put).

    The bounds hold for European and American contracts alike (an American one is worth at least the European).
    """
    sign = np.where(is_call, 1.0, -1.0)
    lower = np.maximum(0.0, sign * discount * (forward - strike))
    upper = np.where(is_call, np.maximum(spot, discount * forward), strike)
    flags = np.zeros(bid.shape, np.uint8)
    flags[(ask < lower - tolerance) | (bid > upper + tolerance)] |= np.uint8(Quality.OUT_OF_BOUNDS)
    return flags


def jump_flags(
    mid: FloatArray,
    spread: FloatArray,
    expected: FloatArray,
    vega: FloatArray,
    expiration: NDArray[np.int32],
    usable: NDArray[np.bool_],
    settings: QualitySettings,
) -> NDArray[np.uint8]:
    """Quotes that moved alone.

    expected: price of each row at the present spot and time and the previous snapshot's volatility; vega: at the same point.
    The median move of an expiry's rows in volatility is taken as common; what a row is off beyond it is judged.
    """
    flags = np.zeros(mid.shape, np.uint8)
    off = mid - expected
    usable = usable & np.isfinite(off) & np.isfinite(vega)
    for day in np.unique(expiration[usable]):
        rows = np.flatnonzero(usable & (expiration == day))
        informative = rows[vega[rows] > 0.2 * vega[rows].max()]
        common = float(np.median(off[informative] / vega[informative])) if informative.size else 0.0
        residual = np.abs(off[rows] - common * vega[rows])
        limit = np.maximum(settings.jump_spreads * spread[rows], settings.jump_relative * expected[rows])
        jumped = rows[residual > np.maximum(limit, settings.jump_dollars)]
        if jumped.size <= max(1.0, settings.jump_share * rows.size):
            flags[jumped] |= np.uint8(Quality.JUMP)
    return flags


def stale_flags(
    age_s: FloatArray, moved: FloatArray, spread: FloatArray, settings: QualitySettings
) -> NDArray[np.uint8]:
    """Quotes that are too old for the market they were made in.

    age_s: seconds since each quote. moved: dollars by which the option must have moved since, |delta · spot move|, 0 where unknown.
    """
    outdated = (age_s > settings.stale_after_s) & (moved > settings.stale_spreads * np.nan_to_num(spread))
    return np.where(outdated | (age_s > settings.dead_after_s), np.uint8(Quality.STALE), np.uint8(0))


class QualityCounts:
    """How many rows each rule has flagged, over the life of the market state."""

    def __init__(self) -> None:
        self._counts = np.zeros(8, np.int64)
        self.rows = 0
        """Rows judged."""

    def add(self, quality: NDArray[np.uint8]) -> None:
        """Count the flags of one snapshot."""
        self.rows += int(quality.size)
        self._counts += np.unpackbits(quality.reshape(-1, 1), axis=1, bitorder="little").sum(axis=0, dtype=np.int64)

    def by_reason(self) -> dict[str, int]:
        """Rows per reason, in the order of `Quality`; reasons that never occurred are left out."""
        reasons = [flag for flag in Quality if flag]
        return {
            flag.name.lower(): int(self._counts[flag.bit_length() - 1])
            for flag in reasons
            if flag.name and self._counts[flag.bit_length() - 1]
        }


def quarantined(snapshot: ChainSnapshot) -> Iterator[tuple[str, Quality]]:
    """Symbol and reasons of every row of a snapshot that must not be used."""
    for row in np.flatnonzero(snapshot.quality):
        yield snapshot.table.symbols[row], Quality(int(snapshot.quality[row]))
