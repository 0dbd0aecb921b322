"""The two networks: what they learn, that they repeat, that they survive the disk, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gammaray.models.baselines import PersistenceForecaster
from gammaray.models.dataset import TrainingSet, WindowSet, purged_split
from gammaray.models.forecaster import (
    ARCHITECTURES,
    LstmForecaster,
    NetworkConfig,
    TorchForecaster,
    TransformerForecaster,
    load_forecaster,
)
from gammaray.models.training import TrainingConfig
from gammaray.operations.errors import BadInput

LOOK_BACK = 6
CONFIG = NetworkConfig(look_back=LOOK_BACK, hidden=8, heads=2, layers=1, training=TrainingConfig(epochs=8))

both = pytest.mark.parametrize("kind", list(ARCHITECTURES.values()), ids=list(ARCHITECTURES))


def split(world: TrainingSet) -> tuple[WindowSet, WindowSet, WindowSet]:
    """400 windows to train on, 100 to stop by, the rest unseen."""
    windows = world.windows(LOOK_BACK)
    rest, unseen = purged_split(windows, int(windows.ts_ns[500]))
    training, validation = purged_split(rest, int(windows.ts_ns[400]))
    return training, validation, unseen


def make(kind: type[TorchForecaster], world: TrainingSet, seed: int = 1) -> TorchForecaster:
    return kind(world.feature_names, world.feature_version, CONFIG, seed)


@both
def test_learns_what_there_is_to_learn(kind: type[TorchForecaster], world: TrainingSet) -> None:
    training, validation, unseen = split(world)
    model = make(kind, world)
    figures = model.fit(training, validation)
    forecasts = model.predict(unseen.inputs)
    volatility_error = np.abs(np.log(forecasts[:, 0] / unseen.targets[:, 0])).mean()
    iv_error = np.abs(forecasts[:, 1] - unseen.targets[:, 1]).mean()
    yesterday = PersistenceForecaster(world.feature_names, world.feature_version, "volatility", LOOK_BACK)
    naive = yesterday.predict(unseen.inputs)
    assert volatility_error < np.abs(np.log(naive[:, 0] / unseen.targets[:, 0])).mean()
    # E|normal(0, 0.15)| = 0.12 and E|normal(0, 0.01)| = 0.008 are the noise that nobody can forecast.
    assert volatility_error < 0.12 * 1.15
    assert iv_error < 0.008 * 1.15
    assert figures["validation_loss"] > 0
    assert figures["epochs"] <= 8


@both
def test_same_seed_same_weights_other_seed_others(kind: type[TorchForecaster], world: TrainingSet) -> None:
    training, _, unseen = split(world)
    first, second, other = make(kind, world), make(kind, world), make(kind, world, seed=2)
    for model in (first, second, other):
        torch.rand(3)  # the global generator's state must not matter
        model.fit(training)
    np.testing.assert_array_equal(first.predict(unseen.inputs), second.predict(unseen.inputs))
    assert not np.array_equal(first.predict(unseen.inputs), other.predict(unseen.inputs))


@both
def test_save_and_load_give_the_same_forecasts(kind: type[TorchForecaster], world: TrainingSet, tmp_path: Path) -> None:
    training, _, unseen = split(world)
    model = make(kind, world)
    model.fit(training)
    model.save(tmp_path / "model.pt")
    for again in (kind.load(tmp_path / "model.pt"), load_forecaster(tmp_path / "model.pt"), model.clone()):
        assert (again.feature_names, again.feature_version) == (world.feature_names, "test-1")
        assert again.config == CONFIG
        np.testing.assert_array_equal(again.predict(unseen.inputs), model.predict(unseen.inputs))


def test_load_refuses_another_architecture(world: TrainingSet, tmp_path: Path) -> None:
    model = make(LstmForecaster, world)
    model.save(tmp_path / "model.pt")
    with pytest.raises(BadInput, match="expected 'transformer', was 'lstm'"):
        TransformerForecaster.load(tmp_path / "model.pt")


def test_unknown_targets_of_one_head_do_not_disturb_the_other(world: TrainingSet) -> None:
    training, _, unseen = split(world)
    half = training.targets.copy()
    half[:200, 1] = np.nan
    model = make(LstmForecaster, world)
    model.fit(WindowSet(training.inputs, half, training.ts_ns, training.outcome_ts_ns))
    forecasts = model.predict(unseen.inputs)
    assert np.isfinite(forecasts).all()
    assert np.abs(forecasts[:, 1] - unseen.targets[:, 1]).mean() < 0.008 * 1.25


def test_consolidation_holds_the_weights_near_the_anchor(world: TrainingSet) -> None:
    training, validation, _ = split(world)
    base = make(LstmForecaster, world)
    base.fit(training, validation)
    new = WindowSet(training.inputs, training.targets * 3.0, training.ts_ns, training.outcome_ts_ns)
    again = TrainingConfig(epochs=5, learning_rate=5e-3)

    def moved(strength: float) -> float:
        model = base.clone()
        penalty = base.consolidation(training, strength) if strength else None
        model.continue_fit(new, None, again, seed=3, penalty=penalty)
        fisher = base.consolidation(training, 1.0).fisher
        pairs = zip(model.network.named_parameters(), base.network.parameters(), strict=True)
        with torch.no_grad():
            return float(sum((fisher[name] * (a - b) ** 2).sum() for (name, a), b in pairs))

    # The penalty is on exactly this weighted distance.
    assert moved(1000.0) < 0.5 * moved(0.0)


def test_warm_start_is_kept_when_no_epoch_improves_on_it(world: TrainingSet) -> None:
    training, validation, unseen = split(world)
    model = make(LstmForecaster, world)
    model.fit(training, validation)
    before = model.predict(unseen.inputs)
    garbage = WindowSet(training.inputs, training.targets[::-1] * 10.0, training.ts_ns, training.outcome_ts_ns)
    figures = model.continue_fit(garbage, validation, TrainingConfig(epochs=3, learning_rate=1e-2), seed=0)
    assert figures["best_epoch"] == 0
    np.testing.assert_array_equal(model.predict(unseen.inputs), before)


def test_refusals_name_the_field(world: TrainingSet) -> None:
    training, _, unseen = split(world)
    model = make(LstmForecaster, world)
    with pytest.raises(BadInput, match="model: has not been fitted"):
        model.predict(unseen.inputs)
    model.fit(training)
    with pytest.raises(BadInput, match=r"window: expected shape \(m, 6, 4\), was \(1, 5, 4\)"):
        model.predict(np.zeros((1, 5, 4)))
    inputs = unseen.inputs[:1].copy()
    inputs[0, 2, 1] = np.nan
    with pytest.raises(BadInput, match=r"window\[2\].implied: must be finite, was nan"):
        model.predict(inputs)
    none = WindowSet(training.inputs, np.full_like(training.targets, np.nan), training.ts_ns, training.outcome_ts_ns)
    with pytest.raises(BadInput, match="targets: a head has no known target"):
        model.fit(none)


@both
def test_extreme_features_give_bounded_forecasts(kind: type[TorchForecaster], world: TrainingSet) -> None:
    training, _, unseen = split(world)
    model = make(kind, world)
    model.fit(training)
    forecasts = model.predict(unseen.inputs * 1e6)
    assert np.isfinite(forecasts).all()
    # MIN_VOLATILITY and MAX_VOLATILITY bound the first head.
    assert ((forecasts[:, 0] >= 0.00499) & (forecasts[:, 0] <= 4.001)).all()
