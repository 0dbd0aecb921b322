"""The branch-free functions against 40-digit arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numba
import numpy as np
import pytest

from gammaray.pricing import special
from gammaray.pricing.jit import OPTIONS

EPSILON = 2.0**-53


def over(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """A compiled loop over the function, as the kernels use it."""

    @numba.njit(**OPTIONS)
    def loop(x: np.ndarray) -> np.ndarray:
        result = np.empty_like(x)
        for i in range(x.size):
            result[i] = function(x[i])
        return result

    return loop  # type: ignore[no-any-return]


def worst_error(values: np.ndarray, exact: list[mp.mpf]) -> float:
    """The largest relative error in units of 2^-53."""
    return max(float(abs(mp.mpf(float(v)) / e - 1)) for v, e in zip(values, exact, strict=True)) / EPSILON


def exact_mills(u: float) -> mp.mpf:
    u = mp.mpf(u)
    if u > 1e3:  # the asymptotic series, whose next term is below 1e-21
        return (1 - u**-2 + 3 * u**-4 - 15 * u**-6) / u
    return mp.sqrt(mp.pi / 2) * mp.exp(u * u / 2) * mp.erfc(u / mp.sqrt(2))


@pytest.fixture(autouse=True)
def forty_digits() -> object:
    with mp.workdps(40):
        yield


def test_exp() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-1, 1, 1000), rng.uniform(-707, 709, 1000)])
    assert worst_error(over(special.exp)(x), [mp.exp(v) for v in x]) < 1.5


def test_exp_at_the_ends() -> None:
    x = np.array([0.0, -0.0, -800.0, -math.inf, 710.0, math.inf])
    assert over(special.exp)(x).tolist() == [1.0, 1.0, 0.0, 0.0, math.inf, math.inf]
    assert math.isnan(over(special.exp)(np.array([math.nan]))[0])
    # Subnormal results keep the bits they have: 2^-1074 is their spacing.
    assert over(special.exp)(np.array([-740.0]))[0] == pytest.approx(math.exp(-740.0), abs=5e-324)


def test_log() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate(
        [rng.uniform(0.5, 2, 1000), 10.0 ** rng.uniform(-300, 300, 1000), 1 + rng.uniform(-1, 1, 500) * 1e-9]
    )
    x = x[x != 1.0]
    assert worst_error(over(special.log)(x), [mp.log(v) for v in x]) < 1.5
    assert over(special.log)(np.ones(1))[0] == 0.0


def test_mills_ratio() -> None:
    rng = np.random.default_rng(3)
    u = np.concatenate([[0.0], rng.uniform(0, 3, 800), rng.uniform(0, 40, 800), 10.0 ** rng.uniform(-8, 150, 400)])
    assert worst_error(over(special.mills_ratio)(u), [exact_mills(v) for v in u]) < 4.0


def test_erfcx_and_normal_distribution() -> None:
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 25, 500)
    assert worst_error(over(special.erfcx)(x), [mp.exp(mp.mpf(v) ** 2) * mp.erfc(v) for v in x]) < 6.0
    x = rng.uniform(-37, 8, 800)
    # The exponent −x²/2 is rounded: relative error x²·2^-53 in the tail.
    relative = abs(over(special.norm_cdf)(x) / np.array([float(mp.ncdf(v)) for v in x]) - 1)
    assert np.all(relative < 1e-15 + 2e-16 * x * x)
    relative = abs(over(special.norm_pdf)(x) / np.array([float(mp.npdf(v)) for v in x]) - 1)
    assert np.all(relative < 1e-15 + 2e-16 * x * x)


def test_log_ratio_is_exact_where_the_quotient_rounds() -> None:
    @numba.njit(**OPTIONS)
    def ratio(a: float, b: float) -> float:
        return special.log_ratio(a, b)  # type: ignore[no-any-return]

    for a, b in [(100.0, 100.00000001), (141.94034540657708, 141.94063489186598), (3.0, 7.0)]:
        exact = mp.log(mp.mpf(a) / mp.mpf(b))
        assert abs(mp.mpf(ratio(a, b)) / exact - 1) < 4 * EPSILON
