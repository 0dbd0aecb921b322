"""Experience replay: which older windows a continued training sees again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gammaray.models.dataset import FloatArray, IntArray
from gammaray.operations.errors import BadInput


class RegimeReservoir:
    """A bounded, uniform sample of row numbers in each regime of a stream.

    Each regime keeps `capacity // regimes` rows by Vitter's algorithm R (ACM TOMS 11, 1985), so that a short crisis is remembered as well as
    years of calm.
    """

    def __init__(self, capacity: int, regimes: int, generator: np.random.Generator) -> None:
        if regimes < 1 or capacity < regimes:
            raise BadInput("capacity", f"needs at least one row a regime, was {capacity} for {regimes} regimes")
        self._each = capacity // regimes
        self._kept: list[list[int]] = [[] for _ in range(regimes)]
        self._seen = [0] * regimes
        self._generator = generator

    def offer(self, row: int, regime: int) -> None:
        """See one row of the stream."""
        self._seen[regime] += 1
        kept = self._kept[regime]
        if len(kept) < self._each:
            kept.append(row)
            return
        place = int(self._generator.integers(self._seen[regime]))
        if place < self._each:
            kept[place] = row

    def rows(self) -> IntArray:
        """The rows held, in rising order."""
        return np.array(sorted(row for kept in self._kept for row in kept), dtype=np.int64)

    def counts(self) -> tuple[int, ...]:
        """Rows held in each regime."""
        return tuple(len(kept) for kept in self._kept)


def regimes_by_level(level: FloatArray, regimes: int) -> npt.NDArray[np.int64]:
    """Regime 0 … regimes − 1 of each value: equal shares by its rank among all."""
    edges = np.quantile(level, np.arange(1, regimes) / regimes)
    return np.searchsorted(edges, level, side="right").astype(np.int64)
