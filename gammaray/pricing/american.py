"""American options with a continuous dividend yield or cash dividends: prices, greeks, exercise boundary, implied volatility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammaray.pricing import american_kernel as kernel
from gammaray.pricing.american_collocation import Accuracy, Collocation, collocation
from gammaray.pricing.american_guess import guess_table
from gammaray.pricing.arguments import Broadcast, FloatArray, broadcast, first_index
from gammaray.pricing.european import Greeks

RATE_STEP = 2e-4  # of the differences by rate and yield


@dataclass(frozen=True, slots=True)
class AmericanGreeks(Greeks):
    """`Greeks` and dividend_rho ∂/∂q, each an array of the broadcast shape (a float for scalars).

    Vega and rho are per 1.00 of volatility and rate, theta per year of calendar time (−∂/∂τ). Where the option is to be exercised at once,
    they are those of the exercise value.
    """

    dividend_rho: Any


def american_price(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    accuracy: Accuracy = "accurate",
    out: FloatArray | None = None,
) -> Any:
    """Price of an American option under Black–Scholes–Merton.

    The early-exercise premium is integrated over an exercise boundary found by spectral collocation (Andersen, Lake and Offengenden, 2016).

    Args:
        right: 'C' or 'P', +1 or -1, or a bool that is true for a call.
        spot: price of the underlying, dollars.
        strike: dollars.
        tau: years to expiry.
        rate: continuously compounded, per year.
        volatility: per square root of a year.
        dividend_yield: continuous, per year.
        accuracy: root mean square error for a strike of 100, on options of up to ten years: "fast" 3e-4 (2e-5 up to one year),
            "accurate" 6e-6 (3e-6), "high" 3e-8 (1e-8).
        out: C-contiguous float64 array of the broadcast shape to write to.

    Returns:
        Dollars per unit of the underlying, of the broadcast shape; a float where all arguments are scalars.

    Raises:
        ValueError: naming the argument and the first offending index; also for rates with two exercise boundaries, which are a put with
            dividend_yield < rate < 0 and a call with rate < dividend_yield < 0.
    """
    arguments = _arguments(right, spot, strike, tau, rate, volatility, dividend_yield)
    values = arguments.output(out)
    values[:] = _evaluate(arguments.columns, collocation(accuracy))[kernel.PRICE]
    return arguments.restore(values) if out is None else out


def exercise_boundary(
    right: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    accuracy: Accuracy = "accurate",
    out: FloatArray | None = None,
) -> Any:
    """The critical spot price, at `tau` years to expiry: a put is exercised at or below it, a call at or above it.

    0 for a put and infinity for a call that is never exercised early; with `tau` or `volatility` zero, the limit. Arguments, result and
    errors as for `american_price`.
    """
    arguments = _arguments(right, strike, strike, tau, rate, volatility, dividend_yield)
    values = arguments.output(out)
    values[:] = _evaluate(arguments.columns, collocation(accuracy))[kernel.BOUNDARY]
    return arguments.restore(values) if out is None else out


def american_greeks(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    accuracy: Accuracy = "accurate",
) -> AmericanGreeks:
    """Price and greeks of an American option; arguments and errors as for `american_price`.

    Delta and gamma are integrals over the exercise boundary, theta follows from the Black–Scholes equation, rho and dividend_rho are
    differences between boundaries iterated to rounding, and vega follows from the scaling τ·V_τ = r·V_r + q·V_q + ½σ·V_σ.
    """
    arguments = _arguments(right, spot, strike, tau, rate, volatility, dividend_yield)
    columns = arguments.columns
    scheme = collocation(accuracy, converged=True)
    price, delta, gamma, boundary = _evaluate(columns, scheme, greeks=True)
    sign, spots, _, taus, rates, volatilities, yields = columns
    stopped = (sign * (spots - boundary) >= 0.0) & (sign * (spots - columns[2]) > 0.0)
    variance = volatilities * volatilities
    theta = rates * price - (rates - yields) * spots * delta - 0.5 * variance * spots * spots * gamma
    theta[stopped] = 0.0
    rho = _rate_derivative(columns, 4, price, scheme)
    dividend_rho = _rate_derivative(columns, 6, price, scheme)
    with np.errstate(divide="ignore", invalid="ignore"):
        vega = -2.0 * (taus * theta + rates * rho + yields * dividend_rho) / volatilities
    vega[stopped | (volatilities * np.sqrt(taus) <= kernel.SMALLEST_ROOT)] = 0.0
    return AmericanGreeks(
        *(arguments.restore(values) for values in (price, delta, gamma, np.maximum(vega, 0.0), theta, rho, dividend_rho))
    )


def _arguments(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike,
) -> Broadcast:
    arguments = broadcast(
        right=right,
        spot=spot,
        strike=strike,
        tau=tau,
        rate=rate,
        volatility=volatility,
        dividend_yield=dividend_yield,
    )
    sign, _, _, _, rates, _, yields = arguments.columns
    double = _has_two_boundaries(sign, rates, yields)
    if double.any():
        flat = int(np.argmax(double))
        index = "" if arguments.is_scalar else str(list(first_index(double.reshape(arguments.shape))))
        right_name, condition = ("call", "rate < dividend_yield < 0") if sign[flat] > 0.0 else ("put", "dividend_yield < rate < 0")
        raise ValueError(
            f"rate{index}: a {right_name} with {condition} has two exercise boundaries, which is not covered; "
            f"was rate {rates[flat]}, dividend_yield {yields[flat]}"
        )
    return arguments


def _has_two_boundaries(sign: FloatArray, rate: FloatArray, dividend_yield: FloatArray) -> NDArray[np.bool_]:
    put_rate = np.where(sign < 0.0, rate, dividend_yield)
    put_yield = np.where(sign < 0.0, dividend_yield, rate)
    return np.asarray((put_rate < 0.0) & (put_yield < put_rate))


def _evaluate(columns: Sequence[FloatArray], scheme: Collocation, *, greeks: bool = False) -> FloatArray:
    table, axes = guess_table()
    out = np.empty((4, columns[0].size))
    kernel.evaluate(greeks, scheme, table, axes, *columns, out)
    return out


def _rate_derivative(columns: tuple[FloatArray, ...], moved: int, price: FloatArray, scheme: Collocation) -> FloatArray:
    """∂/∂r (column 4) or ∂/∂q (column 6): a central difference, one-sided of second order where that would cross r = q or end where two
    boundaries are: on the two sides of r = q the discretisation errors differ."""
    sign, rate, dividend_yield = columns[0], columns[4], columns[6]
    is_above = sign * (rate - dividend_yield) > 0.0

    def shifted(offset: FloatArray) -> list[FloatArray]:
        changed = list(columns)
        changed[moved] = columns[moved] + offset
        return changed

    def is_smooth(offset: float) -> NDArray[np.bool_]:
        r, q = (c[moved_to] for c, moved_to in ((shifted(np.full(rate.shape, offset)), 4), (shifted(np.full(rate.shape, offset)), 6)))
        return ~_has_two_boundaries(sign, r, q) & ((sign * (r - q) > 0.0) == is_above)

    h = RATE_STEP
    is_central = is_smooth(h) & is_smooth(-h)
    direction = np.where(is_smooth(2.0 * h), 1.0, -1.0)
    near = _evaluate(shifted(h * direction), scheme)[kernel.PRICE]
    far = _evaluate(shifted(h * direction * np.where(is_central, -1.0, 2.0)), scheme)[kernel.PRICE]
    one_sided = -3.0 * price + 4.0 * near - far
    return np.asarray(direction * np.where(is_central, near - far, one_sided) / (2.0 * h))
