"""The monitor of one model: false alarms, detection, silence, state."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gammaray.learning.drift import DriftConfig, DriftEvent, DriftMonitor
from gammaray.operations.errors import BadInput

FEATURES = 30
NAMES = tuple(f"f{i}" for i in range(FEATURES))
# Persistence of the features, from returns (none) to volatility levels (strong).
PHI = np.resize([0.0, 0.5, 0.9, 0.97], FEATURES)


def market(n: int, generator: np.random.Generator, start: np.ndarray | None = None, scale: float = 1.0) -> np.ndarray:
    """Correlated first-order autoregressions of unit variance; scale multiplies their shocks."""
    state = generator.normal(size=FEATURES) if start is None else start
    out = np.empty((n, FEATURES))
    for i in range(n):
        shocks = 0.6 * generator.normal() + 0.8 * generator.normal(size=FEATURES)
        state = PHI * state + np.sqrt(1.0 - PHI**2) * scale * shocks
        out[i] = state
    return out


def alarms(monitor: DriftMonitor, rows: np.ndarray) -> list[DriftEvent]:
    return [event for i, row in enumerate(rows) for event in monitor.observe_features(i, row)]


def test_no_change_few_alarms_in_years_of_persistent_features() -> None:
    """A year each in 8 markets without change, two detectors: naive tests would alarm in nearly every window."""
    events = 0
    for seed in range(8):
        generator = np.random.default_rng(seed)
        rows = market(752, generator)
        monitor = DriftMonitor("m", NAMES)
        monitor.set_reference_features(rows[:500])
        events += len(alarms(monitor, rows[500:]))
    assert events <= 2


def test_a_shock_is_found_within_a_window_and_named() -> None:
    found = []
    for seed in range(5):
        generator = np.random.default_rng(100 + seed)
        calm = market(560, generator)
        wild = market(20, generator, calm[-1], scale=4.0)
        monitor = DriftMonitor("m", NAMES)
        monitor.set_reference_features(calm[:500])
        assert alarms(monitor, calm[500:]) == []
        events = alarms(monitor, wild)
        found.append(bool(events))
        for event in events:
            assert event.evidence["features_drifted"] >= 3
            strongest = event.evidence["strongest"][0]
            assert strongest["feature"] in NAMES
            assert strongest["p_value"] < 0.005
    assert sum(found) >= 4


def test_a_detector_that_alarmed_is_silent_for_a_while() -> None:
    generator = np.random.default_rng(7)
    calm = market(500, generator)
    monitor = DriftMonitor("m", NAMES, DriftConfig(quiet_after=15))
    monitor.set_reference_features(calm)
    times = [e.market_time for e in alarms(monitor, market(80, generator, calm[-1], scale=6.0)) if e.detector == "ks"]
    assert len(times) > 1
    assert min(np.diff(times)) >= 15


def test_risen_losses_are_found_quickly_and_steady_ones_not() -> None:
    generator = np.random.default_rng(8)
    reference = np.abs(generator.normal(0.3, 0.2, 250))
    steady = np.abs(generator.normal(0.3, 0.2, 250))
    risen = np.abs(generator.normal(0.9, 0.2, 40))
    monitor = DriftMonitor("m", NAMES)
    monitor.set_reference_losses(reference)
    assert [e for i, x in enumerate(steady) for e in monitor.observe_loss(i, x)] == []
    events = [e for i, x in enumerate(risen) for e in monitor.observe_loss(i, x)]
    first = {e.detector: e.market_time for e in reversed(events)}
    # A rise of three deviations: Page–Hinkley gains about 2.5 a step on a threshold of some 5 to 10.
    assert first["page_hinkley"] <= 8
    assert first["adwin"] <= 25
    event = next(e for e in events if e.detector == "page_hinkley")
    assert event.evidence["statistic"] > event.evidence["threshold"]


def test_falling_losses_are_no_alarm() -> None:
    monitor = DriftMonitor("m", NAMES)
    monitor.set_reference_losses(np.random.default_rng(9).uniform(0.5, 1.0, 250))
    assert [e for i in range(100) for e in monitor.observe_loss(i, 0.1)] == []


def test_after_a_rebase_the_new_market_is_normal() -> None:
    generator = np.random.default_rng(10)
    calm = market(500, generator)
    wild = market(700, generator, calm[-1], scale=4.0)
    monitor = DriftMonitor("m", NAMES)
    monitor.set_reference_features(calm)
    assert alarms(monitor, wild[:520])
    monitor.rebase_features()
    assert alarms(monitor, wild[520:]) == []


@pytest.mark.parametrize("at", [0, 3, 20, 45, 60])
def test_state_round_trip_is_exact(at: int) -> None:
    generator = np.random.default_rng(11)
    rows, losses = market(590, generator), np.abs(generator.normal(0.3, 0.2, 400))
    rows[550:] *= 5.0
    losses[350:] += 1.0

    def feed(monitor: DriftMonitor, start: int, stop: int) -> list[DriftEvent]:
        out = []
        for i in range(start, stop):
            out += monitor.observe_features(i, rows[500 + i])
            out += monitor.observe_loss(i, losses[310 + i])
        return out

    monitor = DriftMonitor("m", NAMES, seed=3)
    monitor.set_reference_features(rows[:500])
    monitor.set_reference_losses(losses[:310])
    feed(monitor, 0, at)
    again = DriftMonitor.restore(monitor.config, json.loads(json.dumps(monitor.state())))
    first, second = feed(monitor, at, 90), feed(again, at, 90)
    assert first == second
    assert first
    assert monitor.state() == again.state()


def test_bad_input_is_refused_by_field() -> None:
    monitor = DriftMonitor("m", ("a", "b"))
    with pytest.raises(BadInput, match="vector: expected 2 features, were 1"):
        monitor.observe_features(0, [1.0])
    with pytest.raises(BadInput, match=r"vector.b: must be finite"):
        monitor.observe_features(0, [1.0, float("nan")])
    with pytest.raises(BadInput, match="loss: must be finite"):
        monitor.observe_loss(0, float("inf"))
    with pytest.raises(BadInput, match="needs at least 40 rows, has 10"):
        monitor.set_reference_features(np.zeros((10, 2)))
    with pytest.raises(BadInput, match="reference"):
        DriftConfig(window=20, reference=30)


def test_a_constant_feature_is_no_trouble() -> None:
    generator = np.random.default_rng(12)
    rows = np.column_stack([generator.normal(size=(600, 3)), np.ones(600)])
    monitor = DriftMonitor("m", ("a", "b", "c", "one"))
    monitor.set_reference_features(rows[:500])
    assert alarms(monitor, rows[500:]) == []
