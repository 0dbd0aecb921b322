"""American options with a continuous dividend yield or cash dividends: prices, greeks, exercise boundary, implied volatility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammaray.pricing import american_kernel as kernel
from gammaray.pricing.american_collocation import Accuracy, Collocation, collocation
from gammaray.pricing.american_dividends import Dividends, dividend_columns, evaluate_with_dividends
from gammaray.pricing.american_guess import guess_table
from gammaray.pricing.american_volatility import invert
from gammaray.pricing.arguments import Broadcast, Domain, FloatArray, broadcast, first_index
from gammaray.pricing.european import Greeks
from gammaray.pricing.implied import ImpliedVolatilityStatus
from gammaray.pricing.threads import in_threads

TAU, RATE, VOLATILITY, YIELD = 3, 4, 5, 6  # places of the columns

Schedule = tuple[FloatArray, FloatArray]  # times and amounts of dividends

RATE_STEP = 5e-5  # of the differences by rate and yield
GRID_STEP = 1e-3  # of the differences by rate, yield and volatility between finite-difference grids
VOLATILITY_TOLERANCE = 1e-11
GRID_VOLATILITY_TOLERANCE = 1e-7


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
    dividends: Dividends | None = None,
    accuracy: Accuracy = "accurate",
    threads: int = 1,
    out: FloatArray | None = None,
) -> Any:
    """Price of an American option under Black–Scholes–Merton.

    The early-exercise premium is integrated over an exercise boundary found by spectral collocation (Andersen, Lake and Offengenden, 2016);
    with cash dividends in the life of an option, the Black–Scholes equation is solved by finite differences, at about a hundred times the cost.

    Args:
        right: 'C' or 'P', +1 or -1, or a bool that is true for a call.
        spot: price of the underlying, dollars.
        strike: dollars.
        tau: years to expiry.
        rate: continuously compounded, per year.
        volatility: per square root of a year.
        dividend_yield: continuous, per year.
        dividends: (time, cash) pairs, years from now and dollars, the same for all options: the underlying falls by the cash at that time.
            Those after an option's expiry do not touch it; one at expiry falls before the payoff.
        accuracy: with dividends, the error for a strike of 100 is about 5e-3, 5e-4 and 1e-4; without, the root mean square
            error of options of up to ten years is 2e-4 for "fast" (1e-5 up to one year), 5e-6 for "accurate" (2e-6), 2e-8 for "high".
        threads: how many threads may share the rows of a large array, without dividends.
        out: C-contiguous float64 array of the broadcast shape to write to.

    Returns:
        Dollars per unit of the underlying, of the broadcast shape; a float where all arguments are scalars.

    Raises:
        ValueError: naming the argument and the first offending index; also for rates with two exercise boundaries, which are a put with
            dividend_yield < rate < 0 and a call with rate < dividend_yield < 0.
    """
    arguments = _arguments(right, spot, strike, tau, rate, volatility, dividend_yield)
    values = arguments.output(out)
    schedule = dividend_columns(dividends) if dividends else None
    values[:] = _prices(arguments.columns, schedule, accuracy, collocation(accuracy), threads=threads)
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
    dividends: Dividends | None = None,
    accuracy: Accuracy = "accurate",
) -> AmericanGreeks:
    """Price and greeks of an American option; arguments and errors as for `american_price`.

    Delta and gamma are integrals over the exercise boundary, theta follows from the Black–Scholes equation, rho and dividend_rho are
    differences between prices with converged boundaries, and vega follows from the scaling τ·V_τ = r·V_r + q·V_q + ½σ·V_σ. With dividends,
    delta and gamma are those of the grid, and vega, rho and dividend_rho differences between prices on the same grid.
    """
    arguments = _arguments(right, spot, strike, tau, rate, volatility, dividend_yield)
    columns = arguments.columns
    scheme = collocation(accuracy, converged=True)
    if not dividends:
        results = _yield_greeks(columns, scheme)
    else:
        schedule = dividend_columns(dividends)
        paying = _is_paying(columns, schedule)
        results = np.empty((7, arguments.size))
        results[:, ~paying] = _yield_greeks(_rows(columns, ~paying), scheme)
        results[:, paying] = _dividend_greeks(_rows(columns, paying), schedule, accuracy)
    return AmericanGreeks(*(arguments.restore(np.ascontiguousarray(row)) for row in results))


def american_implied_volatility(
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    dividends: Dividends | None = None,
    accuracy: Accuracy = "accurate",
    return_status: bool = False,
    out: FloatArray | None = None,
) -> Any:
    """The volatility at which `american_price` gives `price`; NaN where there is none, 0 where the price is that of immediate exercise.

    Args:
        price: dollars per unit of the underlying; the other arguments as for `american_price`.
        return_status: give also an `ImpliedVolatilityStatus` for each row (an int8 array; the member itself for scalars). Rates with two
            exercise boundaries are OUT_OF_DOMAIN.

    Raises:
        ValueError: for an unknown `right`, shapes that do not broadcast or arguments that are not numbers; never for the values of a row.
    """
    arguments = broadcast(
        domains=dict.fromkeys(("price", "spot", "strike", "tau", "rate", "dividend_yield"), Domain.ANY),
        price=price,
        right=right,
        spot=spot,
        strike=strike,
        tau=tau,
        rate=rate,
        dividend_yield=dividend_yield,
    )
    prices, sign, spots, strikes, taus, rates, yields = arguments.columns
    scheme = collocation(accuracy, converged=True)
    schedule = dividend_columns(dividends) if dividends else None

    def price_rows(rows: NDArray[np.intp], volatility: FloatArray) -> FloatArray:
        at = (sign[rows], spots[rows], strikes[rows], taus[rows], rates[rows], volatility, yields[rows])
        return _prices(at, schedule, accuracy, scheme)

    excluded = _has_two_boundaries(sign, rates, yields)
    tolerance = VOLATILITY_TOLERANCE if schedule is None else GRID_VOLATILITY_TOLERANCE
    volatility, status = invert(price_rows, prices, sign, spots, strikes, taus, rates, yields, excluded, tolerance)
    values = arguments.output(out)
    values[:] = volatility
    result = arguments.restore(values) if out is None else out
    if not return_status:
        return result
    if arguments.is_scalar:
        return result, ImpliedVolatilityStatus(int(status[0]))
    return result, status.reshape(arguments.shape)


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
        right_name, condition = (
            ("call", "rate < dividend_yield < 0") if sign[flat] > 0.0 else ("put", "dividend_yield < rate < 0")
        )
        raise ValueError(
            f"rate{index}: a {right_name} with {condition} has two exercise boundaries, which is not covered; "
            f"was rate {rates[flat]}, dividend_yield {yields[flat]}"
        )
    return arguments


def _has_two_boundaries(sign: FloatArray, rate: FloatArray, dividend_yield: FloatArray) -> NDArray[np.bool_]:
    put_rate = np.where(sign < 0.0, rate, dividend_yield)
    put_yield = np.where(sign < 0.0, dividend_yield, rate)
    return np.asarray((put_rate < 0.0) & (put_yield < put_rate))


def _evaluate(
    columns: Sequence[FloatArray], scheme: Collocation, *, greeks: bool = False, threads: int = 1
) -> FloatArray:
    """Price, delta, gamma and critical spot price, shape (4, n); delta and gamma are undefined without `greeks`."""
    table, axes = guess_table()
    sign, spot, strike, tau, rate, volatility, dividend_yield = columns
    out = np.empty((4, sign.size))

    def rows(start: int, stop: int) -> None:
        kernel.evaluate(
            greeks, scheme, table, axes, sign, spot, strike, tau, rate, volatility, dividend_yield, start, stop, out
        )

    in_threads(rows, sign.size, threads)
    return out


def _is_paying(columns: Sequence[FloatArray], schedule: Schedule) -> NDArray[np.bool_]:
    """Whether a dividend falls in an option's life."""
    return np.asarray(columns[TAU] >= schedule[0][0])


def _rows(columns: Sequence[FloatArray], mask: NDArray[np.bool_]) -> tuple[FloatArray, ...]:
    return tuple(column[mask] for column in columns)


def _prices(
    columns: Sequence[FloatArray],
    schedule: Schedule | None,
    accuracy: Accuracy,
    scheme: Collocation,
    *,
    threads: int = 1,
) -> FloatArray:
    """Prices by finite differences of the options with a dividend in their life, by collocation of the others."""
    paying = _is_paying(columns, schedule) if schedule is not None else np.zeros(columns[0].size, dtype=np.bool_)
    if schedule is None or not paying.any():
        return np.asarray(_evaluate(columns, scheme, threads=threads)[kernel.PRICE])
    prices = np.empty(paying.size)
    prices[paying] = evaluate_with_dividends(_rows(columns, paying), *schedule, accuracy)[0]
    if not paying.all():
        prices[~paying] = _evaluate(_rows(columns, ~paying), scheme, threads=threads)[kernel.PRICE]
    return prices


def _yield_greeks(columns: tuple[FloatArray, ...], scheme: Collocation) -> FloatArray:
    """Price, delta, gamma, vega, theta, rho and dividend_rho, shape (7, n), without dividends."""
    sign, spot, strike, tau, rate, volatility, dividend_yield = columns
    price, delta, gamma, boundary = _evaluate(columns, scheme, greeks=True)
    stopped = (sign * (spot - boundary) >= 0.0) & (sign * (spot - strike) > 0.0)
    theta = _theta(columns, price, delta, gamma, stopped)
    rho = _rate_derivative(columns, RATE, price, scheme)
    dividend_rho = _rate_derivative(columns, YIELD, price, scheme)
    with np.errstate(divide="ignore", invalid="ignore"):
        vega = -2.0 * (tau * theta + rate * rho + dividend_yield * dividend_rho) / volatility
    vega[volatility * np.sqrt(tau) <= kernel.SMALLEST_ROOT] = 0.0
    return np.stack([price, delta, gamma, *_unless(stopped, np.maximum(vega, 0.0), theta, rho, dividend_rho)])


def _dividend_greeks(columns: tuple[FloatArray, ...], schedule: Schedule, accuracy: Accuracy) -> FloatArray:
    """Price, delta, gamma, vega, theta, rho and dividend_rho, shape (7, n), with dividends."""
    sign, spot, strike = columns[:3]
    price, delta, gamma = evaluate_with_dividends(columns, *schedule, accuracy)
    stopped = (sign * (spot - strike) > 0.0) & (price <= sign * (spot - strike))
    theta = _theta(columns, price, delta, gamma, stopped)
    rho, vega, dividend_rho = (
        _grid_derivative(columns, moved, schedule, accuracy) for moved in (RATE, VOLATILITY, YIELD)
    )
    return np.stack([price, delta, gamma, *_unless(stopped, np.maximum(vega, 0.0), theta, rho, dividend_rho)])


def _theta(
    columns: tuple[FloatArray, ...], price: FloatArray, delta: FloatArray, gamma: FloatArray, stopped: NDArray[np.bool_]
) -> FloatArray:
    """By the Black–Scholes equation; 0 where the option is to be exercised at once or worth nothing."""
    _, spot, _, _, rate, volatility, dividend_yield = columns
    theta = rate * price - (rate - dividend_yield) * spot * delta - 0.5 * (volatility * spot) ** 2 * gamma
    return np.where(stopped | (price == 0.0), 0.0, theta)


def _unless(stopped: NDArray[np.bool_], *sensitivities: FloatArray) -> list[FloatArray]:
    return [np.where(stopped, 0.0, sensitivity) for sensitivity in sensitivities]


def _grid_derivative(columns: tuple[FloatArray, ...], moved: int, schedule: Schedule, accuracy: Accuracy) -> FloatArray:
    """A central difference by one column; by volatility, one-sided where it is below the step."""
    shift = np.full(columns[0].size, GRID_STEP)
    down = np.minimum(shift, columns[moved]) if moved == VOLATILITY else shift
    ends = []
    for offset in (shift, -down):
        changed = list(columns)
        changed[moved] = columns[moved] + offset
        ends.append(evaluate_with_dividends(changed, *schedule, accuracy, grid_columns=columns)[0])
    return np.asarray((ends[0] - ends[1]) / (shift + down))


def _rate_derivative(columns: tuple[FloatArray, ...], moved: int, price: FloatArray, scheme: Collocation) -> FloatArray:
    """∂/∂r or ∂/∂q, the column `moved`: a central difference, one-sided of second order where that would cross r = q or end where two
    boundaries are: on the two sides of r = q the discretisation errors differ."""
    sign, rate, dividend_yield = columns[0], columns[RATE], columns[YIELD]
    is_above = sign * (rate - dividend_yield) > 0.0

    def shifted(offset: FloatArray) -> list[FloatArray]:
        changed = list(columns)
        changed[moved] = columns[moved] + offset
        return changed

    def is_smooth(offset: float) -> NDArray[np.bool_]:
        changed = shifted(np.full(rate.size, offset))
        r, q = changed[RATE], changed[YIELD]
        return np.asarray(~_has_two_boundaries(sign, r, q) & ((sign * (r - q) > 0.0) == is_above))

    h = RATE_STEP
    is_central = is_smooth(h) & is_smooth(-h)
    direction = np.where(is_smooth(2.0 * h), 1.0, -1.0)
    near = _evaluate(shifted(h * direction), scheme)[kernel.PRICE]
    far = _evaluate(shifted(h * direction * np.where(is_central, -1.0, 2.0)), scheme)[kernel.PRICE]
    one_sided = -3.0 * price + 4.0 * near - far
    return np.asarray(direction * np.where(is_central, near - far, one_sided) / (2.0 * h))
