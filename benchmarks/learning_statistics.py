"""What the detectors and the promotion test promise, measured: false alarms, delays, errors when peeking; and the speed beside river.

python benchmarks/learning_statistics.py [--runs N] [--seed N]
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from gammaray.learning.adwin import Adwin
from gammaray.learning.drift import CONCEPT_DETECTORS, DATA_DETECTORS, DriftConfig, DriftMonitor
from gammaray.learning.promotion import Decision, PairedLossTest, PromotionConfig

YEAR = 252
FEATURES = 36
NAMES = tuple(f"f{i}" for i in range(FEATURES))
PHI = np.resize([0.0, 0.5, 0.9, 0.97], FEATURES)
Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def features(n: int, generator: np.random.Generator, start: Array | None = None, scale: float = 1.0) -> Array:
    """Correlated first-order autoregressions of unit variance, persistence 0 to 0.97; scale multiplies their shocks."""
    state = generator.normal(size=FEATURES) if start is None else start
    out = np.empty((n, FEATURES))
    for i in range(n):
        shocks = 0.6 * generator.normal() + 0.8 * generator.normal(size=FEATURES)
        state = PHI * state + np.sqrt(1.0 - PHI**2) * scale * shocks
        out[i] = state
    return out


def losses(n: int, generator: np.random.Generator, heavy: bool) -> Array:
    """Positive losses around 0.3 of deviation about 0.2: half-normal, or heavy-tailed with some dependence."""
    if not heavy:
        return np.abs(generator.normal(0.0, 0.33, n))
    state, out = 0.0, np.empty(n)
    for i in range(n):
        state = 0.3 * state + generator.standard_t(4)
        out[i] = 0.18 * abs(state)
    return out


def concept(runs: int, seed: int) -> None:
    """Alarms of the error detectors in a year without change, and sessions until one after a rise of the mean loss."""
    config = DriftConfig(quiet_after=10**6)
    for heavy in (False, True):
        alarms = dict.fromkeys(CONCEPT_DETECTORS, 0)
        delays: dict[tuple[str, float], list[float]] = {}
        for run in range(runs):
            generator = np.random.default_rng([seed, run])
            reference = losses(250, generator, heavy)
            monitor = DriftMonitor("m", NAMES, config, run)
            monitor.set_reference_losses(reference)
            for i, x in enumerate(losses(YEAR, generator, heavy)):
                for event in monitor.observe_loss(i, x):
                    alarms[event.detector] += 1
            for rise in (1.0, 2.0):
                monitor.set_reference_losses(reference)
                monitor = DriftMonitor.restore(config, {**monitor.state(), "silent": {}})
                first = dict.fromkeys(CONCEPT_DETECTORS, math.inf)
                for i, x in enumerate(losses(60, generator, heavy) + rise * reference.std()):
                    for event in monitor.observe_loss(i, x):
                        first[event.detector] = min(first[event.detector], i + 1)
                for detector, when in first.items():
                    delays.setdefault((detector, rise), []).append(when)
        name = "heavy-tailed, dependent" if heavy else "half-normal"
        for detector in CONCEPT_DETECTORS:
            text = ", ".join(
                f"rise of {rise:.0f} deviations: median {np.median(delays[detector, rise]):.0f} sessions, "
                f"missed in 60: {np.mean(np.isinf(delays[detector, rise])):.0%}"
                for rise in (1.0, 2.0)
            )
            print(f"  {detector:13s} {name:24s} alarms a year without change {alarms[detector] / runs:.3f};  {text}")


def data(runs: int, seed: int) -> None:
    """Alarms of the feature detectors in a year without change, and sessions until one after the shocks have become larger."""
    alarms = dict.fromkeys(DATA_DETECTORS, 0)
    delays: dict[tuple[str, float], list[float]] = {}
    for run in range(runs):
        generator = np.random.default_rng([seed, run])
        rows = features(500 + YEAR, generator)
        monitor = DriftMonitor("m", NAMES)
        monitor.set_reference_features(rows[:500])
        for i, row in enumerate(rows[500:]):
            for event in monitor.observe_features(i, row):
                alarms[event.detector] += 1
        state = monitor.state()
        for scale in (2.0, 4.0):
            again = DriftMonitor.restore(monitor.config, {**state, "silent": {}})
            first = dict.fromkeys(DATA_DETECTORS, math.inf)
            for i, row in enumerate(features(40, generator, rows[-1], scale)):
                for event in again.observe_features(i, row):
                    first[event.detector] = min(first[event.detector], i + 1)
            for detector, when in first.items():
                delays.setdefault((detector, scale), []).append(when)
    for detector in DATA_DETECTORS:
        text = ", ".join(
            f"shocks × {scale:.0f}: median {np.median(delays[detector, scale]):.0f} sessions, "
            f"missed in 40: {np.mean(np.isinf(delays[detector, scale])):.0%}"
            for scale in (2.0, 4.0)
        )
        print(
            f"  {detector:13s} {FEATURES} features, φ 0 to 0.97  alarms a year without change {alarms[detector] / runs:.3f};  {text}"
        )


def promotion(runs: int, seed: int) -> None:
    """How often a challenger of a given advantage (in deviations of the loss differences) is promoted, looking after every pair."""
    config = PromotionConfig()
    for noise in ("normal", "student t, 3"):
        for advantage in (-0.5, 0.0, 0.25, 0.5, 0.8):
            counts = dict.fromkeys(Decision, 0)
            pairs = []
            for run in range(runs):
                generator = np.random.default_rng([seed, run])
                draws = generator.normal(size=30) if noise == "normal" else generator.standard_t(3, 30) / math.sqrt(3.0)
                test = PairedLossTest(config, 1.345)
                for draw in draws:
                    if test.update(float(draw) + advantage, 0.0) is not Decision.CONTINUE:
                        break
                counts[test.decision] += 1
                if test.decision is Decision.PROMOTE:
                    pairs.append(test.count)
            when = f", after {np.median(pairs):.0f} pairs (median)" if pairs else ""
            print(f"  {noise:13s} advantage {advantage:+.2f}: promoted {counts[Decision.PROMOTE] / runs:.3f}{when}")


def speed(seed: int) -> None:
    """Time of one update beside river's, and of one check of all features."""
    from river.drift import ADWIN

    values = np.random.default_rng(seed).normal(size=50_000)
    oracle, ours = ADWIN(clock=1), Adwin()
    Adwin().update_many(values[:100])

    def clock(work: object) -> float:
        start = time.perf_counter()
        work()  # type: ignore[operator]
        return (time.perf_counter() - start) / len(values) * 1e6

    river = clock(lambda: [oracle.update(x) for x in values])
    single = clock(lambda: [ours.update(x) for x in values])
    batch = clock(lambda: Adwin().update_many(values))
    print(f"  ADWIN, µs a value: river {river:.2f}, ours {single:.2f}, ours in a batch {batch:.2f}")
    for count in (36, 120):
        names = tuple(f"f{i}" for i in range(count))
        rows = np.random.default_rng(seed).normal(size=(800, count))
        monitor = DriftMonitor("m", names)
        monitor.set_reference_features(rows[:500])
        for i in range(500, 540):
            monitor.observe_features(i, rows[i])
        start = time.perf_counter()
        for i in range(540, 800):
            monitor.observe_features(i, rows[i])
        print(f"  check of {count} features against 500 rows: {(time.perf_counter() - start) / 260 * 1e3:.2f} ms")


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"errors of a model ({options.runs} runs, reference of 250 losses)")
    concept(options.runs, options.seed)
    print(f"features ({max(options.runs // 5, 5)} runs, reference of 500 rows, window of 20)")
    data(max(options.runs // 5, 5), options.seed)
    print(f"promotion test, at most 30 pairs, α 5 % ({options.runs * 5} runs)")
    promotion(options.runs * 5, options.seed)
    print("speed")
    speed(options.seed)


if __name__ == "__main__":
    main()
