"""The quadratic programme behind the arbitrage-free surface, for one expiry, by a banded interior-point method.

The unknowns are relative changes y of the B-spline coefficients of a prior's out-of-the-money prices. Everything touches at most five
neighbouring coefficients, so the normal matrix has four sub-diagonals and one Newton step costs a few microseconds.

    minimise    ½ yᵀHy + gᵀy + Σ ρ_r e_r
    subject to  a_r·y + e_r ≥ l_r,  e_r ≥ 0  (soft: the bid and ask of a quote)
                a_r·y ≥ l_r                  (hard: convexity, calendar)

Mehrotra's predictor-corrector method (Nocedal and Wright, Numerical Optimization, 2nd ed., section 16.6); the multiplier of a soft row lies in
[0, ρ_r], its second complementarity pair is (e_r, ρ_r - z_r), and both pairs are eliminated row by row.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray, IntArray

BAND = 5
"""Most neighbouring unknowns in one row, and diagonals of the normal matrix."""

HARD = math.inf
"""The price ρ of a row that must hold."""


@kernel
def factor(matrix: FloatArray) -> bool:
    """Banded Cholesky in place; matrix[i, d] is the entry (i, i - d). False where a pivot is not positive."""
    n = matrix.shape[0]
    for i in range(n):
        for d in range(min(BAND - 1, i), 0, -1):
            j = i - d
            value = matrix[i, d]
            for e in range(d + 1, min(BAND - 1, i) + 1):
                # Column i - e of rows i and j.
                if e - d < BAND:
                    value -= matrix[i, e] * matrix[j, e - d]
            matrix[i, d] = value * matrix[j, 0]
        pivot = matrix[i, 0]
        for d in range(1, min(BAND - 1, i) + 1):
            pivot -= matrix[i, d] * matrix[i, d]
        if not pivot > 0.0:
            return False
        # The inverse of the pivot is what both loops need.
        matrix[i, 0] = 1.0 / math.sqrt(pivot)
    return True


@kernel
def solve(matrix: FloatArray, x: FloatArray) -> None:
    """Solve in place with the result of `factor`."""
    n = x.shape[0]
    for i in range(n):
        value = x[i]
        for d in range(1, min(BAND - 1, i) + 1):
            value -= matrix[i, d] * x[i - d]
        x[i] = value * matrix[i, 0]
    for i in range(n - 1, -1, -1):
        value = x[i]
        for d in range(1, min(BAND - 1, n - 1 - i) + 1):
            value -= matrix[i + d, d] * x[i + d]
        x[i] = value * matrix[i, 0]


@kernel
def minimise(
    hessian: FloatArray,
    linear: FloatArray,
    first: IntArray,
    coefficient: FloatArray,
    bound: FloatArray,
    cost: FloatArray,
    y: FloatArray,
    iterations: int,
    tolerance: float,
) -> int:
    """Solve the programme from `y`, in place.

    Args:
        hessian: (n, BAND), positive definite; hessian[i, d] is the entry (i, i - d).
        linear: (n,).
        first: (rows,) first unknown of each row; first + BAND ≤ n.
        coefficient: (rows, BAND).
        bound: (rows,) l.
        cost: (rows,) ρ; `HARD` for rows that must hold.
        y: (n,) start, overwritten by the solution.
        iterations: most Newton steps.
        tolerance: on residuals and on the mean complementarity product.

    Returns the number of Newton steps, negative where the last matrix was not positive definite or the steps did not suffice.
    """
    n = y.shape[0]
    rows = first.shape[0]
    s = np.empty(rows)
    z = np.empty(rows)
    e = np.zeros(rows)
    pairs = 0
    for r in range(rows):
        at = first[r]
        value = -bound[r]
        for q in range(BAND):
            value += coefficient[r, q] * y[at + q]
        if math.isinf(cost[r]):
            s[r] = max(value, 0.1)
            z[r] = 0.1 / s[r]
            pairs += 1
        else:
            z[r] = 0.5 * cost[r] if value < 0.0 else min(0.5 * cost[r], 0.1 / max(value, 0.1))
            e[r] = max(-value, 0.0) + 0.1
            s[r] = value + e[r]
            pairs += 2
    matrix = np.empty((n, BAND))
    step = np.empty(n)
    dual = np.empty(n)
    ds = np.empty(rows)
    dz = np.empty(rows)
    de = np.empty(rows)
    primal = np.empty(rows)
    width = np.empty(rows)
    size = 1.0
    for i in range(n):
        size = max(size, abs(linear[i]), hessian[i, 0])
    for iteration in range(iterations):
        # Residuals.
        for i in range(n):
            value = linear[i] + hessian[i, 0] * y[i]
            for d in range(1, BAND):
                if i - d >= 0:
                    value += hessian[i, d] * y[i - d]
                if i + d < n:
                    value += hessian[i + d, d] * y[i + d]
            dual[i] = value
        gap = 0.0
        worst = 0.0
        for r in range(rows):
            at = first[r]
            value = bound[r] + s[r] - e[r]
            for q in range(BAND):
                value -= coefficient[r, q] * y[at + q]
                dual[at + q] -= coefficient[r, q] * z[r]
            primal[r] = value
            worst = max(worst, abs(value))
            gap += s[r] * z[r]
            width[r] = s[r] / z[r]
            if not math.isinf(cost[r]):
                rest = cost[r] - z[r]
                gap += e[r] * rest
                width[r] += e[r] / rest
        mean = gap / pairs
        infeasible = 0.0
        for i in range(n):
            infeasible = max(infeasible, abs(dual[i]))
        if mean < tolerance and worst < tolerance and infeasible < tolerance * size:
            return iteration
        # Normal matrix.
        for i in range(n):
            for d in range(BAND):
                matrix[i, d] = hessian[i, d]
        for r in range(rows):
            at = first[r]
            inverse = 1.0 / width[r]
            for q in range(BAND):
                scaled = coefficient[r, q] * inverse
                for d in range(q + 1):
                    matrix[at + q, d] += scaled * coefficient[r, q - d]
        if not factor(matrix):
            return -iteration - 1
        target = 0.0
        for corrector in range(2):
            for i in range(n):
                step[i] = -dual[i]
            for r in range(rows):
                c1 = target - s[r] * z[r]
                if corrector == 1:
                    c1 -= ds[r] * dz[r]
                value = primal[r] + c1 / z[r]
                if not math.isinf(cost[r]):
                    rest = cost[r] - z[r]
                    c2 = target - e[r] * rest
                    if corrector == 1:
                        c2 += de[r] * dz[r]
                    value -= c2 / rest
                value /= width[r]
                at = first[r]
                for q in range(BAND):
                    step[at + q] += coefficient[r, q] * value
            solve(matrix, step)
            length_primal = 1.0
            length_dual = 1.0
            for r in range(rows):
                at = first[r]
                moved = 0.0
                for q in range(BAND):
                    moved += coefficient[r, q] * step[at + q]
                c1 = target - s[r] * z[r]
                if corrector == 1:
                    c1 -= ds[r] * dz[r]
                value = primal[r] - moved + c1 / z[r]
                c2 = 0.0
                rest = 1.0
                if not math.isinf(cost[r]):
                    rest = cost[r] - z[r]
                    c2 = target - e[r] * rest
                    if corrector == 1:
                        c2 += de[r] * dz[r]
                    value -= c2 / rest
                new_dz = value / width[r]
                new_ds = (c1 - s[r] * new_dz) / z[r]
                new_de = 0.0
                if not math.isinf(cost[r]):
                    new_de = (c2 + e[r] * new_dz) / rest
                    if new_de < 0.0:
                        length_primal = min(length_primal, -e[r] / new_de)
                    if new_dz > 0.0:
                        length_dual = min(length_dual, rest / new_dz)
                if new_ds < 0.0:
                    length_primal = min(length_primal, -s[r] / new_ds)
                if new_dz < 0.0:
                    length_dual = min(length_dual, -z[r] / new_dz)
                ds[r], dz[r], de[r] = new_ds, new_dz, new_de
            length = min(length_primal, length_dual)
            if corrector == 0:
                after = 0.0
                for r in range(rows):
                    after += (s[r] + length * ds[r]) * (z[r] + length * dz[r])
                    if not math.isinf(cost[r]):
                        after += (e[r] + length * de[r]) * (cost[r] - z[r] - length * dz[r])
                target = mean * (after / gap) ** 3
        length = min(1.0, max(0.9, 1.0 - mean) * length)
        for i in range(n):
            y[i] += length * step[i]
        for r in range(rows):
            s[r] += length * ds[r]
            z[r] += length * dz[r]
            e[r] += length * de[r]
    return -iterations
