"""The forecasts to beat."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.models.baselines import HarForecaster, PersistenceForecaster
from gammaray.models.dataset import TrainingSet, WindowSet
from gammaray.operations.errors import BadInput


def test_persistence_repeats_the_last_row() -> None:
    model = PersistenceForecaster(("x", "rv"), "v", "rv", look_back=2)
    inputs = np.array([[[9.0, 0.1], [9.0, 0.2]]])
    np.testing.assert_array_equal(model.predict(inputs), [[0.2, 0.0]])
    with pytest.raises(BadInput, match="has no 'iv'"):
        PersistenceForecaster(("x",), "v", "iv")


def test_har_finds_its_own_coefficients() -> None:
    """Outcomes made exactly by log v = 0.1 + 0.3 day + 0.4 week + 0.2 month, iv change = 0.05 − 0.02 log implied."""
    generator = np.random.default_rng(0)
    inputs = np.exp(generator.normal(-2.0, 0.3, size=(200, 20, 2)))
    variance = inputs[:, :, 0] ** 2
    day, week, month = (0.5 * np.log(variance[:, -n:].mean(axis=1)) for n in (1, 5, 20))
    targets = np.column_stack(
        [np.exp(0.1 + 0.3 * day + 0.4 * week + 0.2 * month), 0.05 - 0.02 * np.log(inputs[:, -1, 1])]
    )
    times = np.arange(200, dtype=np.int64)
    model = HarForecaster(("rv", "iv"), "v", "rv", "iv")
    model.fit(WindowSet(inputs, targets, times, times + 1))
    np.testing.assert_allclose(model.predict(inputs), targets, rtol=1e-9)


def test_har_refuses_what_it_cannot_do(world: TrainingSet) -> None:
    with pytest.raises(BadInput, match="HAR needs 20 sessions"):
        HarForecaster(world.feature_names, "v", "volatility", "implied", look_back=10)
    model = HarForecaster(world.feature_names, "v", "volatility", "implied")
    with pytest.raises(BadInput, match="has not been fitted"):
        model.predict(world.windows(20).inputs)
