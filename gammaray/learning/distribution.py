"""Two-sample tests that allow for autocorrelation, and false-discovery control over many of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, kolmogorov

from gammaray.models.dataset import FloatArray


def correlation_time(values: FloatArray, max_lag: int | None = None) -> FloatArray:
    """Integrated autocorrelation time 1 + 2 Σ ρ of each column of (n, F), at least 1: n / time is the effective sample size.

    The sum ends at the first pair of neighbouring lags whose sum is not positive (Geyer, Statistical Science 7 (1992), initial positive
    sequence). A constant column has time n.
    """
    n = len(values)
    lags = min(n // 2, 100 if max_lag is None else max_lag)
    centred = values - values.mean(axis=0)
    variance = np.mean(centred**2, axis=0)
    flat = variance <= 1e-24 * np.maximum(np.mean(values**2, axis=0), 1e-300)
    safe = np.where(flat, 1.0, variance)
    rho = np.ones((lags + 1, values.shape[1]))
    for lag in range(1, lags + 1):
        rho[lag] = np.sum(centred[lag:] * centred[:-lag], axis=0) / (n * safe)
    total = np.ones(values.shape[1])
    going = np.ones(values.shape[1], dtype=bool)
    for lag in range(1, lags, 2):
        pair = rho[lag] + rho[lag + 1]
        going &= pair > 0
        total += np.where(going, 2.0 * pair, 0.0)
    return np.where(flat, float(n), np.maximum(total, 1.0))


def ks_statistic(reference: FloatArray, sample: FloatArray) -> FloatArray:
    """Largest distance between the empirical distributions of each column of (n, F) and (m, F)."""
    out = np.empty(reference.shape[1])
    for column in range(reference.shape[1]):
        first, second = np.sort(reference[:, column]), np.sort(sample[:, column])
        points = np.concatenate([first, second])
        out[column] = np.max(
            np.abs(
                np.searchsorted(first, points, side="right") / len(first)
                - np.searchsorted(second, points, side="right") / len(second)
            )
        )
    return out


def ks_p_value(statistic: FloatArray, n_effective: FloatArray, m_effective: FloatArray) -> FloatArray:
    """Asymptotic two-sample Kolmogorov–Smirnov p-values with effective sample sizes.

    Stephens' small-sample correction: λ = (√e + 0.12 + 0.11/√e) D with e = nm/(n + m). (JRSS B 32 (1970).)
    """
    root = np.sqrt(n_effective * m_effective / (n_effective + m_effective))
    return np.asarray(kolmogorov((root + 0.12 + 0.11 / root) * statistic), dtype=np.float64)


def population_stability(reference: FloatArray, sample: FloatArray, bins: int) -> FloatArray:
    """Population stability index Σ (p − q) log(p / q) of each column, bins of equal share in the reference, half a count added to each bin."""
    out = np.empty(reference.shape[1])
    for column in range(reference.shape[1]):
        edges = np.quantile(reference[:, column], np.arange(1, bins) / bins)
        p = _shares(reference[:, column], edges, bins)
        q = _shares(sample[:, column], edges, bins)
        out[column] = np.sum((p - q) * np.log(p / q))
    return out


def psi_p_value(index: FloatArray, n_effective: FloatArray, m_effective: FloatArray, bins: int) -> FloatArray:
    """P-values of the index: under no change PSI / (1/n + 1/m) is χ² with bins − 1 degrees of freedom (Yurdakul 2018)."""
    return np.asarray(chdtrc(bins - 1, index / (1.0 / n_effective + 1.0 / m_effective)), dtype=np.float64)


def benjamini_hochberg(p_values: FloatArray, rate: float) -> npt.NDArray[np.bool_]:
    """Which hypotheses are rejected at the false-discovery rate `rate` (Benjamini and Hochberg, JRSS B 57 (1995))."""
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] <= rate * np.arange(1, m + 1) / m
    rejected = np.zeros(m, dtype=bool)
    if passed.any():
        rejected[order[: int(np.flatnonzero(passed)[-1]) + 1]] = True
    return rejected


def _shares(values: FloatArray, edges: FloatArray, bins: int) -> FloatArray:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=bins)
    return np.asarray((counts + 0.5) / (len(values) + 0.5 * bins), dtype=np.float64)
