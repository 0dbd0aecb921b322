"""The variance that a strip of quoted options implies without a model, and the thirty-day volatility index made of two strips.

Method: Cboe, "The CBOE Volatility Index – VIX" (white paper, 2009), the discrete form of the log contract of Demeterfi, Derman, Kamal and
Zou (1999).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gammaray.pricing.arguments import FloatArray, broadcast, first_index

MINUTES_PER_YEAR = 525_600.0
MINUTES_PER_DAY = 1_440.0


@dataclass(frozen=True, slots=True)
class OptionStrip:
    """Calls and puts of one expiry: columns of shape (n,) in dollars, by ascending strike; make it with `OptionStrip.of`.

    `minutes` to settlement; `rate` continuously compounded, per year.
    """

    strike: FloatArray
    call_bid: FloatArray
    call_ask: FloatArray
    put_bid: FloatArray
    put_ask: FloatArray
    minutes: float
    rate: float

    @classmethod
    def of(
        cls,
        strike: ArrayLike,
        call_bid: ArrayLike,
        call_ask: ArrayLike,
        put_bid: ArrayLike,
        put_ask: ArrayLike,
        *,
        minutes: float,
        rate: float,
    ) -> OptionStrip:
        """A strip from quotes in any order of strikes.

        Raises ValueError for fewer than three strikes, strikes that repeat or are not positive, quotes that are not finite, or a time
        that is not positive.
        """
        inputs = broadcast(strike=strike, call_bid=call_bid, call_ask=call_ask, put_bid=put_bid, put_ask=put_ask)
        if len(inputs.shape) != 1 or inputs.size < 3:
            raise ValueError(f"strike: expected at least three strikes in one dimension, was shape {inputs.shape}")
        order = np.argsort(inputs.columns[0], kind="stable")
        strikes, *sides = (column[order] for column in inputs.columns)
        if strikes[0] <= 0.0:
            raise ValueError(f"strike[{order[0]}]: expected a positive strike, was {strikes[0]}")
        if np.any(repeated := np.diff(strikes) == 0.0):
            raise ValueError(f"strike: {strikes[first_index(repeated)]} is quoted twice")
        if not 0.0 < minutes < math.inf:
            raise ValueError(f"minutes: expected a finite positive number, was {minutes}")
        if not math.isfinite(rate):
            raise ValueError(f"rate: expected a finite number, was {rate}")
        call_bids, call_asks, put_bids, put_asks = sides
        return cls(strikes, call_bids, call_asks, put_bids, put_asks, float(minutes), float(rate))


@dataclass(frozen=True, slots=True)
class StripVariance:
    """What a strip implies: `variance` per year, `forward` and `central_strike` in dollars, and how many puts and calls it used."""

    variance: float
    forward: float
    central_strike: float
    puts: int
    calls: int


@dataclass(frozen=True, slots=True)
class VarianceIndex:
    """The index in points (hundred times the volatility per year) and the variances it interpolates."""

    value: float
    near: StripVariance
    far: StripVariance


def variance_index(near: OptionStrip, far: OptionStrip, *, target_days: float = 30.0) -> VarianceIndex:
    """The volatility index of the Cboe: total variance interpolated, or extrapolated, to `target_days` between two expiries.

    Raises ValueError when `far` does not expire after `near`, a strip has no usable quotes, or the result would be the root of a
    negative variance.
    """
    if not far.minutes > near.minutes:
        raise ValueError(f"far: expected an expiry after that of near ({near.minutes} minutes), was {far.minutes}")
    first, second = strip_variance(near), strip_variance(far)
    target = target_days * MINUTES_PER_DAY
    weight = (far.minutes - target) / (far.minutes - near.minutes)
    total = near.minutes * first.variance * weight + far.minutes * second.variance * (1.0 - weight)
    if not (target > 0.0 and total >= 0.0):
        raise ValueError(f"target_days: {target_days} days lie beyond what the two strips determine")
    return VarianceIndex(100.0 * math.sqrt(total / target), first, second)


def strip_variance(strip: OptionStrip) -> StripVariance:
    """The variance of one strip, (2/T)·Σ ΔK/K²·e^(RT)·Q(K) − (F/K₀ − 1)²/T.

    F comes by parity from the strike at which call and put mid prices are nearest, K₀ is the first strike at or below F. Q is the mid of the
    out-of-the-money option (at K₀ of both) with a bid, going away from K₀ until two bids in a row are zero; ΔK half the distance
    between the strikes used on either side.

    Raises ValueError when no strike has a call and a put with a bid, or no strike lies at or below the forward.
    """
    call, put = 0.5 * (strip.call_bid + strip.call_ask), 0.5 * (strip.put_bid + strip.put_ask)
    quoted = (strip.call_bid > 0.0) & (strip.put_bid > 0.0)
    if not quoted.any():
        raise ValueError("strip: no strike has a bid for both its call and its put")
    tau = strip.minutes / MINUTES_PER_YEAR
    growth = math.exp(strip.rate * tau)
    nearest = int(np.argmin(np.where(quoted, np.abs(call - put), np.inf)))
    forward = float(strip.strike[nearest] + growth * (call[nearest] - put[nearest]))
    center = int(np.searchsorted(strip.strike, forward, side="right")) - 1
    if center < 0:
        raise ValueError(f"strip: no strike at or below the forward {forward:.4f}")
    puts = _usable(strip.put_bid[:center][::-1])
    calls = _usable(strip.call_bid[center + 1 :])
    used = np.concatenate([center - 1 - puts[::-1], [center], center + 1 + calls])
    strikes = strip.strike[used]
    quotes = np.where(used < center, put[used], call[used])
    quotes[puts.size] = 0.5 * (call[center] + put[center])
    if used.size < 2:
        raise ValueError("strip: fewer than two options with a bid")
    widths = _widths(strikes)
    total = float(np.sum(widths / strikes**2 * quotes)) * growth
    central = float(strip.strike[center])
    variance = 2.0 / tau * total - (forward / central - 1.0) ** 2 / tau
    return StripVariance(variance, forward, central, int(puts.size), int(calls.size))


def _usable(bids: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of the positive bids before the first two in a row that are zero."""
    zero = bids <= 0.0
    pairs = np.flatnonzero(zero[:-1] & zero[1:])
    end = int(pairs[0]) if pairs.size else bids.size
    return np.flatnonzero(~zero[:end])


def _widths(strikes: FloatArray) -> FloatArray:
    """Half the distance between the neighbours of each strike; at the ends the distance to the one neighbour."""
    widths = np.empty_like(strikes)
    widths[1:-1] = 0.5 * (strikes[2:] - strikes[:-2])
    widths[0] = strikes[1] - strikes[0]
    widths[-1] = strikes[-1] - strikes[-2]
    return widths
