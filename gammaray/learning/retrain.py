"""Training of first champions, and evidence-driven retraining that changes nothing unless it is at least as good."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gammaray.learning.losses import ForecastLoss
from gammaray.learning.registry import CHAMPION, ONNX_FILE, WEIGHTS_FILE, ModelRegistry
from gammaray.learning.replay import RegimeReservoir, regimes_by_level
from gammaray.models.card import ModelCard, code_version
from gammaray.models.dataset import FloatArray, IntArray, TrainingSet, WindowSet, purged_split
from gammaray.operations.errors import BadInput
from gammaray.operations.run_folder import lock_file_hash, write_atomically

if TYPE_CHECKING:
    from gammaray.models.forecaster import NetworkConfig, TorchForecaster

RESULT_FILE = "result.json"


class RetrainStatus(StrEnum):
    """How a retraining ended."""

    REGISTERED = "registered"
    WORSE = "worse"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RetrainConfig:
    """recent: windows before the cut that are all used. replay: older windows seen again, balanced over `regimes` of volatility.

    recent_weight: weight of a recent window relative to a replayed one. ewc: strength of the pull to the champion's weights.
    gate_windows: last windows on which challenger and champion are compared, walked through in `gate_folds`.
    gate_tolerance: how much worse (relative) the challenger may be there and still be shown to the market as a shadow.
    """

    recent: int = 120
    replay: int = 600
    regimes: int = 3
    recent_weight: float = 2.0
    ewc: float = 1.0
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 5e-4
    gate_windows: int = 40
    gate_folds: int = 3
    gate_tolerance: float = 0.05
    iv_weight: float = 0.5

    def __post_init__(self) -> None:
        if self.gate_folds < 1 or self.gate_windows < self.gate_folds:
            raise BadInput("gate_folds", f"must be 1 to gate_windows {self.gate_windows}, was {self.gate_folds}")


@dataclass(frozen=True, slots=True)
class RetrainSpec:
    """One retraining job: JSON in, the same result out. data_until_ns: nothing known later is used."""

    job_id: str
    model: str
    champion_version: str
    data_until_ns: int
    seed: int
    evidence: Mapping[str, Any] = field(default_factory=dict)
    config: RetrainConfig = field(default_factory=RetrainConfig)

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RetrainSpec:
        """Read `to_json`. Raises BadInput naming an unknown or missing field."""
        content = json.loads(text)
        if not isinstance(content, dict):
            raise BadInput("spec", "expected a JSON object")
        _refuse_unknown(content, cls, "")
        config = content.pop("config", {})
        _refuse_unknown(config, RetrainConfig, "config.")
        try:
            return cls(**content, config=RetrainConfig(**config))
        except TypeError as error:
            raise BadInput("spec", str(error)) from None


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """How a job ended.

    version: the registered one, None unless status is REGISTERED. reference_losses: of the continued models on the gate's windows;
    gate_differences: champion's loss − theirs there. seconds: wall time, for people only.
    """

    job_id: str
    model: str
    status: RetrainStatus
    version: str | None
    reason: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    reference_losses: tuple[float, ...] = ()
    gate_differences: tuple[float, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> RetrainResult:
        """Read `to_json`."""
        content = json.loads(text)
        content["status"] = RetrainStatus(content["status"])
        for name in ("reference_losses", "gate_differences"):
            content[name] = tuple(content[name])
        return cls(**content)


@dataclass(frozen=True, slots=True)
class InitialConfig:
    """validation: last windows, on which the final fit stops early. reference: last windows forecast by a model that has not seen them."""

    validation: int = 120
    reference: int = 250
    iv_weight: float = 0.5


def train_initial(
    model: str,
    architecture: str,
    data: TrainingSet,
    data_until_ns: int,
    registry: ModelRegistry,
    work_dir: Path,
    seed: int,
    config: InitialConfig | None = None,
    network: NetworkConfig | None = None,
    job_id: str | None = None,
) -> str:
    """Train, export and register the first champion; returns its version. The alias champion is set only when the model has none.

    Two fits: one that ends before the last `reference` windows and is judged on them (its losses calibrate drift detection), and the one that
    serves. Raises BadInput when there is too little data.
    """
    from gammaray.models.forecaster import NetworkConfig as Network
    from gammaray.models.forecaster import architecture as forecaster_class

    config = config or InitialConfig()
    network = network or Network()
    known = data.known_at(data_until_ns)
    windows = known.windows(network.look_back)
    needed = config.reference + 2 * config.validation
    if len(windows) < needed:
        raise BadInput("data", f"needs at least {needed} windows before the cut, has {len(windows)}")
    make = forecaster_class(architecture)

    judged = make(known.feature_names, known.feature_version, network, seed)
    reference_from = int(windows.ts_ns[-config.reference])
    before, unseen = purged_split(windows, reference_from)
    judged.fit(*purged_split(before, int(before.ts_ns[-config.validation])))
    measure = ForecastLoss(iv_weight=config.iv_weight)
    losses = measure(judged.predict(unseen.inputs), unseen.targets)

    serving = make(known.feature_names, known.feature_version, network, seed)
    figures = serving.fit(*purged_split(windows, int(windows.ts_ns[-config.validation])))
    metrics = {f"fit_{name}": value for name, value in figures.items()}
    metrics["reference_loss"] = float(losses.mean())
    metrics |= _head_errors("reference", judged.predict(unseen.inputs), unseen.targets)
    card = ModelCard(
        model=model,
        architecture=architecture,
        feature_names=known.feature_names,
        feature_version=known.feature_version,
        look_back=network.look_back,
        data_from_ns=int(known.ts_ns[0]),
        data_until_ns=data_until_ns,
        rows=len(known),
        seed=seed,
        code_version=code_version(),
        lock_file_sha256=lock_file_hash(),
        metrics=metrics,
        reference_losses=tuple(float(loss) for loss in losses),
        job_id=job_id,
    )
    version = _export_and_register(serving, card, registry, work_dir, job_id)
    if registry.alias(model, CHAMPION) is None:
        registry.set_alias(model, CHAMPION, version)
    return version


def retrain(spec: RetrainSpec, data: TrainingSet, registry: ModelRegistry, work_dir: Path) -> RetrainResult:
    """Continue the champion on recent data with replay and EWC, gate it, export and register it as a version without alias.

    The result is written to `work_dir/result.json`; a second call with the same spec and folder returns it without training again, and a call
    after a crash registers at most one version. A worse challenger or any failure leaves registry and aliases as they are.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / RESULT_FILE
    if path.is_file():
        done = RetrainResult.from_json(path.read_text())
        if done.job_id != spec.job_id:
            raise BadInput("work_dir", f"{work_dir} holds the result of job {done.job_id}")
        return done
    started = time.monotonic()
    try:
        result = _retrain(spec, data, registry, work_dir)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the loop must learn that the job failed
        result = RetrainResult(spec.job_id, spec.model, RetrainStatus.FAILED, None, f"{type(error).__name__}: {error}")
    result = replace(result, seconds=time.monotonic() - started)
    write_atomically(path, result.to_json())
    return result


def _retrain(spec: RetrainSpec, data: TrainingSet, registry: ModelRegistry, work_dir: Path) -> RetrainResult:
    from gammaray.models.forecaster import load_forecaster

    config = spec.config
    parent = registry.get(spec.model, spec.champion_version)
    champion = load_forecaster(parent.weights_path)
    data.check_features(champion.feature_names, champion.feature_version)
    known = data.known_at(spec.data_until_ns)
    windows = known.windows(champion.look_back)
    if len(windows) < config.gate_windows + config.recent:
        raise BadInput(
            "data", f"needs {config.gate_windows + config.recent} windows before the cut, has {len(windows)}"
        )

    measure = ForecastLoss(iv_weight=config.iv_weight)
    challenger_losses, champion_losses = _walk_forward(spec, champion, windows, measure)
    gate = {
        "gate_windows": float(len(challenger_losses)),
        "gate_champion_loss": float(champion_losses.mean()),
        "gate_challenger_loss": float(challenger_losses.mean()),
        "gate_challenger_wins": float(np.mean(challenger_losses < champion_losses)),
    }
    if gate["gate_challenger_loss"] > gate["gate_champion_loss"] * (1.0 + config.gate_tolerance):
        reason = (
            f"challenger's loss {gate['gate_challenger_loss']:.4f} against champion's {gate['gate_champion_loss']:.4f} "
            f"on the last {len(challenger_losses)} windows"
        )
        return RetrainResult(spec.job_id, spec.model, RetrainStatus.WORSE, None, reason, gate)

    challenger = _continued(spec, champion, windows)
    card = ModelCard(
        model=spec.model,
        architecture=champion.architecture,
        feature_names=known.feature_names,
        feature_version=known.feature_version,
        look_back=champion.look_back,
        data_from_ns=int(known.ts_ns[0]),
        data_until_ns=spec.data_until_ns,
        rows=len(known),
        seed=spec.seed,
        code_version=code_version(),
        lock_file_sha256=lock_file_hash(),
        metrics=gate,
        reference_losses=tuple(float(loss) for loss in challenger_losses),
        parent=spec.champion_version,
        job_id=spec.job_id,
        evidence=dict(spec.evidence),
    )
    version = _export_and_register(challenger, card, registry, work_dir, spec.job_id)
    return RetrainResult(
        spec.job_id,
        spec.model,
        RetrainStatus.REGISTERED,
        version,
        "gate passed",
        gate,
        card.reference_losses,
        tuple(float(difference) for difference in champion_losses - challenger_losses),
    )


def _walk_forward(
    spec: RetrainSpec, champion: TorchForecaster, windows: WindowSet, measure: ForecastLoss
) -> tuple[FloatArray, FloatArray]:
    """Losses of continued models and of the champion on the last windows: each fold is forecast by a model that ends before it."""
    config = spec.config
    folds = np.array_split(np.arange(len(windows) - config.gate_windows, len(windows)), config.gate_folds)
    challenger_losses, champion_losses = [], []
    for rows in folds:
        fold = windows.take(rows)
        before, _ = purged_split(windows, int(fold.ts_ns[0]))
        model = _continued(spec, champion, before)
        challenger_losses.append(measure(model.predict(fold.inputs), fold.targets))
        champion_losses.append(measure(champion.predict(fold.inputs), fold.targets))
    return np.concatenate(challenger_losses), np.concatenate(champion_losses)


def _continued(spec: RetrainSpec, champion: TorchForecaster, windows: WindowSet) -> TorchForecaster:
    """The champion after some epochs on the recent windows and a replay of older ones."""
    from gammaray.models.training import TrainingConfig

    config = spec.config
    recent = np.arange(max(0, len(windows) - config.recent), len(windows))
    older = _replayed(windows.take(np.arange(recent[0])), config, np.random.default_rng(spec.seed))
    rows = np.concatenate([older, recent])
    weights = np.concatenate([np.ones(len(older)), np.full(len(recent), config.recent_weight)])
    model = champion.clone()
    penalty = model.consolidation(windows.take(older), config.ewc) if config.ewc > 0 and len(older) else None
    training = TrainingConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=champion.config.training.weight_decay,
        huber_delta=champion.config.training.huber_delta,
    )
    model.continue_fit(windows.take(rows), None, training, spec.seed, weights, penalty)
    return model


def _replayed(older: WindowSet, config: RetrainConfig, generator: np.random.Generator) -> IntArray:
    known = np.flatnonzero(np.isfinite(older.targets[:, 0]))
    if not len(known) or config.replay < config.regimes:
        return np.empty(0, dtype=np.int64)
    reservoir = RegimeReservoir(config.replay, config.regimes, generator)
    for row, regime in zip(known, regimes_by_level(older.targets[known, 0], config.regimes), strict=True):
        reservoir.offer(int(row), int(regime))
    return reservoir.rows()


def _export_and_register(
    model: TorchForecaster, card: ModelCard, registry: ModelRegistry, work_dir: Path, job_id: str | None
) -> str:
    from gammaray.models.onnx import OnnxForecaster, export_onnx

    artifacts = work_dir / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    model.save(artifacts / WEIGHTS_FILE)
    export_onnx(model, artifacts / ONNX_FILE)
    OnnxForecaster(artifacts / ONNX_FILE)  # a file that cannot be served must not be registered
    return registry.register(card.model, artifacts, card, job_id)


def _head_errors(prefix: str, forecasts: FloatArray, targets: FloatArray) -> dict[str, float]:
    return {
        f"{prefix}_log_volatility_mae": float(np.nanmean(np.abs(np.log(forecasts[:, 0]) - np.log(targets[:, 0])))),
        f"{prefix}_iv_change_mae": float(np.nanmean(np.abs(forecasts[:, 1] - targets[:, 1]))),
    }


def _refuse_unknown(content: Mapping[str, Any], cls: type[Any], prefix: str) -> None:
    known = {f.name for f in fields(cls)}
    for name in content:
        if name not in known:
            raise BadInput(f"{prefix}{name}", "is not a field of a retraining job")
