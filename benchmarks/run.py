"""Runs the benchmarks, each in a process of its own: `python -m benchmarks.run [NAME …]`, all of them without a name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NOT_BENCHMARKS = {"run", "harness", "__init__"}


def names() -> list[str]:
    """Every benchmark in the folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def main() -> None:
    """Run them one after the other; the exit status is that of the worst."""
    wanted = sys.argv[1:] or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        raise SystemExit(2)
    worst = 0
    for name in wanted:
        print(f"── {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    raise SystemExit(worst)


if __name__ == "__main__":
    main()
