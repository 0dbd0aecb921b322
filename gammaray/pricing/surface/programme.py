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
from gammaray.pricing.surface.smoother import BAND, QUOTE_BAND, minimise
from gammaray.pricing.surface.splines import basis, cell, curvature, second_difference

# What the terms of the objective cost; docs/surface.md says how they were chosen.
_CURVATURE = 1e-3  # of log u, integrated over ζ
_SLOPE = 1e-4
_TO_MID = 1e-2  # squared distance from the mid of a quote in half spreads
_OUTSIDE = 100.0  # distance outside the quote in half spreads
_INSET = 0.05  # of the half spread: how far inside the quote the price is wanted
_NEIGHBOURHOOD = 0.3  # in ζ: over what length log u is averaged for the linearisation
_MIN_RATIO = 0.02  # least u for the linearisation

_EDGE = 2  # coefficients of the window beyond the outermost quotes
_MAX_STEPS = 80
_TOLERANCE = 1e-6
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
    """Out-of-the-money coefficients of one expiry; those of the prior or the expiry before, whichever is larger, where no programme was solved.

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
    curve_first, curve = np.zeros(curves, np.int64), np.zeros((curves, BAND))
    quote_first, quote = np.zeros(quotes, np.int64), np.zeros((quotes, QUOTE_BAND))
    middle = np.empty(quotes)
    _convexity_rows(knots, xi, base, unit, low, high, curve_first, curve)
    _quote_rows(knots, xi, base, unit, low, high, x, bid, ask, quote_first, quote, middle)
    least = _least(base, unit, floor, before, low, high)
    y = np.maximum(least, 0.0)
    best = y.copy()
    solved = False

    zeta = np.empty(curves)
    for r in range(curves):
        zeta[r] = math.asinh(0.5 * math.log(knots[low - 2 + r]) / deviation)
    log_ratio = np.zeros(curves)
    if start.shape[0] == size:
        for i in range(1, n - 1):
            y[i] = (start[low + i - 1] - base[low + i - 1]) / unit[low + i - 1]
        y[0], y[n - 1] = y[1], y[n - 2]
        _smooth_log_ratio(curve_first, curve, y, zeta, log_ratio)
    hessian = np.empty((n, BAND))
    linear = np.empty(n)
    for _ in range(passes):
        hessian[:] = 0.0
        hessian[:, 0] = 1e-9
        linear[:] = 0.0
        _smoothness(curve_first, curve, zeta, log_ratio, hessian, linear)
        _attraction(quote_first, quote, middle, weight, hessian, linear)
        steps = minimise(
            hessian,
            linear,
            curve_first,
            curve,
            np.full(curves, -1.0),
            least,
            quote_first,
            quote,
            middle - (1.0 - _INSET),
            middle + (1.0 - _INSET),
            _OUTSIDE * weight,
            y,
            _MAX_STEPS,
            _TOLERANCE,
        )
        if steps < 0:
            break
        solved = True
        best[:] = y
        _smooth_log_ratio(curve_first, curve, y, zeta, log_ratio)
    out = base.copy()
    if solved:
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
    row: FloatArray,
) -> None:
    """Rows whose product with y is u - 1 at knots low - 2 … high + 2."""
    n = high - low + 3
    density = curvature(knots, xi, base)
    for r in range(high - low + 5):
        m = low - 2 + r
        before, middle, after = second_difference(knots, xi, m)
        at = min(_unknown(m - 1, low, n), n - BAND)
        first[r] = at
        row[r, _unknown(m - 1, low, n) - at] += before * unit[m - 1] / density[m]
        row[r, _unknown(m, low, n) - at] += middle * unit[m] / density[m]
        row[r, _unknown(m + 1, low, n) - at] += after * unit[m + 1] / density[m]


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
    first: IntArray,
    row: FloatArray,
    middle: FloatArray,
) -> None:
    """Rows whose product with y is the change of a quote's price in half spreads, and where on that scale its mid lies."""
    n = high - low + 3
    for i in range(x.shape[0]):
        m = cell(knots, x[i])
        weights = basis(knots, m, x[i])
        first[i] = _unknown(m - 1, low, n)
        half = max(0.5 * (ask[i] - bid[i]), _MIN_HALF_SPREAD)
        value = 0.0
        for q in range(QUOTE_BAND):
            j = m - 1 + q
            row[i, _unknown(j, low, n) - first[i]] += weights[q] * unit[j] / half
            value += weights[q] * base[j]
            if x[i] <= 1.0 and xi[j] > 1.0:
                value += weights[q] * (xi[j] - 1.0)
            elif x[i] > 1.0 and xi[j] <= 1.0:
                value += weights[q] * (1.0 - xi[j])
        middle[i] = (0.5 * (bid[i] + ask[i]) - value) / half


@kernel
def _least(
    base: FloatArray, unit: FloatArray, floor: FloatArray, before: FloatArray, low: int, high: int
) -> FloatArray:
    """The y below which a coefficient falls under that of the expiry before."""
    n = high - low + 3
    least = np.full(n, -1.0)
    for j in range(1, base.shape[0] - 1):
        if before[j] > floor[j]:
            i = _unknown(j, low, n)
            least[i] = max(least[i], (before[j] - base[j]) / max(unit[j], _TINY))
    return least


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
    first: IntArray, row: FloatArray, middle: FloatArray, weight: FloatArray, hessian: FloatArray, linear: FloatArray
) -> None:
    """Add the pull of each quote towards its mid."""
    for i in range(weight.shape[0]):
        scale = _TO_MID * weight[i]
        for q in range(QUOTE_BAND):
            linear[first[i] + q] -= scale * row[i, q] * middle[i]
            for d in range(q + 1):
                hessian[first[i] + q, d] += scale * row[i, q] * row[i, q - d]
