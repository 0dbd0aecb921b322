"""Timing of rival implementations on the same inputs in one process: a table of ratios, and the same as JSON.

Times of one thread are CPU seconds, the least of several repetitions, so a busy machine disturbs them little; times of several threads
are wall-clock seconds.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

RESULTS = Path(__file__).parent / "results"


def single_threaded() -> None:
    """Keep the thread pools of BLAS, OpenMP and torch at one thread; to be called before numpy is imported."""
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ):
        os.environ[name] = "1"


@dataclass
class Measurement:
    """One implementation: nanoseconds per item, how often slower than ours, and what it gave."""

    name: str
    ns_per_item: float | None
    ratio: float | None
    note: str


@dataclass
class Comparison:
    """One piece of work: ours is timed first, then its peers on the same inputs."""

    title: str
    items: int
    repeats: int = 7
    rows: list[Measurement] = field(default_factory=list)

    def time(
        self, name: str, work: Callable[[], Any], *, items: int | None = None, wall: bool = False, note: str = ""
    ) -> Any:
        """Time `work` after one call to warm up; `items` where it does only a part of the work. Returns its last result."""
        clock = time.perf_counter if wall else time.process_time
        result = work()
        best = float("inf")
        for _ in range(self.repeats):
            start = clock()
            result = work()
            best = min(best, clock() - start)
        ns = 1e9 * best / (items or self.items)
        ours = self.rows[0].ns_per_item if self.rows else ns
        self.rows.append(Measurement(name, ns, ns / ours if ours else None, note))
        return result

    def missing(self, name: str, why: str = "not installed") -> None:
        """Name a peer that could not be run."""
        self.rows.append(Measurement(name, None, None, why))

    def note(self, text: str) -> None:
        """Say something of the implementation timed last."""
        last = self.rows[-1]
        last.note = f"{last.note}; {text}" if last.note else text

    def table(self) -> str:
        """The comparison as text."""
        lines = [f"{self.title} ({self.items:,} items)"]
        for row in self.rows:
            figure = "      missing" if row.ns_per_item is None else f"{row.ns_per_item:10.1f} ns"
            ratio = "" if row.ratio is None else f"{row.ratio:8.2f}×"
            lines.append(f"  {row.name:<44} {figure} {ratio:>9}  {row.note}".rstrip())
        return "\n".join(lines)


def peer(module: str) -> ModuleType | None:
    """The module of a peer, or None where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def report(name: str, comparisons: list[Comparison]) -> None:
    """Print the tables and write them to benchmarks/results/<name>.json."""
    print("\n\n".join(comparison.table() for comparison in comparisons))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {"machine": machine(), "comparisons": [asdict(comparison) for comparison in comparisons]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {path}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0] if named else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {
            name: _version(name)
            for name in (
                "numpy",
                "scipy",
                "numba",
                "torch",
                "QuantLib",
                "py_vollib",
                "py_vollib_vectorized",
                "fast_vollib",
                "pyvolr",
                "pyfeng",
            )
        },
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
