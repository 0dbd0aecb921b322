"""A surface made of raw SVI slices: SVI itself, and SSVI and eSSVI, whose slices are special SVI slices.

Between expiries the total variance is linear in time at fixed log-moneyness, before the first and after the last it is proportional to
time: total variance that does not decrease from slice to slice then does not decrease between them either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.black import otm_prices
from gammaray.pricing.surface.quotes import FloatArray
from gammaray.pricing.surface.svi import svi_variance


@dataclass(frozen=True, slots=True, eq=False)
class SviSlices:
    """Raw SVI parameters by expiry."""

    tau: FloatArray  # (n,), increasing
    parameters: FloatArray  # (n, 5): a, b, rho, m, sigma

    def total_variance(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """w at flat columns of log-moneyness and time."""
        return _total_variance(self.tau, self.parameters, k, tau)

    def otm_price(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Normalised out-of-the-money prices at flat columns of log-moneyness and time."""
        return otm_prices(k, np.sqrt(_total_variance(self.tau, self.parameters, k, tau)))

    def density(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Risk-neutral density of ln(S_τ / F) at flat columns of log-moneyness and time."""
        return _density(self.tau, self.parameters, k, tau)

    def arrays(self) -> dict[str, FloatArray]:
        """Everything that defines the slices, for serialisation."""
        return {"parameters": self.parameters}


@kernel
def _variance_between(taus: FloatArray, parameters: FloatArray, k: float, tau: float) -> float:
    n = taus.shape[0]
    if tau <= taus[0]:
        return float(svi_variance(parameters[0], k) * tau / taus[0])
    if tau >= taus[n - 1]:
        return float(svi_variance(parameters[n - 1], k) * tau / taus[n - 1])
    i = np.searchsorted(taus, tau)
    share = (tau - taus[i - 1]) / (taus[i] - taus[i - 1])
    return float((1.0 - share) * svi_variance(parameters[i - 1], k) + share * svi_variance(parameters[i], k))


@kernel
def _total_variance(taus: FloatArray, parameters: FloatArray, k: FloatArray, tau: FloatArray) -> FloatArray:
    out = np.empty(k.shape[0])
    for j in range(k.shape[0]):
        out[j] = _variance_between(taus, parameters, k[j], tau[j])
    return out


@kernel
def _derivatives(p: FloatArray, k: float) -> tuple[float, float, float]:
    y = k - p[3]
    root = math.sqrt(y * y + p[4] * p[4])
    return p[0] + p[1] * (p[2] * y + root), p[1] * (p[2] + y / root), p[1] * p[4] * p[4] / (root * root * root)


@kernel
def _density(taus: FloatArray, parameters: FloatArray, k: FloatArray, tau: FloatArray) -> FloatArray:
    n = taus.shape[0]
    out = np.empty(k.shape[0])
    for j in range(k.shape[0]):
        if tau[j] <= taus[0] or tau[j] >= taus[n - 1]:
            at = 0 if tau[j] <= taus[0] else n - 1
            w, d, dd = _derivatives(parameters[at], k[j])
            share = tau[j] / taus[at]
            w, d, dd = w * share, d * share, dd * share
        else:
            i = np.searchsorted(taus, tau[j])
            share = (tau[j] - taus[i - 1]) / (taus[i] - taus[i - 1])
            w0, d0, dd0 = _derivatives(parameters[i - 1], k[j])
            w1, d1, dd1 = _derivatives(parameters[i], k[j])
            w, d, dd = w0 + share * (w1 - w0), d0 + share * (d1 - d0), dd0 + share * (dd1 - dd0)
        lead = 1.0 - 0.5 * k[j] * d / w
        g = lead * lead - 0.25 * d * d * (1.0 / w + 0.25) + 0.5 * dd
        lower = -k[j] / math.sqrt(w) - 0.5 * math.sqrt(w)
        out[j] = g / math.sqrt(2.0 * math.pi * w) * math.exp(-0.5 * lower * lower)
    return out
