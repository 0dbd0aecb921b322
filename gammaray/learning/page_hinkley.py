"""Page–Hinkley: a rise of the mean of a stream, with a threshold calibrated on a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gammaray.models.dataset import FloatArray
from gammaray.operations.errors import BadInput


class PageHinkley:
    """Alarm when Σ (x − mean − delta) climbs more than `threshold` above its lowest point.

    The mean is that of everything seen since the start, which may include values seen before (`prime`): a detector primed with a reference
    needs no burn-in. Source: Page, Biometrika 41 (1954); Hinkley, Biometrika 58 (1971).
    """

    def __init__(self, delta: float, threshold: float) -> None:
        self.delta = delta
        self.threshold = threshold
        self._primed_count = 0
        self._primed_mean = 0.0
        self.reset()

    def prime(self, count: int, mean: float) -> None:
        """Start from `count` earlier values of that mean."""
        self._primed_count, self._primed_mean = count, mean
        self.reset()

    def reset(self) -> None:
        """Forget everything but what was primed."""
        self._count, self._mean = self._primed_count, self._primed_mean
        self._sum = self._lowest = 0.0

    @property
    def statistic(self) -> float:
        """How far the sum stands above its lowest point."""
        return self._sum - self._lowest

    def update(self, x: float) -> bool:
        """Add one value; True when it raises the alarm (the detector goes on as it is: reset it)."""
        self._count += 1
        self._mean += (x - self._mean) / self._count
        self._sum += x - self._mean - self.delta
        self._lowest = min(self._lowest, self._sum)
        return self.statistic > self.threshold

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "delta": self.delta,
            "threshold": self.threshold,
            "primed_count": self._primed_count,
            "primed_mean": self._primed_mean,
            "count": self._count,
            "mean": self._mean,
            "sum": self._sum,
            "lowest": self._lowest,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> PageHinkley:
        """The detector that `state` was taken from."""
        detector = cls(state["delta"], state["threshold"])
        detector._primed_count, detector._primed_mean = state["primed_count"], state["primed_mean"]
        detector._count, detector._mean = state["count"], state["mean"]
        detector._sum, detector._lowest = state["sum"], state["lowest"]
        return detector


def page_hinkley_threshold(
    reference: FloatArray,
    delta: float,
    horizon: int,
    false_alarm: float,
    generator: np.random.Generator,
    block: int = 10,
    paths: int = 1000,
) -> float:
    """The threshold that a detector primed with `reference` passes within `horizon` values with probability `false_alarm` under no change.

    Paths without change are drawn from the reference by the stationary bootstrap (Politis and Romano, JASA 89 (1994)) with mean block
    length `block`, which keeps short-range dependence and the tails. Raises BadInput for fewer than 20 values.
    """
    n = len(reference)
    if n < 20:
        raise BadInput("reference", f"needs at least 20 losses to calibrate on, has {n}")
    index = generator.integers(n, size=paths)

    def draw() -> FloatArray:
        nonlocal index
        jump = generator.random(paths) < 1.0 / block
        index = np.where(jump, generator.integers(n, size=paths), (index + 1) % n)
        return reference[index]

    # The mean that a detector is primed with is itself known from n values only.
    mean = np.zeros(paths)
    for _ in range(n):
        mean += draw() / n
    count = np.full(paths, float(n))
    total, lowest, highest = np.zeros(paths), np.zeros(paths), np.zeros(paths)
    for _ in range(horizon):
        x = draw()
        count += 1
        mean += (x - mean) / count
        total += x - mean - delta
        lowest = np.minimum(lowest, total)
        highest = np.maximum(highest, total - lowest)
    threshold = float(np.quantile(highest, 1.0 - false_alarm))
    return threshold if math.isfinite(threshold) and threshold > 0 else float(np.ptp(reference)) + delta
