"""Evaluation of spline slices at, between, before and beyond their expiries, without arbitrage in strike or time.

Between two expiries the quantile functions of S/F are mixed, Q_τ = (1 - λ) Q_1 + λ Q_2 (displacement interpolation). The integral of Q_τ over
(u, 1) is then linear in λ, and it does not decrease because the second expiry dominates the first in convex order; so the prices do not
decrease in time, and Q_τ being a quantile function its density is not negative. λ is chosen so that the at-the-money variance is nearly
linear in time; lognormal slices stay lognormal to first order. In prices it is the infimal convolution
c_τ(x) = min over (1 - λ) K_1 + λ K_2 = x of (1 - λ) c_1(K_1) + λ c_2(K_2).

Before the first expiry the same is done from the certain value S/F = 1. Beyond the last one S/F is multiplied by an independent e^{sZ} / E e^{sZ}
with Z on Gauss-Hermite nodes, which increases in convex order with s (Hirsch, Profeta, Roynette and Yor 2011, Peacocks, theorem 1.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.black import implied_deviations
from gammaray.pricing.surface.quotes import FloatArray
from gammaray.pricing.surface.splines import cell, curvature, greville, otm_value

_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()
_SAME_TIME = 1e-10  # relative difference of times up to which they are one


@dataclass(frozen=True, slots=True, eq=False)
class SplineSlices:
    """Out-of-the-money B-spline coefficients by expiry, on common knots of moneyness."""

    tau: FloatArray  # (n,), increasing
    knots: FloatArray  # (M,), moneyness
    coefficients: FloatArray  # (n, M)
    prior: FloatArray  # (n, 3): θ, ρ, ψ of the eSSVI slices that the fit started from
    _xi: FloatArray = field(init=False, repr=False)
    _density: FloatArray = field(init=False, repr=False)  # (n, M): c'' at the knots
    _tail: FloatArray = field(init=False, repr=False)  # (n, 2, M): probabilities below and above each knot
    _deviation: FloatArray = field(init=False, repr=False)  # (n,): at-the-money total deviation

    def __post_init__(self) -> None:
        xi = greville(self.knots)
        density = np.maximum(np.stack([curvature(self.knots, xi, row) for row in self.coefficients]), 0.0)
        tail = np.stack([_probabilities(self.knots, xi, row) for row in self.coefficients])
        money = np.array([otm_value(self.knots, xi, row, 1.0) for row in self.coefficients])
        object.__setattr__(self, "_xi", xi)
        object.__setattr__(self, "_density", density)
        object.__setattr__(self, "_tail", tail)
        object.__setattr__(self, "_deviation", implied_deviations(money, np.zeros(money.shape)))

    def otm_price(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Normalised out-of-the-money prices at flat columns of log-moneyness and time."""
        prices: FloatArray = self._evaluate(k, tau)[0]
        return prices

    def total_variance(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """w at flat columns of log-moneyness and time; 0 where the price is 0."""
        prices = self._evaluate(k, tau)[0]
        return np.where(prices > 0.0, implied_deviations(prices, k) ** 2, 0.0)

    def density(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Risk-neutral density of ln(S_τ / F) at flat columns of log-moneyness and time."""
        result: FloatArray = np.exp(k) * self._evaluate(k, tau)[1]
        return result

    def arrays(self) -> dict[str, FloatArray]:
        """Everything that defines the slices, for serialisation."""
        return {"knots": self.knots, "coefficients": self.coefficients, "prior": self.prior}

    def _evaluate(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        return _evaluate(
            self.tau,
            self.knots,
            self._xi,
            self.coefficients,
            self._density,
            self._tail,
            self._deviation,
            k,
            tau,
            _NODES,
            _NODE_WEIGHTS,
        )


@kernel
def _probabilities(knots: FloatArray, xi: FloatArray, otm: FloatArray) -> FloatArray:
    """P(S/F < g_m) and P(S/F > g_m): slopes of put and call at the knots, each from the coefficients of its own option."""
    n = knots.shape[0]
    out = np.zeros((2, n))
    out[1, :2] = 1.0
    for m in range(2, n - 2):
        upper = knots[m] > 1.0
        values = np.empty(3)
        for q in range(3):
            j = m - 1 + q
            values[q] = otm[j]
            if upper and xi[j] <= 1.0:
                values[q] += 1.0 - xi[j]
            elif not upper and xi[j] > 1.0:
                values[q] += xi[j] - 1.0
        share = (knots[m + 1] - knots[m]) / (knots[m + 1] - knots[m - 1])
        slope = share * (values[1] - values[0]) / (xi[m] - xi[m - 1]) + (1.0 - share) * (values[2] - values[1]) / (
            xi[m + 1] - xi[m]
        )
        if upper:
            out[1, m] = min(max(-slope, 0.0), out[1, m - 1])
            out[0, m] = 1.0 - out[1, m]
        else:
            out[0, m] = min(max(slope, out[0, m - 1]), 1.0)
            out[1, m] = 1.0 - out[0, m]
    out[0, n - 2 :] = 1.0
    return out


@kernel
def _in_cell(h: float, start: float, end: float, mass: float) -> float:
    """t in [0, h] up to which a density linear from `start` to `end` has the given mass."""
    root = math.sqrt(max(start * start + 2.0 * (end - start) / h * mass, 0.0))
    total = start + root
    return min(max(2.0 * mass / total, 0.0), h) if total > 0.0 else 0.0


@kernel
def _quantile(knots: FloatArray, density: FloatArray, tail: FloatArray, level: float, upper: bool) -> float:
    """Moneyness below (upper: above) which S/F lies with probability `level`."""
    low, high = 2, knots.shape[0] - 3
    while high - low > 1:
        middle = (low + high) // 2
        if (tail[1, middle] > level) if upper else (tail[0, middle] <= level):
            low = middle
        else:
            high = middle
    mass = tail[1, low] - level if upper else level - tail[0, low]
    return float(knots[low] + _in_cell(knots[high] - knots[low], density[low], density[high], max(mass, 0.0)))


@kernel
def _probability(knots: FloatArray, density: FloatArray, tail: FloatArray, x: float, upper: bool) -> float:
    """Probability below (upper: above) x."""
    m = cell(knots, x)
    t = min(max(x - knots[m], 0.0), knots[m + 1] - knots[m])
    mass = t * (density[m] + 0.5 * (density[m + 1] - density[m]) * t / (knots[m + 1] - knots[m]))
    return float(max(tail[1, m] - mass, 0.0) if upper else tail[0, m] + mass)


@kernel
def _density_at(knots: FloatArray, density: FloatArray, x: float) -> float:
    if x <= knots[2] or x >= knots[knots.shape[0] - 3]:
        return 0.0
    m = cell(knots, x)
    return float(density[m] + (density[m + 1] - density[m]) * (x - knots[m]) / (knots[m + 1] - knots[m]))


@kernel
def _price_at(knots: FloatArray, xi: FloatArray, otm: FloatArray, x: float, upper: bool) -> float:
    """Call (upper) or put at any moneyness; beyond the knots the time value is zero."""
    intrinsic = max(1.0 - x, 0.0) if upper else max(x - 1.0, 0.0)
    if x <= knots[2] or x >= knots[knots.shape[0] - 3]:
        return intrinsic
    return otm_value(knots, xi, otm, x) + intrinsic


@kernel
def _displaced(
    knots: FloatArray,
    density_1: FloatArray,
    tail_1: FloatArray,
    density_2: FloatArray,
    tail_2: FloatArray,
    share: float,
    x: float,
) -> float:
    """K_1 with (1 - λ) K_1 + λ Q_2(P_1(K_1)) = x."""
    upper = x > 1.0
    low, high = 2, knots.shape[0] - 3
    while high - low > 1:
        middle = (low + high) // 2
        level = tail_1[1, middle] if upper else tail_1[0, middle]
        if (1.0 - share) * knots[middle] + share * _quantile(knots, density_2, tail_2, level, upper) <= x:
            low = middle
        else:
            high = middle
    left, right = knots[low], knots[high]
    f_left = -1.0
    f_right = 1.0
    for step in range(60):
        if step < 2:
            middle = left if step == 0 else right
        else:
            middle = left + (right - left) * f_left / (f_left - f_right)
            if not (left < middle < right) or step % 8 == 7:
                middle = 0.5 * (left + right)
        level = _probability(knots, density_1, tail_1, middle, upper)
        value = (1.0 - share) * middle + share * _quantile(knots, density_2, tail_2, level, upper) - x
        if value == 0.0:
            return float(middle)
        # Illinois: halve the value at an end that stays.
        if value < 0.0:
            if middle > left:
                f_right *= 0.5
            left, f_left = middle, value
        else:
            if middle < right:
                f_left *= 0.5
            right, f_right = middle, value
        if right - left <= 1e-14 * right:
            break
    return float(0.5 * (left + right))


@kernel
def _evaluate(
    taus: FloatArray,
    knots: FloatArray,
    xi: FloatArray,
    otm: FloatArray,
    density: FloatArray,
    tail: FloatArray,
    deviation: FloatArray,
    k: FloatArray,
    tau: FloatArray,
    nodes: FloatArray,
    node_weights: FloatArray,
) -> FloatArray:
    """Rows: out-of-the-money price, and density of S/F."""
    n = taus.shape[0]
    out = np.empty((2, k.shape[0]))
    for p in range(k.shape[0]):
        x = math.exp(k[p])
        upper = x > 1.0
        if tau[p] > taus[n - 1] * (1.0 + _SAME_TIME):
            s = deviation[n - 1] * math.sqrt(tau[p] / taus[n - 1] - 1.0)
            total = 0.0
            for q in range(nodes.shape[0]):
                total += node_weights[q] * math.exp(s * nodes[q])
            price, mass = 0.0, 0.0
            for q in range(nodes.shape[0]):
                factor = math.exp(s * nodes[q]) / total
                price += node_weights[q] * factor * _price_at(knots, xi, otm[n - 1], x / factor, upper)
                mass += node_weights[q] / factor * _density_at(knots, density[n - 1], x / factor)
            out[0, p], out[1, p] = price, mass
            continue
        i = np.searchsorted(taus, tau[p] * (1.0 - _SAME_TIME))
        if tau[p] >= taus[i] * (1.0 - _SAME_TIME):
            out[0, p] = _price_at(knots, xi, otm[i], x, upper)
            out[1, p] = _density_at(knots, density[i], x)
        elif i == 0:
            share = math.sqrt(tau[p] / taus[0])
            stretched = 1.0 + (x - 1.0) / share
            out[0, p] = share * _price_at(knots, xi, otm[0], stretched, upper) if stretched > 0.0 else 0.0
            out[1, p] = _density_at(knots, density[0], stretched) / share
        else:
            time = (tau[p] - taus[i - 1]) / (taus[i] - taus[i - 1])
            first, second = deviation[i - 1], deviation[i]
            between = math.sqrt((1.0 - time) * first * first + time * second * second)
            # (between - first) / (second - first), without its cancellation.
            share = time * (first + second) / (first + between)
            x_1 = _displaced(knots, density[i - 1], tail[i - 1], density[i], tail[i], share, x)
            x_2 = (x - (1.0 - share) * x_1) / share
            out[0, p] = (1.0 - share) * _price_at(knots, xi, otm[i - 1], x_1, upper)
            out[0, p] += share * _price_at(knots, xi, otm[i], x_2, upper)
            f_1 = _density_at(knots, density[i - 1], x_1)
            f_2 = _density_at(knots, density[i], x_2)
            out[1, p] = f_1 * f_2 / ((1.0 - share) * f_2 + share * f_1) if f_1 > 0.0 and f_2 > 0.0 else 0.0
    return out
