"""Compiled full revaluation: every position under every scenario, a row of scenarios at a time.

What a pair shares with its row or its column is computed once: present values and log-moneyness by position, the logarithm of the spot's factor by
scenario. A pair then costs one exponential, two Mills ratios and one division by σ√τ; a move of rates or time adds two exponentials
and a root. There are no branches for limits: σ√τ is kept above `LEAST_S` and logarithms within ±`LARGEST_LOG`, where the
formula gives the discounted intrinsic value to rounding.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.jit import inlined, kernel
from gammaray.pricing.special import INV_SQRT_2PI, exp, mills_ratio

LEAST_S = 1e-16
LARGEST_LOG = 700.0
LEAST_VOLATILITY = 5e-3  # of a ladder
Z_NODES = 29
LARGEST_Z = 7.0  # standard deviations from the exercise boundary at which no premium is left

# Rows of the columns of positions, shape (POSITION_ROWS, n).
SIGN, SPOT, STRIKE, TAU, RATE, VOLATILITY, DIVIDEND, QUANTITY, LOG_MONEYNESS = range(9)
POSITION_ROWS = 9
# Planes of the scenarios, shape (SCENARIO_PLANES, underlyings, m).
FACTOR, LOG_FACTOR, VOLATILITY_SHIFT, RATE_SHIFT, TIME_SHIFT = range(5)
SCENARIO_PLANES = 5


@kernel
def revalue_rows(
    positions: FloatArray,
    underlying: NDArray[np.int64],
    scenarios: FloatArray,
    moves_rates: bool,
    ladder_row: NDArray[np.int64],
    premiums: FloatArray,
    log_boundaries: FloatArray,
    log_volatilities: FloatArray,
    start: int,
    stop: int,
    matrix: FloatArray,
    totals: FloatArray,
    extremes: FloatArray,
) -> None:
    """Value positions start..stop under all scenarios.

    `matrix` (n, m), `totals` (underlyings, m) and `extremes` (3, n: least, greatest, mean) are each filled unless of size zero; `totals` is
    added to. An American position has its ladder (`premiums`, `log_boundaries`, `log_volatilities`; see `ladders`) in `ladder_row`, else -1.
    """
    count = scenarios.shape[2]
    values = np.empty(count)
    for i in range(start, stop):
        u = underlying[i]
        _row(positions, i, scenarios, u, moves_rates, values)
        if ladder_row[i] >= 0:
            ladder = ladder_row[i]
            first, step = log_volatilities[ladder, 0], log_volatilities[ladder, 1]
            _add_premium(positions, i, scenarios, u, premiums[ladder], log_boundaries[ladder], first, step, values)
        quantity = positions[QUANTITY, i]
        for j in range(count):
            values[j] *= quantity
        if matrix.size:
            row = matrix[i]
            for j in range(count):
                row[j] = values[j]
        if totals.size:
            total = totals[u]
            for j in range(count):
                total[j] += values[j]
        if extremes.size:
            least, greatest, total_value = math.inf, -math.inf, 0.0
            for j in range(count):
                least = min(least, values[j])
                greatest = max(greatest, values[j])
                total_value += values[j]
            extremes[0, i] = least
            extremes[1, i] = greatest
            extremes[2, i] = total_value / count


@inlined
def _row(positions: FloatArray, i: int, scenarios: FloatArray, u: int, moves_rates: bool, values: FloatArray) -> None:
    """Prices per unit of one European option under all scenarios."""
    sign = positions[SIGN, i]
    spot = positions[SPOT, i]
    strike = positions[STRIKE, i]
    tau = positions[TAU, i]
    rate = positions[RATE, i]
    sigma = positions[VOLATILITY, i]
    dividend = positions[DIVIDEND, i]
    log_moneyness = positions[LOG_MONEYNESS, i]
    factor = scenarios[FACTOR, u]
    log_factor = scenarios[LOG_FACTOR, u]
    volatility_shift = scenarios[VOLATILITY_SHIFT, u]
    if moves_rates:
        rate_shift = scenarios[RATE_SHIFT, u]
        time_shift = scenarios[TIME_SHIFT, u]
        for j in range(values.size):
            left = max(tau - time_shift[j], 0.0)
            moved_rate = rate + rate_shift[j]
            root = math.sqrt(left)
            spot_pv = spot * factor[j] * exp(-dividend * left)
            strike_pv = strike * exp(-moved_rate * left)
            x = log_moneyness + log_factor[j] + (moved_rate - dividend) * left
            values[j] = _pair(sign, spot_pv, strike_pv, x, max(sigma + volatility_shift[j], 0.0) * root)
    else:
        root = math.sqrt(tau)
        spot_now = spot * math.exp(-dividend * tau)
        strike_pv = strike * math.exp(-rate * tau)
        x_now = log_moneyness + (rate - dividend) * tau
        for j in range(values.size):
            spot_pv = spot_now * factor[j]
            x = x_now + log_factor[j]
            values[j] = _pair(sign, spot_pv, strike_pv, x, max(sigma + volatility_shift[j], 0.0) * root)


@inlined
def _pair(sign: float, spot_pv: float, strike_pv: float, x: float, s: float) -> float:
    s = max(s, LEAST_S)
    h = x / s
    d1 = h + 0.5 * s
    d2 = h - 0.5 * s
    vega_pv = spot_pv * (INV_SQRT_2PI * exp(-0.5 * d1 * d1))
    y1 = mills_ratio(abs(d1))
    y2 = mills_ratio(abs(d2))
    between = min(spot_pv, strike_pv) - vega_pv * (y1 + y2)
    out_of_the_money = vega_pv * abs(y1 - y2) if d1 * d2 > 0.0 else between
    return float(out_of_the_money + max(sign * (spot_pv - strike_pv), 0.0))


@inlined
def _add_premium(
    positions: FloatArray,
    i: int,
    scenarios: FloatArray,
    u: int,
    premium: FloatArray,
    log_boundary: FloatArray,
    first: float,
    step: float,
    values: FloatArray,
) -> None:
    """Add the early-exercise premium of one position, or put the exercise value past the boundary; see `ladders`."""
    sign = positions[SIGN, i]
    spot = positions[SPOT, i]
    strike = positions[STRIKE, i]
    sigma = positions[VOLATILITY, i]
    log_spot = math.log(spot) if spot > 0.0 else -LARGEST_LOG
    columns = log_boundary.size
    for j in range(values.size):
        exercise = sign * (spot * scenarios[FACTOR, u, j] - strike)
        root = math.sqrt(max(positions[TAU, i] - scenarios[TIME_SHIFT, u, j], 0.0))
        moved = max(sigma + scenarios[VOLATILITY_SHIFT, u, j], LEAST_VOLATILITY)
        b = min(max((math.log(moved) - first) / step, 0.0), columns - 1.0)
        side = min(max(int(b) - 1, 0), columns - 4)
        weights = cubic_weights(b - side)
        boundary = 0.0
        for k in range(4):
            boundary += weights[k] * log_boundary[side + k]
        distance = sign * (boundary - (log_spot + scenarios[LOG_FACTOR, u, j]))
        if distance > 0.0:
            scale = math.exp(first + b * step) * root * LARGEST_Z
            if distance < scale:
                a = math.sqrt(distance / scale) * (Z_NODES - 1)
                below = min(max(int(a) - 1, 0), Z_NODES - 4)
                across = cubic_weights(a - below)
                extra = 0.0
                for k in range(4):
                    for m in range(4):
                        extra += across[k] * weights[m] * premium[below + k, side + m]
                values[j] += max(extra, 0.0)
            values[j] = max(values[j], exercise)
        else:
            values[j] = exercise


@inlined
def cubic_weights(t: float) -> tuple[float, float, float, float]:
    """Lagrange weights at t of the nodes 0, 1, 2, 3."""
    a, b, c = t - 1.0, t - 2.0, t - 3.0
    return -a * b * c / 6.0, 0.5 * t * b * c, -0.5 * t * a * c, t * a * b / 6.0
