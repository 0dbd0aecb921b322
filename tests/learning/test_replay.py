"""What is replayed: uniform within a regime, and every regime has its share."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.learning.replay import RegimeReservoir, regimes_by_level
from gammaray.operations.errors import BadInput


def test_a_short_crisis_keeps_its_share() -> None:
    reservoir = RegimeReservoir(60, 2, np.random.default_rng(1))
    for row in range(2000):
        reservoir.offer(row, 1 if 500 <= row < 540 else 0)
    assert reservoir.counts() == (30, 30)
    rows = reservoir.rows()
    assert sum(500 <= row < 540 for row in rows) == 30
    assert len(set(rows.tolist())) == 60
    assert rows.tolist() == sorted(rows.tolist())


def test_the_sample_is_uniform_over_the_stream() -> None:
    """Each of 100 rows is kept with probability 0.2; over 1000 runs its count is 200 ± 12.6 (binomial deviation)."""
    kept = np.zeros(100)
    for seed in range(1000):
        reservoir = RegimeReservoir(20, 1, np.random.default_rng(seed))
        for row in range(100):
            reservoir.offer(row, 0)
        kept[reservoir.rows()] += 1
    assert kept.sum() == 20_000
    assert np.abs(kept - 200).max() < 5 * 12.6
    # Early and late rows alike: halves differ by less than 4 deviations of √(20000)/2.
    assert abs(kept[:50].sum() - 10_000) < 4 * 71


def test_fewer_rows_than_capacity_are_all_kept() -> None:
    reservoir = RegimeReservoir(10, 2, np.random.default_rng(0))
    for row in range(3):
        reservoir.offer(row, 0)
    assert reservoir.rows().tolist() == [0, 1, 2]
    assert reservoir.counts() == (3, 0)
    with pytest.raises(BadInput, match="capacity"):
        RegimeReservoir(1, 2, np.random.default_rng(0))


def test_regimes_have_equal_shares() -> None:
    level = np.random.default_rng(3).permutation(np.arange(300.0))
    regimes = regimes_by_level(level, 3)
    assert np.bincount(regimes).tolist() == [100, 100, 100]
    assert regimes[np.argmin(level)] == 0
    assert regimes[np.argmax(level)] == 2
