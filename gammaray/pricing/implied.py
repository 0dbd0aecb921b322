"""Black–Scholes implied volatility of European options, to the last bits that the price determines."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from gammaray.pricing import implied_kernel
from gammaray.pricing.arguments import FloatArray, broadcast
from gammaray.pricing.threads import in_threads


class ImpliedVolatilityStatus(IntEnum):
    """Why `implied_volatility` gave the value it gave; all but the first two come with NaN."""

    OK = implied_kernel.OK
    AT_INTRINSIC = implied_kernel.AT_INTRINSIC
    """The price is the discounted intrinsic value: the volatility is 0.0, the least that gives this price."""
    BELOW_INTRINSIC = implied_kernel.BELOW_INTRINSIC
    """The price is below max(±(S·e^(−qτ) − K·e^(−rτ)), 0)."""
    ABOVE_BOUND = implied_kernel.ABOVE_BOUND
    """The price is not below S·e^(−qτ) for a call, K·e^(−rτ) for a put."""
    NOT_FINITE = implied_kernel.NOT_FINITE
    """An argument of the row is NaN or infinite."""
    OUT_OF_DOMAIN = implied_kernel.OUT_OF_DOMAIN
    """The spot, strike or time to expiry of the row is not positive."""


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
    threads: int = 1,
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
    threads: int = 1,
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
    threads: int = 1,
) -> Any:
    """The volatility at which `gammaray.pricing.price` gives `price`; NaN where there is none.

    Args:
        price: dollars per unit of the underlying; the other arguments as for `gammaray.pricing.price`.
        return_status: give also an `ImpliedVolatilityStatus` for each row (an int8 array; the member itself for scalars).
        out: C-contiguous float64 array of the broadcast shape to write to.
        threads: how many threads may share the rows of a large array.

    Raises:
        ValueError: for an unknown `right`, shapes that do not broadcast or arguments that are not numbers; never for the values of a row.
    """
    arguments = broadcast(
        check=False,
        expand=False,
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

    def rows(start: int, stop: int) -> None:
        implied_kernel.solve(prices, sign, spots, strikes, taus, rates, yields, start, stop, values, status)

    in_threads(rows, arguments.size, threads)
    result = arguments.restore(values) if out is None else out
    if not return_status:
        return result
    if arguments.is_scalar:
        return result, ImpliedVolatilityStatus(int(status[0]))
    return result, status.reshape(arguments.shape)
