"""Compiled kernels of the Black–Scholes–Merton formula and its derivatives, blocked so that every stage vectorises.

Rows are staged into planes of one scratch array, `BLOCK` rows at a time: all loads and stores of a stage then have one base and
constant offsets, which the vectoriser needs no run-time checks for, and an argument that is the same for all rows is staged once.

With A = S·e^(−qτ), B = K·e^(−rτ), s = σ√τ, d = log(A/B)/s ± s/2 and Mills' ratio Y(u) = N(−u)/n(u), the two terms of the formula share
the factor V = A·n(d₁) = B·n(d₂): A·N(−|d₁|) = V·Y(|d₁|), B·N(−|d₂|) = V·Y(|d₂|). The out-of-the-money price is V·|Y(|d₁|) − Y(|d₂|)| where
d₁ and d₂ agree in sign and min(A, B) − V·(Y(|d₁|) + Y(|d₂|)) where they do not, so a price far in the tail keeps its relative accuracy;
the other side follows by parity (the normalised Black function of Jäckel, "Let's Be Rational", Wilmott, 2015).
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.jit import inlined, kernel
from gammaray.pricing.special import INV_SQRT_2PI, exp, log, log_ratio, mills_ratio

BLOCK = 128

# Planes of the scratch array: arguments, what the stages share, results.
SIGN, SPOT, STRIKE, TAU, RATE, VOLATILITY, DIVIDEND = range(7)
SPOT_PV, STRIKE_PV, D1, D2, ROOT_TAU, INV_S, VEGA_PV, SPOT_TERM, STRIKE_TERM = range(7, 16)
RESULTS = 16
(
    PRICE,
    DELTA,
    GAMMA,
    VEGA,
    THETA,
    RHO,
    DIVIDEND_RHO,
    VANNA,
    VOLGA,
    CHARM,
    VETA,
    DUAL_DELTA,
    DUAL_GAMMA,
    SPEED,
    ZOMMA,
    COLOR,
    ULTIMA,
) = range(RESULTS, RESULTS + 17)
PLANES = RESULTS + 17

SMALL_S = 2.5e-3  # below, the difference of two Mills ratios is taken by its expansion
LARGE_S = 1e3
LARGE_D = 1e12
BEYOND = 1e30  # a number of standard deviations at which every tail is zero and whose fourth power is finite


@kernel
def evaluate(
    order: int,
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
) -> int:
    """Rows start..stop of the price (`order` 0) and the greeks up to `order`, into the rows of `out`, shape (results, n).

    Columns have n elements, or one for an argument that is the same for all rows. Returns -1, or the first row with an
    argument outside its domain or a present value beyond the range of float64, where it stops.
    """
    scratch = np.ones(PLANES * BLOCK)
    for first in range(start, stop, BLOCK):
        n = min(BLOCK, stop - first)
        stage(scratch, SIGN, sign, first, n, start)
        stage(scratch, SPOT, spot, first, n, start)
        stage(scratch, STRIKE, strike, first, n, start)
        stage(scratch, TAU, tau, first, n, start)
        stage(scratch, RATE, rate, first, n, start)
        stage(scratch, VOLATILITY, volatility, first, n, start)
        stage(scratch, DIVIDEND, dividend_yield, first, n, start)
        padded = (n + 7) & ~7
        regular = _price(scratch, padded)
        if not regular:
            for i in range(n):
                if not _is_regular(scratch, i) and not _price_irregular(scratch, i):
                    return first + i
        if order >= 1:
            _first_order(scratch, padded)
        if order >= 2:
            _second_order(scratch, padded)
        if order >= 3:
            _third_order(scratch, padded)
        if order >= 1 and not regular:
            for i in range(n):
                if not _is_regular(scratch, i):
                    _finish_irregular(scratch, i)
        for k in range(out.shape[0]):
            offset = (RESULTS + k) * BLOCK
            values = scratch[offset : offset + n]
            row = out[k, first : first + n]
            for i in range(n):
                row[i] = values[i]
    return -1


@inlined
def stage(scratch: FloatArray, plane: int, column: FloatArray, first: int, n: int, start: int) -> None:
    """Copy rows first..first+n of a column into a plane; a column of one element is spread at the first block only."""
    offset = plane * BLOCK
    if column.size > 1:
        part = column[first : first + n]
        for i in range(n):
            scratch[offset + i] = part[i]
    elif first == start:
        for i in range(BLOCK):
            scratch[offset + i] = column[0]


@inlined
def _is_regular(scratch: FloatArray, i: int) -> bool:
    """Whether the branch-free path holds for the row; false for every row with a NaN."""
    s = scratch[VOLATILITY * BLOCK + i] * scratch[ROOT_TAU * BLOCK + i]
    quotient = scratch[SPOT * BLOCK + i] / scratch[STRIKE * BLOCK + i]
    present_values = scratch[SPOT_PV * BLOCK + i] + scratch[STRIKE_PV * BLOCK + i]
    return _holds(s, quotient, present_values, scratch[D1 * BLOCK + i]) and scratch[TAU * BLOCK + i] > 0.0


@inlined
def _holds(s: float, quotient: float, present_values: float, d1: float) -> bool:
    return bool(
        (s >= SMALL_S)
        & (s <= LARGE_S)
        & (quotient > 1e-290)
        & (quotient < 1e290)
        & (present_values > 1e-290)
        & (present_values < math.inf)
        & (abs(d1) < LARGE_D)
    )


@inlined
def _price(scratch: FloatArray, n: int) -> bool:
    """Stage the shared quantities and the price; whether all rows are in the domain of this path."""
    regular = True
    for i in range(n):
        spot = scratch[SPOT * BLOCK + i]
        strike = scratch[STRIKE * BLOCK + i]
        tau = scratch[TAU * BLOCK + i]
        rate = scratch[RATE * BLOCK + i]
        dividend = scratch[DIVIDEND * BLOCK + i]
        root_tau = math.sqrt(abs(tau))
        s = scratch[VOLATILITY * BLOCK + i] * root_tau
        quotient = spot / strike
        inv_s = 1.0 / s
        h = (log(quotient) + (rate - dividend) * tau) * inv_s
        d1 = h + 0.5 * s
        d2 = h - 0.5 * s
        spot_pv = spot * exp(-dividend * tau)
        strike_pv = strike * exp(-rate * tau)
        regular &= _holds(s, quotient, spot_pv + strike_pv, d1) & (tau > 0.0)
        vega_pv = spot_pv * (INV_SQRT_2PI * exp(-0.5 * d1 * d1))
        y1 = mills_ratio(abs(d1))
        y2 = mills_ratio(abs(d2))
        tail1 = vega_pv * y1
        tail2 = vega_pv * y2
        sign = scratch[SIGN * BLOCK + i]
        otm = vega_pv * abs(y1 - y2) if d1 * d2 > 0.0 else min(spot_pv, strike_pv) - (tail1 + tail2)
        scratch[SPOT_PV * BLOCK + i] = spot_pv
        scratch[STRIKE_PV * BLOCK + i] = strike_pv
        scratch[D1 * BLOCK + i] = d1
        scratch[D2 * BLOCK + i] = d2
        scratch[ROOT_TAU * BLOCK + i] = root_tau
        scratch[INV_S * BLOCK + i] = inv_s
        scratch[VEGA_PV * BLOCK + i] = vega_pv
        scratch[SPOT_TERM * BLOCK + i] = tail1 if sign * d1 < 0.0 else spot_pv - tail1
        scratch[STRIKE_TERM * BLOCK + i] = tail2 if sign * d2 < 0.0 else strike_pv - tail2
        scratch[PRICE * BLOCK + i] = otm + max(sign * (spot_pv - strike_pv), 0.0)
    return regular


@kernel
def _price_irregular(scratch: FloatArray, i: int) -> bool:
    """`_price` for one row of tiny or huge s, extreme moneyness, or a zero argument; false where an argument is invalid."""
    spot = scratch[SPOT * BLOCK + i]
    strike = scratch[STRIKE * BLOCK + i]
    tau = scratch[TAU * BLOCK + i]
    rate = scratch[RATE * BLOCK + i]
    sigma = scratch[VOLATILITY * BLOCK + i]
    dividend = scratch[DIVIDEND * BLOCK + i]
    if not (spot >= 0.0 and strike >= 0.0 and tau >= 0.0 and sigma >= 0.0 and tau + sigma < math.inf):
        return False
    spot_pv = spot * exp(-dividend * tau)
    strike_pv = strike * exp(-rate * tau)
    if not (math.isfinite(rate) and math.isfinite(dividend) and math.isfinite(spot_pv) and math.isfinite(strike_pv)):
        return False
    sign = scratch[SIGN * BLOCK + i]
    intrinsic = max(sign * (spot_pv - strike_pv), 0.0) + 0.0  # not −0.0
    s = _bounded_s(scratch, i)
    scratch[SPOT_PV * BLOCK + i] = spot_pv
    scratch[STRIKE_PV * BLOCK + i] = strike_pv
    scratch[PRICE * BLOCK + i] = intrinsic
    if s == 0.0:
        return True
    quotient = spot / strike
    if 1e-290 < quotient < 1e290 and spot > 1e-290:
        x = log_ratio(spot, strike)
    else:
        x = math.log(spot) - math.log(strike)
    x += (rate - dividend) * tau
    t = 0.5 * s
    h = min(max(x / s, -BEYOND), BEYOND)
    d1 = h + t
    d2 = h - t
    vega_pv = spot_pv * (INV_SQRT_2PI * exp(-0.5 * d1 * d1))
    tail1 = vega_pv * mills_ratio(abs(d1))
    tail2 = vega_pv * mills_ratio(abs(d2))
    if s < SMALL_S:
        out_of_the_money = vega_pv * mills_difference(abs(h), t)
    elif d1 * d2 > 0.0:
        out_of_the_money = abs(tail1 - tail2)
    else:
        out_of_the_money = max(min(spot_pv, strike_pv) - (tail1 + tail2), 0.0)
    scratch[D1 * BLOCK + i] = d1
    scratch[D2 * BLOCK + i] = d2
    scratch[INV_S * BLOCK + i] = 1.0 / s
    scratch[VEGA_PV * BLOCK + i] = vega_pv
    scratch[SPOT_TERM * BLOCK + i] = tail1 if sign * d1 < 0.0 else spot_pv - tail1
    scratch[STRIKE_TERM * BLOCK + i] = tail2 if sign * d2 < 0.0 else strike_pv - tail2
    scratch[PRICE * BLOCK + i] = intrinsic + out_of_the_money
    return True


@inlined
def _bounded_s(scratch: FloatArray, i: int) -> float:
    """s = σ√τ kept where its powers are finite; 0.0 where the price is its limit, the discounted intrinsic value."""
    s = scratch[VOLATILITY * BLOCK + i] * math.sqrt(scratch[TAU * BLOCK + i])
    if s < 1.0 / BEYOND**4 or scratch[SPOT * BLOCK + i] == 0.0 or scratch[STRIKE * BLOCK + i] == 0.0:
        return 0.0
    return float(min(s, BEYOND))


@inlined
def mills_difference(h: float, t: float) -> float:
    """Y(h − t) − Y(h + t) for h ≥ 0 and t ≤ 2e-3, without the cancellation: odd Taylor series about h.

    The derivatives follow from Y' = hY − 1 and Y⁽ⁿ⁺¹⁾ = hY⁽ⁿ⁾ + nY⁽ⁿ⁻¹⁾; the first is taken by its continued fraction where hY is near 1.
    """
    y = mills_ratio(h)
    if h < 8.0:
        first = h * y - 1.0
    else:
        # Y = 1/(h + 1/(h + 2/(h + 3/(h + …)))), so 1 − hY = Y/(h + 2/(h + 3/(…)))
        tail = h
        for n in range(40, 1, -1):
            tail = h + n / tail
        first = -y / tail
    second = h * first + y
    third = h * second + 2.0 * first
    if h > 1e3:
        third = -6.0 / (h * h * h * h)
    return -2.0 * t * (first + t * t / 6.0 * third)


@inlined
def _first_order(scratch: FloatArray, n: int) -> None:
    for i in range(n):
        sign = scratch[SIGN * BLOCK + i]
        inv_spot = 1.0 / scratch[SPOT * BLOCK + i]
        tau = scratch[TAU * BLOCK + i]
        sigma = scratch[VOLATILITY * BLOCK + i]
        inv_s = scratch[INV_S * BLOCK + i]
        vega_pv = scratch[VEGA_PV * BLOCK + i]
        spot_term = scratch[SPOT_TERM * BLOCK + i]
        strike_term = scratch[STRIKE_TERM * BLOCK + i]
        scratch[DELTA * BLOCK + i] = sign * spot_term * inv_spot
        scratch[GAMMA * BLOCK + i] = vega_pv * inv_spot * inv_spot * inv_s
        scratch[VEGA * BLOCK + i] = vega_pv * scratch[ROOT_TAU * BLOCK + i]
        carry = scratch[DIVIDEND * BLOCK + i] * spot_term - scratch[RATE * BLOCK + i] * strike_term
        scratch[THETA * BLOCK + i] = sign * carry - 0.5 * vega_pv * sigma * sigma * inv_s
        scratch[RHO * BLOCK + i] = sign * tau * strike_term


@inlined
def _second_order(scratch: FloatArray, n: int) -> None:
    for i in range(n):
        sign = scratch[SIGN * BLOCK + i]
        inv_spot = 1.0 / scratch[SPOT * BLOCK + i]
        inv_strike = 1.0 / scratch[STRIKE * BLOCK + i]
        dividend = scratch[DIVIDEND * BLOCK + i]
        sigma = scratch[VOLATILITY * BLOCK + i]
        root_tau = scratch[ROOT_TAU * BLOCK + i]
        inv_s = scratch[INV_S * BLOCK + i]
        inv_sigma = root_tau * inv_s
        half_inv_tau = 0.5 * (sigma * inv_s) * (sigma * inv_s)
        d1 = scratch[D1 * BLOCK + i]
        d2 = scratch[D2 * BLOCK + i]
        vega_pv = scratch[VEGA_PV * BLOCK + i]
        vega = scratch[VEGA * BLOCK + i]
        d1_by_tau = (scratch[RATE * BLOCK + i] - dividend) * inv_s - d2 * half_inv_tau
        scratch[DIVIDEND_RHO * BLOCK + i] = -sign * scratch[TAU * BLOCK + i] * scratch[SPOT_TERM * BLOCK + i]
        scratch[VANNA * BLOCK + i] = -vega_pv * inv_spot * d2 * inv_sigma
        scratch[VOLGA * BLOCK + i] = vega * d1 * d2 * inv_sigma
        scratch[CHARM * BLOCK + i] = dividend * scratch[DELTA * BLOCK + i] - vega_pv * inv_spot * d1_by_tau
        scratch[VETA * BLOCK + i] = vega * (half_inv_tau - dividend - d1 * d1_by_tau)
        scratch[DUAL_DELTA * BLOCK + i] = -sign * scratch[STRIKE_TERM * BLOCK + i] * inv_strike
        scratch[DUAL_GAMMA * BLOCK + i] = vega_pv * inv_strike * inv_strike * inv_s


@inlined
def _third_order(scratch: FloatArray, n: int) -> None:
    for i in range(n):
        dividend = scratch[DIVIDEND * BLOCK + i]
        sigma = scratch[VOLATILITY * BLOCK + i]
        root_tau = scratch[ROOT_TAU * BLOCK + i]
        inv_s = scratch[INV_S * BLOCK + i]
        inv_sigma = root_tau * inv_s
        half_inv_tau = 0.5 * (sigma * inv_s) * (sigma * inv_s)
        d1 = scratch[D1 * BLOCK + i]
        d2 = scratch[D2 * BLOCK + i]
        gamma = scratch[GAMMA * BLOCK + i]
        product = d1 * d2
        d1_by_tau = (scratch[RATE * BLOCK + i] - dividend) * inv_s - d2 * half_inv_tau
        scratch[SPEED * BLOCK + i] = -gamma * (1.0 + d1 * inv_s) / scratch[SPOT * BLOCK + i]
        scratch[ZOMMA * BLOCK + i] = gamma * (product - 1.0) * inv_sigma
        scratch[COLOR * BLOCK + i] = gamma * (dividend + d1 * d1_by_tau + half_inv_tau)
        shape = product * (1.0 - product) + d1 * d1 + d2 * d2
        scratch[ULTIMA * BLOCK + i] = -scratch[VEGA * BLOCK + i] * inv_sigma * inv_sigma * shape


@kernel
def _finish_irregular(scratch: FloatArray, i: int) -> None:
    """Put the limits where the formulas of the greeks do not hold, and no zero with a sign."""
    if _bounded_s(scratch, i) == 0.0:
        _limit(scratch, i)
    for k in range(RESULTS, PLANES):
        # NaN is 0·∞, where the density underflows: the density wins.
        scratch[k * BLOCK + i] = 0.0 if math.isnan(scratch[k * BLOCK + i]) else scratch[k * BLOCK + i] + 0.0


@inlined
def _limit(scratch: FloatArray, i: int) -> None:
    """The greeks of one row as s = σ√τ, spot or strike goes to zero: of the forward intrinsic value, θ·max(θ(A − B), 0).

    On the kink, A = B with s = 0, delta is the mean of its two sides; gamma and dual gamma, which have no finite limit, are `inf`, vega is
    that of the money forward, and derivatives of these without a limit are zero.
    """
    spot = scratch[SPOT * BLOCK + i]
    tau = scratch[TAU * BLOCK + i]
    rate = scratch[RATE * BLOCK + i]
    dividend = scratch[DIVIDEND * BLOCK + i]
    sign = scratch[SIGN * BLOCK + i]
    spot_pv = scratch[SPOT_PV * BLOCK + i]
    strike_pv = scratch[STRIKE_PV * BLOCK + i]
    intrinsic = sign * (spot_pv - strike_pv)
    share = 1.0 if intrinsic > 0.0 else 0.0
    for k in range(1, 17):
        scratch[(RESULTS + k) * BLOCK + i] = 0.0
    if intrinsic == 0.0 and spot > 0.0:
        share = 0.5
        root_tau = scratch[ROOT_TAU * BLOCK + i]
        scratch[GAMMA * BLOCK + i] = math.inf
        scratch[DUAL_GAMMA * BLOCK + i] = math.inf
        scratch[VEGA * BLOCK + i] = INV_SQRT_2PI * spot_pv * root_tau
        if tau == 0.0 and scratch[VOLATILITY * BLOCK + i] > 0.0:
            scratch[THETA * BLOCK + i] = -math.inf
    spot_term = share * spot_pv
    strike_term = share * strike_pv
    delta = sign * share * exp(-dividend * tau)
    scratch[DELTA * BLOCK + i] = delta
    scratch[THETA * BLOCK + i] += sign * (dividend * spot_term - rate * strike_term)
    scratch[RHO * BLOCK + i] = sign * tau * strike_term
    scratch[DIVIDEND_RHO * BLOCK + i] = -sign * tau * spot_term
    scratch[CHARM * BLOCK + i] = dividend * delta
    scratch[DUAL_DELTA * BLOCK + i] = -sign * share * exp(-rate * tau)
