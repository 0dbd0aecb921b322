"""What the smile of one expiry says about the underlying at that expiry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from gammaray.market.snapshot import ChainSnapshot
from gammaray.strategies.legs import Leg, carry, payoff

FloatArray = NDArray[np.float64]


class ExpiryDistribution:
    """The risk-neutral distribution of the underlying at one expiry.

    Taken from the out-of-the-money implied volatilities of the snapshot, linear in log-moneyness and flat beyond the last strike;
    every volatility is multiplied by `volatility_scale` (the ratio of a forecast to the implied level; 1 is the market's view), and
    the forward by e to the `drift` standard deviations of the at-the-money volatility (0 is the market's view).
    Raises ValueError when the snapshot has no implied volatility for the expiration (days since 1970-01-01) or it has passed.
    """

    def __init__(
        self, snapshot: ChainSnapshot, expiration: int, volatility_scale: float = 1.0, drift: float = 0.0
    ) -> None:
        table = snapshot.table
        rows = np.flatnonzero((table.expiration == expiration) & np.isfinite(snapshot.implied_volatility))
        if rows.size == 0:
            raise ValueError(
                f"expiration: no implied volatility for day {expiration} in the chain of {snapshot.underlying}"
            )
        self.tau = float(snapshot.tau[rows[0]])
        if not self.tau > 0.0:
            raise ValueError(f"expiration: day {expiration} has passed")
        rate, dividend_yield = carry(snapshot, rows[:1])
        self.discount = math.exp(-float(rate[0]) * self.tau)
        self.forward = snapshot.spot * math.exp(float(rate[0] - dividend_yield[0]) * self.tau)
        is_out = (table.strike[rows] >= self.forward) == table.is_call[rows]
        if is_out.any():
            rows = rows[is_out]
        k = np.log(table.strike[rows] / self.forward)
        order = np.argsort(k, kind="stable")
        self._k = k[order]
        self._volatility = volatility_scale * snapshot.implied_volatility[rows][order]
        self.deviation = float(np.interp(0.0, self._k, self._volatility)) * math.sqrt(self.tau)
        self.forward *= math.exp(drift * self.deviation)

    def volatility(self, strike: FloatArray) -> FloatArray:
        """Implied volatility at strikes in dollars."""
        return np.interp(np.log(strike / self.forward), self._k, self._volatility)

    def probability_above(self, strike: FloatArray) -> FloatArray:
        """P(S > K): N(d₂) less what the slope of the smile takes away, √τ φ(d₂) dσ/dk; kept inside [0, 1] and falling.

        strike: increasing, dollars, shape (n,); 0 gives 1 and infinity 0.
        """
        result = np.where(strike > 0.0, 0.0, 1.0)
        inside = (strike > 0.0) & np.isfinite(strike)
        k = np.log(strike[inside] / self.forward)
        volatility = np.interp(k, self._k, self._volatility)
        # The slope is taken over half a standard deviation: a linear smile has kinks that a derivative would show.
        width = 0.25 * volatility * math.sqrt(self.tau)
        slope = (np.interp(k + width, self._k, self._volatility) - np.interp(k - width, self._k, self._volatility)) / (
            2.0 * width
        )
        deviation = volatility * math.sqrt(self.tau)
        d2 = -k / deviation - 0.5 * deviation
        density = np.exp(-0.5 * d2**2) / math.sqrt(2.0 * math.pi)
        result[inside] = np.clip(ndtr(d2) - math.sqrt(self.tau) * density * slope, 0.0, 1.0)
        return np.minimum.accumulate(result)


def break_evens(legs: Sequence[Leg], cost: float, entry_spot: float = 0.0) -> tuple[float, ...]:
    """Spots at which the value at expiry equals `cost` (dollars per unit, credit negative), increasing. Legs expire together."""
    strikes = sorted({leg.contract.strike for leg in legs if leg.contract is not None})
    slope = float(sum(leg.shares for leg in legs if leg.contract is None or leg.contract.is_call))
    kinks = np.array([0.0, *strikes])
    profit = payoff(legs, kinks, entry_spot) - cost
    found = []
    for i in range(kinks.size - 1):
        left, right = profit[i], profit[i + 1]
        if left == 0.0 and i > 0:
            found.append(float(kinks[i]))
        elif left * right < 0.0:
            found.append(float(kinks[i] + (kinks[i + 1] - kinks[i]) * left / (left - right)))
    last = float(profit[-1])
    if last == 0.0:
        found.append(float(kinks[-1]))
    elif slope != 0.0 and -last / slope > 0.0:
        found.append(float(kinks[-1] - last / slope))
    return tuple(found)


def probability_of_profit(
    distribution: ExpiryDistribution, legs: Sequence[Leg], cost: float, entry_spot: float = 0.0
) -> float:
    """Probability that the value at expiry exceeds `cost` (dollars per unit, credit negative)."""
    points = break_evens(legs, cost, entry_spot)
    edges = np.array([0.0, *points, math.inf])
    above = distribution.probability_above(edges)
    total = 0.0
    for i in range(edges.size - 1):
        inside = edges[i] * 1.1 + 1.0 if math.isinf(edges[i + 1]) else 0.5 * (edges[i] + edges[i + 1])
        if float(payoff(legs, np.array([inside]), entry_spot)[0]) > cost:
            total += float(above[i] - above[i + 1])
    return min(1.0, max(0.0, total))
