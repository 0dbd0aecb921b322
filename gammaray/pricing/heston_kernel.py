"""Compiled kernels of the Heston model: characteristic function, moments, and the Lewis integral of all strikes of an expiry.

With x = log(F/K) and φ the characteristic function of log(S/F), a call is (Lewis, 2001; Andersen and Lake, "Robust high-precision option
pricing by Fourier transforms", 2018)

    C = C_BS(w) − D·√(FK)/π · ∫₀^∞ Re[e^(iux)·(φ(u − i/2) − φ_BS(u − i/2))] / (u² + ¼) du

where Black–Scholes with the expected total variance w is the control variate: it removes the poles at u = ±i/2, so that the trapezoidal rule
converges geometrically. Its step 2π/L folds log moneyness with period L; L and the end of the sum are chosen from bounds on the error, by
the moments of the stock and by the decay of φ. The exponentials of all strikes advance by one rotation a node.
"""

from __future__ import annotations

import cmath
import math

import numpy as np

from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.jit import inlined, kernel

TOLERANCE = 1e-13  # of the price in units of D·√(FK)
LARGEST_NODES = 200_000
_SMALL_VOLATILITY = 1e-7  # of variance, below which the variance is taken as deterministic


@inlined
def complex_log1p(w: complex) -> complex:
    """log(1 + w) without cancellation for small w."""
    x, y = w.real, w.imag
    return complex(0.5 * math.log1p(x * (2.0 + x) + y * y), math.atan2(y, 1.0 + x))


@inlined
def cumulant(z: complex, tau: float, v0: float, kappa: float, theta: float, sigma: float, rho: float) -> complex:
    """log E[(S/F)^(iz)], in the form of Albrecher et al. (2007), whose logarithm crosses no branch, rewritten free of cancellation in σ."""
    i = 1j
    form = z * z + i * z
    beta = kappa - i * rho * sigma * z
    d = cmath.sqrt(beta * beta + sigma * sigma * form)
    if abs(d) * tau < 1e-9:
        return -0.5 * form * tau * v0
    root = -form / (beta + d)
    decay = cmath.exp(-d * tau)
    rise = (1.0 - decay) / d if abs(d) * tau > 1e-5 else tau * (1.0 - 0.5 * d * tau)
    w = 0.5 * sigma * sigma * root * rise
    factor = root * rise * d / (1.0 - decay * (beta - d) / (beta + d))
    spread = root * rise if sigma < _SMALL_VOLATILITY else complex_log1p(w) * (2.0 / (sigma * sigma))
    return kappa * theta * (root * tau - spread) + v0 * factor


@kernel
def log_moment(p: float, tau: float, v0: float, kappa: float, theta: float, sigma: float, rho: float) -> float:
    """log E[(S/F)^p], infinite where the moment has exploded by τ (Andersen and Piterbarg, 2007)."""
    form = p * (p - 1.0)
    if form == 0.0:
        return 0.0
    if form < 0.0:
        return cumulant(-1j * p, tau, v0, kappa, theta, sigma, rho).real
    b = kappa - rho * sigma * p
    square = b * b - sigma * sigma * form
    if square >= 0.0:
        d = math.sqrt(square)
        if b < d and d > 0.0:
            explosion = math.log((b - d) / (b + d)) / d
            if tau >= 0.999 * explosion:
                return math.inf
        elif d == 0.0 and b < 0.0 and tau >= -1.998 / b:
            return math.inf
    else:
        gamma = math.sqrt(-square)
        explosion = 2.0 * math.atan2(gamma, -b) / gamma
        if tau >= 0.999 * explosion:
            return math.inf
    return cumulant(-1j * p, tau, v0, kappa, theta, sigma, rho).real


@kernel
def period(
    reach: float, variance: float, tau: float, v0: float, kappa: float, theta: float, sigma: float, rho: float
) -> float:
    """The least L whose fold-over is below the tolerance for |x| ≤ reach: by Chernoff's bound the integral's value at log moneyness y is at
    most about E[(S/F)^(½ ± a)]·e^(−a|y|), for any a with a finite moment; the same for Black–Scholes."""
    largest = 0.0
    for side in (-1.0, 1.0):
        best = math.inf
        a = 0.5  # the moments 0 and 1, which are always finite
        while a < 1e5:
            p = 0.5 + side * a
            exponent = max(log_moment(p, tau, v0, kappa, theta, sigma, rho), 0.5 * variance * (a * a - 0.25))
            if exponent == math.inf:
                break
            bound = (max(exponent, 0.0) - math.log(TOLERANCE)) / a
            if bound > best:  # in a, the bound falls and then rises
                break
            best = bound
            a *= 1.4
        largest = max(largest, best)
    return reach + largest


@kernel
def cutoff(variance: float, tau: float, v0: float, kappa: float, theta: float, sigma: float, rho: float) -> float:
    """Where the integrand has fallen below the tolerance: doubling, then halving of the bracket."""
    low, high = 0.0, 1.0
    for _ in range(60):
        size = cumulant(high - 0.5j, tau, v0, kappa, theta, sigma, rho).real
        size = max(size, -0.5 * variance * (high * high + 0.25))
        if size - math.log(high) < math.log(TOLERANCE):
            break
        low, high = high, 2.0 * high
    for _ in range(5):
        u = 0.5 * (low + high)
        size = cumulant(u - 0.5j, tau, v0, kappa, theta, sigma, rho).real
        size = max(size, -0.5 * variance * (u * u + 0.25))
        if size - math.log(u) < math.log(TOLERANCE):
            high = u
        else:
            low = u
    return high


@kernel
def lewis_integrals(
    log_moneyness: FloatArray,
    variance: float,
    tau: float,
    v0: float,
    kappa: float,
    theta: float,
    sigma: float,
    rho: float,
    out: FloatArray,
) -> int:
    """(1/π)·∫ of the module's integrand for every x = log(F/K) of one expiry, into `out`; gives the number of nodes."""
    count = log_moneyness.size
    reach = 0.0
    for k in range(count):
        reach = max(reach, abs(log_moneyness[k]))
    step = 2.0 * math.pi / period(reach, variance, tau, v0, kappa, theta, sigma, rho)
    nodes = min(int(cutoff(variance, tau, v0, kappa, theta, sigma, rho) / step) + 2, LARGEST_NODES)
    cosine = np.ones(count)
    sine = np.zeros(count)
    turn_cosine = np.empty(count)
    turn_sine = np.empty(count)
    for k in range(count):
        turn_cosine[k] = math.cos(step * log_moneyness[k])
        turn_sine[k] = math.sin(step * log_moneyness[k])
        out[k] = 0.0
    for n in range(nodes):
        u = n * step
        share = u * u + 0.25
        difference = cmath.exp(cumulant(u - 0.5j, tau, v0, kappa, theta, sigma, rho)) - math.exp(
            -0.5 * variance * share
        )
        weight = step / (math.pi * share)
        if n == 0:
            weight *= 0.5
        rotate(weight * difference.real, weight * difference.imag, turn_cosine, turn_sine, cosine, sine, out)
    return nodes


@inlined
def rotate(
    real: float,
    imaginary: float,
    turn_cosine: FloatArray,
    turn_sine: FloatArray,
    cosine: FloatArray,
    sine: FloatArray,
    out: FloatArray,
) -> None:
    """Add one node to the sums of all strikes, and turn their exponentials to the next."""
    for k in range(out.size):
        c, s = cosine[k], sine[k]
        out[k] += c * real - s * imaginary
        cosine[k] = c * turn_cosine[k] - s * turn_sine[k]
        sine[k] = c * turn_sine[k] + s * turn_cosine[k]
