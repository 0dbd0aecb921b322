"""Retrains one model: `python -m jobs.retrain --run-dir DIR --spec FILE`, as the drift actor submits it, or `--model NAME` by hand.

A retraining that fails or is worse changes nothing. By hand the new version is registered without an alias:
`POST /v1/models/{name}/challenger` serves it.
"""

from __future__ import annotations

import argparse
import uuid
from pathlib import Path

from gammaray.learning.registry import CHAMPION, MlflowRegistry
from gammaray.learning.retrain import RetrainResult, RetrainSpec, RetrainStatus, retrain
from gammaray.operations.errors import ConfigurationError
from gammaray.operations.logs import configure_logs
from gammaray.operations.run_folder import RunFolder
from gammaray.storage.history import History, HistoryTable
from jobs.data import training_set


def run_retraining(folder: RunFolder, spec: RetrainSpec) -> RetrainResult:
    """Carry a specification out; its result lies in the job's folder and a second call returns it without training again."""
    data = training_set(folder, spec.data_until_ns)
    return retrain(spec, data, MlflowRegistry(folder.models), job_folder(folder, spec.job_id))


def job_folder(folder: RunFolder, job_id: str) -> Path:
    """Where a retraining job works and leaves its result."""
    return folder.learning / "jobs" / job_id


def specification(folder: RunFolder, model: str, seed: int) -> RetrainSpec:
    """A retraining by hand, on everything known so far. Raises ConfigurationError when the run has no such champion or no history."""
    champion = MlflowRegistry(folder.models).alias(model, CHAMPION)
    if champion is None:
        raise ConfigurationError(f"--model: no champion named {model!r} in {folder.models}")
    history = History(folder.history)
    if not history.has_rows(HistoryTable.DAILY_RECORDS):
        raise ConfigurationError(f"--run-dir: no history in {folder.history}")
    newest = history.query(f"SELECT max(known_ns) AS t FROM {HistoryTable.DAILY_RECORDS}").to_pylist()[0]["t"]
    return RetrainSpec(
        f"manual-{uuid.uuid4().hex[:12]}", model, champion.version, int(newest), seed, {"reason": "by hand"}
    )


def main() -> None:
    """Command line of the job. Exit status 1 when the retraining failed; a challenger that is no better is a result, not a failure."""
    parser = argparse.ArgumentParser(prog="jobs.retrain", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--spec", type=Path, help="specification written by the drift actor (JSON)")
    what.add_argument("--model", help="retrain this model now")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    configure_logs()
    folder = RunFolder(args.run_dir.resolve())
    spec = RetrainSpec.from_json(args.spec.read_text()) if args.spec else specification(folder, args.model, args.seed)
    result = run_retraining(folder, spec)
    print(result.to_json())
    if result.status is RetrainStatus.FAILED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
