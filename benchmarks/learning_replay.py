"""The learning loop over 2017-10 … 2018-03 of the S&P 500 and the VIX, without a cluster: what is detected when, and what the challengers are worth.

    python benchmarks/learning_replay.py [--seed N] [--models lstm transformer] [--out DIR]

Features and outcomes are those of the product, computed from the daily data of the `arch` wheel (VIX starts in 2014).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.definition import set_version
from gammaray.features.engine import compute_features
from gammaray.features.targets import compute_targets
from gammaray.learning.loop import LearningLoop, LoopConfig
from gammaray.learning.messages import (
    Deploy,
    FeaturesObserved,
    OutcomeKnown,
    PredictionMade,
    Promote,
    Reject,
    ReportDrift,
    RetrainingFinished,
    RollBack,
    StartRetraining,
)
from gammaray.learning.predictions import Outcome, PredictionLog, logged
from gammaray.learning.registry import CHALLENGER, CHAMPION, MlflowRegistry
from gammaray.learning.retrain import RetrainSpec, retrain, train_initial
from gammaray.models.baselines import HarForecaster, PersistenceForecaster
from gammaray.models.dataset import TrainingSet
from gammaray.models.serving import ForecastServer, ModelRouting, VersionRef
from gammaray.storage.history_import import sp500_records
from gammaray.types.clock import format_ns

VOLATILITY, IMPLIED = "realized_volatility_1d", "atm_iv_30d"


def daily_rows() -> TrainingSet:
    """S&P 500 and VIX by day: the models' features at each close, and what the next session brought."""
    records = sp500_records(date(2014, 1, 2), date(2018, 12, 31), price_scale=0.1)
    features, targets = compute_features(records, MODEL_FEATURES), compute_targets(records)
    known = np.isfinite(features).all(axis=1)
    ts_ns = np.array([record.ts_ns for record in records], dtype=np.int64)
    names = tuple(feature.name for feature in MODEL_FEATURES)
    return TrainingSet.from_arrays(names, set_version(MODEL_FEATURES), features[known], targets[known], ts_ns[known])


def replay(data: TrainingSet, model: str, first: int, last: int, seed: int, root: Path, config: LoopConfig) -> None:
    """One model through rows first to last (inclusive), printing what happens."""
    registry = MlflowRegistry(root / "models")
    started = time.monotonic()
    # The first model knows nothing later than the session before the first.
    cut = int(data.ts_ns[first - 1])
    version = train_initial(model, model, data, cut, registry, root / f"initial-{model}", seed)
    card = registry.get(model, version).card
    print(f"{model}: first champion {version} trained in {time.monotonic() - started:.1f} s, {card.rows} rows")
    print("   " + ", ".join(f"{k} {v:.4f}" for k, v in card.metrics.items()))
    loop = LearningLoop(config)
    loop.add_model(model, version, data.feature_names, data.features[:first], card.reference_losses)
    server = ForecastServer()
    deploy(server, registry, Deploy(model, cut, version, None, 0.0, ()))

    forecasts: dict[str, list[tuple[int, float, float]]] = {}
    with PredictionLog(root / f"predictions-{model}.sqlite") as log:
        for row in range(first - 1, last + 1):
            ts = int(data.ts_ns[row])
            commands = []
            if row >= first:
                volatility, iv_change = (float(v) for v in data.targets[row - 1])
                log.append_outcomes([Outcome("SPX", ts, ts, volatility, iv_change)])
                commands += loop.handle(OutcomeKnown(model, ts, ts, volatility, iv_change))
            commands += loop.handle(FeaturesObserved(model, ts, tuple(data.features[row])))
            while commands:
                command = commands.pop(0)
                report(command)
                if isinstance(command, StartRetraining):
                    spec = RetrainSpec(
                        command.job_id,
                        model,
                        command.champion_version,
                        command.data_until_ns,
                        command.seed,
                        command.evidence,
                    )
                    result = retrain(spec, data, registry, root / command.job_id)
                    figures = ", ".join(f"{k} {v:.4f}" for k, v in result.metrics.items())
                    print(
                        f"      {result.status} {result.version} in {result.seconds:.1f} s: {result.reason}; {figures}"
                    )
                    commands += loop.handle(RetrainingFinished(model, ts, result))
                elif isinstance(command, Deploy):
                    deploy(server, registry, command)
                elif isinstance(command, Promote | RollBack):
                    registry.set_alias(model, CHAMPION, command.version)
                elif isinstance(command, Reject):
                    registry.clear_alias(model, CHALLENGER)
            if row < last:
                target = int(data.ts_ns[row + 1])
                window = data.features[row - 19 : row + 1]
                day = format_ns(ts)[:10]
                served = server.predict(model, window, f"{model}-{day}", day, ts, data.feature_version)
                loop.handle(PredictionMade.of(served, target))
                log.append(logged(served, "SPX", target))
                for prediction in served.predictions:
                    forecasts.setdefault(prediction.version, []).append(
                        (row, prediction.realized_volatility, prediction.iv_change)
                    )
        for error in log.errors(model):
            print(
                f"   version {error.version} as {error.role:10s} n {error.count:3d}  |log vol| {error.log_volatility:.4f}"
                f"  |iv| {error.iv_change:.5f}  loss {error.loss:.4f}"
            )
    assert LearningLoop.restore(config, loop.state()).state() == loop.state()
    baselines(data, first, forecasts, config)


def deploy(server: ForecastServer, registry: MlflowRegistry, command: Deploy) -> None:
    """Serve what the loop asks for."""

    def ref(version: str) -> VersionRef:
        return VersionRef(version, str(registry.get(command.model, version).onnx_path))

    challenger = None if command.challenger is None else ref(command.challenger)
    routing = ModelRouting(
        ref(command.champion), challenger, command.traffic_percentage, tuple(ref(v) for v in command.shadows)
    )
    server.configure({command.model: routing})


def report(command: object) -> None:
    """One line a command."""
    match command:
        case ReportDrift():
            print(f"   {format_ns(command.ts_ns)[:10]} drift {command.event.detector}: {dict(command.event.evidence)}")
        case StartRetraining():
            print(f"   {format_ns(command.ts_ns)[:10]} retraining {command.job_id}")
        case Deploy():
            print(
                f"   {format_ns(command.ts_ns)[:10]} serve champion {command.champion}, challenger {command.challenger} "
                f"({command.traffic_percentage} %), shadows {command.shadows}"
            )
        case Promote() | Reject() | RollBack():
            print(
                f"   {format_ns(command.ts_ns)[:10]} {type(command).__name__} {command.version}: {dict(command.evidence)}"
            )


def baselines(
    data: TrainingSet, first: int, forecasts: dict[str, list[tuple[int, float, float]]], config: LoopConfig
) -> None:
    """Each version and the baselines on the sessions that the version has forecast."""
    names, version = data.feature_names, data.feature_version
    windows = data.known_at(int(data.ts_ns[first - 1])).windows(20)
    har = HarForecaster(names, version, VOLATILITY, IMPLIED)
    har.fit(windows)
    persistence = PersistenceForecaster(names, version, VOLATILITY)
    champion = {row: (v, c) for row, v, c in forecasts[min(forecasts, key=int)]}
    for name, rows in sorted(forecasts.items(), key=lambda item: int(item[0])):
        at = np.array([row for row, _, _ in rows])
        inputs = np.stack([data.features[row - 19 : row + 1] for row in at])
        losses = {
            f"version {name}": np.array([(v, c) for _, v, c in rows]),
            "har": har.predict(inputs),
            "yesterday": persistence.predict(inputs),
        }
        if all(int(row) in champion for row in at):
            losses["first champion"] = np.array([champion[int(row)] for row in at])
        text = "  ".join(f"{k} {config.loss(v, data.targets[at]).mean():.4f}" for k, v in losses.items())
        print(f"   same {len(at)} sessions: {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=["lstm", "transformer"])
    parser.add_argument("--first", default="2017-10-02")
    parser.add_argument("--last", default="2018-03-29")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = daily_rows()
    dates = [day.isoformat() for day in data.dates]
    first, last = dates.index(options.first), dates.index(options.last)
    with tempfile.TemporaryDirectory() as temporary:
        root = options.out or Path(temporary)
        for model in options.models:
            replay(data, model, first, last, options.seed, root, LoopConfig(seed=options.seed))


if __name__ == "__main__":
    main()
