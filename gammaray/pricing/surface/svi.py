"""Raw SVI smiles (Gatheral 2004), fitted by Levenberg-Marquardt and kept free of butterfly arbitrage.

w(k) = a + b (ρ (k - m) + √((k - m)² + σ²)), w the total implied variance at log-moneyness k.

The fit works in the two wing slopes b(1 - ρ) and b(1 + ρ), the minimum variance, m and ln σ: in these the model is nearly linear and every
bound (slopes below 2 by Lee's moment formula, variance above zero) is a bound on one number. Freedom from butterfly arbitrage is the
positivity of Gatheral's g; for fixed shape it is monotone in σ (Martini and Mingone 2022, arXiv:2005.03340), and its minimum is located
on the scaled axis (k - m) / σ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.essvi import fit_single
from gammaray.pricing.surface.fitting import checked_points, solve_positive_definite
from gammaray.pricing.surface.quotes import FloatArray

_MAX_ITERATIONS = 60
_PENALTY_POINTS = 48
_STIFFNESS = (1.0, 10.0, 100.0)  # a unit of negative g against an error of the whole smile
_MIN_SIGMA = 1e-4
_MIN_VARIANCE = 1e-9


@dataclass(frozen=True, slots=True)
class SviSmile:
    """One raw SVI slice."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float
    error: float = 0.0  # weighted root mean square error of total variance in the fit that made it

    def total_variance(self, log_moneyness: npt.ArrayLike) -> FloatArray:
        """w(k), of the shape of `log_moneyness`."""
        y = np.asarray(log_moneyness, np.float64) - self.m
        result: FloatArray = self.a + self.b * (self.rho * y + np.sqrt(y * y + self.sigma**2))
        return result

    def butterfly_minimum(self) -> float:
        """Smallest value of Gatheral's g over all strikes; no butterfly arbitrage where it is not negative."""
        return float(butterfly_minimum(self.parameters()))

    def parameters(self) -> FloatArray:
        """a, b, rho, m, sigma."""
        return np.array([self.a, self.b, self.rho, self.m, self.sigma])


def fit_svi(
    log_moneyness: npt.ArrayLike,
    total_variance: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    start: SviSmile | None = None,
) -> SviSmile:
    """The raw SVI slice without butterfly arbitrage that is nearest to the points in weighted least squares.

    Args:
        log_moneyness: ln(K / F), shape (n,), n ≥ 5, at least three distinct values.
        total_variance: σ²τ at each, positive.
        weights: non-negative weights of the squared errors, by default equal.
        start: a smile to start from (a warm start); by default several starts on the data are tried.

    Raises:
        ValueError: shapes differ, fewer than five points, or a value that is not finite or not positive.
    """
    k, w, weight = checked_points(log_moneyness, total_variance, weights)
    fitted, error = fit_slice(k, w, weight, start.parameters() if start is not None else np.empty(0))
    a, b, rho, m, sigma = fitted.tolist()
    return SviSmile(a, b, rho, m, sigma, float(error))


@kernel
def svi_variance(p: FloatArray, k: float) -> float:
    """w(k) of raw parameters a, b, rho, m, sigma."""
    y = k - p[3]
    return float(p[0] + p[1] * (p[2] * y + math.sqrt(y * y + p[4] * p[4])))


@kernel
def svi_g(p: FloatArray, k: float) -> float:
    """Gatheral's g at k: the risk-neutral density divided by a positive factor."""
    y = k - p[3]
    root = math.sqrt(y * y + p[4] * p[4])
    w = p[0] + p[1] * (p[2] * y + root)
    slope = p[1] * (p[2] + y / root)
    curvature = p[1] * p[4] * p[4] / (root * root * root)
    if w <= 0.0:
        return -math.inf
    lead = 1.0 - 0.5 * k * slope / w
    return float(lead * lead - 0.25 * slope * slope * (1.0 / w + 0.25) + 0.5 * curvature)


@kernel
def butterfly_minimum(p: FloatArray) -> float:
    """Minimum of g over k: a scan on the scaled axis, then golden-section search around the lowest point."""
    points = 161
    step = 2.0 * 9.0 / (points - 1)
    best = math.inf
    where = 0
    for i in range(points):
        value = svi_g(p, p[3] + p[4] * math.sinh(-9.0 + i * step))
        if value < best:
            best = value
            where = i
    low = -9.0 + (where - 1) * step
    high = -9.0 + (where + 1) * step
    ratio = 0.6180339887498949
    for _ in range(40):
        left = high - ratio * (high - low)
        right = low + ratio * (high - low)
        g_left = svi_g(p, p[3] + p[4] * math.sinh(left))
        g_right = svi_g(p, p[3] + p[4] * math.sinh(right))
        best = min(best, g_left, g_right)
        if g_left < g_right:
            high = right
        else:
            low = left
    return best


@kernel
def _to_raw(x: FloatArray) -> FloatArray:
    """Raw parameters of ln v, logit(cl / 2), logit(cr / 2), m, ln σ."""
    v = math.exp(x[0])
    left = 2.0 / (1.0 + math.exp(-x[1]))
    right = 2.0 / (1.0 + math.exp(-x[2]))
    sigma = math.exp(x[4])
    p = np.empty(5)
    p[0] = v - sigma * math.sqrt(left * right)
    p[1] = 0.5 * (left + right)
    p[2] = (right - left) / (right + left)
    p[3] = x[3]
    p[4] = sigma
    return p


@kernel
def _from_raw(p: FloatArray) -> FloatArray:
    left = min(max(p[1] * (1.0 - p[2]), 1e-9), 2.0 - 1e-9)
    right = min(max(p[1] * (1.0 + p[2]), 1e-9), 2.0 - 1e-9)
    sigma = max(p[4], _MIN_SIGMA)
    x = np.empty(5)
    x[0] = math.log(max(p[0] + sigma * math.sqrt(left * right), _MIN_VARIANCE))
    x[1] = math.log(left / (2.0 - left))
    x[2] = math.log(right / (2.0 - right))
    x[3] = p[3]
    x[4] = math.log(sigma)
    return x


@kernel
def _linear_start(k: FloatArray, w: FloatArray, weight: FloatArray, m: float, sigma: float) -> tuple[float, FloatArray]:
    """Best minimum variance and wing slopes for given m and σ (variable projection), clipped into their bounds, with the cost."""
    normal = np.zeros((3, 3))
    vector = np.zeros(3)
    basis = np.empty(3)
    basis[0] = 1.0
    for i in range(k.shape[0]):
        y = k[i] - m
        root = math.sqrt(y * y + sigma * sigma)
        basis[1] = 0.5 * (root - y)
        basis[2] = 0.5 * (root + y)
        for r in range(3):
            vector[r] += weight[i] * basis[r] * w[i]
            for c in range(r + 1):
                normal[r, c] += weight[i] * basis[r] * basis[c]
    for r in range(3):
        normal[r, r] *= 1.0 + 1e-10
    x = np.empty(5)
    if not solve_positive_definite(normal, vector, 3):
        return math.inf, x
    left = min(max(vector[1], 1e-6), 1.95)
    right = min(max(vector[2], 1e-6), 1.95)
    v = max(vector[0] + sigma * math.sqrt(left * right), 1e-3 * w.min())
    x[0] = math.log(v)
    x[1] = math.log(left / (2.0 - left))
    x[2] = math.log(right / (2.0 - right))
    x[3] = m
    x[4] = math.log(sigma)
    return _cost(_to_raw(x), k, w, weight, 0.0), x


@kernel
def _cost(p: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray, penalty: float) -> float:
    total = 0.0
    for i in range(k.shape[0]):
        residual = svi_variance(p, k[i]) - w[i]
        total += weight[i] * residual * residual
    if penalty > 0.0:
        for j in range(_PENALTY_POINTS):
            lack = 1e-4 - svi_g(p, _penalty_point(p, j))
            if lack > 0.0:
                total += penalty * lack * lack
    return total


@kernel
def _penalty_point(p: FloatArray, j: int) -> float:
    return float(p[3] + p[4] * math.sinh(-6.0 + 12.0 * j / (_PENALTY_POINTS - 1)))


@kernel
def _minimise(
    x: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray, penalty: float
) -> tuple[FloatArray, float]:
    """Levenberg-Marquardt from x; with `penalty` > 0 negative values of g are penalised too."""
    damping = 1e-3
    p = _to_raw(x)
    cost = _cost(p, k, w, weight, penalty)
    normal = np.empty((5, 5))
    damped = np.empty((5, 5))
    gradient = np.empty(5)
    row = np.empty(5)
    reach = max(abs(k[0]), abs(k[-1]), 1e-3)
    for _ in range(_MAX_ITERATIONS):
        normal[:] = 0.0
        gradient[:] = 0.0
        v = math.exp(x[0])
        left = p[1] * (1.0 - p[2])
        right = p[1] * (1.0 + p[2])
        sigma = p[4]
        product = math.sqrt(left * right)
        d_left = 0.5 * left * (2.0 - left)
        d_right = 0.5 * right * (2.0 - right)
        for i in range(k.shape[0]):
            y = k[i] - p[3]
            root = math.sqrt(y * y + sigma * sigma)
            row[0] = v
            row[1] = d_left * 0.5 * (root - y - sigma * product / left)
            row[2] = d_right * 0.5 * (root + y - sigma * product / right)
            row[3] = -p[1] * (p[2] + y / root)
            row[4] = sigma * (-product + p[1] * sigma / root)
            residual = p[0] + p[1] * (p[2] * y + root) - w[i]
            for r in range(5):
                gradient[r] += weight[i] * row[r] * residual
                for c in range(r + 1):
                    normal[r, c] += weight[i] * row[r] * row[c]
        if penalty > 0.0:
            _add_penalty(x, p, penalty, normal, gradient)
        improved = False
        for _ in range(12):
            for r in range(5):
                for c in range(r + 1):
                    damped[r, c] = normal[r, c]
                damped[r, r] += damping * normal[r, r] + 1e-300
                row[r] = -gradient[r]
            if not solve_positive_definite(damped, row, 5):
                damping = max(10.0 * damping, 1e-8)
                continue
            candidate = x + row
            if (
                abs(candidate[3]) > 3.0 * reach
                or candidate[4] < math.log(_MIN_SIGMA)
                or candidate[4] > 2.0
                or abs(row[0]) > 5.0
            ):
                damping = max(10.0 * damping, 1e-8)
                continue
            raw = _to_raw(candidate)
            new = _cost(raw, k, w, weight, penalty)
            if new < cost:
                improved = True
                break
            damping = max(6.0 * damping, 1e-8)
        if not improved:
            break
        gain = cost - new
        x = candidate
        p = raw
        cost = new
        damping = max(0.1 * damping, 1e-14)
        if gain <= 1e-9 * cost:
            break
    return x, cost


@kernel
def _add_penalty(x: FloatArray, p: FloatArray, penalty: float, normal: FloatArray, gradient: FloatArray) -> None:
    row = np.empty(5)
    for j in range(_PENALTY_POINTS):
        k = _penalty_point(p, j)
        lack = 1e-4 - svi_g(p, k)
        if lack <= 0.0:
            continue
        for r in range(5):
            shifted = x.copy()
            shifted[r] += 1e-6
            row[r] = (1e-4 - svi_g(_to_raw(shifted), k) - lack) / 1e-6
        for r in range(5):
            gradient[r] += penalty * row[r] * lack
            for c in range(r + 1):
                normal[r, c] += penalty * row[r] * row[c]


@kernel
def _towards(p: FloatArray, anchor: FloatArray) -> FloatArray:
    """p, moved along the line to an anchor without butterfly arbitrage as far as it takes to be without it too."""
    if butterfly_minimum(p) >= 0.0:
        return p
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        if butterfly_minimum(middle * p + (1.0 - middle) * anchor) >= 0.0:
            low = middle
        else:
            high = middle
    return low * p + (1.0 - low) * anchor


@kernel
def _widened(p: FloatArray, anchor: FloatArray) -> FloatArray:
    """p with a, m and σ multiplied by the least number that makes g non-negative (it grows with it); the anchor where twice is not enough."""
    low, high = 1.0, 2.0
    scale = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    if butterfly_minimum(p * (1.0 + scale)) < 0.0:
        return anchor
    for _ in range(30):
        middle = 0.5 * (low + high)
        if butterfly_minimum(p * (1.0 + (middle - 1.0) * scale)) >= 0.0:
            high = middle
        else:
            low = middle
    return p * (1.0 + (high - 1.0) * scale)


@kernel
def _without_arbitrage(free: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray) -> FloatArray:
    """A good slice without butterfly arbitrage, where the free optimum has some.

    The anchor is the best SSVI slice, for which ψ(1 + |ρ|) ≤ 4 and ψ²(1 + |ρ|) ≤ 4θ suffice. From it and from the free optimum the cost plus an ever
    stiffer penalty on negative g is minimised; what is left of arbitrage is removed by going towards the anchor or by widening (Martini and Mingone).
    """
    theta, rho, psi = fit_single(k, w, weight)
    phi = psi / theta
    bar = math.sqrt(1.0 - rho * rho)
    anchor = np.array([0.5 * theta * bar * bar, 0.5 * psi, rho, -rho / phi, bar / phi])
    best = anchor
    cost = _cost(anchor, k, w, weight, 0.0)
    for start in (free, anchor):
        x = _from_raw(start)
        for stiffness in _STIFFNESS:
            x, _ = _minimise(x, k, w, weight, stiffness * (weight * w * w).sum())
            found = _to_raw(x)
            for candidate in (_towards(found, anchor), _widened(found, anchor)):
                value = _cost(candidate, k, w, weight, 0.0)
                if value < cost:
                    best, cost = candidate, value
    return best


@kernel
def fit_slice(k: FloatArray, w: FloatArray, weight: FloatArray, start: FloatArray) -> tuple[FloatArray, float]:
    """Compiled body of `fit_svi`: raw parameters and weighted root mean square error. `start` is empty or raw parameters."""
    total = weight.sum()
    best_x = np.empty(5)
    best = math.inf
    if start.shape[0] == 5:
        best_x = _from_raw(start)
        best = _cost(_to_raw(best_x), k, w, weight, 0.0)
    else:
        deviation = math.sqrt(max(np.interp(0.0, k, w), _MIN_VARIANCE))
        for shift in (-0.5, 0.0, 0.5, 1.5):
            for scale in (0.15, 0.6, 1.5):
                cost, x = _linear_start(k, w, weight, shift * deviation, scale * deviation)
                if cost < best:
                    best = cost
                    best_x = x
    if not math.isfinite(best):
        flat = np.array([0.0, 1e-4, 0.0, 0.0, 0.1])
        flat[0] = (weight * w).sum() / total
        return flat, math.sqrt(_cost(flat, k, w, weight, 0.0) / total)
    x, best = _minimise(best_x, k, w, weight, 0.0)
    p = _to_raw(x)
    if butterfly_minimum(p) < 0.0:
        p = _without_arbitrage(p, k, w, weight)
        best = _cost(p, k, w, weight, 0.0)
    return p, math.sqrt(best / total)
