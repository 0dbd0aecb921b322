"""Finite differences in log spot for American options with cash dividends: compiled kernels, sixteen options side by side.

Crank–Nicolson with a Rannacher start (four implicit half steps, 1984) after the payoff and after every jump, the exercise condition by the
direct method of Brennan and Schwartz (1977), the jump by cubic interpolation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.jit import inlined, kernel

LANES = 16
PRICE, DELTA, GAMMA = range(3)
WIDTH = 6.0  # standard deviations of the log spot on either side
LARGEST_REACH = 60.0  # of the log spot
START_STEPS = 2  # full steps taken as twice as many implicit half steps


@kernel
def price_blocks(
    rows: NDArray[np.intp],
    group: NDArray[np.intp],
    schedules: NDArray[np.intp],
    counts: NDArray[np.intp],
    sign: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    volatility: FloatArray,
    dividend_yield: FloatArray,
    grid_rate: FloatArray,
    grid_volatility: FloatArray,
    grid_yield: FloatArray,
    times: FloatArray,
    amounts: FloatArray,
    points: int,
    out: FloatArray,
) -> None:
    """Blocks of up to `LANES` rows of one schedule, by two grids and their extrapolation, into `out`."""
    lanes = np.empty((10, LANES))
    fine = np.empty((3, LANES))
    coarse = np.empty((3, LANES))
    work = np.empty((5, points, LANES))
    first = 0
    while first < rows.size:
        filled = 1
        while first + filled < rows.size and filled < LANES and group[first + filled] == group[first]:
            filled += 1
        for k in range(LANES):
            row = rows[first + min(k, filled - 1)]
            lanes[0, k] = sign[row]
            lanes[1, k] = spot[row]
            lanes[2, k] = strike[row]
            lanes[3, k] = tau[row]
            lanes[4, k] = rate[row]
            lanes[5, k] = volatility[row]
            lanes[6, k] = dividend_yield[row]
            lanes[7, k] = grid_rate[row]
            lanes[8, k] = grid_volatility[row]
            lanes[9, k] = grid_yield[row]
        count = counts[rows[first]]
        schedule = schedules[group[first]]
        roll_back(lanes, times[:count], amounts[:count], points, 2 * schedule, work, fine)
        roll_back(lanes, times[:count], amounts[:count], points // 2, schedule, work, coarse)
        for k in range(filled):
            row = rows[first + k]
            for item in range(3):
                out[item, row] = fine[item, k] + (fine[item, k] - coarse[item, k]) / 3.0
            exercise = max(sign[row] * (spot[row] - strike[row]), 0.0)
            if fine[PRICE, k] <= exercise:
                out[PRICE, row] = exercise
                out[DELTA, row] = sign[row] if exercise > 0.0 else 0.0
                out[GAMMA, row] = 0.0
            out[PRICE, row] = max(out[PRICE, row], exercise)
        first += filled


@kernel
def roll_back(
    lanes: FloatArray,
    times: FloatArray,
    amounts: FloatArray,
    points: int,
    schedule: NDArray[np.intp],
    work: FloatArray,
    result: FloatArray,
) -> None:
    """Price, delta and gamma of `LANES` options on one grid, into `result`.

    Index 0 is the end of the grid where the option is exercised, the low one of a put and the high one of a call: the elimination goes
    towards it and the substitution, with the exercise condition, away from it.
    """
    value, payoff, factor, inverse, scratch = work[0], work[1], work[2], work[3], work[4]
    origin = np.empty(LANES)
    spacing = np.empty(LANES)
    edges = np.empty((2, LANES))
    lower = np.empty(LANES)
    middle = np.empty(LANES)
    upper = np.empty(LANES)
    for k in range(LANES):
        lay_grid(lanes, k, times, amounts, points, origin, spacing)
        sign, strike, step = lanes[0, k], lanes[2, k], spacing[k]
        for i in range(points):
            payoff[i, k] = max(sign * (math.exp(origin[k] + i * step) - strike), 0.0)
            value[i, k] = payoff[i, k]
    for event in range(times.size, -1, -1):
        begin = times[event - 1] if event > 0 else 0.0
        count = schedule[event]
        if count > 0:
            for k in range(LANES):
                end = times[event] if event < times.size else lanes[3, k]
                half_step = 0.5 * (end - begin) / count
                variance, step = lanes[5, k] * lanes[5, k], spacing[k]
                diffusion = 0.5 * variance / (step * step)
                drift = 0.5 * (lanes[4, k] - lanes[6, k] - 0.5 * variance) / step
                lower[k] = half_step * (diffusion - drift)
                upper[k] = half_step * (diffusion + drift)
                middle[k] = half_step * (2.0 * diffusion + lanes[4, k])
            factorise(points, lower, middle, upper, factor, inverse)
            for n in range(count + START_STEPS):
                implicit = n < 2 * START_STEPS
                elapsed = (0.5 * (n + 1) if implicit else n + 1 - START_STEPS) / count
                for k in range(LANES):
                    end = times[event] if event < times.size else lanes[3, k]
                    now = end - elapsed * (end - begin)
                    edges[0, k] = edge_value(lanes, k, now, origin[k], times, amounts)
                    edges[1, k] = edge_value(lanes, k, now, origin[k] + (points - 1) * spacing[k], times, amounts)
                advance(implicit, points, lower, middle, upper, factor, inverse, edges, payoff, value, scratch)
        if event > 0:
            for k in range(LANES):
                pay_dividend(
                    lanes, k, begin, amounts[event - 1], times, amounts, points, origin, spacing, value, scratch
                )
            for i in range(points):
                for k in range(LANES):
                    value[i, k] = max(scratch[i, k], payoff[i, k])
    for k in range(LANES):
        read_off(lanes, k, points, origin[k], spacing[k], value, result)


@inlined
def lay_grid(
    lanes: FloatArray,
    k: int,
    times: FloatArray,
    amounts: FloatArray,
    points: int,
    origin: FloatArray,
    spacing: FloatArray,
) -> None:
    """Log spot at index 0 and signed spacing of one option's grid: centred on the spot, reaching below it by the dividends too."""
    sign, spot, tau, rate, volatility = lanes[0, k], lanes[1, k], lanes[3, k], lanes[7, k], lanes[8, k]
    paid = 0.0
    for j in range(times.size):
        paid += amounts[j] * math.exp(-rate * times[j])
    reach = min(WIDTH * volatility * math.sqrt(tau), LARGEST_REACH)
    drift = min(max((rate - lanes[9, k] - 0.5 * volatility * volatility) * tau, -LARGEST_REACH), LARGEST_REACH)
    low = math.log(spot) + math.log(max(1.0 - paid / spot, 0.1)) - reach + min(drift, 0.0)
    high = math.log(spot) + reach + max(drift, 0.0)
    step = (high - low) / (points - 1)
    # The strike half-way between two points, where the kink of the payoff does least harm.
    offset = (math.log(lanes[2, k]) - low) / step - 0.5
    low += (offset - math.floor(offset)) * step
    origin[k] = low if sign < 0.0 else low + (points - 1) * step
    spacing[k] = step if sign < 0.0 else -step


@inlined
def edge_value(lanes: FloatArray, k: int, now: float, log_spot: float, times: FloatArray, amounts: FloatArray) -> float:
    """The value far from the strike, at time `now`: the best of exercise and the discounted forward payoff."""
    sign, strike, tau, rate, dividend_yield = lanes[0, k], lanes[2, k], lanes[3, k], lanes[4, k], lanes[6, k]
    spot = math.exp(log_spot)
    left = tau - now
    share = spot * math.exp(-dividend_yield * left)
    for j in range(times.size):
        if times[j] > now:
            share -= amounts[j] * math.exp(-rate * (times[j] - now) - dividend_yield * (tau - times[j]))
    forward = max(share, 0.0) - strike * math.exp(-rate * left)
    best: float = max(sign * (spot - strike), sign * forward, 0.0)
    return best


@inlined
def factorise(
    points: int, lower: FloatArray, middle: FloatArray, upper: FloatArray, factor: FloatArray, inverse: FloatArray
) -> None:
    """The elimination of the matrix (−lower, 1 + middle, −upper) from the last row to the first, of every lane."""
    for k in range(LANES):
        inverse[points - 2, k] = 1.0 / (1.0 + middle[k])
    for i in range(points - 3, 0, -1):
        for k in range(LANES):
            factor[i, k] = upper[k] * inverse[i + 1, k]
            inverse[i, k] = 1.0 / (1.0 + middle[k] - factor[i, k] * lower[k])


@inlined
def advance(
    implicit: bool,
    points: int,
    lower: FloatArray,
    middle: FloatArray,
    upper: FloatArray,
    factor: FloatArray,
    inverse: FloatArray,
    edges: FloatArray,
    payoff: FloatArray,
    value: FloatArray,
    scratch: FloatArray,
) -> None:
    """One Crank–Nicolson step, or an implicit half step, which has the same matrix; `edges` are the new values of the first and last row."""
    explicit = 0.0 if implicit else 1.0
    for k in range(LANES):
        scratch[points - 1, k] = 0.0
        factor[points - 2, k] = 0.0
    for i in range(points - 2, 0, -1):
        for k in range(LANES):
            change = lower[k] * value[i - 1, k] - middle[k] * value[i, k] + upper[k] * value[i + 1, k]
            scratch[i, k] = value[i, k] + explicit * change + factor[i, k] * scratch[i + 1, k]
            if i == points - 2:
                scratch[i, k] += upper[k] * edges[1, k]
    for k in range(LANES):
        value[points - 1, k] = edges[1, k]
        value[0, k] = edges[0, k]
    for i in range(1, points - 1):
        for k in range(LANES):
            x = (scratch[i, k] + lower[k] * value[i - 1, k]) * inverse[i, k]
            floor = payoff[i, k]
            value[i, k] = x if x > floor else floor


@inlined
def pay_dividend(
    lanes: FloatArray,
    k: int,
    now: float,
    cash: float,
    times: FloatArray,
    amounts: FloatArray,
    points: int,
    origin: FloatArray,
    spacing: FloatArray,
    value: FloatArray,
    scratch: FloatArray,
) -> None:
    """The value just before an ex-date, at each point that of the spot less the dividend just after it, into `scratch`."""
    start, step = origin[k], spacing[k]
    lowest = min(start, start + (points - 1) * step)
    least = math.exp(lowest)
    for i in range(points):
        after = math.exp(start + i * step) - cash
        if after <= least:
            log_after = math.log(after) if after > 1e-300 else -690.0
            scratch[i, k] = edge_value(lanes, k, now, log_after, times, amounts)
        else:
            position = (math.log(after) - start) / step
            j = min(max(int(position) - 1, 0), points - 4)
            f = position - j
            scratch[i, k] = (
                -(f - 1.0) * (f - 2.0) * (f - 3.0) / 6.0 * value[j, k]
                + f * (f - 2.0) * (f - 3.0) * 0.5 * value[j + 1, k]
                - f * (f - 1.0) * (f - 3.0) * 0.5 * value[j + 2, k]
                + f * (f - 1.0) * (f - 2.0) / 6.0 * value[j + 3, k]
            )


@inlined
def read_off(
    lanes: FloatArray, k: int, points: int, start: float, step: float, value: FloatArray, result: FloatArray
) -> None:
    """Value, first and second derivative by the spot of the quartic through the five points around the spot."""
    spot = lanes[1, k]
    position = (math.log(spot) - start) / step
    j = min(max(int(position + 0.5), 2), points - 3)
    f = position - j
    v0, v1, v2, v3, v4 = value[j - 2, k], value[j - 1, k], value[j, k], value[j + 1, k], value[j + 2, k]
    # Coefficients of the interpolating polynomial in f.
    c1 = (v0 - 8.0 * v1 + 8.0 * v3 - v4) / 12.0
    c2 = (-v0 + 16.0 * v1 - 30.0 * v2 + 16.0 * v3 - v4) / 24.0
    c3 = (-v0 + 2.0 * v1 - 2.0 * v3 + v4) / 12.0
    c4 = (v0 - 4.0 * v1 + 6.0 * v2 - 4.0 * v3 + v4) / 24.0
    result[PRICE, k] = v2 + f * (c1 + f * (c2 + f * (c3 + f * c4)))
    slope = (c1 + f * (2.0 * c2 + f * (3.0 * c3 + f * 4.0 * c4))) / step
    curvature = (2.0 * c2 + f * (6.0 * c3 + f * 12.0 * c4)) / (step * step)
    result[DELTA, k] = slope / spot
    result[GAMMA, k] = (curvature - slope) / (spot * spot)
