"""Option prices as cubic splines of moneyness on one set of knots, whose positivity, convexity and order can be read off coefficients.

x = strike / forward, c(x) the normalised call price. With B-spline coefficients b_j at the Greville points ξ_j = (g_{j-1} + g_j + g_{j+1}) / 3:

- c'' is piecewise linear and at knot j equals the second divided difference of b: non-negative there means convex everywhere;
- b of one expiry nowhere below b of another means the same of the prices, since B-splines are not negative;
- linear functions are reproduced, so the coefficients of the put are b_j - (1 - ξ_j) exactly.

Stored is the coefficient of whichever option is out of the money at ξ_j, so that small prices keep their relative accuracy.
Coefficients 0 and M - 1 have no meaning and stay zero, as do the densities at the outer two knots at each end.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray

_SPARE = 8
"""Knots beyond the range asked for, so that windows and their edges fit."""


@kernel
def greville(knots: FloatArray) -> FloatArray:
    """ξ of each coefficient; the first and last, which have no meaning, are the knots themselves."""
    points = knots.copy()
    for j in range(1, knots.shape[0] - 1):
        points[j] = (knots[j - 1] + knots[j] + knots[j + 1]) / 3.0
    return points


@kernel
def basis(knots: FloatArray, m: int, x: float) -> tuple[float, float, float, float]:
    """Values at x in [g_m, g_{m+1}] of the B-splines m - 1 … m + 2 (de Boor's recurrence; no subtraction of like terms)."""
    l1, l2, l3 = x - knots[m], x - knots[m - 1], x - knots[m - 2]
    r1, r2, r3 = knots[m + 1] - x, knots[m + 2] - x, knots[m + 3] - x
    h = 1.0 / (r1 + l1)
    a0, a1 = r1 * h, l1 * h
    t0 = a0 / (r1 + l2)
    t1 = a1 / (r2 + l1)
    b0, b1, b2 = r1 * t0, l2 * t0 + r2 * t1, l1 * t1
    t0 = b0 / (r1 + l3)
    t1 = b1 / (r2 + l2)
    t2 = b2 / (r3 + l1)
    return r1 * t0, l3 * t0 + r2 * t1, l2 * t1 + r3 * t2, l1 * t2


@kernel
def second_difference(knots: FloatArray, xi: FloatArray, m: int) -> tuple[float, float, float]:
    """Weights of coefficients m - 1, m, m + 1 in c''(g_m)."""
    scale = 2.0 / (knots[m + 1] - knots[m - 1])
    left = scale / (xi[m] - xi[m - 1])
    right = scale / (xi[m + 1] - xi[m])
    return left, -left - right, right


@kernel
def curvature(knots: FloatArray, xi: FloatArray, otm: FloatArray) -> FloatArray:
    """c'' at the knots of out-of-the-money coefficients."""
    out = np.zeros(knots.shape[0])
    for m in range(2, knots.shape[0] - 2):
        before, middle, after = otm[m - 1], otm[m], otm[m + 1]
        # Where the three change from put to call, the linear part is not shared and has to be put back.
        if xi[m + 1] > 1.0:
            if xi[m] <= 1.0:
                middle += 1.0 - xi[m]
            if xi[m - 1] <= 1.0:
                before += 1.0 - xi[m - 1]
        left, centre, right = second_difference(knots, xi, m)
        out[m] = left * before + centre * middle + right * after
    return out


@kernel
def cell(knots: FloatArray, x: float) -> int:
    """m with g_m ≤ x < g_{m+1}, held where four splines and three knots on each side exist."""
    m = np.searchsorted(knots, x, side="right") - 1
    return int(min(max(m, 2), knots.shape[0] - 4))


@kernel
def otm_value(knots: FloatArray, xi: FloatArray, otm: FloatArray, x: float) -> float:
    """Out-of-the-money price (put for x ≤ 1) at x between knots 2 and M - 3."""
    m = cell(knots, x)
    weights = basis(knots, m, x)
    total = 0.0
    for q in range(4):
        j = m - 1 + q
        value = otm[j]
        if x <= 1.0 and xi[j] > 1.0:
            value += xi[j] - 1.0
        elif x > 1.0 and xi[j] <= 1.0:
            value += 1.0 - xi[j]
        total += weights[q] * value
    return total


def make_knots(spacing: float, growth: float, low: float, high: float) -> FloatArray:
    """Knots in x = e^k from below k = low < 0 to above k = high > 0.

    They are `spacing` apart in k at the money; far from it each distance is larger than the one before by the factor 1 + `growth`.
    """
    scale = spacing / growth
    below = math.ceil(math.asinh(-low / scale) / growth) + _SPARE
    above = math.ceil(math.asinh(high / scale) / growth) + _SPARE
    knots: FloatArray = np.exp(scale * np.sinh(growth * np.arange(-below, above + 1)))
    return knots
