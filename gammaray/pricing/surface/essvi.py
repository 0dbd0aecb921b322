"""eSSVI surfaces (Hendriks and Martini 2019): SSVI slices whose correlation may change from expiry to expiry, free of arbitrage.

Slice i has an at-the-money variance θ, a correlation ρ and ψ = θφ. Sequential fit with the conditions of Corbetta, Cohort, Laachir and
Martini (2019, arXiv:1804.04924), each a bound given the slice before (subscript 0):

    butterfly   ψ (1 + |ρ|) ≤ 4 and ψ² (1 + |ρ|) ≤ 4 θ
    calendar    θ ≥ θ0,  ψ ≥ ψ0 max((1 + ρ0) / (1 + ρ), (1 - ρ0) / (1 - ρ)),  ψ / θ ≤ ψ0 / θ0
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.fitting import checked_expiries, checked_points
from gammaray.pricing.surface.quotes import FloatArray, IntArray
from gammaray.pricing.surface.ssvi import raw_slices

_MAX_ITERATIONS = 40
_MAX_RHO = 0.999
_MIN_THETA = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class EssviSurface:
    """θ, ρ and ψ = θφ of each expiry."""

    theta: FloatArray
    rho: FloatArray
    psi: FloatArray
    error: float = 0.0  # weighted root mean square error of total variance in the fit that made it

    def raw_svi(self) -> FloatArray:
        """The expiries as raw SVI slices: columns a, b, rho, m, sigma."""
        return raw_slices(self.theta, self.rho, self.psi)


def fit_essvi(
    log_moneyness: npt.ArrayLike,
    total_variance: npt.ArrayLike,
    expiry: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    start: EssviSurface | None = None,
) -> EssviSurface:
    """Expiry after expiry, the slice nearest to its points in weighted least squares among those that keep the surface free of arbitrage.

    Args:
        log_moneyness: ln(K / F), shape (n,).
        total_variance: σ²τ at each, positive.
        expiry: number of the expiry of each point, 0, 1, … in order of time.
        weights: non-negative weights of the squared errors, by default equal.
        start: a surface of as many expiries to start from.

    Raises:
        ValueError: shapes differ, fewer than five points, or values that are not valid.
    """
    k, w, weight = checked_points(log_moneyness, total_variance, weights)
    index, expiries = checked_expiries(expiry, k.shape[0])
    order = np.argsort(index, kind="stable")
    k, w, weight, index = k[order], w[order], weight[order], index[order]
    offsets = np.searchsorted(index, np.arange(expiries + 1))
    warm = np.empty((0, 3))
    if start is not None and start.theta.shape == (expiries,):
        warm = np.stack([start.theta, start.rho, start.psi], axis=1)
    slices, cost = fit_slices(k, w, weight, offsets, warm)
    return EssviSurface(slices[:, 0].copy(), slices[:, 1].copy(), slices[:, 2].copy(), math.sqrt(cost / weight.sum()))


@kernel
def essvi_variance(theta: float, rho: float, psi: float, k: float) -> float:
    """Total variance of an SSVI slice."""
    z = psi / theta * k
    return float(0.5 * theta * (1.0 + rho * z + math.sqrt(z * z + 2.0 * rho * z + 1.0)))


@kernel
def _bounds(theta: float, rho: float, before: FloatArray) -> tuple[float, float]:
    """Allowed ψ for θ and ρ after the slice `before`."""
    low = before[2] * max((1.0 + before[1]) / (1.0 + rho), (1.0 - before[1]) / (1.0 - rho))
    high = min(4.0 / (1.0 + abs(rho)), 2.0 * math.sqrt(theta / (1.0 + abs(rho))))
    return low, min(high, before[2] * theta / before[0])


@kernel
def _project(x: FloatArray, before: FloatArray) -> FloatArray:
    """Allowed (θ, ρ, ψ) near ln θ, atanh ρ, ln ψ: θ raised, ρ moved towards that of the slice before, ψ clipped."""
    theta = max(math.exp(x[0]), before[0], _MIN_THETA)
    rho = min(max(math.tanh(x[1]), -_MAX_RHO), _MAX_RHO)
    low, high = _bounds(theta, rho, before)
    if low > high:
        inner, outer = before[1], rho
        for _ in range(40):
            middle = 0.5 * (inner + outer)
            low, high = _bounds(theta, middle, before)
            if low > high:
                outer = middle
            else:
                inner = middle
        rho = inner
        low, high = _bounds(theta, rho, before)
    out = np.empty(3)
    out[0] = theta
    out[1] = rho
    # At equal θ the bounds meet; rounding must not put the lower one above.
    out[2] = min(max(math.exp(x[2]), low), max(high, low))
    return out


@kernel
def _cost(p: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray) -> float:
    total = 0.0
    for i in range(k.shape[0]):
        residual = essvi_variance(p[0], p[1], p[2], k[i]) - w[i]
        total += weight[i] * residual * residual
    return total


@kernel
def _unbounded(p: FloatArray) -> FloatArray:
    x = np.empty(3)
    x[0] = math.log(p[0])
    x[1] = math.atanh(min(max(p[1], -_MAX_RHO), _MAX_RHO))
    x[2] = math.log(p[2])
    return x


@kernel
def _fit_one(
    k: FloatArray, w: FloatArray, weight: FloatArray, before: FloatArray, start: FloatArray
) -> tuple[FloatArray, float]:
    """Levenberg-Marquardt with projection onto the allowed set; parameters that a bound holds fixed drop out of the step."""
    x = _unbounded(_project(_unbounded(start), before))
    p = _project(x, before)
    cost = _cost(p, k, w, weight)
    damping = 1e-3
    normal = np.empty((3, 3))
    gradient = np.empty(3)
    row = np.empty(3)
    free = np.empty(3)
    for _ in range(_MAX_ITERATIONS):
        # Derivatives through the projection, so that a bound that moves with ρ or θ is followed.
        shifted = np.empty((3, 3))
        for r in range(3):
            moved = x.copy()
            moved[r] += 1e-6
            shifted[r] = _project(moved, before)
            free[r] = 1.0 if np.abs(shifted[r] - p).max() > 0.0 else 0.0
        normal[:] = 0.0
        gradient[:] = 0.0
        for i in range(k.shape[0]):
            value = essvi_variance(p[0], p[1], p[2], k[i])
            for r in range(3):
                row[r] = (essvi_variance(shifted[r, 0], shifted[r, 1], shifted[r, 2], k[i]) - value) / 1e-6
                gradient[r] += weight[i] * row[r] * (value - w[i])
            for r in range(3):
                for c in range(3):
                    normal[r, c] += weight[i] * row[r] * row[c]
        improved = False
        candidate, projected, new = x, p, cost
        for _ in range(10):
            damped = normal.copy()
            for r in range(3):
                damped[r, r] += damping * normal[r, r] + 1e-12 * np.trace(normal) + 1e-300
            step = np.linalg.solve(damped, -gradient) * free
            step = np.minimum(np.maximum(step, -1.0), 1.0)
            candidate = x + step
            projected = _project(candidate, before)
            new = _cost(projected, k, w, weight)
            if new < cost:
                improved = True
                break
            damping = max(6.0 * damping, 1e-8)
        if not improved:
            break
        gain = cost - new
        p, cost = projected, new
        x = _unbounded(p)
        damping = max(0.1 * damping, 1e-12)
        if gain <= 1e-7 * cost:
            break
    return p, cost


@kernel
def fit_slices(
    k: FloatArray, w: FloatArray, weight: FloatArray, offsets: IntArray, warm: FloatArray
) -> tuple[FloatArray, float]:
    """Compiled body of `fit_essvi`: rows θ, ρ, ψ, and the cost. `warm` has one row of starting values per expiry, or none."""
    n = offsets.shape[0] - 1
    out = np.empty((n, 3))
    before = np.array([1e-12, 0.0, 1e-12])
    # The first slice has no slice before it: one so small that it binds nothing but the ratio ψ / θ, which is made wide.
    before[2] = 1e-9
    total = 0.0
    for i in range(n):
        a, b = offsets[i], offsets[i + 1]
        if warm.shape[0] == n:
            start = warm[i].copy()
        else:
            nearest = a
            for j in range(a, b):
                if abs(k[j]) < abs(k[nearest]):
                    nearest = j
            theta = max(w[nearest], before[0], _MIN_THETA)
            start = np.array([theta, -0.3, min(math.sqrt(theta), 1.0)])
            if i > 0:
                start[1] = before[1]
                start[2] = before[2] * (theta / before[0]) ** 0.5
        out[i], cost = _fit_one(k[a:b], w[a:b], weight[a:b], before, start)
        total += cost
        before = out[i]
    return out, total


@kernel
def fit_single(k: FloatArray, w: FloatArray, weight: FloatArray) -> tuple[float, float, float]:
    """θ, ρ and ψ of the best slice without butterfly arbitrage, with no slice before it."""
    out, _ = fit_slices(k, w, weight, np.array([0, k.shape[0]]), np.empty((0, 3)))
    return out[0, 0], out[0, 1], out[0, 2]
