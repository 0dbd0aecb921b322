"""Compiled kernels of American options with a continuous dividend yield: prices, deltas and gammas of columns of options.

The price is the European one and the premium of early exercise (Kim, "The analytic valuation of American options", Review of Financial Studies,
1990). With x, t, a, b and B as in `american_boundary`, strike one, and d± = (x − log B(t − v) + (a − b ± ½)v)/√v, the premium of the put is

    ∫₀ᵗ [a·e^(−av)·N(−d₋) − b·e^(x − bv)·N(−d₊)] dv
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.american_boundary import (
    ARGUMENT,
    BLOCK,
    DRIFT,
    ELAPSED,
    FIRST,
    INV_ROOT,
    JACOBIAN,
    LOG_LIMIT,
    MIXED,
    PAST,
    PLAIN,
    PREMIUM,
    PREMIUM_X,
    PREMIUM_XX,
    RATE,
    ROOT,
    SCALE,
    SECOND,
    STRETCH,
    TIME,
    WORK_ROWS,
    YIELD,
    YIELDING,
    YIELDING_MIXED,
    X,
    combine,
    guess_from_table,
    solve,
    stage,
)
from gammaray.pricing.american_collocation import Collocation
from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.jit import inlined, kernel
from gammaray.pricing.special import INV_SQRT_2PI, exp, log, mills_ratio

# What a row is, found before anything is solved; the kinds with a boundary are those of `american_boundary`.
LIMIT, EUROPEAN = range(2)

# Rows of the result.
PRICE, DELTA, GAMMA, BOUNDARY = range(4)

FRONT = 0.4  # the scale c of the price's quadrature by the distance from the boundary in standard deviations
LEAST_FRONT = 1e-3
SMALLEST_ROOT = 1e-8  # σ√τ below which an option is worth its best discounted exercise value
LARGEST_RATE = 1e6  # r/σ² beyond which volatility is nothing beside the rates


@kernel
def evaluate(
    greeks: bool,
    scheme: Collocation,
    table: FloatArray,
    axes: FloatArray,
    sign: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    volatility: FloatArray,
    dividend_yield: FloatArray,
    start: int,
    stop: int,
    out: FloatArray,
) -> None:
    """Price, delta, gamma and critical spot price of rows start..stop into `out`, shape (4, n); delta and gamma only with `greeks`.

    Columns have n elements. `table` and `axes` are those of `american_guess`.
    """
    kind = np.empty(sign.size, dtype=np.int8)
    for i in range(start, stop):
        if sign[i] < 0.0:
            kind[i] = classify(spot[i], strike[i], tau[i], rate[i], volatility[i], dividend_yield[i])
        else:
            kind[i] = classify(strike[i], spot[i], tau[i], dividend_yield[i], volatility[i], rate[i])
        if kind[i] == LIMIT:
            limit_row(sign[i], spot[i], strike[i], tau[i], rate[i], volatility[i], dividend_yield[i], out, i)
    nodes = scheme.nodes.size
    work = np.zeros((WORK_ROWS, BLOCK))
    squares = np.zeros((nodes, BLOCK))
    logs = np.zeros((nodes, BLOCK))
    moved = np.zeros((nodes, BLOCK))
    series = np.zeros((nodes + 1, BLOCK))
    rows = np.zeros(BLOCK, dtype=np.int64)
    for wanted in range(EUROPEAN, YIELDING_MIXED + 1):
        i = start
        while i < stop:
            filled = 0
            while i < stop and filled < BLOCK:
                if kind[i] == wanted:
                    rows[filled] = i
                    filled += 1
                i += 1
            if filled == 0:
                break
            padded = min((filled + 7) & ~7, BLOCK)
            for k in range(padded):
                row = rows[min(k, filled - 1)]
                if sign[row] < 0.0:
                    stage(work, k, spot[row], strike[row], tau[row], rate[row], volatility[row], dividend_yield[row])
                else:
                    stage(work, k, strike[row], spot[row], tau[row], dividend_yield[row], volatility[row], rate[row])
            if wanted != EUROPEAN:
                guess_from_table(table, axes, scheme, work, logs, padded)
                solve(wanted, scheme, work, squares, logs, moved, padded)
                for k in range(padded):
                    work[PAST, k] = logs[0, k]
                if wanted >= YIELDING:
                    premium(True, greeks, scheme, work, squares, series, padded)
                else:
                    premium(False, greeks, scheme, work, squares, series, padded)
            for k in range(filled):
                finish(greeks, wanted, sign[rows[k]], spot[rows[k]], strike[rows[k]], work, logs, k, out, rows[k])


@kernel
def classify(spot: float, strike: float, tau: float, rate: float, volatility: float, dividend_yield: float) -> int:
    """What kind of put a row is: at a limit, never exercised early, or which terms its boundary equation has."""
    root = volatility * math.sqrt(tau)
    if not (spot > 0.0 and strike > 0.0 and root > SMALLEST_ROOT):
        return LIMIT
    if rate <= 0.0 and dividend_yield >= rate:
        return EUROPEAN
    variance = volatility * volatility
    if max(rate, abs(dividend_yield)) > LARGEST_RATE * variance:
        return LIMIT
    if dividend_yield == 0.0:
        return MIXED if rate > variance else PLAIN
    return YIELDING_MIXED if rate > variance else YIELDING


@kernel
def limit_row(
    sign: float,
    spot: float,
    strike: float,
    tau: float,
    rate: float,
    volatility: float,
    dividend_yield: float,
    out: FloatArray,
    row: int,
) -> None:
    """The value without volatility, max over s in [0, τ] of ±(S·e^(−qs) − K·e^(−rs)) and 0, and its derivatives by the spot."""
    best = max(sign * (spot - strike), 0.0)
    delta = sign if best > 0.0 else 0.0
    if spot == strike:
        delta = 0.5 * sign
    inner = 0.0
    if spot > 0.0 and strike > 0.0 and rate != dividend_yield and rate * dividend_yield > 0.0:
        inner = math.log(rate * strike / (dividend_yield * spot)) / (rate - dividend_yield)
    moving = spot > 0.0 or strike > 0.0
    for time in (min(max(inner, 0.0), tau), tau):
        if moving and time > 0.0:
            value = sign * (spot * math.exp(-dividend_yield * time) - strike * math.exp(-rate * time))
            if value > best:
                best = value
                delta = sign * math.exp(-dividend_yield * time)
    out[PRICE, row] = best + 0.0  # no negative zero
    out[DELTA, row] = delta
    out[GAMMA, row] = 0.0
    put_rate = rate if sign < 0.0 else dividend_yield
    put_yield = dividend_yield if sign < 0.0 else rate
    if put_rate <= 0.0 and put_yield >= put_rate:
        out[BOUNDARY, row] = 0.0 if sign < 0.0 else math.inf
    else:
        out[BOUNDARY, row] = strike * (rate / dividend_yield) if put_yield > put_rate else strike


@inlined
def premium(
    yielding: bool, greeks: bool, scheme: Collocation, work: FloatArray, squares: FloatArray, series: FloatArray, n: int
) -> None:
    """The early-exercise premium of strike one, and its first and second derivative by x with `greeks`.

    `series` is room for the Chebyshev coefficients of L². Wants L at the first node in PAST.
    """
    past, value, slope, curvature = work[PAST], work[PREMIUM], work[PREMIUM_X], work[PREMIUM_XX]
    x, time, root, inv_root, rate, dividend = work[X], work[TIME], work[ROOT], work[INV_ROOT], work[RATE], work[YIELD]
    drift, limit, scale, stretch = work[DRIFT], work[LOG_LIMIT], work[SCALE], work[STRETCH]
    elapsed, jacobian = work[ELAPSED], work[JACOBIAN]
    for k in range(n):
        width = FRONT * (x[k] - limit[k] - past[k]) * inv_root[k]
        width = width if width > LEAST_FRONT else LEAST_FRONT
        width = width if width < 1.0 else 1.0
        scale[k] = width
        stretch[k] = log((1.0 + math.sqrt(1.0 + width * width)) / width)
        value[k] = 0.0
        slope[k] = 0.0
        curvature[k] = 0.0
    for j in range(series.shape[0]):
        combine(scheme.transform[j], squares, series[j], n)
    for j in range(scheme.price_position.size):
        place_point(scheme.price_position[j], work, n)
        sum_series(series, work, n)
        weight = 2.0 * scheme.price_weight[j]
        for k in range(n):
            y = elapsed[k]
            inv_y = 1.0 / y
            boundary = limit[k] + past[k]
            z = x[k] - boundary
            step = root[k] * y
            v = time[k] * y * y
            share = weight * jacobian[k]
            d_minus = z * inv_root[k] * inv_y + drift[k] * y
            density = INV_SQRT_2PI * exp(-rate[k] * v - 0.5 * d_minus * d_minus)
            tail = density * mills_ratio(abs(d_minus))
            flow = rate[k] * (tail if d_minus > 0.0 else exp(-rate[k] * v) - tail)
            paid = 0.0
            if yielding:
                d_plus = d_minus + step
                density_plus = density * exp(boundary)
                tail = density_plus * mills_ratio(abs(d_plus))
                paid = dividend[k] * (tail if d_plus > 0.0 else exp(x[k] - dividend[k] * v) - tail)
            value[k] += share * root[k] * step * (flow - paid)
            if greeks:
                jump = rate[k]
                if yielding:
                    jump -= dividend[k] * exp(boundary)
                kick = density * jump
                slope[k] -= share * root[k] * (kick + step * paid)
                push = kick * d_minus * inv_y
                if yielding:
                    push += root[k] * dividend[k] * density_plus
                curvature[k] += share * (push - root[k] * step * paid)


@inlined
def place_point(position: float, work: FloatArray, n: int) -> None:
    """√(v/t) at a quadrature point, its derivative, and twice the argument of the Chebyshev polynomials there."""
    scale, stretch, elapsed, jacobian, argument = (
        work[SCALE],
        work[STRETCH],
        work[ELAPSED],
        work[JACOBIAN],
        work[ARGUMENT],
    )
    for k in range(n):
        rise = exp(stretch[k] * position)
        fall = 1.0 / rise
        y = 0.5 * scale[k] * (rise - fall)
        left = 1.0 - y * y
        elapsed[k] = y
        jacobian[k] = 0.5 * scale[k] * stretch[k] * (rise + fall)
        argument[k] = 4.0 * math.sqrt(left if left > 0.0 else 0.0) - 2.0


@inlined
def sum_series(series: FloatArray, work: FloatArray, n: int) -> None:
    """L from the Chebyshev series of its square, by Clenshaw's recurrence, six coefficients at a time."""
    past, argument, first, second = work[PAST], work[ARGUMENT], work[FIRST], work[SECOND]
    for k in range(n):
        first[k] = 0.0
        second[k] = 0.0
    for j in range(series.shape[0] - 1, 0, -6):
        c0, c1, c2 = series[j], series[j - 1], series[j - 2]
        c3, c4, c5 = series[j - 3], series[j - 4], series[j - 5]
        for k in range(n):
            u = argument[k]
            a, b = first[k], second[k]
            b = c0[k] + u * a - b
            a = c1[k] + u * b - a
            b = c2[k] + u * a - b
            a = c3[k] + u * b - a
            b = c4[k] + u * a - b
            a = c5[k] + u * b - a
            first[k] = a
            second[k] = b
    constant = series[0]
    for k in range(n):
        square = constant[k] + 0.5 * argument[k] * first[k] - second[k]
        past[k] = -math.sqrt(square if square > 0.0 else 0.0)


@inlined
def finish(
    greeks: bool,
    kind: int,
    sign: float,
    spot: float,
    strike: float,
    work: FloatArray,
    logs: FloatArray,
    k: int,
    out: FloatArray,
    row: int,
) -> None:
    """The result of column k of the block, back in dollars and in the right of the option."""
    x, t, root, rate, dividend = work[X, k], work[TIME, k], work[ROOT, k], work[RATE, k], work[YIELD, k]
    unit = strike if sign < 0.0 else spot
    boundary = 0.0
    if kind != EUROPEAN:
        log_boundary = work[LOG_LIMIT, k] + logs[0, k]
        boundary = math.exp(log_boundary)
        if x <= log_boundary:
            out[PRICE, row] = sign * (spot - strike)
            out[DELTA, row] = sign
            out[GAMMA, row] = 0.0
            out[BOUNDARY, row] = boundary * strike if sign < 0.0 else strike / boundary
            return
    d_minus = x * work[INV_ROOT, k] + work[DRIFT, k]
    d_plus = d_minus + root
    cash = exp(-rate * t)
    share = exp(x - dividend * t)
    density = INV_SQRT_2PI * exp(-rate * t - 0.5 * d_minus * d_minus)
    tail = density * mills_ratio(abs(d_minus))
    tail_plus = density * mills_ratio(abs(d_plus))
    cash = tail if d_minus > 0.0 else cash - tail
    share = tail_plus if d_plus > 0.0 else share - tail_plus
    value = max(cash - share, 0.0)
    slope = -share
    curvature = density * work[INV_ROOT, k] - share
    if kind != EUROPEAN:
        value += max(work[PREMIUM, k], 0.0)
        slope += work[PREMIUM_X, k]
        curvature += work[PREMIUM_XX, k]
    out[PRICE, row] = max(unit * value, sign * (spot - strike), 0.0)
    out[BOUNDARY, row] = boundary * strike if sign < 0.0 else (strike / boundary if boundary > 0.0 else math.inf)
    if greeks:
        out[DELTA, row] = slope * strike / spot if sign < 0.0 else value - slope
        out[GAMMA, row] = (curvature - slope) * unit / (spot * spot)
