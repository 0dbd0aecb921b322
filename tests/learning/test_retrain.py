"""First champions and retraining, with real networks on a small world whose rules change."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gammaray.learning.registry import CHALLENGER, CHAMPION, MlflowRegistry
from gammaray.learning.retrain import (
    RESULT_FILE,
    InitialConfig,
    RetrainConfig,
    RetrainResult,
    RetrainSpec,
    RetrainStatus,
    retrain,
    train_initial,
)
from gammaray.models.dataset import TrainingSet
from gammaray.models.forecaster import NetworkConfig, load_forecaster
from gammaray.models.onnx import OnnxForecaster
from gammaray.models.training import TrainingConfig
from gammaray.operations.errors import BadInput

CHANGE = 500
NETWORK = NetworkConfig(look_back=4, hidden=8, heads=2, layers=1, training=TrainingConfig(epochs=4))
CONFIG = RetrainConfig(
    recent=80, replay=30, ewc=0.1, gate_windows=40, gate_folds=2, epochs=15, batch_size=16, learning_rate=2e-2
)


def train(data: TrainingSet, registry: MlflowRegistry, work: Path, architecture: str) -> str:
    until = int(data.ts_ns[CHANGE - 1])
    initial = InitialConfig(validation=60, reference=100)
    return train_initial("m", architecture, data, until, registry, work, 3, initial, NETWORK)


@pytest.fixture(scope="session")
def trained(changing: TrainingSet, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose version 1 is an LSTM champion trained before the change."""
    folder = tmp_path_factory.mktemp("trained")
    registry = MlflowRegistry(Path(shutil.copytree(empty_registry, folder / "registry")))
    assert train(changing, registry, folder / "work", "lstm") == "1"
    return registry.directory


@pytest.fixture
def registry(trained: Path, tmp_path: Path) -> MlflowRegistry:
    """A copy of it."""
    return MlflowRegistry(Path(shutil.copytree(trained, tmp_path / "registry")))


def spec(data: TrainingSet, row: int, **changes: object) -> RetrainSpec:
    until = int(data.ts_ns[row])
    evidence = {"drift": ["x"]}
    return replace(RetrainSpec("job-1", "m", "1", until, 5, evidence, CONFIG), **changes)  # type: ignore[arg-type]


def test_first_champion(changing: TrainingSet, registry: MlflowRegistry) -> None:
    champion = registry.alias("m", CHAMPION)
    assert champion is not None
    assert champion.version == "1"
    assert len(champion.card.reference_losses) == 100
    assert champion.card.data_until_ns == changing.ts_ns[CHANGE - 1]
    assert champion.card.rows == CHANGE
    assert len(champion.card.lock_file_sha256) == 64


def test_after_a_change_the_challenger_is_better_on_what_follows(
    changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path
) -> None:
    result = retrain(spec(changing, 620), changing, registry, tmp_path / "job")
    assert result.status is RetrainStatus.REGISTERED, result.reason
    assert result.version == "2"
    assert len(result.reference_losses) == len(result.gate_differences) == 40
    challenger = registry.get("m", "2")
    assert (challenger.job_id, challenger.card.parent, challenger.aliases) == ("job-1", "1", ())
    assert challenger.card.evidence == {"drift": ["x"]}

    later = changing.rows(621, 700).windows(4)
    old = OnnxForecaster(registry.get("m", "1").onnx_path).predict(later.inputs)
    new = OnnxForecaster(challenger.onnx_path).predict(later.inputs)
    errors = [float(np.abs(f[:, 1] - later.targets[:, 1]).mean()) for f in (old, new)]
    assert errors[1] < 0.7 * errors[0]
    # What is served and what is trained further are the same model.
    again = load_forecaster(challenger.weights_path)
    np.testing.assert_allclose(again.predict(later.inputs), new, atol=1e-5)


def test_replay_keeps_more_of_the_old_rules(changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path) -> None:
    """Forgetting: the error on the years before the change, with and without replay and consolidation."""
    naive = replace(CONFIG, replay=0, ewc=0.0)
    errors = []
    before = changing.rows(0, CHANGE).windows(4)
    for name, config in (("ours", replace(CONFIG, replay=90, ewc=1.0)), ("naive", naive)):
        job = spec(changing, 620, job_id=name, config=config)
        result = retrain(job, changing, registry, tmp_path / name)
        assert result.version is not None, result.reason
        model = load_forecaster(registry.get("m", result.version).weights_path)
        errors.append(float(np.abs(model.predict(before.inputs)[:, 1] - before.targets[:, 1]).mean()))
    assert errors[0] < 0.9 * errors[1]


def test_the_same_spec_gives_the_same_model_and_runs_once(
    changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path
) -> None:
    job = spec(changing, 620)
    first = retrain(job, changing, registry, tmp_path / "job")
    assert retrain(job, changing, registry, tmp_path / "job") == first
    # A crash after registering: the result is gone, the version is there, and no second one appears.
    (tmp_path / "job" / RESULT_FILE).unlink()
    again = retrain(job, changing, registry, tmp_path / "job")
    assert replace(again, seconds=first.seconds) == first
    assert len(registry.versions("m")) == 2
    other = retrain(replace(job, job_id="job-2"), changing, registry, tmp_path / "job-2")
    inputs = changing.windows(4).inputs[:50]
    forecasts = [
        load_forecaster(registry.get("m", str(v)).weights_path).predict(inputs) for v in (first.version, other.version)
    ]
    np.testing.assert_array_equal(forecasts[0], forecasts[1])
    with pytest.raises(BadInput, match="holds the result of job job-1"):
        retrain(replace(job, job_id="job-3"), changing, registry, tmp_path / "job")


def test_the_future_takes_no_part(changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path) -> None:
    cut = 620
    targets = changing.targets.copy()
    targets[cut:] *= 3.0
    features = changing.features.copy()
    features[cut + 1 :] += 100.0
    altered = TrainingSet.from_arrays(
        changing.feature_names, "test-1", features, targets, changing.ts_ns, changing.outcome_ts_ns
    )
    first = retrain(spec(changing, cut), changing, registry, tmp_path / "a")
    second = retrain(spec(changing, cut, job_id="job-2"), altered, registry, tmp_path / "b")
    assert first.metrics == second.metrics
    assert first.reference_losses == second.reference_losses


def test_a_worse_challenger_changes_nothing(changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path) -> None:
    wild = replace(CONFIG, learning_rate=3.0, epochs=3, ewc=0.0)
    result = retrain(spec(changing, 499, config=wild), changing, registry, tmp_path / "job")
    assert result.status is RetrainStatus.WORSE
    assert result.version is None
    assert result.metrics["gate_challenger_loss"] > result.metrics["gate_champion_loss"] * 1.05
    assert [v.version for v in registry.versions("m")] == ["1"]
    assert registry.alias("m", CHALLENGER) is None


def test_a_failed_run_changes_nothing_and_says_why(
    changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path
) -> None:
    result = retrain(spec(changing, 60), changing, registry, tmp_path / "few")
    assert result.status is RetrainStatus.FAILED
    assert result.reason == "BadInput: data: needs 120 windows before the cut, has 57"
    other = TrainingSet.from_arrays(("x", "y", "z"), "test-1", changing.features, changing.targets, changing.ts_ns)
    result = retrain(spec(changing, 620), other, registry, tmp_path / "names")
    assert result.status is RetrainStatus.FAILED
    assert "feature_names[0]" in result.reason
    result = retrain(spec(changing, 620, champion_version="7"), changing, registry, tmp_path / "unknown")
    assert "has no version '7'" in result.reason
    assert [v.version for v in registry.versions("m")] == ["1"]
    on_disk = RetrainResult.from_json((tmp_path / "unknown" / RESULT_FILE).read_text())
    assert on_disk == result


def test_a_second_initial_training_leaves_the_champion(
    changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path
) -> None:
    assert train(changing, registry, tmp_path / "initial", "transformer") == "2"
    assert registry.alias("m", CHAMPION).version == "1"  # type: ignore[union-attr]


def test_too_little_history_is_refused(changing: TrainingSet, registry: MlflowRegistry, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs at least 490 windows before the cut, has"):
        train_initial("n", "lstm", changing, int(changing.ts_ns[100]), registry, tmp_path / "w", 1)
    assert registry.models() == ["m"]


def test_spec_json_round_trip_and_refusals() -> None:
    job = RetrainSpec("j", "m", "1", 5, 6, {"a": [1, {"b": 2}]}, RetrainConfig(replay=30))
    assert RetrainSpec.from_json(job.to_json()) == job
    content = json.loads(job.to_json())
    with pytest.raises(BadInput, match="colour: is not a field"):
        RetrainSpec.from_json(json.dumps({**content, "colour": 1}))
    with pytest.raises(BadInput, match=r"config.colour: is not a field"):
        RetrainSpec.from_json(json.dumps({**content, "config": {"colour": 1}}))
    del content["seed"]
    with pytest.raises(BadInput, match="seed"):
        RetrainSpec.from_json(json.dumps(content))
    with pytest.raises(BadInput, match="gate_folds"):
        RetrainConfig(gate_windows=3, gate_folds=4)
