"""Page–Hinkley: by hand, against river, and calibrated."""

from __future__ import annotations

import json

import numpy as np
import pytest
from river.drift import PageHinkley as RiverPageHinkley

from gammaray.learning.page_hinkley import PageHinkley, page_hinkley_threshold
from gammaray.operations.errors import BadInput


def test_by_hand() -> None:
    """Primed with mean 0 over 9 values; x = 1: mean 0.1, sum 0.9 − 0.4 = 0.5; x = 1: mean 2/11, sum 0.5 + 9/11 − 0.4 = 0.918."""
    detector = PageHinkley(delta=0.4, threshold=0.9)
    detector.prime(9, 0.0)
    assert detector.update(1.0) is False
    assert detector.statistic == pytest.approx(0.5)
    assert detector.update(1.0) is True
    assert detector.statistic == pytest.approx(0.5 + 9 / 11 - 0.4)
    detector.reset()
    assert detector.statistic == 0.0
    assert detector.update(1.0) is False


def test_agrees_with_river_without_priming() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(size=150), generator.normal(1.0, 1.0, 150)])
    oracle = RiverPageHinkley(min_instances=1, delta=0.3, threshold=12.0, alpha=1.0, mode="up")
    ours = PageHinkley(0.3, 12.0)
    for x in values:
        oracle.update(x)
        found = ours.update(x)
        # river begins its lowest point at infinity and so may start one delta lower, on the first value alone.
        if found or oracle.drift_detected:
            break
    assert found
    assert oracle.drift_detected


def test_false_alarms_hold_what_the_calibration_promises() -> None:
    """Thresholds for 5 % a year, from references of heavy-tailed, dependent losses: alarms in fresh years of the same process."""
    generator = np.random.default_rng(1)

    def losses(n: int) -> np.ndarray:
        state, out = 0.0, np.empty(n)
        for i in range(n):
            state = 0.3 * state + generator.standard_t(5)
            out[i] = state
        return out

    alarms = 0
    runs = 150
    for run in range(runs):
        reference = losses(2000)
        threshold = page_hinkley_threshold(reference, 0.5, 252, 0.05, np.random.default_rng(run), paths=300)
        detector = PageHinkley(0.5, threshold)
        detector.prime(len(reference), float(reference.mean()))
        alarms += any(detector.update(x) for x in losses(252))
    # 5 % ± 1.8 % (binomial), and tails that even a long reference has not seen; docs/learning.md has the rates for short ones.
    assert alarms / runs < 0.11


def test_threshold_grows_with_the_horizon_and_with_the_promise() -> None:
    reference = np.random.default_rng(2).normal(size=200)

    def threshold(horizon: int, chance: float) -> float:
        return page_hinkley_threshold(reference, 0.5, horizon, chance, np.random.default_rng(0))

    assert threshold(50, 0.05) < threshold(500, 0.05)
    assert threshold(252, 0.2) < threshold(252, 0.01)
    with pytest.raises(BadInput, match="at least 20"):
        page_hinkley_threshold(reference[:19], 0.5, 252, 0.05, np.random.default_rng(0))


def test_state_round_trip_is_exact() -> None:
    generator = np.random.default_rng(3)
    detector = PageHinkley(0.5, 5.0)
    detector.prime(10, 0.123456789)
    for x in generator.normal(size=17):
        detector.update(x)
    again = PageHinkley.restore(json.loads(json.dumps(detector.state())))
    for x in generator.normal(0.5, 1.0, 50):
        assert detector.update(x) is again.update(x)
    assert detector.state() == again.state()
