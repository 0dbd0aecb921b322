"""Back-tests over many seeds on the cluster: `python -m jobs.backtest --seeds 1-20 --from 2017-10-02 --to 2018-03-29 --out DIR`.

One task a seed. Finished ones are kept: started again with the same --out, the job does only what is missing.
"""

from __future__ import annotations

import argparse
import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import ray

from gammaray.operations.errors import ConfigurationError
from gammaray.operations.settings import Settings, load_settings

COLUMNS = ("seed", "return", "max_drawdown", "sharpe", "fills", "multi_leg_fills", "fees", "reconciliation_differences")


def parse_seeds(text: str) -> list[int]:
    """ "1-3,7" → [1, 2, 3, 7]. Raises ConfigurationError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            seeds += range(int(first), int(last) + 1) if dash else [int(first)]
        except ValueError:
            raise ConfigurationError(f"--seeds: expected numbers and ranges like 1-3,7, was {text!r}") from None
    if not seeds:
        raise ConfigurationError(f"--seeds: no seed in {text!r}")
    return seeds


@ray.remote(num_cpus=1, max_retries=2)
def run_one(settings: Settings, folder: Path) -> dict[str, Any]:
    """One back-test in a worker."""
    import shutil

    from gammaray.backtest.run import backtest_folder

    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run has left
    return backtest_folder(settings, folder)


def main() -> None:
    """Command line of the job. Exit status 1 when any book did not agree."""
    parser = argparse.ArgumentParser(prog="jobs.backtest", description=__doc__)
    parser.add_argument("--seeds", default="1-4")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2017, 10, 2))
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2018, 3, 29))
    parser.add_argument("--scenario", default="history", choices=("history", "synthetic"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    done: dict[int, dict[str, Any]] = {}
    waiting = {}
    for seed in parse_seeds(args.seeds):
        folder = out / f"seed-{seed}"
        if (folder / "summary.json").exists():
            done[seed] = json.loads((folder / "summary.json").read_text())
            continue
        run = {"seed": seed, "first_day": args.first, "last_day": args.last, "scenario": args.scenario}
        waiting[run_one.remote(load_settings(None, {"run": run}), folder)] = seed
    total = len(done) + len(waiting)
    print(f"{len(done)} of {total} are there already")
    while waiting:
        (ready,), _ = ray.wait(list(waiting))
        seed = waiting.pop(ready)
        done[seed] = ray.get(ready)
        print(
            f"{len(done)}/{total}  seed {seed}: return {done[seed]['return']:+.2%}, drawdown {done[seed]['max_drawdown']:.2%}",
            flush=True,
        )
    with (out / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for seed in sorted(done):
            row = {
                **done[seed],
                "seed": seed,
                "reconciliation_differences": len(done[seed]["reconciliation_differences"]),
            }
            writer.writerow([row[name] for name in COLUMNS])
    print(out / "results.csv")
    if any(result["reconciliation_differences"] for result in done.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
