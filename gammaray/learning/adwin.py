"""ADWIN: a window over a stream that drops its older part when the means of two parts differ.

Source: Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007; the variance-based bound and its constants are
those of river's implementation, which cuts first at the same values (a test compares them) but then forgets the whole window, where this one
keeps its newer part as in the paper. The window is kept as buckets of 1, 2, 4, … values, at most `_BUCKETS` of a size, so memory and time grow
with the logarithm of its length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from gammaray.models.dataset import FloatArray, IntArray
from gammaray.operations.errors import BadInput

_BUCKETS = 5
_SIZES = 40
_MIN_PART = 5
_GRACE = 10
# Positions in the array of numbers.
_WIDTH, _TOTAL, _VARIANCE, _LARGEST = 0, 1, 2, 3


@njit(cache=True, fastmath=False)
def _insert(sums: FloatArray, variances: FloatArray, counts: IntArray, numbers: FloatArray, x: float) -> None:
    """Add a bucket of one value and merge the two oldest of every size that has too many."""
    sums[0, counts[0]] = x
    variances[0, counts[0]] = 0.0
    counts[0] += 1
    numbers[_WIDTH] += 1.0
    width = numbers[_WIDTH]
    if width > 1.0:
        numbers[_VARIANCE] += (width - 1.0) * (x - numbers[_TOTAL] / (width - 1.0)) ** 2 / width
    numbers[_TOTAL] += x
    row = 0
    while counts[row] == _BUCKETS + 1:
        size = 2.0**row
        gap = (sums[row, 0] - sums[row, 1]) / size
        target = counts[row + 1]
        sums[row + 1, target] = sums[row, 0] + sums[row, 1]
        variances[row + 1, target] = variances[row, 0] + variances[row, 1] + 0.5 * size * gap * gap
        counts[row + 1] += 1
        numbers[_LARGEST] = max(numbers[_LARGEST], row + 1)
        _shift(sums, variances, counts, row, 2)
        row += 1


@njit(cache=True, fastmath=False)
def _shift(sums: FloatArray, variances: FloatArray, counts: IntArray, row: int, by: int) -> None:
    """Drop the oldest buckets of a size."""
    for k in range(by, counts[row]):
        sums[row, k - by] = sums[row, k]
        variances[row, k - by] = variances[row, k]
    counts[row] -= by


@njit(cache=True, fastmath=False)
def _drop_oldest(sums: FloatArray, variances: FloatArray, counts: IntArray, numbers: FloatArray) -> None:
    row = int(numbers[_LARGEST])
    size = 2.0**row
    numbers[_WIDTH] -= size
    numbers[_TOTAL] -= sums[row, 0]
    width = numbers[_WIDTH]
    gap = sums[row, 0] / size - numbers[_TOTAL] / width
    numbers[_VARIANCE] -= variances[row, 0] + size * width * gap * gap / (size + width)
    _shift(sums, variances, counts, row, 1)
    while row > 0 and counts[row] == 0:
        row -= 1
    numbers[_LARGEST] = row


@njit(cache=True, fastmath=False)
def _cut_found(sums: FloatArray, counts: IntArray, numbers: FloatArray, delta: float) -> bool:
    """Does some cut part the window into two whose means differ by more than the bound?"""
    width = numbers[_WIDTH]
    spread = numbers[_VARIANCE] / width
    confidence = math.log(2.0 * math.log(width) / delta)
    old_count, old_sum = 0.0, 0.0
    for row in range(int(numbers[_LARGEST]), -1, -1):
        size = 2.0**row
        for k in range(counts[row]):
            old_count += size
            old_sum += sums[row, k]
            new_count = width - old_count
            if new_count < _MIN_PART:
                return False
            if old_count < _MIN_PART:
                continue
            gap = abs(old_sum / old_count - (numbers[_TOTAL] - old_sum) / new_count)
            harmonic = 1.0 / (old_count - _MIN_PART + 1.0) + 1.0 / (new_count - _MIN_PART + 1.0)
            if gap > math.sqrt(2.0 * harmonic * spread * confidence) + 2.0 / 3.0 * confidence * harmonic:
                return True
    return False


@njit(cache=True, fastmath=False)
def _update(
    sums: FloatArray, variances: FloatArray, counts: IntArray, numbers: FloatArray, delta: float, x: float
) -> bool:
    """Add a value; True when the window was cut."""
    _insert(sums, variances, counts, numbers, x)
    found = False
    while numbers[_WIDTH] > _GRACE and _cut_found(sums, counts, numbers, delta):
        found = True
        _drop_oldest(sums, variances, counts, numbers)
    return found


@njit(cache=True, fastmath=False)
def _update_many(
    sums: FloatArray,
    variances: FloatArray,
    counts: IntArray,
    numbers: FloatArray,
    delta: float,
    values: FloatArray,
    cuts: npt.NDArray[np.bool_],
) -> None:
    for i in range(len(values)):
        cuts[i] = _update(sums, variances, counts, numbers, delta, values[i])


class Adwin:
    """An adaptive window, looked at after every value. delta: chance of a false cut at one look, by the method's bound."""

    def __init__(self, delta: float = 0.002) -> None:
        if not 0.0 < delta < 1.0:
            raise BadInput("delta", f"must be between 0 and 1, was {delta}")
        self.delta = delta
        self._sums: FloatArray = np.zeros((_SIZES, _BUCKETS + 1))
        self._variances: FloatArray = np.zeros((_SIZES, _BUCKETS + 1))
        self._counts: IntArray = np.zeros(_SIZES, dtype=np.int64)
        self._numbers: FloatArray = np.zeros(4)

    @property
    def width(self) -> int:
        """Values in the window."""
        return int(self._numbers[_WIDTH])

    @property
    def mean(self) -> float:
        """Mean of the window; 0 when it is empty."""
        return float(self._numbers[_TOTAL] / self._numbers[_WIDTH]) if self._numbers[_WIDTH] else 0.0

    def update(self, x: float) -> bool:
        """Add one finite value; True when the window was cut."""
        return bool(_update(self._sums, self._variances, self._counts, self._numbers, self.delta, x))

    def update_many(self, values: FloatArray) -> npt.NDArray[np.bool_]:
        """Add values (n,) in order; for each, whether the window was cut."""
        cuts = np.zeros(len(values), dtype=np.bool_)
        _update_many(self._sums, self._variances, self._counts, self._numbers, self.delta, values, cuts)
        return cuts

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        rows = int(self._numbers[_LARGEST]) + 1
        return {
            "delta": self.delta,
            "numbers": self._numbers.tolist(),
            "buckets": [
                [
                    self._sums[row, : self._counts[row]].tolist(),
                    self._variances[row, : self._counts[row]].tolist(),
                ]
                for row in range(rows)
            ],
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Adwin:
        """The window that `state` was taken from."""
        window = cls(state["delta"])
        window._numbers[:] = state["numbers"]
        for row, (sums, variances) in enumerate(state["buckets"]):
            window._counts[row] = len(sums)
            window._sums[row, : len(sums)] = sums
            window._variances[row, : len(variances)] = variances
        return window
