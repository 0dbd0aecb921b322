"""The exercise boundary of American options with a continuous dividend yield, many options side by side: compiled kernels.

Everything is in the units of the put of strike one and variance time: x = log(S/K), t = σ²τ, a = r/σ², b = q/σ²; a call is the put with
spot and strike, rate and yield exchanged (McDonald and Schroder, 1998). B(t) is the boundary, X = min(1, a/b) its limit at expiry and
L = log(B/X) ≤ 0, of which L² is interpolated. With v = t − u the time to a past point of the boundary and
d± = (log(B(t)/B(u)) + (a − b ± ½)v)/√v, value matching and smooth pasting at the boundary read B = N/D with

    smooth pasting   N = e^(−at)n(d₋)/√t + a∫e^(−av)n(d₋)/√v dv,   D = e^(−bt)[n(d₊)/√t + N(d₊)] + b∫e^(−bv)[n(d₊)/√v + N(d₊)] dv
    value matching   N = e^(−at)N(d₋) + a∫e^(−av)N(d₋) dv,         D = e^(−bt)N(d₊) + b∫e^(−bv)N(d₊) dv

where the terms outside the integrals have B(u) = 1 (systems A and B of Andersen, Lake and Offengenden, 2016). Iterated alone, the first
contracts by about 0.13 a sweep but diverges where the rate is large against the variance (a·t above about one with a ≫ 1), the second by
0.4 everywhere. The sum of the first and max(a − 1, 0) times the second contracts by about 0.13 everywhere, and is what is swept here.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.american_collocation import Collocation
from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.jit import inlined, kernel
from gammaray.pricing.special import INV_SQRT_2PI, exp, log, mills_ratio

BLOCK = 64

# Rows of a block's work array.
(
    X,
    TIME,
    ROOT,
    INV_ROOT,
    RATE,
    YIELD,
    MIXING,
    DRIFT,
    LOG_LIMIT,
    LOG_LEAST,
    PAST,
    SUM_N,
    SUM_D,
    PREMIUM,
    PREMIUM_X,
    PREMIUM_XX,
    SHIFT,
    SCALE,
    STRETCH,
    ELAPSED,
    JACOBIAN,
    ARGUMENT,
    FIRST,
    SECOND,
) = range(24)
WORK_ROWS = 24

# Which terms the boundary equation of an option has.
PLAIN, MIXED, YIELDING, YIELDING_MIXED = range(2, 6)

LARGEST_LOG = -1e-14  # the boundary stays below its limit at expiry


@kernel
def boundaries(scheme: Collocation, time: FloatArray, rate: FloatArray, dividend_yield: FloatArray) -> FloatArray:
    """L at the nodes of every put of variance time t, a > 0 and b ≥ 0, shape (n, nodes), from the guess in closed form."""
    count, nodes = time.size, scheme.nodes.size
    result = np.empty((count, nodes))
    work = np.zeros((WORK_ROWS, BLOCK))
    squares = np.zeros((nodes, BLOCK))
    logs = np.zeros((nodes, BLOCK))
    moved = np.zeros((nodes, BLOCK))
    for first in range(0, count, BLOCK):
        for k in range(BLOCK):
            row = min(first + k, count - 1)
            stage(work, k, 1.0, 1.0, time[row], rate[row], 1.0, dividend_yield[row])
        guess_in_closed_form(scheme.nodes, work, logs, BLOCK)
        solve(YIELDING_MIXED, scheme, work, squares, logs, moved, BLOCK)
        for k in range(min(BLOCK, count - first)):
            result[first + k] = logs[:, k]
    return result


@inlined
def stage(
    work: FloatArray,
    k: int,
    spot: float,
    strike: float,
    tau: float,
    rate: float,
    volatility: float,
    dividend_yield: float,
) -> None:
    """The parameters of a put into column k of the work array."""
    variance = volatility * volatility
    root = volatility * math.sqrt(tau)
    a = rate / variance
    b = dividend_yield / variance
    drift = a - b - 0.5
    # The perpetual put: the boundary is nowhere below 1 + 1/(θ − 1), θ < 0 the root of ½θ² + drift·θ = a.
    root_of = math.sqrt(drift * drift + 2.0 * a)
    theta = -2.0 * a / (root_of - drift) if drift < 0.0 else -drift - root_of
    work[X, k] = math.log(spot / strike)
    work[TIME, k] = root * root
    work[ROOT, k] = root
    work[INV_ROOT, k] = 1.0 / root
    work[RATE, k] = a
    work[YIELD, k] = b
    work[MIXING, k] = max(a - 1.0, 0.0)
    work[DRIFT, k] = drift * root
    limit = math.log(a / b) if b > a and a > 0.0 else 0.0
    work[LOG_LIMIT, k] = limit
    least = math.log(theta / (theta - 1.0)) if theta < 0.0 else -700.0
    work[LOG_LEAST, k] = min(max(least, -700.0) - limit, 2.0 * LARGEST_LOG)


@inlined
def guess_in_closed_form(nodes: FloatArray, work: FloatArray, logs: FloatArray, n: int) -> None:
    """A start from nothing: from the limit at expiry to the perpetual boundary, at the pace of the interpolation of Ju and Zhong."""
    for k in range(n):
        limit = math.exp(work[LOG_LIMIT, k])
        perpetual = math.exp(work[LOG_LIMIT, k] + work[LOG_LEAST, k])
        for i in range(nodes.size):
            pace = 2.0 * work[ROOT, k] * nodes[i] * limit / max(limit - perpetual, 1e-12)
            boundary = perpetual + (limit - perpetual) * math.exp(-pace)
            logs[i, k] = min(max(math.log(boundary / limit), work[LOG_LEAST, k]), LARGEST_LOG)


@inlined
def cubic_weights(position: float, points: int) -> tuple[int, tuple[float, float, float, float]]:
    """First index and the weights of cubic Lagrange interpolation on the integers 0..points − 1, held at the ends."""
    position = min(max(position, 0.0), points - 1.0)
    first = min(max(int(position) - 1, 0), points - 4)
    f = position - first
    return first, (
        -(f - 1.0) * (f - 2.0) * (f - 3.0) / 6.0,
        f * (f - 2.0) * (f - 3.0) * 0.5,
        -f * (f - 1.0) * (f - 3.0) * 0.5,
        f * (f - 1.0) * (f - 2.0) / 6.0,
    )


@inlined
def guess_from_table(
    table: FloatArray, axes: FloatArray, scheme: Collocation, work: FloatArray, logs: FloatArray, n: int
) -> None:
    """The boundary of every option by cubic interpolation in (log t, log a, yield against rate); see `american_guess`."""
    times, rates, ratios, width = table.shape[1:]
    nodes = scheme.nodes.size
    stride = width // nodes
    values = np.empty(width)
    for k in range(n):
        a = max(work[RATE, k], 1e-12)
        ratio = max(work[YIELD, k] / a, 0.0)
        side = 0 if ratio <= 1.0 else 1
        shape = math.sqrt(1.0 - ratio) if side == 0 else math.sqrt(math.log(ratio))
        first_time, time_weights = cubic_weights((math.log(work[TIME, k]) - axes[0]) * axes[1], times)
        first_rate, rate_weights = cubic_weights((math.log(a) - axes[2]) * axes[3], rates)
        first_ratio, ratio_weights = cubic_weights(shape * axes[4 + side], ratios)
        values[:] = 0.0
        for i in range(4):
            for j in range(4):
                outer = time_weights[i] * rate_weights[j]
                for m in range(4):
                    weight = outer * ratio_weights[m]
                    line = table[side, first_time + i, first_rate + j, first_ratio + m]
                    for e in range(width):
                        values[e] += weight * line[e]
        root = work[ROOT, k]
        least = work[LOG_LEAST, k]
        if stride > 0:
            for e in range(nodes):
                logs[e, k] = min(max(-root * values[e * stride], least), LARGEST_LOG)
        else:
            for e in range(nodes):
                square = 0.0
                for f in range(width):
                    square += scheme.refinement[e, f] * values[f] * values[f]
                logs[e, k] = min(max(-root * math.sqrt(max(square, 0.0)), least), LARGEST_LOG)


@kernel
def solve(
    kind: int, scheme: Collocation, work: FloatArray, squares: FloatArray, logs: FloatArray, moved: FloatArray, n: int
) -> None:
    """Sweep until no boundary moves by more than the tolerance; leaves L in `logs` and L² in `squares`."""
    shift = work[SHIFT]
    for k in range(n):
        shift[k] = math.inf
    for i in range(scheme.nodes.size):
        line, square = logs[i], squares[i]
        for k in range(n):
            square[k] = line[k] * line[k]
    for _ in range(scheme.max_sweeps):
        for i in range(scheme.nodes.size):
            if kind == PLAIN:
                integrate(False, False, scheme, i, work, squares, logs, n)
            elif kind == MIXED:
                integrate(True, False, scheme, i, work, squares, logs, n)
            elif kind == YIELDING:
                integrate(False, True, scheme, i, work, squares, logs, n)
            else:
                integrate(True, True, scheme, i, work, squares, logs, n)
            update(scheme.nodes[i], work, logs[i], moved[i], n)
        largest = accept(scheme.tolerance, shift, squares, logs, moved, n)
        if largest < scheme.tolerance:
            break


@inlined
def accept(
    tolerance: float, shift: FloatArray, squares: FloatArray, logs: FloatArray, moved: FloatArray, n: int
) -> float:
    """Take the sweep's boundaries, but of options that have settled: what an option gives does not hang on its neighbours."""
    largest = 0.0
    for k in range(n):
        settled = shift[k] < tolerance
        furthest = 0.0
        for i in range(logs.shape[0]):
            if not settled:
                furthest = max(furthest, abs(moved[i, k] - logs[i, k]))
                logs[i, k] = moved[i, k]
                squares[i, k] = moved[i, k] * moved[i, k]
        shift[k] = furthest
        largest = max(largest, furthest)
    return largest


@inlined
def combine(coefficients: FloatArray, rows: FloatArray, result: FloatArray, n: int) -> None:
    """The sum of the rows by the coefficients, six at a time, for every option."""
    for k in range(n):
        result[k] = 0.0
    for j in range(0, coefficients.size, 6):
        c0, c1, c2 = coefficients[j], coefficients[j + 1], coefficients[j + 2]
        c3, c4, c5 = coefficients[j + 3], coefficients[j + 4], coefficients[j + 5]
        r0, r1, r2, r3, r4, r5 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3], rows[j + 4], rows[j + 5]
        for k in range(n):
            result[k] += c0 * r0[k] + c1 * r1[k] + c2 * r2[k] + c3 * r3[k] + c4 * r4[k] + c5 * r5[k]


@inlined
def interpolate(coefficients: FloatArray, squares: FloatArray, past: FloatArray, n: int) -> None:
    """L at one quadrature point of every option."""
    combine(coefficients, squares, past, n)
    for k in range(n):
        square = past[k]
        past[k] = -math.sqrt(square if square > 0.0 else 0.0)


@inlined
def integrate(
    mixed: bool,
    yielding: bool,
    scheme: Collocation,
    i: int,
    work: FloatArray,
    squares: FloatArray,
    logs: FloatArray,
    n: int,
) -> None:
    """The integrals of N and D at node i, over their common factor 2·root·node, into SUM_N and SUM_D."""
    past, sum_n, sum_d = work[PAST], work[SUM_N], work[SUM_D]
    time, root, inv_root, rate, dividend = work[TIME], work[ROOT], work[INV_ROOT], work[RATE], work[YIELD]
    mixing, drift = work[MIXING], work[DRIFT]
    line = logs[i]
    for k in range(n):
        sum_n[k] = 0.0
        sum_d[k] = 0.0
    for j in range(scheme.cosine.size):
        interpolate(scheme.boundary[i, j], squares, past, n)
        y = scheme.nodes[i] * scheme.cosine[j]
        inv_y = 1.0 / y
        y_squared = y * y
        weight = scheme.weight[j]
        for k in range(n):
            z = line[k] - past[k]
            d_minus = z * inv_root[k] * inv_y + drift[k] * y
            step = root[k] * y
            v = time[k] * y_squared
            density = INV_SQRT_2PI * exp(-rate[k] * v - 0.5 * d_minus * d_minus)
            value = density
            if mixed:
                tail = density * mills_ratio(abs(d_minus))
                value += mixing[k] * step * (tail if d_minus < 0.0 else exp(-rate[k] * v) - tail)
            sum_n[k] += weight * value
            if yielding:
                d_plus = d_minus + step
                density_plus = density * exp(-z)
                tail = density_plus * mills_ratio(abs(d_plus))
                probability = tail if d_plus < 0.0 else exp(-dividend[k] * v) - tail
                sum_d[k] += weight * ((1.0 + mixing[k]) * step * probability + density_plus)


@inlined
def update(node: float, work: FloatArray, line: FloatArray, new: FloatArray, n: int) -> None:
    """The terms outside the integrals, and log(N/D) of node `node` into `new`."""
    sum_n, sum_d, root, rate, dividend = work[SUM_N], work[SUM_D], work[ROOT], work[RATE], work[YIELD]
    mixing, drift, limit, least = work[MIXING], work[DRIFT], work[LOG_LIMIT], work[LOG_LEAST]
    for k in range(n):
        z = limit[k] + line[k]
        s = root[k] * node
        u = s * s
        d_minus = z / s + drift[k] * node
        d_plus = d_minus + s
        density = INV_SQRT_2PI * exp(-rate[k] * u - 0.5 * d_minus * d_minus)
        density_plus = density * exp(-z)
        tail = density * mills_ratio(abs(d_minus))
        tail_plus = density_plus * mills_ratio(abs(d_plus))
        probability = tail if d_minus < 0.0 else exp(-rate[k] * u) - tail
        probability_plus = tail_plus if d_plus < 0.0 else exp(-dividend[k] * u) - tail_plus
        numerator = density / s + mixing[k] * probability + 2.0 * s * rate[k] * sum_n[k]
        denominator = density_plus / s + (1.0 + mixing[k]) * probability_plus + 2.0 * s * dividend[k] * sum_d[k]
        # To first order N/(BD) and 2 − BD/N agree; the second has no pole where a negative yield makes D vanish.
        balance = exp(z) * denominator / numerator
        growth = 2.0 - balance if balance < 1.0 else 1.0 / balance
        value = line[k] + log(growth)
        value = value if value > least[k] else least[k]
        new[k] = value if value < LARGEST_LOG else LARGEST_LOG
