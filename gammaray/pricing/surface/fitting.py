"""What the fits of smiles share: validated points, and the solution of small normal equations."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray, IntArray


def checked_points(
    log_moneyness: npt.ArrayLike, total_variance: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The three columns of a smile fit as float64, validated."""
    k = np.ascontiguousarray(log_moneyness, np.float64)
    w = np.ascontiguousarray(total_variance, np.float64)
    weight = np.ones(k.shape) if weights is None else np.ascontiguousarray(weights, np.float64)
    if k.ndim != 1 or k.shape[0] < 5:
        raise ValueError(f"log_moneyness must be one-dimensional with at least 5 points, got shape {k.shape}")
    for name, column, valid in (
        ("log_moneyness", k, np.isfinite(k)),
        ("total_variance", w, np.isfinite(w) & (w > 0.0)),
        ("weights", weight, np.isfinite(weight) & (weight >= 0.0)),
    ):
        if column.shape != k.shape:
            raise ValueError(f"{name} must have the shape {k.shape} of log_moneyness, got {column.shape}")
        if not valid.all():
            first = int(np.argmin(valid))
            raise ValueError(f"{name} has the invalid value {column[first]} at index {first}")
    if np.unique(k).shape[0] < 3:
        raise ValueError("log_moneyness must have at least 3 distinct values")
    if not weight.any():
        raise ValueError("weights are all zero")
    return k, w, weight


def checked_expiries(expiry: npt.ArrayLike, points: int) -> tuple[IntArray, int]:
    """Expiry numbers 0 … n - 1 of the points of a surface fit, validated, and n."""
    index = np.ascontiguousarray(expiry, np.int64)
    if index.shape != (points,):
        raise ValueError(f"expiry must have one number per point ({points}), got shape {index.shape}")
    counts = np.bincount(index) if index.min() >= 0 else np.zeros(1, np.int64)
    if not counts.all():
        raise ValueError("expiry must number the expiries 0, 1, 2, … in order of time, each with at least one point")
    return index, int(counts.shape[0])


@kernel
def solve_positive_definite(matrix: FloatArray, vector: FloatArray, n: int) -> bool:
    """Solve the leading n equations in place by Cholesky; False where the matrix is not positive definite."""
    for j in range(n):
        pivot = matrix[j, j]
        for i in range(j):
            pivot -= matrix[j, i] * matrix[j, i]
        if not pivot > 0.0:
            return False
        pivot = math.sqrt(pivot)
        matrix[j, j] = pivot
        for i in range(j + 1, n):
            value = matrix[i, j]
            for q in range(j):
                value -= matrix[i, q] * matrix[j, q]
            matrix[i, j] = value / pivot
    for j in range(n):
        for i in range(j):
            vector[j] -= matrix[j, i] * vector[i]
        vector[j] /= matrix[j, j]
    for j in range(n - 1, -1, -1):
        for i in range(j + 1, n):
            vector[j] -= matrix[i, j] * vector[i]
        vector[j] /= matrix[j, j]
    return True
