"""One expiry of the arbitrage-free surface as a sequence of quadratic programmes.

The unknowns y are changes of the out-of-the-money B-spline coefficients (`splines`) of the prior, each in units of its own size: one for every
coefficient in the window of the quotes, one for the scale of the whole tail below it and one for that above it.

Smooth means: the logarithm of u = density / prior density has a small second (and, slightly, first) derivative in ζ = asinh(k / 2s), s the
at-the-money deviation, which counts standard deviations near the money and their logarithm in the tails. The logarithm is linearised at
the u of the pass before, smoothed.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray, IntArray
from gammaray.pricing.surface.smoother import BAND, HARD, minimise
from gammaray.pricing.surface.splines import basis, cell, curvature, second_difference

# What the terms of the objective cost. They were chosen on five SPX chains of May and July 2019 (docs/surface.md).
_CURVATURE = 1e-3  # of log u, integrated over ζ
_SLOPE = 1e-4
_TO_MID = 1e-2  # squared distance from the mid of a quote in half spreads
_OUTSIDE = 100.0  # distance outside the quote in half spreads
_INSET = 0.05  # of the half spread: how far inside the quote the price is wanted
_NEIGHBOURHOOD = 0.3  # in ζ: over what length log u is averaged for the linearisation
_MIN_RATIO = 0.02  # least u for the linearisation

_EDGE = 2  # coefficients of the window beyond the outermost quotes
_MAX_STEPS = 80
_TOLERANCE = 1e-7
_MIN_HALF_SPREAD = 1e-9
_TINY = 1e-300


@kernel
def fit_expiry(
    knots: FloatArray,
    xi: FloatArray,
    prior: FloatArray,
    floor: FloatArray,
    before: FloatArray,
    deviation: float,
    x_low: float,
    x_high: float,
    x: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    weight: FloatArray,
    start: FloatArray,
    passes: int,
) -> FloatArray:
    """Out-of-the-money coefficients of one expiry.

    Args:
        knots: moneyness, shape (M,), with Greville points `xi`.
        prior: coefficients of a slice without arbitrage.
        floor: coefficients below all slices, added to the prior and not scaled with its tails.
        before: coefficients of the expiry before, which bound the result from below.
        deviation: at-the-money total deviation of the prior.
        x_low: lower end of the window in moneyness; must not lie above that of any expiry before.
        x_high: upper end.
        x: moneyness of the quotes, with normalised `bid` and `ask`, and `weight` of what they say.
        start: coefficients of an earlier fit to start from, or empty.
        passes: linearisations of the logarithm.
    """
    size = knots.shape[0]
    low = max(cell(knots, x_low) - 1 - _EDGE, 5)
    high = min(cell(knots, x_high) + 2 + _EDGE, size - 6)
    n = high - low + 3
    base = prior + floor
    unit = _units(prior, floor, base, before, low, high)
    curves = high - low + 5
    quotes = x.shape[0]
    rows = curves + 2 * quotes + n
    first = np.zeros(rows, np.int64)
    coefficient = np.zeros((rows, BAND))
    bound = np.zeros(rows)
    cost = np.full(rows, HARD)
    _convexity_rows(knots, xi, base, unit, low, high, first, coefficient, bound)
    _quote_rows(knots, xi, base, unit, low, high, x, bid, ask, weight, curves, first, coefficient, bound, cost)
    y = _order_rows(base, unit, floor, before, low, high, curves + 2 * quotes, first, coefficient, bound)
    best = y.copy()

    zeta = np.empty(curves)
    for r in range(curves):
        zeta[r] = math.asinh(0.5 * math.log(knots[low - 2 + r]) / deviation)
    log_ratio = np.zeros(curves)
    if start.shape[0] == size:
        for i in range(1, n - 1):
            y[i] = (start[low + i - 1] - base[low + i - 1]) / unit[low + i - 1]
        y[0], y[n - 1] = y[1], y[n - 2]
        _smooth_log_ratio(first, coefficient, y, zeta, log_ratio)
    hessian = np.empty((n, BAND))
    linear = np.empty(n)
    for _ in range(passes):
        hessian[:] = 0.0
        hessian[:, 0] = 1e-9
        linear[:] = 0.0
        _smoothness(first, coefficient, zeta, log_ratio, hessian, linear)
        _attraction(first, coefficient, bound, weight, curves, hessian, linear)
        if minimise(hessian, linear, first, coefficient, bound, cost, y, _MAX_STEPS, _TOLERANCE) < 0:
            break
        best[:] = y
        _smooth_log_ratio(first, coefficient, y, zeta, log_ratio)
    out = base.copy()
    for j in range(1, size - 1):
        out[j] += unit[j] * best[_unknown(j, low, n)]
    # The larger of two convex sequences is convex, so the order in time is exact whatever the rounding.
    return np.maximum(out, before)


@kernel
def _unknown(j: int, low: int, n: int) -> int:
    """The unknown that moves coefficient j."""
    return min(max(j - low + 1, 0), n - 1)


@kernel
def _units(
    prior: FloatArray, floor: FloatArray, base: FloatArray, before: FloatArray, low: int, high: int
) -> FloatArray:
    """Size of each coefficient: that of the prior or of the expiry before, and in the tails a multiple of the prior that covers both."""
    unit = np.maximum(base, before)
    below, above = 1.0, 1.0
    for j in range(1, prior.shape[0] - 1):
        if before[j] > floor[j]:
            lift = 1.0 + (before[j] - base[j]) / max(prior[j], _TINY)
            if j < low:
                below = max(below, lift)
            elif j > high:
                above = max(above, lift)
    unit[:low] = below * prior[:low]
    unit[high + 1 :] = above * prior[high + 1 :]
    return unit


@kernel
def _convexity_rows(
    knots: FloatArray,
    xi: FloatArray,
    base: FloatArray,
    unit: FloatArray,
    low: int,
    high: int,
    first: IntArray,
    coefficient: FloatArray,
    bound: FloatArray,
) -> None:
    """u ≥ 0 at knots low - 2 … high + 2; the row times y is u - 1."""
    n = high - low + 3
    density = curvature(knots, xi, base)
    for r in range(high - low + 5):
        m = low - 2 + r
        before, middle, after = second_difference(knots, xi, m)
        at = min(_unknown(m - 1, low, n), n - BAND)
        first[r] = at
        coefficient[r, _unknown(m - 1, low, n) - at] += before * unit[m - 1] / density[m]
        coefficient[r, _unknown(m, low, n) - at] += middle * unit[m] / density[m]
        coefficient[r, _unknown(m + 1, low, n) - at] += after * unit[m + 1] / density[m]
        bound[r] = -1.0


@kernel
def _quote_rows(
    knots: FloatArray,
    xi: FloatArray,
    base: FloatArray,
    unit: FloatArray,
    low: int,
    high: int,
    x: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    weight: FloatArray,
    r: int,
    first: IntArray,
    coefficient: FloatArray,
    bound: FloatArray,
    cost: FloatArray,
) -> None:
    """From row r on, two rows a quote, in half spreads: not below the bid, not above the ask."""
    n = high - low + 3
    for i in range(x.shape[0]):
        m = cell(knots, x[i])
        weights = basis(knots, m, x[i])
        at = min(_unknown(m - 1, low, n), n - BAND)
        half = max(0.5 * (ask[i] - bid[i]), _MIN_HALF_SPREAD)
        value = 0.0
        for q in range(4):
            j = m - 1 + q
            coefficient[r, _unknown(j, low, n) - at] += weights[q] * unit[j] / half
            value += weights[q] * base[j]
            if x[i] <= 1.0 and xi[j] > 1.0:
                value += weights[q] * (xi[j] - 1.0)
            elif x[i] > 1.0 and xi[j] <= 1.0:
                value += weights[q] * (1.0 - xi[j])
        first[r] = at
        first[r + 1] = at
        coefficient[r + 1] = -coefficient[r]
        middle = (0.5 * (bid[i] + ask[i]) - value) / half
        bound[r] = middle - 1.0 + _INSET
        bound[r + 1] = -middle - 1.0 + _INSET
        cost[r] = _OUTSIDE * weight[i]
        cost[r + 1] = _OUTSIDE * weight[i]
        r += 2


@kernel
def _order_rows(
    base: FloatArray,
    unit: FloatArray,
    floor: FloatArray,
    before: FloatArray,
    low: int,
    high: int,
    r: int,
    first: IntArray,
    coefficient: FloatArray,
    bound: FloatArray,
) -> FloatArray:
    """From row r on, one row an unknown: not below the expiry before. Gives the least y that satisfies them and is not negative."""
    n = high - low + 3
    least = np.full(n, -1.0)
    for j in range(1, base.shape[0] - 1):
        if before[j] > floor[j]:
            i = _unknown(j, low, n)
            least[i] = max(least[i], (before[j] - base[j]) / max(unit[j], _TINY))
    for i in range(n):
        first[r + i] = min(i, n - BAND)
        coefficient[r + i, i - first[r + i]] = 1.0
        bound[r + i] = least[i]
    return np.maximum(least, 0.0)


@kernel
def _smooth_log_ratio(
    first: IntArray, coefficient: FloatArray, y: FloatArray, zeta: FloatArray, log_ratio: FloatArray
) -> None:
    """log u, averaged over a neighbourhood with exponential weights on both sides.

    At a dip of the density the logarithm itself would be so steep that the next pass could not fill the dip.
    """
    n = log_ratio.shape[0]
    sums = np.empty(n)
    masses = np.empty(n)
    total, mass = 0.0, 0.0
    for r in range(n):
        ratio = 1.0
        for q in range(BAND):
            ratio += coefficient[r, q] * y[first[r] + q]
        log_ratio[r] = math.log(max(ratio, _MIN_RATIO))
        decay = math.exp((zeta[r - 1] - zeta[r]) / _NEIGHBOURHOOD) if r > 0 else 0.0
        span = zeta[min(r + 1, n - 1)] - zeta[max(r - 1, 0)]
        total, mass = total * decay + span * log_ratio[r], mass * decay + span
        sums[r], masses[r] = total, mass
    total, mass = 0.0, 0.0
    for r in range(n - 1, -1, -1):
        decay = math.exp((zeta[r - 1] - zeta[r]) / _NEIGHBOURHOOD) if r > 0 else 0.0
        span = zeta[min(r + 1, n - 1)] - zeta[max(r - 1, 0)]
        own = span * log_ratio[r]
        log_ratio[r] = (sums[r] + total) / (masses[r] + mass)
        total, mass = (total + own) * decay, (mass + span) * decay


@kernel
def _smoothness(
    first: IntArray,
    coefficient: FloatArray,
    zeta: FloatArray,
    log_ratio: FloatArray,
    hessian: FloatArray,
    linear: FloatArray,
) -> None:
    """Add the penalties on first and second differences of log u, linear in y near the last solution."""
    terms = np.empty(3)
    for r in range(zeta.shape[0] - 1):
        gap = zeta[r + 1] - zeta[r]
        terms[0], terms[1] = -1.0, 1.0
        _add_square(first, coefficient, log_ratio, r, terms[:2], _SLOPE / gap, hessian, linear)
        if r > 0:
            gap_before = zeta[r] - zeta[r - 1]
            terms[0], terms[2] = 1.0 / gap_before, 1.0 / gap
            terms[1] = -terms[0] - terms[2]
            _add_square(
                first, coefficient, log_ratio, r - 1, terms, 2.0 * _CURVATURE / (gap_before + gap), hessian, linear
            )


@kernel
def _add_square(
    first: IntArray,
    coefficient: FloatArray,
    log_ratio: FloatArray,
    r: int,
    terms: FloatArray,
    scale: float,
    hessian: FloatArray,
    linear: FloatArray,
) -> None:
    """Add scale/2 · (Σ terms_i · log u_{r+i})² with log u = log v + u / v - 1 at the smoothed ratio v."""
    at = first[r]
    row = np.zeros(BAND)
    constant = 0.0
    for i in range(terms.shape[0]):
        shift = first[r + i] - at
        inverse = math.exp(-log_ratio[r + i])
        constant += terms[i] * (log_ratio[r + i] + inverse - 1.0)
        for q in range(BAND - shift):
            row[q + shift] += terms[i] * inverse * coefficient[r + i, q]
    for q in range(BAND):
        linear[at + q] += scale * row[q] * constant
        for d in range(q + 1):
            hessian[at + q, d] += scale * row[q] * row[q - d]


@kernel
def _attraction(
    first: IntArray,
    coefficient: FloatArray,
    bound: FloatArray,
    weight: FloatArray,
    r: int,
    hessian: FloatArray,
    linear: FloatArray,
) -> None:
    """Add the pull of each quote towards its mid; the quotes' rows begin at r."""
    for i in range(weight.shape[0]):
        at = first[r]
        middle = bound[r] + 1.0 - _INSET
        scale = _TO_MID * weight[i]
        for q in range(BAND):
            linear[at + q] -= scale * coefficient[r, q] * middle
            for d in range(q + 1):
                hessian[at + q, d] += scale * coefficient[r, q] * coefficient[r, q - d]
        r += 2
