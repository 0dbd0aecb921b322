"""ADWIN against river, and its state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN

from gammaray.learning.adwin import Adwin
from gammaray.operations.errors import BadInput


def stream(seed: int, n: int = 600) -> np.ndarray:
    """Normal or Bernoulli values whose level changes up to three times."""
    generator = np.random.default_rng(seed)
    if seed % 3 == 0:
        return (generator.uniform(size=n) < np.where(np.arange(n) > n // 2, 0.4, 0.2)).astype(float)
    values = generator.normal(size=n) * generator.choice([0.1, 1.0])
    for _ in range(generator.integers(0, 4)):
        values[generator.integers(0, n) :] += generator.normal() * generator.choice([0.3, 1.0, 3.0])
    return values


@pytest.mark.parametrize("delta", [0.002, 0.05, 0.3])
def test_cuts_where_river_does(delta: float) -> None:
    """river starts afresh after a detection, so ours is started afresh too."""
    detections = 0
    for seed in range(40):
        oracle, ours = ADWIN(delta=delta, clock=1), Adwin(delta)
        for x in stream(seed):
            oracle.update(x)
            cut = ours.update(x)
            assert cut == oracle.drift_detected
            if cut:
                detections += 1
                ours = Adwin(delta)
            else:
                assert ours.width == oracle.width
                assert ours.mean == pytest.approx(oracle.estimation, abs=1e-9)
    assert detections > 10


def test_after_a_cut_the_newer_part_stays() -> None:
    values = np.concatenate([np.zeros(300), np.ones(200)])
    window = Adwin(0.002)
    assert window.update_many(values).any()
    assert 150 < window.width <= 232
    assert window.mean > 0.85


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), at=st.integers(0, 599))
def test_state_round_trip_is_exact(seed: int, at: int) -> None:
    values = stream(seed)
    window = Adwin(0.05)
    window.update_many(values[:at])
    again = Adwin.restore(json.loads(json.dumps(window.state())))
    assert window.update_many(values[at:]).tolist() == [again.update(x) for x in values[at:]]
    assert window.state() == again.state()


def test_delta_is_checked() -> None:
    with pytest.raises(BadInput, match="delta"):
        Adwin(0.0)
