"""Two-sample tests that allow for autocorrelation, and false-discovery control over many of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
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


class ReferenceSample:
    """Columns (n, F) that samples are compared with, prepared once: sorted, and cut into bins of equal share."""

    def __init__(self, values: FloatArray, bins: int) -> None:
        """bins: of the stability index."""
        self.bins = bins
        self._sorted = np.ascontiguousarray(np.sort(values, axis=0).T)
        self._edges = np.ascontiguousarray(np.quantile(values, np.arange(1, bins) / bins, axis=0).T)
        counts = np.zeros((values.shape[1], bins), dtype=np.int64)
        for column, edges in enumerate(self._edges):
            counts[column] = np.bincount(np.searchsorted(edges, values[:, column], side="right"), minlength=bins)
        self._shares = np.asarray((counts + 0.5) / (len(values) + 0.5 * bins), dtype=np.float64)

    def __len__(self) -> int:
        return int(self._sorted.shape[1])

    def ks_statistic(self, sample: FloatArray) -> FloatArray:
        """Largest distance between the empirical distributions of the columns of the reference and of `sample` (m, F)."""
        ordered = np.sort(np.asarray(sample, dtype=np.float64), axis=0)
        return np.asarray(_largest_distance(self._sorted, ordered))

    def stability_index(self, sample: FloatArray) -> FloatArray:
        """Population stability index Σ (p − q) log(p / q) of each column; half a count is added to every bin."""
        return np.asarray(_stability(self._edges, self._shares, np.ascontiguousarray(sample)))


@njit(cache=True, fastmath=False)
def _largest_distance(reference: FloatArray, sample: FloatArray) -> FloatArray:
    """reference: (F, n) sorted along its rows; sample: (m, F) sorted along its columns."""
    columns, n = reference.shape
    m = sample.shape[0]
    out = np.zeros(columns)
    for c in range(columns):
        i = j = 0
        while i < n and j < m:
            x = min(reference[c, i], sample[j, c])
            while i < n and reference[c, i] <= x:
                i += 1
            while j < m and sample[j, c] <= x:
                j += 1
            out[c] = max(out[c], abs(i / n - j / m))
    return out


@njit(cache=True, fastmath=False)
def _stability(edges: FloatArray, shares: FloatArray, sample: FloatArray) -> FloatArray:
    columns, bins = shares.shape
    m = sample.shape[0]
    out = np.zeros(columns)
    counts = np.empty(bins)
    for c in range(columns):
        counts[:] = 0.5
        for row in range(m):
            k = 0
            while k < bins - 1 and sample[row, c] >= edges[c, k]:
                k += 1
            counts[k] += 1.0
        for k in range(bins):
            q = counts[k] / (m + 0.5 * bins)
            out[c] += (shares[c, k] - q) * np.log(shares[c, k] / q)
    return out


def ks_p_value(statistic: FloatArray, n_effective: FloatArray, m_effective: FloatArray) -> FloatArray:
    """Asymptotic two-sample Kolmogorov–Smirnov p-values with effective sample sizes.

    Stephens' small-sample correction: λ = (√e + 0.12 + 0.11/√e) D with e = nm/(n + m). (JRSS B 32 (1970).)
    """
    root = np.sqrt(n_effective * m_effective / (n_effective + m_effective))
    return np.asarray(kolmogorov((root + 0.12 + 0.11 / root) * statistic), dtype=np.float64)


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
