"""SSVI surfaces (Gatheral and Jacquier 2014, arXiv:1204.0646) with the power law, free of butterfly and calendar arbitrage by construction.

w(k, θ) = θ/2 (1 + ρ φ k + √((φ k + ρ)² + 1 - ρ²)),  φ(θ) = η θ^-γ (1 + θ)^(γ - 1)

with η (1 + |ρ|) ≤ 2, 0 < γ ≤ 1/2 (their theorems 4.1 and 4.2) and at-the-money variances θ that do not decrease in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.fitting import checked_expiries, checked_points
from gammaray.pricing.surface.quotes import FloatArray, IntArray

_MAX_ITERATIONS = 40
_MIN_THETA = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SsviSurface:
    """ρ, η, γ and the at-the-money total variance of each expiry."""

    rho: float
    eta: float
    gamma: float
    theta: FloatArray
    error: float = 0.0  # weighted root mean square error of total variance in the fit that made it

    def raw_svi(self) -> FloatArray:
        """The expiries as raw SVI slices: columns a, b, rho, m, sigma."""
        phi = self.eta * self.theta**-self.gamma * (1.0 + self.theta) ** (self.gamma - 1.0)
        return raw_slices(self.theta, np.full(self.theta.shape, self.rho), self.theta * phi)


def raw_slices(theta: FloatArray, rho: FloatArray, psi: FloatArray) -> FloatArray:
    """Raw SVI parameters, shape (n, 5), of SSVI slices given by θ, ρ and ψ = θφ."""
    phi = psi / theta
    bar = 1.0 - rho * rho
    return np.stack([0.5 * theta * bar, 0.5 * psi, rho, -rho / phi, np.sqrt(bar) / phi], axis=1)


def fit_ssvi(
    log_moneyness: npt.ArrayLike,
    total_variance: npt.ArrayLike,
    expiry: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    start: SsviSurface | None = None,
) -> SsviSurface:
    """The SSVI surface nearest to the points in weighted least squares, all parameters together.

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
    if start is not None and start.theta.shape == (expiries,):
        theta, x = start.theta.copy(), _unbounded(start.rho, start.eta, start.gamma)
    else:
        theta, x = _at_the_money(k, w, index, expiries), _unbounded(-0.3, 1.0, 0.4)
    theta, x, cost = _minimise(k, w, weight, index, theta, x)
    rho, eta, gamma = _bounded(x)
    return SsviSurface(float(rho), float(eta), float(gamma), theta, math.sqrt(cost / weight.sum()))


def _unbounded(rho: float, eta: float, gamma: float) -> FloatArray:
    share = min(max(eta * (1.0 + abs(rho)) / 2.0, 1e-6), 1.0 - 1e-6)
    half = min(max(2.0 * gamma, 1e-6), 1.0 - 1e-6)
    return np.array([math.atanh(rho), math.log(share / (1.0 - share)), math.log(half / (1.0 - half))])


@kernel
def _bounded(x: FloatArray) -> tuple[float, float, float]:
    rho = math.tanh(x[0])
    return rho, 2.0 / (1.0 + abs(rho)) / (1.0 + math.exp(-x[1])), 0.5 / (1.0 + math.exp(-x[2]))


@kernel
def _at_the_money(k: FloatArray, w: FloatArray, index: IntArray, expiries: int) -> FloatArray:
    """Total variance of the point nearest to the money of each expiry, made non-decreasing."""
    theta = np.zeros(expiries)
    nearest = np.full(expiries, math.inf)
    for i in range(k.shape[0]):
        if abs(k[i]) < nearest[index[i]]:
            nearest[index[i]] = abs(k[i])
            theta[index[i]] = w[i]
    return pool_adjacent(theta, np.ones(expiries))


@kernel
def pool_adjacent(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Nearest non-decreasing sequence in weighted least squares (pool adjacent violators)."""
    n = values.shape[0]
    level = np.empty(n)
    mass = np.empty(n)
    length = np.empty(n, np.int64)
    blocks = 0
    for i in range(n):
        level[blocks] = values[i]
        mass[blocks] = weight[i]
        length[blocks] = 1
        blocks += 1
        while blocks > 1 and level[blocks - 2] > level[blocks - 1]:
            total = mass[blocks - 2] + mass[blocks - 1]
            level[blocks - 2] = (level[blocks - 2] * mass[blocks - 2] + level[blocks - 1] * mass[blocks - 1]) / total
            mass[blocks - 2] = total
            length[blocks - 2] += length[blocks - 1]
            blocks -= 1
    out = np.empty(n)
    at = 0
    for block in range(blocks):
        for _ in range(length[block]):
            out[at] = level[block]
            at += 1
    return out


@kernel
def _cost(k: FloatArray, w: FloatArray, weight: FloatArray, index: IntArray, theta: FloatArray, x: FloatArray) -> float:
    rho, eta, gamma = _bounded(x)
    phi = eta * theta**-gamma * (1.0 + theta) ** (gamma - 1.0)
    total = 0.0
    for i in range(k.shape[0]):
        t = theta[index[i]]
        z = phi[index[i]] * k[i]
        residual = 0.5 * t * (1.0 + rho * z + math.sqrt(z * z + 2.0 * rho * z + 1.0)) - w[i]
        total += weight[i] * residual * residual
    return total


@kernel
def _minimise(
    k: FloatArray, w: FloatArray, weight: FloatArray, index: IntArray, theta: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Levenberg-Marquardt on ln θ of every expiry and the three shape numbers; the θ block is diagonal and is eliminated."""
    n = theta.shape[0]
    damping = 1e-3
    theta = np.maximum(theta, _MIN_THETA)
    cost = _cost(k, w, weight, index, theta, x)
    for _ in range(_MAX_ITERATIONS):
        rho, eta, gamma = _bounded(x)
        phi = eta * theta**-gamma * (1.0 + theta) ** (gamma - 1.0)
        share = 1.0 / (1.0 + math.exp(-x[1]))
        shape = np.zeros((3, 3))
        corner = np.zeros((n, 3))
        diagonal = np.zeros(n)
        gradient_shape = np.zeros(3)
        gradient_theta = np.zeros(n)
        row = np.empty(3)
        for i in range(k.shape[0]):
            e = index[i]
            t = theta[e]
            z = phi[e] * k[i]
            root = math.sqrt(z * z + 2.0 * rho * z + 1.0)
            residual = 0.5 * t * (1.0 + rho * z + root) - w[i]
            by_z = 0.5 * t * (rho + (z + rho) / root) * z
            row[0] = (0.5 * t * (z + z / root) - by_z * math.copysign(1.0, rho) / (1.0 + abs(rho))) * (1.0 - rho * rho)
            row[1] = by_z * (1.0 - share)
            row[2] = by_z * math.log((1.0 + t) / t) * gamma * (1.0 - 2.0 * gamma)
            own = 0.5 * t * (1.0 + rho * z + root) + by_z * (-gamma + (gamma - 1.0) * t / (1.0 + t))
            diagonal[e] += weight[i] * own * own
            gradient_theta[e] += weight[i] * own * residual
            for r in range(3):
                gradient_shape[r] += weight[i] * row[r] * residual
                corner[e, r] += weight[i] * own * row[r]
                for c in range(3):
                    shape[r, c] += weight[i] * row[r] * row[c]
        improved = False
        new = cost
        candidate, candidate_theta = x, theta
        for _ in range(12):
            block = diagonal * (1.0 + damping) + 1e-300
            schur = shape.copy()
            right = -gradient_shape.copy()
            for r in range(3):
                schur[r, r] += damping * shape[r, r] + 1e-300
            for e in range(n):
                for r in range(3):
                    right[r] += corner[e, r] * gradient_theta[e] / block[e]
                    for c in range(3):
                        schur[r, c] -= corner[e, r] * corner[e, c] / block[e]
            step = np.linalg.solve(schur + 1e-14 * np.trace(schur) * np.eye(3), right)
            step = np.minimum(np.maximum(step, -2.0), 2.0)
            candidate = np.minimum(np.maximum(x + step, -8.0), 8.0)
            move = np.zeros(n)
            for e in range(n):
                total = -gradient_theta[e]
                for r in range(3):
                    total -= corner[e, r] * step[r]
                move[e] = min(max(total / block[e], -0.7), 0.7)
            candidate_theta = pool_adjacent(theta * np.exp(move), diagonal + 1e-300)
            candidate_theta = np.maximum(candidate_theta, _MIN_THETA)
            new = _cost(k, w, weight, index, candidate_theta, candidate)
            if new < cost:
                improved = True
                break
            damping = max(6.0 * damping, 1e-8)
        if not improved:
            break
        gain = cost - new
        x, theta, cost = candidate, candidate_theta, new
        damping = max(0.1 * damping, 1e-12)
        if gain <= 1e-7 * cost:
            break
    return theta, x, cost
