"""A small world in which there is something to learn."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.models.dataset import TrainingSet


def learnable_rows(n: int, seed: int) -> TrainingSet:
    """Volatility follows its own logarithm (φ = 0.6); the iv change reverts to a mean of 0.2 with noise of 0.01.

    Features: session volatility, implied volatility, and two of pure noise.
    """
    generator = np.random.default_rng(seed)
    log_volatility = np.empty(n + 1)
    log_volatility[0] = np.log(0.15)
    for i in range(n):
        shock = generator.normal(0.0, 0.15)
        log_volatility[i + 1] = np.log(0.15) + 0.6 * (log_volatility[i] - np.log(0.15)) + shock
    volatility = np.exp(log_volatility)
    implied = 0.2 + generator.normal(0.0, 0.03, n)
    features = np.column_stack([volatility[:n], implied, generator.normal(size=(n, 2))])
    targets = np.column_stack([volatility[1:], 0.5 * (0.2 - implied) + generator.normal(0.0, 0.01, n)])
    return TrainingSet.from_arrays(
        ("volatility", "implied", "noise_1", "noise_2"), "test-1", features, targets, np.arange(1, n + 1) * 10**9
    )


@pytest.fixture(scope="session")
def world() -> TrainingSet:
    """700 learnable rows."""
    return learnable_rows(700, 7)
