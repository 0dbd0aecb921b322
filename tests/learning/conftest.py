"""A small world whose rules change at a known row, and a registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gammaray.learning.registry import MlflowRegistry
from gammaray.models.dataset import TrainingSet

CHANGE = 500


@pytest.fixture(scope="session")
def changing() -> TrainingSet:
    """700 rows: volatility is an autoregression in logs; from row 500 on the implied volatility is driven the other way, and more.

    Features: session volatility, implied volatility, one of pure noise. Before the change iv falls by half of its excess over 0.2, after it rises by
    as much.
    """
    generator = np.random.default_rng(11)
    n = 700
    log_volatility = np.empty(n + 1)
    log_volatility[0] = np.log(0.15)
    for i in range(n):
        log_volatility[i + 1] = np.log(0.15) + 0.6 * (log_volatility[i] - np.log(0.15)) + generator.normal(0.0, 0.15)
    implied = 0.2 + generator.normal(0.0, 0.05, n)
    pull = np.where(np.arange(n) < CHANGE, -0.5, 0.5)
    change = pull * (implied - 0.2) + generator.normal(0.0, 0.005, n)
    features = np.column_stack([np.exp(log_volatility[:n]), implied, generator.normal(size=n)])
    targets = np.column_stack([np.exp(log_volatility[1:]), change])
    return TrainingSet.from_arrays(
        ("volatility", "implied", "noise"), "test-1", features, targets, 10**9 * np.arange(1, n + 1)
    )


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry's empty tables: making them takes MLflow seconds, copying them nothing."""
    registry = MlflowRegistry(tmp_path_factory.mktemp("registry"))
    assert registry.models() == []
    return registry.directory


@pytest.fixture
def registry(empty_registry: Path, tmp_path: Path) -> MlflowRegistry:
    """An empty registry."""
    return MlflowRegistry(Path(shutil.copytree(empty_registry, tmp_path / "registry")))
