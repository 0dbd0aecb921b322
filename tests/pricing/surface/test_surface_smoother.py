"""The interior-point method against the optimality conditions of its programme and an independent solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

from gammaray.pricing.surface.smoother import BAND, QUOTE_BAND, factor, minimise, solve


def dense(first: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros((len(first), n))
    for r, at in enumerate(first):
        out[r, at : at + rows.shape[1]] += rows[r]
    return out


def test_banded_cholesky_solves_what_numpy_solves() -> None:
    rng = np.random.default_rng(3)
    n = 40
    lower = np.tril(rng.standard_normal((n, n))) * (np.subtract.outer(np.arange(n), np.arange(n)) < BAND)
    matrix = lower @ lower.T + np.eye(n)
    banded = np.zeros((n, BAND))
    for i in range(n):
        for d in range(min(BAND, i + 1)):
            banded[i, d] = matrix[i, i - d]
    x = rng.standard_normal(n)
    expected = np.linalg.solve(matrix, x)
    assert factor(banded)
    solve(banded, x)
    assert x == pytest.approx(expected, rel=1e-9)
    assert not factor(np.full((n, BAND), -1.0))


@pytest.mark.parametrize("seed", range(5))
def test_solution_agrees_with_a_general_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, p = 12, 6, 7
    hessian = np.zeros((n, BAND))
    hessian[:, 0] = rng.uniform(1.0, 2.0, n)
    linear = rng.standard_normal(n)
    curve_first = rng.integers(0, n - BAND + 1, m)
    curve = rng.standard_normal((m, BAND))
    curve_bound = rng.uniform(-1.0, 0.0, m)
    least = np.full(n, -0.5)
    quote_first = rng.integers(0, n - QUOTE_BAND + 1, p)
    quote = rng.standard_normal((p, QUOTE_BAND))
    middle = rng.standard_normal(p)
    lower, upper, cost = middle - 0.1, middle + 0.1, rng.uniform(0.2, 3.0, p)
    y = np.zeros(n)
    steps = minimise(
        hessian, linear, curve_first, curve, curve_bound, least, quote_first, quote, lower, upper, cost, y, 100, 1e-10
    )
    assert 0 < steps < 60

    # The same with the excesses as variables of their own.
    c, q = dense(curve_first, curve, n), dense(quote_first, quote, n)
    none = np.zeros((p, p))

    def objective(v: np.ndarray) -> float:
        return float(0.5 * v[:n] @ (hessian[:, 0] * v[:n]) + linear @ v[:n] + cost @ (v[n : n + p] + v[n + p :]))

    reference = minimize(
        objective,
        np.concatenate([np.zeros(n), np.full(2 * p, 5.0)]),
        jac=lambda v: np.concatenate([hessian[:, 0] * v[:n] + linear, cost, cost]),
        method="SLSQP",
        bounds=[(-0.5, None)] * n + [(0.0, None)] * (2 * p),
        constraints=[
            LinearConstraint(np.hstack([c, np.zeros((m, 2 * p))]), curve_bound, np.inf),
            LinearConstraint(np.hstack([q, np.eye(p), none]), lower, np.inf),
            LinearConstraint(np.hstack([-q, none, np.eye(p)]), -upper, np.inf),
        ],
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert reference.success
    assert (c @ y >= curve_bound - 1e-8).all()
    assert (y >= least - 1e-8).all()
    excess = np.concatenate([np.maximum(lower - q @ y, 0.0), np.maximum(q @ y - upper, 0.0)])
    assert objective(np.concatenate([y, excess])) == pytest.approx(reference.fun, abs=1e-6)
    assert y == pytest.approx(reference.x[:n], abs=1e-4)
