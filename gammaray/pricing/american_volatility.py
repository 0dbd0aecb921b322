"""Implied volatility of American options: safeguarded secant steps over whole columns of prices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.implied import ImpliedVolatilityStatus, implied_volatility

PriceRows = Callable[[NDArray[np.intp], FloatArray], FloatArray]
"""The prices of the given rows at the given volatilities."""

LARGEST_DEVIATION = 50.0  # σ√τ at which the price has reached its bound
_MAX_STEPS = 100


def invert(
    prices: PriceRows,
    price: FloatArray,
    sign: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    excluded: NDArray[np.bool_],
    tolerance: float,
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Volatility and `ImpliedVolatilityStatus` of every row, by the pricer `prices`, which must not decrease in volatility.

    Rows `excluded` are out of the pricer's domain. The price at volatility zero is asked of the pricer; a row at or within rounding of it
    has volatility 0, status AT_INTRINSIC: any volatility up to the least that delays exercise gives this price. `tolerance` is relative.
    """
    volatility = np.full(price.size, np.nan)
    status = np.full(price.size, int(ImpliedVolatilityStatus.OK), dtype=np.int8)
    finite = np.isfinite(price + spot + strike + tau + rate + dividend_yield)
    inside = (spot > 0.0) & (strike > 0.0) & (tau > 0.0) & ~excluded
    status[~inside] = ImpliedVolatilityStatus.OUT_OF_DOMAIN
    status[~finite] = ImpliedVolatilityStatus.NOT_FINITE
    rows = np.flatnonzero(finite & inside)
    least = prices(rows, np.zeros(rows.size))
    with np.errstate(over="ignore"):
        bound = np.where(
            sign[rows] > 0.0,
            spot[rows] * np.exp(np.maximum(-dividend_yield[rows] * tau[rows], 0.0)),
            strike[rows] * np.exp(np.maximum(-rate[rows] * tau[rows], 0.0)),
        )
    excess = price[rows] - least
    rounding = 1e-14 * (spot[rows] + strike[rows])
    status[rows[price[rows] >= bound]] = ImpliedVolatilityStatus.ABOVE_BOUND
    at_least = np.abs(excess) <= rounding
    status[rows[at_least]] = ImpliedVolatilityStatus.AT_INTRINSIC
    volatility[rows[at_least]] = 0.0
    status[rows[excess < -rounding]] = ImpliedVolatilityStatus.BELOW_INTRINSIC
    rows = rows[(price[rows] < bound) & (excess > rounding)]
    if rows.size:
        volatility[rows] = _search(prices, price, sign, spot, strike, tau, rate, dividend_yield, rows, tolerance)
        unreached = rows[np.isnan(volatility[rows])]
        status[unreached] = ImpliedVolatilityStatus.ABOVE_BOUND
    return volatility, status


def _search(
    prices: PriceRows,
    price: FloatArray,
    sign: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
    rows: NDArray[np.intp],
    tolerance: float,
) -> FloatArray:
    target = price[rows]
    root = np.sqrt(tau[rows])
    # The European volatility is not below the American one, which is worth more at the same volatility.
    x = implied_volatility(target, sign[rows], spot[rows], strike[rows], tau[rows], rate[rows], dividend_yield[rows])
    x = np.where(np.isfinite(x) & (x > 0.0), x, 1.0 / root)
    low = np.zeros(rows.size)
    high = LARGEST_DEVIATION / root
    x = np.minimum(x, 0.5 * high)
    vega = _european_vega(x, spot[rows], strike[rows], tau[rows], rate[rows], dividend_yield[rows])
    previous, previous_gap = x.copy(), np.zeros(rows.size)
    result = np.full(rows.size, np.nan)
    active = np.arange(rows.size)
    for step in range(_MAX_STEPS):
        now = x[active]
        gap = prices(rows[active], now) - target[active]
        above = gap >= 0.0
        high[active] = np.where(above, now, high[active])
        low[active] = np.where(above, low[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            if step == 0:
                slope = vega
            else:
                slope = (gap - previous_gap[active]) / (now - previous[active])
            proposal = now - gap / slope
        lower, upper = low[active], high[active]
        # Every third step halves the bracket unless the secant has come close, so that flat prices cannot stall it.
        wide = (step % 3 == 2) & (upper - lower > 0.1 * upper)
        fallback = np.where(upper * root[active] >= LARGEST_DEVIATION, 2.0 * now, 0.5 * (lower + upper))
        accepted = (proposal > lower) & (proposal < upper) & ~wide
        settled = accepted & (np.abs(proposal - now) <= tolerance * now)
        settled |= (gap == 0.0) | (upper - lower <= tolerance * upper)
        proposal = np.where(accepted, proposal, fallback)
        previous[active], previous_gap[active] = now, gap
        x[active] = np.where(gap == 0.0, now, proposal)
        done = active[settled]
        result[done] = x[done]
        exhausted = lower * root[active] >= 0.5 * LARGEST_DEVIATION
        active = active[~(settled | exhausted)]
        if active.size == 0:
            break
    else:
        result[active] = 0.5 * (low[active] + high[active])
    return result


def _european_vega(
    volatility: FloatArray,
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    dividend_yield: FloatArray,
) -> FloatArray:
    root = volatility * np.sqrt(tau)
    d = (np.log(spot / strike) + (rate - dividend_yield) * tau) / root + 0.5 * root
    return np.asarray(spot * np.exp(-dividend_yield * tau - 0.5 * d * d) * np.sqrt(tau / (2.0 * np.pi)))
