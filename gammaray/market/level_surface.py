"""A parametric implied-volatility surface, free of static arbitrage, whose level follows a volatility index.

Surface SSVI (Gatheral & Jacquier 2014, "Arbitrage-free SVI volatility surfaces"): total variance

    w(k, τ) = θ/2 · (1 + ρ φ(θ) k + √((φ(θ) k + ρ)² + 1 − ρ²)),   φ(θ) = η / (θ^γ (1 + θ)^(1−γ)),

with 0 < γ ≤ 1/2 and η(1 + |ρ|) ≤ 2 (their remark 4.4: no butterfly and no calendar arbitrage), and at-the-money total variance
θ(τ) = ∫₀^τ of a forward variance that reverts exponentially to a long-run value: θ increases, volatilities slope upward at a low level and
are inverted at a high one.
The simulated exchange quotes from it and the history importer rebuilds past records from it, so the two agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

FloatArray = NDArray[np.float64]

_MONTH = 30 / 365
_QUARTER = 90 / 365
_MINIMUM_TAU = 1e-8
# Log-moneyness of the variance strip in standard deviations of the index level; wide enough for the put wing of a steep skew.
_STRIP = np.linspace(-14.0, 8.0, 441)


@dataclass(frozen=True, slots=True)
class SurfaceShape:
    """What of the surface does not follow the level.

    rho, eta, gamma: SSVI's skew, curvature and its decay. reversion: speed (1/year) at which forward variance reverts. mean: volatility to which it
    reverts in the long run. pull: weight of the current level in that long-run volatility. The defaults are near S&P 500 options of 2013–2018:
    a skew of about −0.75 per unit of log-moneyness at 30 days. Raises ValueError, naming the field, outside the bounds without arbitrage.
    """

    rho: float = -0.72
    eta: float = 1.0
    gamma: float = 0.42
    reversion: float = 3.0
    mean: float = 0.165
    pull: float = 0.4

    def __post_init__(self) -> None:
        if not -1.0 < self.rho < 1.0:
            raise ValueError(f"rho: expected a correlation inside (-1, 1), was {self.rho}")
        if not 0.0 < self.gamma <= 0.5:
            raise ValueError(f"gamma: expected a value in (0, 0.5], was {self.gamma}")
        if not 0.0 < self.eta * (1.0 + abs(self.rho)) <= 2.0:
            raise ValueError(f"eta: eta (1 + |rho|) must be in (0, 2], was {self.eta * (1.0 + abs(self.rho))}")
        if not self.reversion > 0.0:
            raise ValueError(f"reversion: must be positive, was {self.reversion}")
        if not self.mean > 0.0:
            raise ValueError(f"mean: must be positive, was {self.mean}")
        if not 0.0 <= self.pull <= 1.0:
            raise ValueError(f"pull: expected a weight in [0, 1], was {self.pull}")


@dataclass(frozen=True, slots=True)
class SurfaceFactors:
    """The few numbers that describe a surface. Volatilities are annual.

    skew_25d: volatility of the 25-delta put less that of the 25-delta call at 30 days. term_slope: atm_90d − atm_30d.
    """

    atm_30d: float
    atm_90d: float
    skew_25d: float
    term_slope: float


DEFAULT_SHAPE = SurfaceShape()


class LevelSurface:
    """The surface whose 30-day variance-swap volatility (what VIX measures) is `level`.

    level: annual volatility as a fraction (a VIX of 13.5 is 0.135). Raises ValueError, naming it, unless 0.01 ≤ level ≤ 3.
    """

    def __init__(self, level: float, shape: SurfaceShape = DEFAULT_SHAPE) -> None:
        if not 0.01 <= level <= 3.0:
            raise ValueError(f"level: expected an annual volatility from 0.01 to 3, was {level}")
        self.level = float(level)
        self.shape = shape
        self._long_run = 0.0
        self._instant = 0.0
        self._calibrate()

    def _set_month(self, volatility: float) -> None:
        """Set the forward-variance curve that gives this at-the-money volatility at 30 days."""
        shape = self.shape
        month = volatility**2
        averaging = -np.expm1(-shape.reversion * _MONTH) / (shape.reversion * _MONTH)
        long_run = (shape.pull * volatility + (1.0 - shape.pull) * shape.mean) ** 2
        # Instantaneous variance stays above a fifth of the month's, whatever the long-run value asks for.
        long_run = min(long_run, month * (1.0 / averaging - 0.2) / (1.0 / averaging - 1.0))
        self._long_run = long_run
        self._instant = long_run + (month - long_run) / averaging

    def _calibrate(self) -> None:
        """Secant steps on the ratio of at-the-money volatility to the level: the variance swap is nearly proportional to it."""
        ratio, previous, miss_before = 0.92, 0.0, -1.0
        for _ in range(20):
            self._set_month(ratio * self.level)
            miss = self.variance_swap_volatility(_MONTH) / self.level - 1.0
            if abs(miss) < 1e-10:
                break
            slope = (miss - miss_before) / (ratio - previous)
            ratio, previous, miss_before = ratio - miss / slope, ratio, miss

    def atm_total_variance(self, tau: ArrayLike) -> FloatArray:
        """θ(τ) for times in years. Raises ValueError for negative or non-finite times."""
        years = np.asarray(tau, dtype=np.float64)
        if not np.all(np.isfinite(years) & (years >= 0.0)):
            raise ValueError("tau: must be finite and not negative")
        decay = -np.expm1(-self.shape.reversion * years) / self.shape.reversion
        return np.asarray(self._long_run * years + (self._instant - self._long_run) * decay)

    def total_variance(self, log_moneyness: ArrayLike, tau: ArrayLike) -> FloatArray:
        """w(k, τ), broadcast. log_moneyness: ln(strike / forward). tau: years. Raises ValueError as `atm_total_variance` does."""
        k = np.asarray(log_moneyness, dtype=np.float64)
        theta = self.atm_total_variance(tau)
        rho, gamma = self.shape.rho, self.shape.gamma
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = self.shape.eta * k * theta**-gamma * (1.0 + theta) ** (gamma - 1.0)
            w = 0.5 * theta * (1.0 + rho * scaled + np.sqrt((scaled + rho) ** 2 + (1.0 - rho * rho)))
        return np.where(theta > 0.0, w, 0.0)

    def implied_volatility(self, log_moneyness: ArrayLike, tau: ArrayLike) -> FloatArray:
        """Annual implied volatilities, broadcast; the limit for τ → 0 is taken at a third of a second."""
        years = np.maximum(np.asarray(tau, dtype=np.float64), _MINIMUM_TAU)
        return np.asarray(np.sqrt(self.total_variance(log_moneyness, years) / years))

    def variance_swap_volatility(self, tau: float) -> float:
        """Volatility of the fair variance over `tau` years by the log-contract strip, as VIX computes it (without its discrete strikes)."""
        k = _STRIP * self.level * np.sqrt(tau)
        w = self.total_variance(k, tau)
        root = np.sqrt(w)
        d1 = -k / root + 0.5 * root
        strike = np.exp(k)
        call = ndtr(d1) - strike * ndtr(d1 - root)
        out_of_the_money = np.where(k < 0.0, call - 1.0 + strike, call)
        # ∫ Q(K)/K² dK with K = e^k and a unit forward.
        integrand = out_of_the_money / strike
        strip = float(np.sum(0.5 * (integrand[1:] + integrand[:-1]) * np.diff(k)))
        return float(np.sqrt(2.0 * strip / tau))

    def log_moneyness_of_delta(self, delta: float, tau: float, *, is_call: bool) -> float:
        """Where the undiscounted Black delta (positive, a fraction) of a call or put is `delta`: fixed-point steps on its own volatility.

        Raises ValueError unless 0 < delta < 1.
        """
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta: expected a fraction inside (0, 1), was {delta}")
        d1 = float(ndtri(delta if is_call else 1.0 - delta))
        k = 0.0
        for _ in range(50):
            root = float(np.sqrt(self.total_variance(k, tau)))
            step = 0.5 * root * root - d1 * root
            if abs(step - k) < 1e-12:
                break
            k = step
        return k

    def factors(self) -> SurfaceFactors:
        """At-the-money 30 and 90 days, 25-delta skew, term slope."""
        atm_30d = float(self.implied_volatility(0.0, _MONTH))
        atm_90d = float(self.implied_volatility(0.0, _QUARTER))
        put = float(self.implied_volatility(self.log_moneyness_of_delta(0.25, _MONTH, is_call=False), _MONTH))
        call = float(self.implied_volatility(self.log_moneyness_of_delta(0.25, _MONTH, is_call=True), _MONTH))
        return SurfaceFactors(atm_30d, atm_90d, put - call, atm_90d - atm_30d)
