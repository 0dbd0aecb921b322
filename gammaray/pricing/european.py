"""European options under Black–Scholes–Merton and Black-76: prices and their derivatives in closed form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from gammaray.pricing import black
from gammaray.pricing.arguments import Broadcast, FloatArray, broadcast
from gammaray.pricing.threads import in_threads

_ZERO = np.zeros(1)


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and first-order greeks with gamma, each an array of the broadcast shape (a float for scalars).

    Vega and rho are per 1.00 of volatility and rate, theta per year of calendar time (−∂/∂τ).
    """

    price: Any
    delta: Any
    gamma: Any
    vega: Any
    theta: Any
    rho: Any


@dataclass(frozen=True, slots=True)
class SecondOrderGreeks(Greeks):
    """`Greeks` and: dividend_rho ∂/∂q, vanna ∂²/∂S∂σ, volga ∂²/∂σ², charm −∂delta/∂τ, veta ∂vega/∂τ, dual_delta ∂/∂K, dual_gamma ∂²/∂K²."""

    dividend_rho: Any
    vanna: Any
    volga: Any
    charm: Any
    veta: Any
    dual_delta: Any
    dual_gamma: Any


@dataclass(frozen=True, slots=True)
class ThirdOrderGreeks(SecondOrderGreeks):
    """`SecondOrderGreeks` and: speed ∂gamma/∂S, zomma ∂gamma/∂σ, color −∂gamma/∂τ, ultima ∂volga/∂σ."""

    speed: Any
    zomma: Any
    color: Any
    ultima: Any


_RESULTS: tuple[type[Greeks], ...] = (Greeks, SecondOrderGreeks, ThirdOrderGreeks)


def price(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    out: FloatArray | None = None,
    threads: int = 1,
) -> Any:
    """Black–Scholes–Merton price of a European option.

    Args:
        right: 'C' or 'P', +1 or -1, or a bool that is true for a call.
        spot: price of the underlying, dollars.
        strike: dollars.
        tau: years to expiry.
        rate: continuously compounded, per year.
        volatility: per square root of a year.
        dividend_yield: continuous, per year.
        out: C-contiguous float64 array of the broadcast shape to write to; what it holds after an error is undefined.
        threads: how many threads may share the rows of a large array.

    Returns:
        Dollars per unit of the underlying, of the broadcast shape; a float where all arguments are scalars.

    Raises:
        ValueError: naming the argument and the first offending index.
    """
    inputs = broadcast(
        expand=False,
        check=False,
        right=right,
        spot=spot,
        strike=strike,
        tau=tau,
        rate=rate,
        volatility=volatility,
        dividend_yield=dividend_yield,
    )
    values = inputs.output(out)
    _evaluate(0, inputs, values.reshape(1, -1), threads)
    return inputs.restore(values) if out is None else out


def price_forward(
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    volatility: ArrayLike,
    *,
    out: FloatArray | None = None,
    threads: int = 1,
) -> Any:
    """Black-76 price of a European option on a forward: discount·E[max(±(F − K), 0)].

    `forward` and `strike` in dollars, `tau` in years, `discount` the price of one dollar paid at expiry; returns and raises as `price`.
    """
    inputs = broadcast(
        expand=False,
        right=right,
        forward=forward,
        strike=strike,
        tau=tau,
        discount=discount,
        volatility=volatility,
    )
    sign, forwards, strikes, taus, discounts, volatilities = inputs.columns
    values = inputs.output(out)
    planes = values.reshape(1, -1)

    def rows(start: int, stop: int) -> int:
        return black.evaluate(0, sign, forwards, strikes, taus, _ZERO, volatilities, _ZERO, start, stop, planes)

    in_threads(rows, inputs.size, threads)
    values *= discounts
    return inputs.restore(values) if out is None else out


@overload
def greeks(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    order: Literal[1] = 1,
    out: FloatArray | None = None,
    threads: int = 1,
) -> Greeks: ...


@overload
def greeks(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    order: Literal[2],
    out: FloatArray | None = None,
    threads: int = 1,
) -> SecondOrderGreeks: ...


@overload
def greeks(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    order: Literal[3],
    out: FloatArray | None = None,
    threads: int = 1,
) -> ThirdOrderGreeks: ...


def greeks(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    order: int = 1,
    out: FloatArray | None = None,
    threads: int = 1,
) -> Greeks:
    """Price and greeks of a European option in one pass; arguments and errors as for `price`.

    Args:
        order: 1 for price, delta, gamma, vega, theta, rho; 2 for the cross and dual greeks too; 3 for all sixteen.
        out: C-contiguous float64 array of shape (6, 13 or 17, *broadcast shape) that the fields of the result share.

    Where σ√τ = 0 or the spot is zero, the greeks are those of the discounted intrinsic value; exactly on its kink delta is the mean of both
    sides and gamma is infinite.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order: expected 1, 2 or 3, was {order!r}")
    inputs = broadcast(
        expand=False,
        check=False,
        right=right,
        spot=spot,
        strike=strike,
        tau=tau,
        rate=rate,
        volatility=volatility,
        dividend_yield=dividend_yield,
    )
    result = _RESULTS[order - 1]
    planes = inputs.output(out, results=len(fields(result)))
    _evaluate(order, inputs, planes, threads)
    return result(*(inputs.restore(plane) for plane in planes))


def _evaluate(order: int, inputs: Broadcast, planes: FloatArray, threads: int) -> None:
    sign, spot, strike, tau, rate, volatility, dividend_yield = inputs.columns

    def rows(start: int, stop: int) -> int:
        return black.evaluate(order, sign, spot, strike, tau, rate, volatility, dividend_yield, start, stop, planes)

    invalid = max(in_threads(rows, inputs.size, threads))
    if invalid >= 0:
        inputs.check()
        index = tuple(map(int, np.unravel_index(invalid, inputs.shape)))
        raise ValueError(f"spot·exp(−dividend_yield·tau) or strike·exp(−rate·tau) is beyond float64 at index {index}")
