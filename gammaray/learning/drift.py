"""Has the market changed, or has a model stopped fitting it? Detectors over one model's features and errors."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammaray.learning.adwin import Adwin
from gammaray.learning.distribution import (
    ReferenceSample,
    benjamini_hochberg,
    correlation_time,
    ks_p_value,
    psi_p_value,
)
from gammaray.learning.page_hinkley import PageHinkley, page_hinkley_threshold
from gammaray.models.dataset import FloatArray
from gammaray.operations.errors import BadInput

DATA_DETECTORS = ("ks", "psi")
CONCEPT_DETECTORS = ("page_hinkley", "adwin")


@dataclass(frozen=True, slots=True)
class DriftConfig:
    """window: observations compared with the reference. reference: most recent reference rows used.

    discovery_rate: Benjamini–Hochberg rate of one look at all features. min_features: rejected features that make an alarm.
    bins: of the stability index. page_hinkley_delta: rise of the mean error that is let pass, in deviations of the reference errors
    (half of the rise to be found, here one deviation).
    false_alarm: chance, by bootstrap, that Page–Hinkley alarms within `false_alarm_horizon` observations under no change; what is
    measured is higher, because the reference is a sample itself (docs/learning.md). adwin_delta: ADWIN's confidence.
    clip: errors are cut at this many deviations from the reference mean. quiet_after: observations for which a detector that has
    alarmed stays silent.
    """

    window: int = 20
    reference: int = 500
    discovery_rate: float = 0.005
    min_features: int = 3
    bins: int = 5
    page_hinkley_delta: float = 0.5
    false_alarm: float = 0.02
    false_alarm_horizon: int = 252
    adwin_delta: float = 0.002
    clip: float = 6.0
    quiet_after: int = 20
    shown_features: int = 5

    def __post_init__(self) -> None:
        if self.window < 5:
            raise BadInput("window", f"needs at least 5 observations, was {self.window}")
        if self.reference < 2 * self.window:
            raise BadInput("reference", f"must be at least twice the window {self.window}, was {self.reference}")


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """An alarm. evidence: JSON values that explain it."""

    market_time: int
    model: str
    detector: str
    evidence: Mapping[str, Any]


class DriftMonitor:
    """The detectors of one model. Deterministic: the same observations give the same events.

    Data drift compares the last `window` feature vectors with the reference, in level and in innovation (what a first-order
    autoregression fitted on the reference does not explain: sensitive where a persistent level has too few independent values). Tests use
    effective sample sizes. Concept drift watches the losses of the champion, in deviations of the reference losses.
    """

    def __init__(
        self, model: str, feature_names: Sequence[str], config: DriftConfig | None = None, seed: int = 0
    ) -> None:
        self.model = model
        self.feature_names = tuple(feature_names)
        self.config = config or DriftConfig()
        self._seed = seed
        self._reference: FloatArray = np.empty((0, len(self.feature_names)))
        self._recent: deque[list[float]] = deque(maxlen=self.config.window + 1)
        self._observed: deque[list[float]] = deque(maxlen=self.config.reference)
        self._silent = dict.fromkeys((*DATA_DETECTORS, *CONCEPT_DETECTORS), 0)
        self._loss_mean, self._loss_scale, self._losses = 0.0, 1.0, 0
        self._page_hinkley: PageHinkley | None = None
        self._adwin: Adwin | None = None

    def set_reference_features(self, features: FloatArray) -> None:
        """Rows (n, F), in time order, that stand for "no change"; the last `reference` of them are kept.

        Raises BadInput when there are fewer than two windows or a value is not finite.
        """
        if features.ndim != 2 or features.shape[1] != len(self.feature_names):
            raise BadInput("features", f"expected shape (n, {len(self.feature_names)}), was {features.shape}")
        if len(features) < 2 * self.config.window:
            raise BadInput("features", f"needs at least {2 * self.config.window} rows, has {len(features)}")
        if not np.isfinite(features).all():
            raise BadInput("features", "must be finite")
        self._reference = np.array(features[-self.config.reference :], dtype=np.float64)
        self._prepare()

    def rebase_features(self) -> None:
        """Let the reference slide up to now: what has been observed since it was set counts as "no change" from here on."""
        rows = [row for row in (self._reference, np.array(self._observed)) if len(row)]
        self._observed.clear()
        if rows:
            self.set_reference_features(np.concatenate(rows))

    def set_reference_losses(self, losses: Sequence[float] | FloatArray) -> None:
        """Losses of the model that serves, on data it had not seen: calibrates and resets the error detectors."""
        values = np.asarray(losses, dtype=np.float64)
        if not np.isfinite(values).all():
            raise BadInput("losses", "must be finite")
        self._loss_mean = float(values.mean())
        self._loss_scale = float(max(values.std(), 1e-9))
        scaled = np.array([self._scaled(value) for value in values])
        generator = np.random.default_rng(self._seed)
        threshold = page_hinkley_threshold(
            scaled,
            self.config.page_hinkley_delta,
            self.config.false_alarm_horizon,
            self.config.false_alarm,
            generator,
        )
        self._page_hinkley = PageHinkley(self.config.page_hinkley_delta, threshold)
        self._page_hinkley.prime(len(scaled), float(scaled.mean()))
        self._adwin = Adwin(self.config.adwin_delta)
        self._adwin.update_many(scaled)
        self._losses = 0

    def observe_features(self, ts_ns: int, vector: Sequence[float] | FloatArray) -> list[DriftEvent]:
        """Add one feature vector; events when the window has drifted. Raises BadInput naming a feature that is not finite."""
        values = [float(value) for value in vector]
        if len(values) != len(self.feature_names):
            raise BadInput("vector", f"expected {len(self.feature_names)} features, were {len(values)}")
        for name, value in zip(self.feature_names, values, strict=True):
            if not np.isfinite(value):
                raise BadInput(f"vector.{name}", f"must be finite, was {value}")
        self._recent.append(values)
        self._observed.append(values)
        for detector in DATA_DETECTORS:
            self._silent[detector] = max(self._silent[detector] - 1, 0)
        if not len(self._reference) or len(self._recent) <= self.config.window:
            return []
        return self._test_features(ts_ns)

    def observe_loss(self, ts_ns: int, loss: float) -> list[DriftEvent]:
        """Add one loss of the model that serves; events when losses have risen."""
        if not np.isfinite(loss):
            raise BadInput("loss", f"must be finite, was {loss}")
        if self._page_hinkley is None or self._adwin is None:
            return []
        x = self._scaled(loss)
        self._losses += 1
        common = {"loss": loss, "reference_mean": self._loss_mean, "deviations": x, "losses_seen": self._losses}
        events = []
        if self._alarm("page_hinkley", self._page_hinkley.update(x)):
            found = {"statistic": self._page_hinkley.statistic, "threshold": self._page_hinkley.threshold}
            events.append(DriftEvent(ts_ns, self.model, "page_hinkley", {**common, **found}))
            self._page_hinkley.reset()
        before = self._adwin.mean
        cut = self._adwin.update(x)
        if self._alarm("adwin", cut and self._adwin.mean > before):
            found = {"mean_before": before, "mean_after": self._adwin.mean, "width": self._adwin.width}
            events.append(DriftEvent(ts_ns, self.model, "adwin", {**common, **found}))
        return events

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values; `restore` gives a monitor that behaves exactly alike."""
        return {
            "model": self.model,
            "feature_names": list(self.feature_names),
            "seed": self._seed,
            "reference": self._reference.tolist(),
            "recent": list(self._recent),
            "observed": list(self._observed),
            "silent": dict(self._silent),
            "loss_mean": self._loss_mean,
            "loss_scale": self._loss_scale,
            "losses": self._losses,
            "page_hinkley": None if self._page_hinkley is None else self._page_hinkley.state(),
            "adwin": None if self._adwin is None else self._adwin.state(),
        }

    @classmethod
    def restore(cls, config: DriftConfig, state: Mapping[str, Any]) -> DriftMonitor:
        """The monitor that `state` was taken from."""
        monitor = cls(state["model"], state["feature_names"], config, state["seed"])
        monitor._reference = np.array(state["reference"], dtype=np.float64).reshape(-1, len(monitor.feature_names))
        if len(monitor._reference):
            monitor._prepare()
        monitor._recent.extend(state["recent"])
        monitor._observed.extend(state["observed"])
        monitor._silent.update(state["silent"])
        monitor._loss_mean, monitor._loss_scale = state["loss_mean"], state["loss_scale"]
        monitor._losses = state["losses"]
        if state["page_hinkley"] is not None:
            monitor._page_hinkley = PageHinkley.restore(state["page_hinkley"])
        if state["adwin"] is not None:
            monitor._adwin = Adwin.restore(state["adwin"])
        return monitor

    def _prepare(self) -> None:
        """What is computed once from the reference: autoregressions, innovations, correlation times."""
        before, after = self._reference[:-1], self._reference[1:]
        mean = before.mean(axis=0)
        spread = np.mean((before - mean) ** 2, axis=0)
        cross = np.mean((before - mean) * (after - after.mean(axis=0)), axis=0)
        self._phi = np.where(spread > 0, cross / np.where(spread > 0, spread, 1.0), 0.0)
        self._intercept = after.mean(axis=0) - self._phi * mean
        innovations = self._innovations(self._reference)
        samples = np.concatenate([after, innovations], axis=1)
        self._sample = ReferenceSample(samples, self.config.bins)
        self._time = correlation_time(samples)

    def _innovations(self, rows: FloatArray) -> FloatArray:
        return np.asarray(rows[1:] - self._intercept - self._phi * rows[:-1], dtype=np.float64)

    def _test_features(self, ts_ns: int) -> list[DriftEvent]:
        rows = np.array(self._recent)
        window = np.concatenate([rows[1:], self._innovations(rows)], axis=1)
        n = np.maximum(len(self._sample) / self._time, 1.0)
        m = np.maximum(len(window) / self._time, 1.0)
        statistic, index = self._sample.ks_statistic(window), self._sample.stability_index(window)
        events = []
        for detector, values, p_values in (
            ("ks", statistic, ks_p_value(statistic, n, m)),
            ("psi", index, psi_p_value(index, n, m, self.config.bins)),
        ):
            rejected = benjamini_hochberg(p_values, self.config.discovery_rate)
            columns = len(self.feature_names)
            features = rejected[:columns] | rejected[columns:]
            if self._alarm(detector, int(features.sum()) >= self.config.min_features):
                evidence = self._feature_evidence(values, p_values, rejected, m)
                events.append(
                    DriftEvent(ts_ns, self.model, detector, {**evidence, "features_drifted": int(features.sum())})
                )
        return events

    def _feature_evidence(
        self, statistic: FloatArray, p_values: FloatArray, rejected: FloatArray | Any, effective: FloatArray
    ) -> dict[str, Any]:
        columns = len(self.feature_names)
        worst = [int(i) for i in np.argsort(p_values, kind="stable") if rejected[i]][: self.config.shown_features]
        return {
            "window": self.config.window,
            "features_tested": columns,
            "discovery_rate": self.config.discovery_rate,
            "strongest": [
                {
                    "feature": self.feature_names[i % columns],
                    "of": "level" if i < columns else "innovation",
                    "statistic": float(statistic[i]),
                    "p_value": float(p_values[i]),
                    "effective_samples": float(effective[i]),
                }
                for i in worst
            ],
        }

    def _alarm(self, detector: str, found: bool) -> bool:
        if detector in CONCEPT_DETECTORS:
            self._silent[detector] = max(self._silent[detector] - 1, 0)
        if not found or self._silent[detector]:
            return False
        self._silent[detector] = self.config.quiet_after
        return True

    def _scaled(self, loss: float) -> float:
        x = (loss - self._loss_mean) / self._loss_scale
        return min(max(x, -self.config.clip), self.config.clip)
