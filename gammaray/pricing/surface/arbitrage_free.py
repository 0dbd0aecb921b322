"""The default surface: the smoothest call prices inside the bid and ask that admit no arbitrage.

After Fengler (2009, Arbitrage-free smoothing of the implied volatility surface), with these differences. Prices are cubic splines in
B-spline form on knots common to all expiries (`splines`), so that convexity and the order in time hold everywhere, not only at knots. An
eSSVI surface is the prior: what is made smooth is the logarithm of the density over the prior's density, and beyond the quotes each tail
is the prior's tail times a constant. Quotes bound the price by bid and ask instead of pulling it to the mid; a bound is given up, at a
cost proportional to the excess, where no surface without arbitrage satisfies it.

Expiry after expiry the programme of `smoother` is solved, bounded below by the expiry before. Log-density is not quadratic: it is linearised
at the last solution, a few times.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.black import otm_price
from gammaray.pricing.surface.essvi import essvi_variance
from gammaray.pricing.surface.essvi import fit_slices as essvi_slices
from gammaray.pricing.surface.nonparametric import SplineSlices
from gammaray.pricing.surface.preparation import PreparedChain
from gammaray.pricing.surface.quotes import BoolArray, FloatArray, IntArray
from gammaray.pricing.surface.smoother import BAND, HARD, minimise
from gammaray.pricing.surface.splines import basis, cell, curvature, greville, make_knots, second_difference

_FLOOR_WEIGHT = 1e-9
_FLOOR_DEVIATION = 1.0
_MIN_RATIO = 0.02
_EDGE = 2
_MAX_STEPS = 60
_TOLERANCE = 1e-7
_PRIOR_TOLERANCE = 0.02
_MIN_SPACING = 5e-4
_SCALE = 0.1
_REACH_BELOW = -8.0
_REACH_ABOVE = 4.0
SETTINGS = np.array([0.2, 0.003, 3e-4, 0.01, 30.0, 2, 1, 0.05])


@kernel
def prior_coefficients(xi: FloatArray, theta: float, rho: float, psi: float) -> FloatArray:
    """Out-of-the-money coefficients of an eSSVI slice: its values at the Greville points (Schoenberg), which keeps convexity and order."""
    out = np.zeros(xi.shape[0])
    for j in range(1, xi.shape[0] - 1):
        k = math.log(xi[j])
        out[j] = otm_price(k, math.sqrt(essvi_variance(theta, rho, psi, k)))
    return out


@kernel
def floor_coefficients(xi: FloatArray) -> FloatArray:
    """A trace of a wide lognormal, added to every slice so that no price underflows."""
    out = np.zeros(xi.shape[0])
    for j in range(1, xi.shape[0] - 1):
        out[j] = _FLOOR_WEIGHT * otm_price(math.log(xi[j]), _FLOOR_DEVIATION)
    return out


@kernel
def _add_penalty(
    hessian: FloatArray,
    linear: FloatArray,
    first: IntArray,
    coefficient: FloatArray,
    ratio: FloatArray,
    level: FloatArray,
    r: int,
    terms: FloatArray,
    count: int,
    scale: float,
) -> None:
    """Add scale/2 · (Σ terms_i · log u_{r+i})², each logarithm linear in the unknowns."""
    at = first[r]
    row = np.zeros(BAND)
    constant = 0.0
    for i in range(count):
        shift = first[r + i] - at
        factor = terms[i] / ratio[r + i]
        constant += terms[i] * level[r + i]
        for q in range(BAND - shift):
            row[q + shift] += factor * coefficient[r + i, q]
    for q in range(BAND):
        linear[at + q] += scale * row[q] * constant
        for d in range(q + 1):
            hessian[at + q, d] += scale * row[q] * row[q - d]


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
    roughness: float,
    slope: float,
    attraction: float,
    price: float,
    passes: int,
    inset: float,
    start: FloatArray,
) -> FloatArray:
    """Out-of-the-money coefficients of one expiry; `start` is empty or has the coefficients of an earlier fit."""
    m_knots = knots.shape[0]
    low = max(cell(knots, x_low) - 1 - _EDGE, 5)
    high = min(cell(knots, x_high) + 2 + _EDGE, m_knots - 6)
    n = high - low + 3
    base_line = prior + floor
    density = curvature(knots, xi, base_line)
    unit = prior.copy()
    for j in range(low, high + 1):
        unit[j] = base_line[j]
    # Convexity rows low - 2 … high + 2, quotes (two each), order in time.
    curves = high - low + 5
    quotes = x.shape[0]
    order = n
    rows = curves + 2 * quotes + order
    first = np.zeros(rows, np.int64)
    coefficient = np.zeros((rows, BAND))
    bound = np.zeros(rows)
    cost = np.full(rows, HARD)
    full = np.full(m_knots, -1.0)
    for r in range(curves):
        m = low - 2 + r
        weights = second_difference(knots, xi, m)
        at = min(max(m - 1 - low + 1, 0), n - BAND)
        first[r] = at
        for q in range(3):
            j = m - 1 + q
            coefficient[r, min(max(j - low + 1, 0), n - 1) - at] += weights[q] * unit[j] / density[m]
        bound[r] = -1.0
    for i in range(quotes):
        m = cell(knots, x[i])
        weights = basis(knots, m, x[i])
        at = min(max(m - 1 - low + 1, 0), n - BAND)
        r = curves + 2 * i
        half = 0.5 * (ask[i] - bid[i])
        half = max(half, 1e-9)
        base = 0.0
        for q in range(4):
            j = m - 1 + q
            value = base_line[j]
            coefficient[r, min(max(j - low + 1, 0), n - 1) - at] += weights[q] * unit[j] / half
            if x[i] <= 1.0 and xi[j] > 1.0:
                value += xi[j] - 1.0
            elif x[i] > 1.0 and xi[j] <= 1.0:
                value += 1.0 - xi[j]
            base += weights[q] * value
        first[r] = at
        first[r + 1] = at
        for q in range(BAND):
            coefficient[r + 1, q] = -coefficient[r, q]
        middle = (0.5 * (bid[i] + ask[i]) - base) / half
        bound[r] = middle - 1.0 + inset
        bound[r + 1] = -middle - 1.0 + inset
        cost[r] = price * weight[i]
        cost[r + 1] = price * weight[i]
    for j in range(1, m_knots - 1):
        at = min(max(j - low + 1, 0), n - 1)
        if before[j] > floor[j]:
            full[at] = max(full[at], (before[j] - base_line[j]) / unit[j])
    for i in range(n):
        r = curves + 2 * quotes + i
        first[r] = min(i, n - BAND)
        coefficient[r, i - first[r]] = 1.0
        bound[r] = full[i]
    y = np.zeros(n)
    ratio = np.ones(curves)
    hessian = np.empty((n, BAND))
    linear = np.empty(n)
    zeta = np.empty(curves)
    level = np.empty(curves)
    terms = np.empty(3)
    solved = True
    if start.shape[0] == m_knots:
        for i in range(1, n - 1):
            y[i] = (start[low + i - 1] - base_line[low + i - 1]) / unit[low + i - 1]
        y[0], y[n - 1] = y[1], y[n - 2]
        _ratios(first, coefficient, y, ratio)
    for _ in range(passes):
        hessian[:] = 0.0
        linear[:] = 0.0
        for i in range(n):
            hessian[i, 0] = 1e-9
        for r in range(curves):
            zeta[r] = math.asinh(0.5 * math.log(knots[low - 2 + r]) / deviation)
            # log u is taken as log ratio + u / ratio - 1 near the last solution.
            level[r] = math.log(ratio[r]) + 1.0 / ratio[r] - 1.0
        for r in range(curves - 1):
            gap = zeta[r + 1] - zeta[r]
            terms[0], terms[1], terms[2] = -1.0, 1.0, 0.0
            _add_penalty(hessian, linear, first, coefficient, ratio, level, r, terms, 2, slope / gap)
            if r > 0:
                before_gap = zeta[r] - zeta[r - 1]
                span = 0.5 * (before_gap + gap)
                terms[0], terms[2] = 1.0 / before_gap, 1.0 / gap
                terms[1] = -terms[0] - terms[2]
                _add_penalty(hessian, linear, first, coefficient, ratio, level, r - 1, terms, 3, roughness / span)
        for i in range(quotes):
            r = curves + 2 * i
            at = first[r]
            middle = bound[r] + 1.0 - inset
            scale = attraction * weight[i]
            for q in range(BAND):
                linear[at + q] -= scale * coefficient[r, q] * middle
                for d in range(q + 1):
                    hessian[at + q, d] += scale * coefficient[r, q] * coefficient[r, q - d]
        solved = minimise(hessian, linear, first, coefficient, bound, cost, y, _MAX_STEPS, _TOLERANCE) >= 0
        if not solved:
            break
        _ratios(first, coefficient, y, ratio)
    out = base_line.copy()
    if solved:
        for j in range(1, m_knots - 1):
            out[j] += unit[j] * y[min(max(j - low + 1, 0), n - 1)]
    # The larger of two convex sequences is convex: the order in time is exact whatever the rounding, and without a solution the prior serves.
    return np.maximum(out, before)


@kernel
def _ratios(first: IntArray, coefficient: FloatArray, y: FloatArray, ratio: FloatArray) -> None:
    """Density over prior density at the knots, not below a floor that keeps its logarithm tame."""
    for r in range(ratio.shape[0]):
        value = 1.0
        for q in range(BAND):
            value += coefficient[r, q] * y[first[r] + q]
        ratio[r] = max(value, _MIN_RATIO)


@kernel
def _fit_expiries(
    knots: FloatArray,
    xi: FloatArray,
    prior: FloatArray,
    offsets: IntArray,
    k: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    liquid: BoolArray,
    warm: FloatArray,
    match: IntArray,
    settings: FloatArray,
) -> FloatArray:
    n = offsets.shape[0] - 1
    out = np.empty((n, knots.shape[0]))
    floor = floor_coefficients(xi)
    before = np.zeros(knots.shape[0])
    x = np.exp(k)
    x_low, x_high = 1.0, 1.0
    none = np.empty(0)
    for i in range(n):
        a, b = offsets[i], offsets[i + 1]
        # The range of every expiry includes those before it: beyond it all tails are tails of the prior, whose order is known.
        x_low, x_high = min(x_low, x[a]), max(x_high, x[b - 1])
        base = prior_coefficients(xi, prior[i, 0], prior[i, 1], prior[i, 2])
        weight = np.where(liquid[a:b], 1.0, settings[0])
        start = warm[match[i]] if match[i] >= 0 else none
        out[i] = fit_expiry(
            knots,
            xi,
            base,
            floor,
            before,
            math.sqrt(prior[i, 0]),
            x_low,
            x_high,
            x[a:b],
            bid[a:b],
            ask[a:b],
            weight,
            settings[1],
            settings[2],
            settings[3],
            settings[4],
            int(settings[5]) if match[i] < 0 else int(settings[6]),
            settings[7],
            start,
        )
        before = out[i]
    return out


def fit_slices(chain: PreparedChain, weights: FloatArray, warm: SplineSlices | None) -> SplineSlices:
    """Fit every expiry of a chain.

    Args:
        chain: quotes by expiry.
        weights: of the squared errors of total variance in the fit of the prior.
        warm: slices of an earlier fit to start from.
    """
    spread = np.sqrt(1.0 / weights)
    prior = essvi_slices(
        chain.k,
        chain.mid_variance,
        1.0 / np.maximum(spread, _PRIOR_TOLERANCE * chain.mid_variance) ** 2,
        chain.offsets,
        warm.prior if warm is not None and warm.prior.shape[0] == chain.tau.shape[0] else np.empty((0, 3)),
    )[0]
    knots = _knots(chain)
    match = np.full(chain.tau.shape, -1)
    coefficients = np.empty((0, knots.shape[0]))
    if warm is not None and warm.knots[0] <= knots[0] and _spacing(warm.knots) < 1.5 * _spacing(knots):
        knots, coefficients = warm.knots, warm.coefficients
        nearest = np.argmin(np.abs(warm.tau[None, :] - chain.tau[:, None]), axis=1)
        match = np.where(np.abs(warm.tau[nearest] - chain.tau) < 0.1 * chain.tau, nearest, -1)
    fitted = _fit_expiries(
        knots,
        greville(knots),
        prior,
        chain.offsets,
        chain.k,
        chain.bid,
        chain.ask,
        chain.liquid,
        coefficients,
        match,
        SETTINGS,
    )
    return SplineSlices(chain.tau, knots, fitted, prior)


def _spacing(knots: FloatArray) -> float:
    return float(np.diff(knots).min())


def _knots(chain: PreparedChain) -> FloatArray:
    """As dense at the money as the strikes of the densest expiry, and reaching where no option has value."""
    spacing = 0.02
    for i in range(chain.tau.shape[0]):
        k = chain.k[chain.expiry(i)]
        money = int(np.searchsorted(k, 0.0))
        near = k[max(money - 6, 0) : money + 6]
        if near.shape[0] > 2:
            spacing = min(spacing, float(np.median(np.diff(near))))
    return make_knots(max(spacing, _MIN_SPACING), _SCALE, _REACH_BELOW, _REACH_ABOVE)
