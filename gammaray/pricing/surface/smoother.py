"""The quadratic programme behind the arbitrage-free surface, for one expiry, by a banded interior-point method.

Everything touches at most five neighbouring unknowns, so the normal matrix has four sub-diagonals and one Newton step costs microseconds.

    minimise    ½ yᵀHy + gᵀy + Σ ρ_i (e_i + f_i)
    subject to  C y ≥ c,  y ≥ b                               (hard: convexity, order in time)
                Q y + e ≥ l,  -Q y + f ≥ -u,  e ≥ 0,  f ≥ 0   (soft: between bid and ask)

Mehrotra's predictor-corrector method (Nocedal and Wright, Numerical Optimization, 2nd ed., section 16.6); the multiplier of a soft row lies in
[0, ρ], its second complementarity pair is (e, ρ - z), and both pairs are eliminated row by row.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray, IntArray

BAND = 5
"""Diagonals of the normal matrix, and width of a row of C."""

QUOTE_BAND = 4
"""Width of a row of Q."""

_START = 0.1
_PRIMAL_TOLERANCE = 1e-9


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
    curve_first: IntArray,
    curve: FloatArray,
    curve_bound: FloatArray,
    least: FloatArray,
    quote_first: IntArray,
    quote: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    cost: FloatArray,
    y: FloatArray,
    iterations: int,
    tolerance: float,
) -> int:
    """Solve the programme from `y`, in place.

    Args:
        hessian: (n, BAND), positive definite; hessian[i, d] is the entry (i, i - d).
        linear: (n,) g.
        curve_first: (m,) first unknown of each row of C; first + BAND ≤ n.
        curve: (m, BAND) C.
        curve_bound: (m,) c.
        least: (n,) b.
        quote_first: (p,) first unknown of each row of Q; first + QUOTE_BAND ≤ n.
        quote: (p, QUOTE_BAND) Q.
        lower: (p,) l.
        upper: (p,) u.
        cost: (p,) ρ.
        y: (n,) start, overwritten by the solution.
        iterations: most Newton steps.
        tolerance: on the mean complementarity product and the relative gradient; rows are satisfied far closer.

    Returns the number of Newton steps, negative where a matrix was not positive definite or the steps did not suffice.
    """
    n = y.shape[0]
    m = curve_first.shape[0]
    p = quote_first.shape[0]
    hard = m + n
    soft = 2 * p
    rows = hard + soft
    pairs = rows + soft
    bound = np.concatenate((curve_bound, least, lower, -upper))
    # Slack and multiplier of every row; excess and room ρ - z of the soft ones.
    s, z, ds, dz = np.empty(rows), np.empty(rows), np.zeros(rows), np.zeros(rows)
    e, rest, de = np.empty(soft), np.empty(soft), np.zeros(soft)
    product, primal, per_width = np.empty(rows), np.empty(rows), np.empty(rows)
    _multiply(curve_first, curve, quote_first, quote, y, product)
    for r in range(hard):
        s[r] = max(product[r] - bound[r], _START)
        z[r] = _START / s[r]
    for i in range(soft):
        value = product[hard + i] - bound[hard + i]
        price = cost[i % p]
        z[hard + i] = 0.5 * price if value < 0.0 else min(0.5 * price, _START / max(value, _START))
        e[i] = max(-value, 0.0) + _START
        s[hard + i] = value + e[i]
    matrix = np.empty((n, BAND))
    step = np.empty(n)
    dual = np.empty(n)
    size = max(1.0, np.abs(linear).max(), hessian[:, 0].max())
    for iteration in range(iterations):
        _gradient(hessian, linear, y, dual)
        _add_transposed(curve_first, curve, quote_first, quote, -z, dual)
        _multiply(curve_first, curve, quote_first, quote, y, product)
        for r in range(rows):
            primal[r] = bound[r] + s[r] - product[r]
            per_width[r] = s[r] / z[r]
        for i in range(soft):
            rest[i] = cost[i % p] - z[hard + i]
            primal[hard + i] -= e[i]
            per_width[hard + i] += e[i] / rest[i]
        gap = (s * z).sum() + (e * rest).sum()
        mean = gap / pairs
        if mean < tolerance and np.abs(primal).max() < _PRIMAL_TOLERANCE and np.abs(dual).max() < tolerance * size:
            return iteration
        for r in range(rows):
            per_width[r] = 1.0 / per_width[r]
        matrix[:] = hessian
        _add_squares(curve_first, curve, quote_first, quote, per_width, matrix)
        if not factor(matrix):
            return -iteration - 1
        # First towards complementarity zero, which shows how far one can go; then to a centre chosen by that, with the second-order terms.
        ds[:] = 0.0
        dz[:] = 0.0
        de[:] = 0.0
        target = 0.0
        reach = 1.0
        for stage in range(2):
            # ds and de hold the right-hand sides of the complementarity pairs until Δz is known.
            for r in range(rows):
                ds[r] = target - s[r] * z[r] - ds[r] * dz[r]
                product[r] = primal[r] + ds[r] / z[r]
            for i in range(soft):
                de[i] = target - e[i] * rest[i] + de[i] * dz[hard + i]
                product[hard + i] -= de[i] / rest[i]
            for r in range(rows):
                dz[r] = product[r] * per_width[r]
            step[:] = -dual
            _add_transposed(curve_first, curve, quote_first, quote, dz, step)
            solve(matrix, step)
            _multiply(curve_first, curve, quote_first, quote, step, product)
            for r in range(rows):
                dz[r] -= product[r] * per_width[r]
                ds[r] = (ds[r] - s[r] * dz[r]) / z[r]
            for i in range(soft):
                de[i] = (de[i] + e[i] * dz[hard + i]) / rest[i]
            reach = 1.0 / max(1.0, _steepest(ds, s), _steepest(dz, z), _steepest(de, e), _steepest(-dz[hard:], rest))
            if stage == 0:
                after = ((s + reach * ds) * (z + reach * dz)).sum() + (
                    (e + reach * de) * (rest - reach * dz[hard:])
                ).sum()
                target = mean * (after / gap) ** 3
        reach = min(1.0, max(0.9, 1.0 - mean) * reach)
        y += reach * step
        s += reach * ds
        z += reach * dz
        e += reach * de
    return -iterations


@kernel
def _steepest(change: FloatArray, value: FloatArray) -> float:
    """Largest share of a positive value that the change takes away."""
    worst = 0.0
    for r in range(value.shape[0]):
        share = -change[r] / value[r]
        worst = share if share > worst else worst
    return worst


@kernel
def _gradient(hessian: FloatArray, linear: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """H y + g."""
    n = y.shape[0]
    for i in range(n):
        out[i] = linear[i] + hessian[i, 0] * y[i]
    for d in range(1, BAND):
        for i in range(d, n):
            out[i] += hessian[i, d] * y[i - d]
            out[i - d] += hessian[i, d] * y[i]


@kernel
def _multiply(
    curve_first: IntArray, curve: FloatArray, quote_first: IntArray, quote: FloatArray, y: FloatArray, out: FloatArray
) -> None:
    """All rows times y."""
    n, m, p = y.shape[0], curve_first.shape[0], quote_first.shape[0]
    for r in range(m):
        value = 0.0
        for q in range(BAND):
            value += curve[r, q] * y[curve_first[r] + q]
        out[r] = value
    out[m : m + n] = y
    for r in range(p):
        value = 0.0
        for q in range(QUOTE_BAND):
            value += quote[r, q] * y[quote_first[r] + q]
        out[m + n + r] = value
        out[m + n + p + r] = -value


@kernel
def _add_transposed(
    curve_first: IntArray,
    curve: FloatArray,
    quote_first: IntArray,
    quote: FloatArray,
    values: FloatArray,
    out: FloatArray,
) -> None:
    """Add the transpose of all rows times values."""
    n, m, p = out.shape[0], curve_first.shape[0], quote_first.shape[0]
    for r in range(m):
        for q in range(BAND):
            out[curve_first[r] + q] += curve[r, q] * values[r]
    out += values[m : m + n]
    for r in range(p):
        value = values[m + n + r] - values[m + n + p + r]
        for q in range(QUOTE_BAND):
            out[quote_first[r] + q] += quote[r, q] * value


@kernel
def _add_squares(
    curve_first: IntArray,
    curve: FloatArray,
    quote_first: IntArray,
    quote: FloatArray,
    values: FloatArray,
    out: FloatArray,
) -> None:
    """Add rowsᵀ · diag(values) · rows, banded."""
    n, m, p = out.shape[0], curve_first.shape[0], quote_first.shape[0]
    for r in range(m):
        for q in range(BAND):
            scaled = curve[r, q] * values[r]
            if scaled != 0.0:
                for d in range(q + 1):
                    out[curve_first[r] + q, d] += scaled * curve[r, q - d]
    out[:, 0] += values[m : m + n]
    for r in range(p):
        value = values[m + n + r] + values[m + n + p + r]
        for q in range(QUOTE_BAND):
            scaled = quote[r, q] * value
            for d in range(q + 1):
                out[quote_first[r] + q, d] += scaled * quote[r, q - d]
