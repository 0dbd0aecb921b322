"""SABR smiles: Hagan's lognormal expansion (Hagan, Kumar, Lesniewski and Woodward 2002, Managing smile risk, equation 2.17) and its fit.

The expansion is not free of arbitrage: for long expiries or large vol-of-vol its density is negative at low strikes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.fitting import checked_points, solve_positive_definite
from gammaray.pricing.surface.quotes import FloatArray

_MAX_ITERATIONS = 50
_MAX_RHO = 0.9999


@dataclass(frozen=True, slots=True)
class SabrSmile:
    """One SABR slice for a forward of one; the α of a forward F in dollars is `alpha` · F^(1 - β)."""

    alpha: float
    beta: float
    rho: float
    nu: float
    tau: float  # years
    error: float = 0.0  # weighted root mean square error of total variance in the fit that made it

    def total_variance(self, log_moneyness: npt.ArrayLike) -> FloatArray:
        """w(k) = σ²τ, of the shape of `log_moneyness`."""
        k = np.asarray(log_moneyness, np.float64)
        flat = _variances(
            np.array([self.alpha, self.rho, self.nu]), self.beta, self.tau, np.ascontiguousarray(k).reshape(-1)
        )
        return flat.reshape(k.shape)


def fit_sabr(
    log_moneyness: npt.ArrayLike,
    total_variance: npt.ArrayLike,
    tau: float,
    weights: npt.ArrayLike | None = None,
    *,
    beta: float = 1.0,
) -> SabrSmile:
    """The SABR slice nearest to the points in weighted least squares of total variance, β being given.

    Args:
        log_moneyness: ln(K / F), shape (n,), n ≥ 5, at least three distinct values.
        total_variance: σ²τ at each, positive.
        tau: years, positive.
        weights: non-negative weights of the squared errors, by default equal.
        beta: 0 to 1.

    Raises:
        ValueError: shapes differ, fewer than five points, or a value that is not valid.
    """
    k, w, weight = checked_points(log_moneyness, total_variance, weights)
    if not (math.isfinite(tau) and tau > 0.0):
        raise ValueError(f"tau must be positive and finite, got {tau}")
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta must lie between 0 and 1, got {beta}")
    nearest = float(w[np.argmin(np.abs(k))])
    best, cost = np.empty(3), math.inf
    for rho, nu in ((-0.3, 0.5), (-0.6, 2.0), (0.3, 0.5)):
        start = np.array([math.sqrt(nearest / tau), rho, nu / math.sqrt(max(tau, 0.05))])
        parameters, value = _minimise(start, float(beta), float(tau), k, w, weight)
        if value < cost:
            best, cost = parameters, value
    alpha, rho, nu = best.tolist()
    return SabrSmile(alpha, float(beta), rho, nu, float(tau), math.sqrt(cost / weight.sum()))


@kernel
def _variance(p: FloatArray, beta: float, tau: float, k: float) -> float:
    """σ²τ for alpha, rho, nu and a forward of one."""
    alpha, rho, nu = p[0], p[1], p[2]
    b = 1.0 - beta
    half = math.exp(0.5 * b * k)  # (F K)^((1 - β)/2)
    log_fk = -k
    z = nu / alpha * half * log_fk
    if abs(z) < 1e-6:
        ratio = 1.0 - 0.5 * rho * z + (2.0 - 3.0 * rho * rho) / 12.0 * z * z
    else:
        ratio = z / math.log((math.sqrt(1.0 - 2.0 * rho * z + z * z) + z - rho) / (1.0 - rho))
    square = (b * log_fk) ** 2
    denominator = half * (1.0 + square / 24.0 + square * square / 1920.0)
    time = (
        b * b / 24.0 * (alpha / half) ** 2
        + 0.25 * rho * beta * nu * alpha / half
        + (2.0 - 3.0 * rho * rho) / 24.0 * nu * nu
    )
    volatility = alpha / denominator * ratio * (1.0 + time * tau)
    return float(volatility * volatility * tau)


@kernel
def _variances(p: FloatArray, beta: float, tau: float, k: FloatArray) -> FloatArray:
    out = np.empty(k.shape[0])
    for i in range(k.shape[0]):
        out[i] = _variance(p, beta, tau, k[i])
    return out


@kernel
def _bounded(x: FloatArray) -> FloatArray:
    """alpha, rho, nu of ln α, atanh ρ, ln ν."""
    return np.array([math.exp(x[0]), min(max(math.tanh(x[1]), -_MAX_RHO), _MAX_RHO), math.exp(x[2])])


@kernel
def _minimise(
    start: FloatArray, beta: float, tau: float, k: FloatArray, w: FloatArray, weight: FloatArray
) -> tuple[FloatArray, float]:
    """Levenberg-Marquardt with one-sided differences."""
    x = np.array([math.log(start[0]), math.atanh(start[1]), math.log(start[2])])
    model = _variances(_bounded(x), beta, tau, k)
    cost = (weight * (model - w) ** 2).sum()
    damping = 1e-3
    jacobian = np.empty((3, k.shape[0]))
    for _ in range(_MAX_ITERATIONS):
        for r in range(3):
            moved = x.copy()
            moved[r] += 1e-6
            jacobian[r] = (_variances(_bounded(moved), beta, tau, k) - model) / 1e-6
        normal = np.empty((3, 3))
        gradient = np.empty(3)
        for r in range(3):
            gradient[r] = (weight * jacobian[r] * (model - w)).sum()
            for c in range(3):
                normal[r, c] = (weight * jacobian[r] * jacobian[c]).sum()
        improved = False
        gain = 0.0
        for _ in range(12):
            damped = normal.copy()
            for r in range(3):
                damped[r, r] += damping * normal[r, r] + 1e-300
            step = -gradient
            if solve_positive_definite(damped, step, 3):
                candidate = x + np.minimum(np.maximum(step, -1.0), 1.0)
                changed = _variances(_bounded(candidate), beta, tau, k)
                new = (weight * (changed - w) ** 2).sum()
                if new < cost:
                    improved = True
                    gain = cost - new
                    x, model, cost = candidate, changed, new
                    break
            damping = max(6.0 * damping, 1e-8)
        if not improved or gain <= 1e-12 * cost:
            break
        damping = max(0.1 * damping, 1e-14)
    return _bounded(x), cost
