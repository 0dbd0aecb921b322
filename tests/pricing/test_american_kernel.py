"""The compiled kernels of the American options: that the hot loop is vectorised, the collocation's constants, and the guess table."""

from __future__ import annotations

import platform

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

from gammaray.pricing import american_boundary as boundary
from gammaray.pricing import american_kernel as kernel
from gammaray.pricing.american import american_price
from gammaray.pricing.american_collocation import (
    Collocation,
    chebyshev_nodes,
    chebyshev_transform,
    collocation,
    interpolation,
)
from gammaray.pricing.american_guess import guess_table
from gammaray.pricing.jit import OPTIONS


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.skipif(
    platform.machine() != "x86_64" or not llvm.get_host_cpu_features().get("avx2", False),
    reason="needs x86-64 with AVX2",
)
def test_the_boundary_integrals_are_vectorised() -> None:
    """Whole vectors are multiplied and added in 256- or 512-bit registers, at least as often as single numbers are."""

    @numba.njit(**OPTIONS)
    def loop(scheme: Collocation, work: np.ndarray, squares: np.ndarray, logs: np.ndarray) -> None:
        boundary.integrate(True, True, scheme, 0, work, squares, logs, boundary.BLOCK)

    scheme = collocation("accurate")
    rows = np.ones((scheme.nodes.size, boundary.BLOCK))
    loop(scheme, np.ones((boundary.WORK_ROWS, boundary.BLOCK)), rows, -rows)
    lines = next(iter(loop.inspect_asm().values())).splitlines()
    wide = sum("pd" in line and ("ymm" in line or "zmm" in line) and "vf" in line for line in lines)
    single = sum("sd" in line and "vf" in line for line in lines)
    assert wide > 100
    assert wide >= 0.5 * single  # the remainder loop, of single numbers, is as long as the loop of vectors


def test_interpolation_is_exact_for_polynomials_that_vanish_at_zero() -> None:
    nodes, points = chebyshev_nodes(6), np.linspace(0.0, 1.0, 11)
    values = nodes**5 - 2.0 * nodes**2 + nodes
    assert interpolation(6, points) @ values == pytest.approx(points**5 - 2.0 * points**2 + points, abs=1e-14)


def test_quadrature_is_that_of_time() -> None:
    """∫₀^τ f(v)/√v dv with v = τ·y² is 2√τ·∫₀¹ f dy; f = y² gives 2/3 for τ = 1."""
    for accuracy in ("fast", "accurate", "high"):
        scheme = collocation(accuracy)
        assert 2.0 * scheme.weight @ scheme.cosine**2 == pytest.approx(2 / 3, abs=1e-5)
        # Of the price, in g = s(2 − s): ∫₀¹ g dg = 1/2.
        assert scheme.price_weight @ scheme.price_position == pytest.approx(1 / 2, abs=1e-14)


def test_chebyshev_coefficients_reproduce_the_values() -> None:
    nodes = chebyshev_nodes(6)
    values = nodes**3
    series = np.polynomial.chebyshev.chebval(2.0 * nodes - 1.0, chebyshev_transform(6) @ values)
    assert series == pytest.approx(values, abs=1e-14)


def test_the_guess_is_near_the_boundary() -> None:
    """Interpolated off its grid, the table is within a few thousandths of the boundary."""
    table, axes = guess_table()
    assert np.isfinite(table).all()
    rng = np.random.default_rng(3)
    count = 256
    time, rate = np.exp(rng.uniform(-8, 1, count)), np.exp(rng.uniform(-3, 3, count))
    dividend = rate * rng.choice([0.0, 0.5, 0.9, 1.5, 4.0], count)
    scheme = collocation("accurate", converged=True)
    exact = boundary.boundaries(scheme, time, rate, dividend)
    unswept = scheme._replace(max_sweeps=0)
    out = np.empty((4, count))
    one = np.ones(count)
    kernel.evaluate(False, unswept, table, axes, -one, one, one, time, rate, one, dividend, 0, count, out)
    limit = np.log(np.where(dividend > rate, rate / np.where(dividend > 0, dividend, 1.0), 1.0))
    error = np.abs(np.log(out[kernel.BOUNDARY]) - limit - exact[:, 0])
    assert np.quantile(error, 0.9) < 2e-3
    assert error.max() < 0.02


def test_blocks_of_any_filling_give_the_same_prices() -> None:
    """Rows of all kinds in one call, so that blocks are partly filled, against each row alone."""
    rng = np.random.default_rng(8)
    n = 150
    right, spot, tau = rng.choice([-1, 1], n), 100 * np.exp(0.2 * rng.normal(size=n)), rng.uniform(0, 2, n).round(1)
    rate, volatility, dividend = (
        rng.choice([0.0, 0.02, 0.1], n),
        rng.choice([0.0, 0.1, 0.5], n),
        rng.choice([0.0, 0.03], n),
    )
    for accuracy in ("fast", "accurate", "high"):
        together = american_price(right, spot, 100.0, tau, rate, volatility, dividend, accuracy=accuracy)
        alone = [
            american_price(*row, accuracy=accuracy)
            for row in zip(right, spot, [100.0] * n, tau, rate, volatility, dividend, strict=True)
        ]
        assert together == pytest.approx(alone, abs=1e-11)


def test_threads_give_the_same_prices() -> None:
    spot = np.linspace(50, 150, 20_000)
    one = american_price("P", spot, 100.0, 1.0, 0.05, 0.2, accuracy="high")
    assert american_price("P", spot, 100.0, 1.0, 0.05, 0.2, accuracy="high", threads=2) == pytest.approx(one, abs=1e-11)
