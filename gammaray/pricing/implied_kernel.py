"""Compiled inversion of the Black–Scholes formula.

In units of √(FK)·discount the out-of-the-money price b depends on x = |log(F/K)| and s = σ√τ alone (Jäckel, "Let's Be Rational", Wilmott,
2015). The branch-free path takes a guess good to 1e-4 and one Householder step of order 4, which squares the square of that error; a block with a
row that moved further takes a second step. The few rows that neither settles, and those that have no solution, go to a bracketed solver
one by one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.black import BLOCK, SMALL_S, mills_difference, stage
from gammaray.pricing.jit import inlined, kernel
from gammaray.pricing.special import INV_SQRT_2PI, SQRT_2PI, exp, log, log_ratio, mills_ratio

OK, AT_INTRINSIC, BELOW_INTRINSIC, ABOVE_BOUND, NOT_FINITE, OUT_OF_DOMAIN = range(6)

# Planes of the scratch array.
PRICE, SIGN, SPOT, STRIKE, TAU, RATE, DIVIDEND = range(7)
X, MONEYNESS, LOW, HIGH, TARGET, ROOT_TAU, S, IS_OPEN = range(7, 15)
PLANES = 15

SETTLED = 4e-4  # relative length of a Newton step from which one of order 4 ends below rounding
DOUBTFUL = 1e-13  # a time value this small beside the bound is known to few digits, and is left to the bracketed solver


@kernel
def solve(
    price: FloatArray,
    sign: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    start: int,
    stop: int,
    out: FloatArray,
    status: NDArray[np.int8],
) -> None:
    """Volatility and status of rows start..stop; columns have n elements, or one for an argument that all rows share."""
    scratch = np.ones(PLANES * BLOCK)
    for first in range(start, stop, BLOCK):
        n = min(BLOCK, stop - first)
        stage(scratch, PRICE, price, first, n, start)
        stage(scratch, SIGN, sign, first, n, start)
        stage(scratch, SPOT, spot, first, n, start)
        stage(scratch, STRIKE, strike, first, n, start)
        stage(scratch, TAU, tau, first, n, start)
        stage(scratch, RATE, rate, first, n, start)
        stage(scratch, DIVIDEND, dividend_yield, first, n, start)
        padded = (n + 7) & ~7
        _normalise(scratch, padded)
        _guess(scratch, padded)
        if _improve(scratch, padded):
            _improve(scratch, padded)
        volatilities = out[first : first + n]
        codes = status[first : first + n]
        all_settled = True
        for i in range(n):
            s = scratch[S * BLOCK + i]
            all_settled &= (scratch[IS_OPEN * BLOCK + i] == 0.0) & (s >= SMALL_S)
            volatilities[i] = s / scratch[ROOT_TAU * BLOCK + i]
            codes[i] = OK
        if not all_settled:
            for i in range(n):
                if not (scratch[IS_OPEN * BLOCK + i] == 0.0 and scratch[S * BLOCK + i] >= SMALL_S):
                    volatilities[i], codes[i] = solve_row(
                        scratch[PRICE * BLOCK + i],
                        scratch[SIGN * BLOCK + i],
                        scratch[SPOT * BLOCK + i],
                        scratch[STRIKE * BLOCK + i],
                        scratch[TAU * BLOCK + i],
                        scratch[RATE * BLOCK + i],
                        scratch[DIVIDEND * BLOCK + i],
                    )


@inlined
def _normalise(scratch: FloatArray, n: int) -> None:
    """Stage x, the moneyness 2·sinh(x/2), the normalised price and its distance to the upper bound; NaN where the row is irregular."""
    for i in range(n):
        price = scratch[PRICE * BLOCK + i]
        sign = scratch[SIGN * BLOCK + i]
        spot = scratch[SPOT * BLOCK + i]
        strike = scratch[STRIKE * BLOCK + i]
        tau = scratch[TAU * BLOCK + i]
        rate = scratch[RATE * BLOCK + i]
        dividend = scratch[DIVIDEND * BLOCK + i]
        spot_pv = spot * exp(-dividend * tau)
        strike_pv = strike * exp(-rate * tau)
        difference = sign * (spot_pv - strike_pv)
        bound = spot_pv if sign > 0.0 else strike_pv
        product = spot_pv * strike_pv
        inv_scale = 1.0 / math.sqrt(abs(product))
        quotient = spot / strike
        time_value = price - max(difference, 0.0)
        low = time_value * inv_scale
        high = (bound - price) * inv_scale
        regular = (quotient > 1e-20) & (quotient < 1e20) & (product > 1e-200) & (product < 1e200) & (tau > 0.0)
        regular &= (time_value > DOUBTFUL * max(difference, 0.0)) & (low > 1e-290) & (high > DOUBTFUL) & (spot > 0.0)
        scratch[X * BLOCK + i] = abs(log(quotient) + (rate - dividend) * tau)
        scratch[MONEYNESS * BLOCK + i] = abs(difference) * inv_scale
        scratch[LOW * BLOCK + i] = low if regular else math.nan
        scratch[HIGH * BLOCK + i] = high
        scratch[TARGET * BLOCK + i] = log(min(low, high))
        scratch[ROOT_TAU * BLOCK + i] = math.sqrt(abs(tau))
        scratch[IS_OPEN * BLOCK + i] = 1.0


@inlined
def _guess(scratch: FloatArray, n: int) -> None:
    for i in range(n):
        scratch[S * BLOCK + i] = guess(scratch[X * BLOCK + i], scratch[MONEYNESS * BLOCK + i], scratch[LOW * BLOCK + i])


@inlined
def _improve(scratch: FloatArray, n: int) -> bool:
    """Take a step in every open row and close those that are settled; whether a regular row is left open.

    A closed row stays as it is, so that its volatility does not depend on the rows beside it.
    """
    some_open = False
    for i in range(n):
        s = scratch[S * BLOCK + i]
        low = scratch[LOW * BLOCK + i]
        target = scratch[TARGET * BLOCK + i]
        step, newton = householder_step(scratch[X * BLOCK + i], s, target, low < scratch[HIGH * BLOCK + i])
        was_open = scratch[IS_OPEN * BLOCK + i] > 0.0
        stays_open = was_open & (not abs(newton) <= SETTLED * s)
        some_open |= stays_open & (low > 0.0)
        scratch[S * BLOCK + i] = s + step if was_open else s
        scratch[IS_OPEN * BLOCK + i] = 1.0 if stays_open else 0.0
    return some_open


@inlined
def guess(x: float, moneyness: float, low: float) -> float:
    """s within 1e-4 for s < 1.2 and x < 3 s: from the normal (Bachelier) model, put right for the lognormal one.

    In the normal model h = moneyness/s is a function of h₀ = moneyness/(√(2π)·low) alone, here a rational function fitted to 1.2e-5 on
    0 ≤ h ≤ 39. The polynomial in s² and x² is a fit of the ratio of the two models' s, which begins (1 + s²/24)/(1 + x²/24).
    """
    at_the_money = SQRT_2PI * low
    distance = max(moneyness, 1e-5 * at_the_money)
    t = log(1.0 + distance / at_the_money)
    y = math.sqrt(t)
    p = 1.0 + y * (0.02910516 + y * (0.74357377 + y * (-0.01078223 + y * (-0.00908478 + y * 0.08123757))))
    q = 0.22704682 + y * (-0.00133550619 + y * 0.0573920299)
    q = 1.0 + y * (0.02849934 + y * (1.50635528 + y * (-0.03542609 + y * q)))
    b = x * x
    s = distance * q / (t * p * (1.0 + b * (1.0 / 24.0 + b * (1.0 / 1920.0))))
    a = min(s * s, 2.0)
    c3 = -4.9238436572252e-04 - 1.8169901346035e-04 * b + 3.6645189153512e-04 * a
    c2 = 4.3445083585863e-03 + b * (3.0599348562085e-04 + b * 2.519625427647e-05)
    c1 = 4.153541187350543e-02 + b * (-4.959924304168e-04 + b * (-3.38066620406e-05 - b * 1.66837147723e-06))
    return s * (1.0 + a * (c1 + a * (c2 + a * c3)))


@inlined
def householder_step(x: float, s: float, target: float, is_lower: bool) -> tuple[float, float]:
    """A step of order 4 towards the s at which log b, or the log of e^(−x/2) − b above half the bound, is `target`; and Newton's.

    Below half the bound the step is taken on 1/log b, which is close to linear in s² far out of the money. The logarithm is taken of the price
    without its factor exp(−(h² + t²)/2), which is added after, so nothing underflows.
    """
    inv_s = 1.0 / s
    h = x * inv_s
    t = 0.5 * s
    d1 = t - h
    whole = SQRT_2PI * exp(0.5 * d1 * d1)
    near = mills_ratio(abs(d1))
    far = mills_ratio(h + t)
    is_inside = d1 < 0.0
    below = near - far if is_inside else whole - (near + far)
    above = whole - (near - far) if is_inside else near + far
    ratio = below if is_lower else above
    value = log(INV_SQRT_2PI * ratio) - 0.5 * (h * h + t * t)
    return _step(h, inv_s, s, ratio, value, target, is_lower)


@inlined
def _step(
    h: float, inv_s: float, s: float, ratio: float, value: float, target: float, is_lower: bool
) -> tuple[float, float]:
    """The step, from the price without its exponential factor and the log of the price: b′/b = 1/ratio, b″/b′ = h²/s − s/4."""
    slope = 1.0 / ratio
    pull = slope / value
    curvature = h * h * inv_s - 0.25 * s
    third = curvature * curvature - 3.0 * h * h * inv_s * inv_s - 0.25 + 2.0 * slope * slope
    cross = 3.0 * curvature * slope
    newton = (target - value) * ratio * (value / target) if is_lower else (value - target) * ratio
    second = curvature - slope - 2.0 * pull if is_lower else curvature + slope
    third = third - cross + 6.0 * pull * (slope - curvature + pull) if is_lower else third + cross
    step = newton * (1.0 + 0.5 * newton * second) / (1.0 + newton * (second + newton * third * (1.0 / 6.0)))
    return step, newton


@kernel
def solve_row(
    price: float, sign: float, spot: float, strike: float, tau: float, rate: float, dividend_yield: float
) -> tuple[float, int]:
    """Volatility and status of one option, whatever its arguments."""
    if not math.isfinite(price + spot + strike + tau + rate + dividend_yield):
        return math.nan, NOT_FINITE
    if not (spot > 0.0 and strike > 0.0 and tau > 0.0):
        return math.nan, OUT_OF_DOMAIN
    spot_pv = spot * exp(-dividend_yield * tau)
    strike_pv = strike * exp(-rate * tau)
    scale = math.sqrt(spot_pv) * math.sqrt(strike_pv)
    if not (scale > 0.0 and math.isfinite(spot_pv + strike_pv)):
        return math.nan, OUT_OF_DOMAIN
    bound = spot_pv if sign > 0.0 else strike_pv
    if price >= bound:
        return math.nan, ABOVE_BOUND
    difference = sign * (spot_pv - strike_pv)
    time_value = price - max(difference, 0.0)
    if time_value <= 0.0:
        # The intrinsic value is known only to the rounding of its two terms.
        if time_value < -4e-16 * (spot_pv + strike_pv) or price < 0.0:
            return math.nan, BELOW_INTRINSIC
        return 0.0, AT_INTRINSIC
    x = abs(_log_ratio(spot, strike) + (rate - dividend_yield) * tau)
    low = time_value / scale
    high = (bound - price) / scale
    # The quotient may underflow where its logarithm does not.
    target = math.log(time_value) - math.log(scale) if low < high else math.log(high)
    s = normalised_volatility(x, abs(difference) / scale, low, high, target)
    return s / math.sqrt(tau), OK


@inlined
def _log_ratio(a: float, b: float) -> float:
    quotient = a / b
    if 1e-290 < quotient < 1e290 and a > 1e-290:
        return log_ratio(a, b)
    return math.log(a) - math.log(b)


@kernel
def normalised_volatility(x: float, moneyness: float, low: float, high: float, target: float) -> float:
    """s of the option priced `low`, `high` below its upper bound, in units of √(FK), `target` the log of the lesser of the two.

    Householder steps inside a shrinking bracket.
    """
    is_lower = low < high
    # Above half the bound d₁ > 0; below it N(d₁) < 1/2 + e^x·N(d₂), which is false for d₁ = 2.
    inflection = math.sqrt(2.0 * x)
    lowest, highest = (0.0, 2.0 + math.sqrt(4.0 + 2.0 * x)) if is_lower else (inflection, math.inf)
    s = guess(x, moneyness, low)
    if not (lowest < s < min(highest, 2.0)):
        s = max(inflection, SQRT_2PI * low)
    for _ in range(100):
        if is_lower and s < SMALL_S:
            h = x / s
            t = 0.5 * s
            ratio = mills_difference(h, t)
            value = math.log(INV_SQRT_2PI * ratio) - 0.5 * (h * h + t * t)
            step, newton = _step(h, 1.0 / s, s, ratio, value, target, True)
        else:
            step, newton = householder_step(x, s, target, is_lower)
        if newton < 0.0:
            highest = min(highest, s)
        elif newton > 0.0:
            lowest = max(lowest, s)
        proposal = s + step
        if not (lowest <= proposal <= min(highest, 4.0 * s) and step * newton >= 0.0):
            proposal = 0.5 * (lowest + highest) if highest < math.inf else 2.0 * s
        moved = abs(proposal - s)
        s = proposal
        if max(moved, abs(newton)) <= 1e-5 * s:
            break
    return s
