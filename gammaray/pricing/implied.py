"""Black–Scholes implied volatility of European options, to the last bits that the price determines."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammaray.pricing.arguments import Domain, FloatArray, broadcast
from gammaray.pricing.black import SMALL_S, mills_difference
from gammaray.pricing.jit import inlined, kernel
from gammaray.pricing.special import INV_SQRT_2PI, exp, log_ratio, mills_ratio


class ImpliedVolatilityStatus(IntEnum):
    """Why `implied_volatility` gave the value it gave; all but the first two come with NaN."""

    OK = 0
    AT_INTRINSIC = 1
    """The price is the discounted intrinsic value: the volatility is 0.0, the least that gives this price."""
    BELOW_INTRINSIC = 2
    """The price is below max(±(S·e^(−qτ) − K·e^(−rτ)), 0)."""
    ABOVE_BOUND = 3
    """The price is not below S·e^(−qτ) for a call, K·e^(−rτ) for a put."""
    NOT_FINITE = 4
    """An argument of the row is NaN or infinite."""
    OUT_OF_DOMAIN = 5
    """The spot, strike or time to expiry of the row is not positive."""


_OK = int(ImpliedVolatilityStatus.OK)
_AT_INTRINSIC = int(ImpliedVolatilityStatus.AT_INTRINSIC)
_BELOW_INTRINSIC = int(ImpliedVolatilityStatus.BELOW_INTRINSIC)
_ABOVE_BOUND = int(ImpliedVolatilityStatus.ABOVE_BOUND)
_NOT_FINITE = int(ImpliedVolatilityStatus.NOT_FINITE)
_OUT_OF_DOMAIN = int(ImpliedVolatilityStatus.OUT_OF_DOMAIN)

_DOMAINS = dict.fromkeys(("price", "spot", "strike", "tau", "rate", "dividend_yield"), Domain.ANY)

StatusArray = NDArray[np.int8]


@overload
def implied_volatility(
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    return_status: Literal[False] = False,
    out: FloatArray | None = None,
) -> Any: ...


@overload
def implied_volatility(
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    return_status: Literal[True],
    out: FloatArray | None = None,
) -> tuple[Any, Any]: ...


def implied_volatility(
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    return_status: bool = False,
    out: FloatArray | None = None,
) -> Any:
    """The volatility at which `gammaray.pricing.price` gives `price`; NaN where there is none.

    Args:
        price: dollars per unit of the underlying; the other arguments as for `gammaray.pricing.price`.
        return_status: give also an `ImpliedVolatilityStatus` for each row (an int8 array; the member itself for scalars).
        out: C-contiguous float64 array of the broadcast shape to write to.

    Raises:
        ValueError: for an unknown `right`, shapes that do not broadcast or arguments that are not numbers; never for the values of a row.
    """
    arguments = broadcast(
        domains=_DOMAINS,
        price=price,
        right=right,
        spot=spot,
        strike=strike,
        tau=tau,
        rate=rate,
        dividend_yield=dividend_yield,
    )
    values = arguments.output(out)
    status = np.empty(arguments.size, dtype=np.int8)
    prices, sign, spots, strikes, taus, rates, yields = arguments.columns
    solve(prices, sign, spots, strikes, taus, rates, yields, values, status)
    result = arguments.restore(values) if out is None else out
    if not return_status:
        return result
    if arguments.is_scalar:
        return result, ImpliedVolatilityStatus(int(status[0]))
    return result, status.reshape(arguments.shape)


@kernel
def solve(
    price: FloatArray,
    sign: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    out: FloatArray,
    status: StatusArray,
) -> None:
    """Implied volatility and status of every row, into `out` and `status`."""
    for i in range(out.size):
        out[i], status[i] = solve_row(price[i], sign[i], spot[i], strike[i], tau[i], rate[i], dividend_yield[i])


@kernel
def solve_row(
    price: float, sign: float, spot: float, strike: float, tau: float, rate: float, dividend_yield: float
) -> tuple[float, int]:
    """Implied volatility and status of one option."""
    if not math.isfinite(price + spot + strike + tau + rate + dividend_yield):
        return math.nan, _NOT_FINITE
    if not (spot > 0.0 and strike > 0.0 and tau > 0.0):
        return math.nan, _OUT_OF_DOMAIN
    spot_pv = spot * exp(-dividend_yield * tau)
    strike_pv = strike * exp(-rate * tau)
    intrinsic = max(sign * (spot_pv - strike_pv), 0.0)
    scale = math.sqrt(spot_pv) * math.sqrt(strike_pv)
    bound = spot_pv if sign > 0.0 else strike_pv
    if not (scale > 0.0 and math.isfinite(scale)):
        return math.nan, _OUT_OF_DOMAIN
    if price >= bound:
        return math.nan, _ABOVE_BOUND
    time_value = price - intrinsic
    if time_value <= 0.0:
        # The bound itself is known only to the rounding of its two terms.
        if time_value < -4e-16 * (spot_pv + strike_pv):
            return math.nan, _BELOW_INTRINSIC
        return 0.0, _AT_INTRINSIC
    x = log_ratio(spot, strike) + (rate - dividend_yield) * tau
    s = normalised_volatility(-abs(x), time_value / scale, (bound - price) / scale)
    return s / math.sqrt(tau), _OK


@kernel
def normalised_volatility(x: float, low: float, high: float) -> float:
    """s = σ√τ of the out-of-the-money option with x = −|log(F/K)|, priced `low` = b(x, s) in units of √(FK)·discount.

    `high` = e^(x/2) − b is the distance to the upper bound. Householder steps of order 4 inside a shrinking bracket, on 1/log b below
    the inflection point s = √(2|x|) of the price and on log(e^(x/2) − b) above it, which both are close to linear there.
    """
    s = math.sqrt(2.0 * abs(x))
    is_lower = low < normalised_price(x, s) if x < 0.0 else False
    lowest, highest = (0.0, s) if is_lower else (s, math.inf)
    if x == 0.0:
        s = low / INV_SQRT_2PI
    target = math.log(low) if is_lower else math.log(high)
    for _ in range(60):
        step, excess = householder_step(x, s, target, is_lower)
        if excess > 0.0:
            highest = min(highest, s)
        elif excess < 0.0:
            lowest = max(lowest, s)
        proposal = s + step
        if not lowest <= proposal <= highest:
            proposal = 0.5 * (lowest + highest) if highest < math.inf else 2.0 * s
        moved = abs(proposal - s)
        s = proposal
        if moved <= 2e-16 * s or excess == 0.0:
            break
    return s


@inlined
def normalised_price(x: float, s: float) -> float:
    """b(x, s) = e^(x/2)·N(x/s + s/2) − e^(−x/2)·N(x/s − s/2) for x ≤ 0, s > 0."""
    h = -x / s
    t = 0.5 * s
    vega = INV_SQRT_2PI * exp(-0.5 * (h * h + t * t))
    if s < SMALL_S:
        return vega * mills_difference(h, t)
    if t < h:
        return vega * (mills_ratio(h - t) - mills_ratio(h + t))
    return exp(0.5 * x) - vega * (mills_ratio(t - h) + mills_ratio(h + t))


@inlined
def householder_step(x: float, s: float, target: float, is_lower: bool) -> tuple[float, float]:
    """A step of order 4 towards the s at which log b (or log of the complement) is `target`; and the sign of b(s) − b."""
    h = -x / s
    t = 0.5 * s
    density = exp(-0.5 * (h * h + t * t))
    near = mills_ratio(abs(h - t))
    far = mills_ratio(h + t)
    complement = near + far
    if t < h:
        complement = exp(0.5 * x) / (INV_SQRT_2PI * density) - (near - far)
    if is_lower:
        if s < SMALL_S:
            ratio = mills_difference(h, t)
        elif t < h:
            ratio = near - far
        else:
            ratio = exp(0.5 * x) / (INV_SQRT_2PI * density) - complement
    else:
        ratio = complement
    # log of the objective without underflow: the exponent is added, not multiplied.
    value = math.log(INV_SQRT_2PI * ratio) - 0.5 * (h * h + t * t)
    slope = 1.0 / ratio
    curvature = h * h / s - 0.25 * s
    third = curvature * curvature - 3.0 * h * h / (s * s) - 0.25
    if is_lower:
        newton = (target - value) / slope * (value / target)
        second = curvature - slope - 2.0 * slope / value
        third += slope * (2.0 * slope - 3.0 * curvature) + 6.0 * slope / value * (slope - curvature + slope / value)
        excess = value - target
    else:
        newton = (value - target) / slope
        second = curvature + slope
        third += slope * (2.0 * slope + 3.0 * curvature)
        excess = target - value
    denominator = 1.0 + newton * (second + newton * third / 6.0)
    step = newton * (1.0 + 0.5 * newton * second) / denominator
    return step, excess
