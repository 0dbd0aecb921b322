"""Trains the first champions: `python -m jobs.train --run-dir DIR`, or in a worker of a starting run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gammaray.learning.registry import CHAMPION, MlflowRegistry
from gammaray.learning.retrain import train_initial
from gammaray.operations.logs import configure_logs, get_logger
from gammaray.operations.run_folder import RunFolder
from jobs.data import training_set


def train_champions(folder: RunFolder, models: Sequence[str], until_ns: int, seed: int) -> dict[str, str]:
    """Train, export and register each model that has no champion yet. A model's name is its architecture. Returns the champions' versions.

    Raises BadInput when the history before `until_ns` is too short.
    """
    log = get_logger("jobs.train")
    registry = MlflowRegistry(folder.models)
    versions: dict[str, str] = {}
    data = None
    for number, model in enumerate(models):
        present = registry.alias(model, CHAMPION)
        if present is not None:
            versions[model] = present.version
            continue
        if data is None:
            data = training_set(folder, until_ns)
        work = folder.models / "work" / f"{model}-initial"
        versions[model] = train_initial(model, model, data, until_ns, registry, work, seed + number)
        log.info("champion_trained", model=model, version=versions[model], rows=len(data))
    return versions


def main() -> None:
    """Command line of the job."""
    parser = argparse.ArgumentParser(prog="jobs.train", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of a run, with its history")
    parser.add_argument("--model", action="append", required=True, help="lstm or transformer; may be repeated")
    parser.add_argument("--until-ns", type=int, required=True, help="nothing known later is used (UTC nanoseconds)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    configure_logs()
    versions = train_champions(RunFolder(args.run_dir.resolve()), args.model, args.until_ns, args.seed)
    print(json.dumps(versions))


if __name__ == "__main__":
    main()
