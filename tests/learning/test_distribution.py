"""Two-sample tests against scipy, and their level on autocorrelated series."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from gammaray.learning.distribution import (
    ReferenceSample,
    benjamini_hochberg,
    correlation_time,
    ks_p_value,
    psi_p_value,
)


def autoregression(n: int, phi: float, generator: np.random.Generator, columns: int = 1) -> np.ndarray:
    """A stationary first-order autoregression of unit variance."""
    out = np.empty((n, columns))
    out[0] = generator.normal(size=columns)
    scale = np.sqrt(1.0 - phi**2)
    for i in range(1, n):
        out[i] = phi * out[i - 1] + scale * generator.normal(size=columns)
    return out


def test_ks_statistic_and_p_value_agree_with_scipy() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(200, 3)), generator.normal(0.3, 1.0, size=(60, 3))
    statistic = ReferenceSample(first, 5).ks_statistic(second)
    sizes = np.full(3, 200.0), np.full(3, 60.0)
    p_values = ks_p_value(statistic, *sizes)
    for column in range(3):
        expected = scipy.stats.ks_2samp(first[:, column], second[:, column], method="exact")
        assert statistic[column] == pytest.approx(expected.statistic, abs=1e-12)
        assert p_values[column] == pytest.approx(expected.pvalue, abs=0.02)


def test_correlation_time_of_an_autoregression() -> None:
    """1 + 2 Σ φ^k = (1 + φ)/(1 − φ): 3 for φ = 0.5, 1 for white noise (φ = 0)."""
    generator = np.random.default_rng(1)
    half = correlation_time(autoregression(20_000, 0.5, generator, 4))
    assert half.mean() == pytest.approx(3.0, rel=0.1)
    white = correlation_time(autoregression(20_000, 0.0, generator, 4))
    assert white.mean() == pytest.approx(1.0, abs=0.1)
    assert correlation_time(np.full((50, 1), 3.3)).tolist() == [50.0]


def test_ks_holds_its_level_on_autocorrelated_series() -> None:
    """φ = 0.9: the naive test rejects far too often at 5 %; with effective sizes at most about 5 %."""
    generator = np.random.default_rng(2)
    naive = allowed = 0
    runs = 400
    for _ in range(runs):
        series = autoregression(700, 0.9, generator)
        reference, window = series[:500], series[600:]
        statistic = ReferenceSample(reference, 5).ks_statistic(window)
        time = correlation_time(reference)
        naive += int(ks_p_value(statistic, np.array([500.0]), np.array([100.0]))[0] < 0.05)
        allowed += int(ks_p_value(statistic, 500.0 / time, 100.0 / time)[0] < 0.05)
    assert naive / runs > 0.4
    assert allowed / runs < 0.09


def test_stability_index_by_hand_and_its_level() -> None:
    reference = np.arange(100.0)[:, None]
    # All 20 values in the upper of two halves: q = (0.5, 20.5)/21, p = (50.5, 50.5)/101.
    p, q = np.array([0.5, 0.5]), np.array([0.5, 20.5]) / 21.0
    expected = float(np.sum((p - q) * np.log(p / q)))
    assert ReferenceSample(reference, 2).stability_index(np.full((20, 1), 90.0))[0] == pytest.approx(expected)
    generator = np.random.default_rng(3)
    first, second = generator.normal(size=(2000, 400)), generator.normal(size=(100, 400))
    index = ReferenceSample(first, 5).stability_index(second)
    p_values = psi_p_value(index, np.full(400, 2000.0), np.full(400, 100.0), 5)
    # 5 % of 400 is 20 ± 4.4.
    assert 5 <= int((p_values < 0.05).sum()) <= 38


def test_benjamini_hochberg_by_hand() -> None:
    # Thresholds 0.0125, 0.025, 0.0375, 0.05: the third passes, so the first three are rejected though the second alone would not be.
    assert benjamini_hochberg(np.array([0.03, 0.001, 0.9, 0.0299]), 0.05).tolist() == [True, True, False, True]
    assert not benjamini_hochberg(np.array([0.02, 0.5, 0.9, 0.9]), 0.05).any()
    generator = np.random.default_rng(4)
    alarms = sum(bool(benjamini_hochberg(generator.uniform(size=100), 0.05).any()) for _ in range(1000))
    # Under no change the chance of any rejection is the rate: 50 ± 7.
    assert 25 <= alarms <= 78
