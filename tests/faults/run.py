"""Plays many seeded schedules: `python -m tests.faults.run --n 2000 --seed 1`. A failing seed prints the command that replays it."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.faults.schedule import Life, Schedule


def play(first: int, count: int) -> tuple[list[Life], list[tuple[int, str]]]:
    """Lives that passed, and (seed, what broke) of those that did not."""
    lives, broken = [], []
    for seed in range(first, first + count):
        try:
            lives.append(Schedule(seed).run())
        except Exception:  # noqa: BLE001 - whatever breaks belongs to the seed
            broken.append((seed, traceback.format_exc()))
    return lives, broken


def main() -> int:
    """Exit status 1 when a schedule broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=300, help="schedules")
    parser.add_argument("--seed", type=int, default=1, help="first seed; the others follow it")
    arguments = parser.parse_args()
    began = time.monotonic()
    lives, broken = play(arguments.seed, arguments.n)
    for seed, text in broken[:5]:
        print(text, file=sys.stderr)
        print(f"replay: python -m tests.faults.run --n 1 --seed {seed}", file=sys.stderr)
    print(
        f"{arguments.n} schedules from seed {arguments.seed} in {time.monotonic() - began:.0f} s: {len(broken)} broken; "
        f"{sum(life.orders for life in lives)} orders sent, {sum(life.filled for life in lives)} with fills, "
        f"{sum(life.denied for life in lives)} denied, {sum(life.kills for life in lives)} kills, "
        f"{sum(life.assigned for life in lives)} early assignments, {sum(life.anomalies for life in lives)} anomalies"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
