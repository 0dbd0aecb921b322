"""European options under the stochastic volatility model of Heston (1993): prices and calibration.

dS/S = (r − q)dt + √v dW,   dv = κ(θ − v)dt + σ√v dZ,   dW dZ = ρ dt
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gammaray.pricing.arguments import Broadcast, Domain, FloatArray, broadcast
from gammaray.pricing.european import price_forward
from gammaray.pricing.heston_kernel import lewis_integrals
from gammaray.pricing.implied import implied_volatility


@dataclass(frozen=True, slots=True)
class HestonParameters:
    """The five parameters; variances and κ per year, σ per year, all finite, none negative but ρ in [-1, 1].

    Raises ValueError naming the parameter that is out of its domain.
    """

    initial_variance: float
    mean_reversion: float
    long_run_variance: float
    volatility_of_variance: float
    correlation: float

    def __post_init__(self) -> None:
        for name in ("initial_variance", "mean_reversion", "long_run_variance", "volatility_of_variance"):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{name}: expected finite and not negative, was {value}")
        if not -1.0 <= self.correlation <= 1.0:
            raise ValueError(f"correlation: expected a number in [-1, 1], was {self.correlation}")

    @property
    def satisfies_feller(self) -> bool:
        """Whether 2κθ ≥ σ², so that the variance never reaches zero."""
        return 2.0 * self.mean_reversion * self.long_run_variance >= self.volatility_of_variance**2

    def expected_variance(self, tau: float) -> float:
        """E[∫₀^τ v dt], the fair total variance of a variance swap."""
        decay = self.mean_reversion * tau
        weight = -math.expm1(-decay) / decay if decay > 1e-12 else 1.0
        return tau * (self.long_run_variance + (self.initial_variance - self.long_run_variance) * weight)


@dataclass(frozen=True, slots=True)
class HestonFit:
    """Result of `calibrate`."""

    parameters: HestonParameters
    rmse: float
    """Weighted root mean square difference of implied volatility, model less market, over the options used."""
    volatility_error: Any
    """Model less market implied volatility of every option, NaN where the market price has none."""
    iterations: int
    converged: bool


def price(
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    parameters: HestonParameters,
    dividend_yield: ArrayLike = 0.0,
    *,
    out: FloatArray | None = None,
) -> Any:
    """Price of a European option, to about 1e-12 of the strike; options of like `tau` share the characteristic function.

    Where the integral would need more than `heston_kernel.LARGEST_NODES` nodes it ends there: with a volatility of variance near 3, variances
    of 0.0025 and a correlation of -0.99, the error is about 1e-7.

    Arguments, shapes and errors as for `gammaray.pricing.price`.
    """
    arguments = broadcast(right=right, spot=spot, strike=strike, tau=tau, rate=rate, dividend_yield=dividend_yield)
    values = arguments.output(out)
    values[:] = _price(arguments, parameters)
    return arguments.restore(values) if out is None else out


def calibrate(
    market_price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    *,
    weights: ArrayLike = 1.0,
    guess: HestonParameters | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
) -> HestonFit:
    """The parameters that fit market prices best: weighted least squares in implied volatility, by Levenberg–Marquardt.

    The difference of volatility is taken as that of price over vega at the market's volatility; the parameters are searched in log κ, log of the
    variances and of σ, and artanh ρ. Options without an implied volatility or with a negligible vega are left out.

    Args:
        market_price: dollars; the other arguments as for `price`.
        weights: of the squared differences of volatility, not negative.
        guess: where the search starts; from the at-the-money volatilities by default.
        tolerance: stop where an accepted step changes no search variable by more than this share.

    Raises:
        ValueError: as for `price`, or where fewer than five options can be used.
    """
    arguments = broadcast(
        domains={"market_price": Domain.ANY, "weights": Domain.NON_NEGATIVE},
        right=right,
        spot=spot,
        strike=strike,
        tau=tau,
        rate=rate,
        dividend_yield=dividend_yield,
        market_price=market_price,
        weights=weights,
    )
    sign, spots, strikes, taus, rates, yields, prices, weight = arguments.columns
    volatility = np.asarray(implied_volatility(prices, sign, spots, strikes, taus, rates, yields))
    with np.errstate(divide="ignore", invalid="ignore"):
        root = volatility * np.sqrt(taus)
        d = (np.log(spots / strikes) + (rates - yields) * taus) / root + 0.5 * root
        vega = spots * np.exp(-yields * taus - 0.5 * d * d) * np.sqrt(taus / (2.0 * np.pi))
    used = np.isfinite(vega) & (vega > 1e-4 * spots * np.sqrt(taus)) & (weight > 0.0)
    if np.count_nonzero(used) < 5:
        raise ValueError(
            f"market_price: expected at least five options with an implied volatility, was {np.count_nonzero(used)}"
        )
    chain = broadcast(
        right=sign[used],
        spot=spots[used],
        strike=strikes[used],
        tau=taus[used],
        rate=rates[used],
        dividend_yield=yields[used],
    )
    scale = np.sqrt(weight[used] / weight[used].sum()) / vega[used]

    def residuals(search: FloatArray) -> FloatArray:
        return np.asarray((_price(chain, _from_search(search)) - prices[used]) * scale)

    start = guess or _first_guess(volatility[used], taus[used], np.abs(np.log(spots / strikes)[used]))
    search, iterations, converged = _levenberg_marquardt(residuals, _to_search(start), tolerance, max_iterations)
    parameters = _from_search(search)
    model = np.asarray(implied_volatility(_price(arguments, parameters), sign, spots, strikes, taus, rates, yields))
    error = np.where(np.isfinite(volatility), model - volatility, np.nan)
    rmse = math.sqrt(float(np.nansum(weight[used] * error[used] ** 2) / weight[used].sum()))
    return HestonFit(parameters, rmse, arguments.restore(error), iterations, converged)


def _price(arguments: Broadcast, parameters: HestonParameters) -> FloatArray:
    sign, spots, strikes, taus, rates, yields = arguments.columns[:6]
    values = np.empty(arguments.size)
    for tau, rows in _expiries(taus):
        variance = parameters.expected_variance(tau)
        spot, strike = spots[rows], strikes[rows]
        discount = np.exp(-rates[rows] * tau)
        forward = spot * np.exp((rates[rows] - yields[rows]) * tau)
        control = math.sqrt(variance / tau) if tau > 0.0 else 0.0
        values[rows] = price_forward(sign[rows], forward, strike, tau, discount, control)
        stochastic = rows[(spot > 0.0) & (strike > 0.0)] if variance > 0.0 else rows[:0]
        if stochastic.size == 0 or parameters.volatility_of_variance == 0.0:
            continue
        inside = (spot > 0.0) & (strike > 0.0)
        scale = discount[inside] * np.sqrt(forward[inside] * strike[inside])
        integrals = np.empty(stochastic.size)
        v0, kappa, theta, sigma, rho = astuple(parameters)
        log_moneyness = np.log(forward[inside] / strike[inside])
        lewis_integrals(log_moneyness, variance, tau, v0, kappa, theta, sigma, rho, integrals)
        least = np.maximum(sign[stochastic] * (forward - strike)[inside], 0.0) * discount[inside]
        values[stochastic] = np.maximum(values[stochastic] - scale * integrals, least)
    return values


def _expiries(taus: FloatArray) -> list[tuple[float, Any]]:
    if taus.size and (taus == taus[0]).all():
        return [(float(taus[0]), np.arange(taus.size))]
    order = np.argsort(taus, kind="stable")
    starts = np.flatnonzero(np.diff(taus[order], prepend=-1.0))
    return [(float(taus[rows[0]]), rows) for rows in np.split(order, starts[1:]) if rows.size]


def _to_search(p: HestonParameters) -> FloatArray:
    positive = np.maximum([p.initial_variance, p.mean_reversion, p.long_run_variance, p.volatility_of_variance], 1e-8)
    return np.append(np.log(positive), np.arctanh(np.clip(p.correlation, -0.99, 0.99)))


def _from_search(search: FloatArray) -> HestonParameters:
    bounded = np.clip(search, _LEAST, _LARGEST)
    v0, kappa, theta, sigma = np.exp(bounded[:4])
    return HestonParameters(float(v0), float(kappa), float(theta), float(sigma), float(np.tanh(bounded[4])))


_LEAST = np.array([*np.log([1e-5, 1e-3, 1e-5, 1e-3]), -2.65])
_LARGEST = np.array([*np.log([4.0, 50.0, 4.0, 5.0]), 2.65])
_LARGEST_STEP = 0.7  # of a search variable: a first step across the whole domain ends where the integrals are long


def _first_guess(volatility: FloatArray, tau: FloatArray, moneyness: FloatArray) -> HestonParameters:
    """The at-the-money variances of the first and last expiry, a half-life of about half a year and an equity-like correlation."""
    near, far = (
        rows[np.argmin(moneyness[rows])]
        for rows in (np.flatnonzero(tau == tau.min()), np.flatnonzero(tau == tau.max()))
    )
    return HestonParameters(
        float(volatility[near] ** 2), 1.5, float(volatility[far] ** 2), float(volatility[near]) * 2.5, -0.6
    )


def _levenberg_marquardt(
    residuals: Any, start: FloatArray, tolerance: float, max_iterations: int
) -> tuple[FloatArray, int, bool]:
    """Marquardt's damping with Nielsen's update; the Jacobian by forward differences. Gives the point, the steps taken and whether it settled."""
    point = np.clip(start, _LEAST, _LARGEST)
    value = residuals(point)
    cost = float(value @ value)
    damping, growth = 1e-3, 2.0
    for iteration in range(1, max_iterations + 1):
        jacobian = np.empty((value.size, point.size))
        for j in range(point.size):
            moved = point.copy()
            change = 1e-6 if moved[j] + 1e-6 <= _LARGEST[j] else -1e-6
            moved[j] += change
            jacobian[:, j] = (residuals(moved) - value) / change
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ value
        while True:
            scaled = normal + damping * np.diag(np.maximum(np.diag(normal), 1e-12))
            step = np.clip(np.linalg.solve(scaled, gradient), -_LARGEST_STEP, _LARGEST_STEP)
            trial = np.clip(point - step, _LEAST, _LARGEST)
            change = np.abs(trial - point).max()
            trial_value = residuals(trial)
            trial_cost = float(trial_value @ trial_value)
            if trial_cost < cost:
                point, value, cost = trial, trial_value, trial_cost
                damping, growth = max(damping / 5.0, 1e-12), 2.0
                break
            damping, growth = damping * growth, growth * 2.0
            if damping > 1e12 or change <= tolerance:
                return point, iteration, True
        if change <= tolerance * (1.0 + np.abs(point).max()):
            return point, iteration, True
    return point, max_iterations, False
