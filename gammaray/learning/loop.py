"""The learning loop: from evidence of change to a retraining, a challenger on trial, and a decision. A pure state machine.

    SERVING ──drift──► RETRAINING ──registered──► SHADOW ──not worse──► TRAFFIC ──test──► promoted or rejected ──► SERVING
                          └── failed or worse ──► SERVING                └─────── rejected ──────────────────────┘

After a promotion the former champion stays as a shadow for a while; should the new one prove worse, it is rolled back.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from gammaray.learning.drift import DriftConfig, DriftEvent, DriftMonitor
from gammaray.learning.losses import ForecastLoss
from gammaray.learning.messages import (
    ChallengerRequested,
    Command,
    Deploy,
    Event,
    FeaturesObserved,
    OutcomeKnown,
    PredictionMade,
    Promote,
    Reject,
    ReportDrift,
    RetrainingFailed,
    RetrainingFinished,
    RetrainRequested,
    RollBack,
    StartRetraining,
)
from gammaray.learning.promotion import Decision, PairedLossTest, PromotionConfig, difference_scale
from gammaray.learning.retrain import RetrainStatus
from gammaray.models.dataset import FloatArray
from gammaray.operations.errors import BadInput


class Phase(StrEnum):
    """Where a model stands."""

    SERVING = "serving"
    RETRAINING = "retraining"
    SHADOW = "shadow"
    TRAFFIC = "traffic"


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """Counts are outcomes (sessions for daily models).

    shadow_pairs: pairs before a challenger may take traffic. cool_down: outcomes after a decision or a job without result before drift may
    start another. max_jobs in any budget_window outcomes. watch_pairs: how long a former champion stays to be compared with after a promotion.
    """

    drift: DriftConfig = field(default_factory=DriftConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)
    loss: ForecastLoss = field(default_factory=ForecastLoss)
    shadow_pairs: int = 5
    traffic_percentage: float = 20.0
    cool_down: int = 10
    max_jobs: int = 4
    budget_window: int = 60
    watch_pairs: int = 40
    seed: int = 0


@dataclass(slots=True)
class _Trial:
    """A challenger, or after a promotion the former champion, compared with the champion."""

    version: str
    test: PairedLossTest
    losses: list[float] = field(default_factory=list)
    reference: tuple[float, ...] = ()


@dataclass(slots=True)
class _Model:
    champion: str
    monitor: DriftMonitor
    scale: float
    phase: Phase = Phase.SERVING
    outcomes: int = 0
    cooling: int = 0
    jobs: int = 0
    job_id: str | None = None
    job_champion: str | None = None
    job_starts: list[int] = field(default_factory=list)
    trial: _Trial | None = None
    watch: _Trial | None = None
    traffic_percentage: float = 0.0
    # target_ns → request_id → version → forecast
    pending: dict[int, dict[str, dict[str, tuple[float, float]]]] = field(default_factory=dict)


class LearningLoop:
    """Many models, each in a phase. `handle` takes events and returns commands; nothing else happens.

    The same events give the same commands; `state` and `restore` are exact, so a restarted actor goes on where it was.
    """

    def __init__(self, config: LoopConfig | None = None) -> None:
        self.config = config or LoopConfig()
        self._models: dict[str, _Model] = {}

    def add_model(
        self,
        model: str,
        champion: str,
        feature_names: tuple[str, ...],
        reference_features: FloatArray,
        reference_losses: tuple[float, ...],
    ) -> None:
        """Take a serving model in. References: features (n, F) in time order and losses (at least 20) that stand for "no change".

        Raises BadInput when the model is known already or a reference does not serve.
        """
        if model in self._models:
            raise BadInput("model", f"{model!r} is known already")
        monitor = DriftMonitor(model, feature_names, self.config.drift, self._seed(model, 0))
        monitor.set_reference_features(reference_features)
        monitor.set_reference_losses(reference_losses)
        self._models[model] = _Model(champion, monitor, _unit_without_pairs(reference_losses))

    @property
    def models(self) -> tuple[str, ...]:
        """Names, in the order they were added."""
        return tuple(self._models)

    def status(self, model: str) -> dict[str, Any]:
        """What a person wants to see: phase, versions, traffic, evidence so far."""
        m = self._model(model)
        return {
            "phase": m.phase.value,
            "champion": m.champion,
            "challenger": None if m.trial is None else m.trial.version,
            "traffic_percentage": m.traffic_percentage,
            "job_id": m.job_id,
            "jobs_started": m.jobs,
            "cooling": m.cooling,
            "outcomes": m.outcomes,
            "trial": None if m.trial is None else m.trial.test.evidence(),
            "watching": None if m.watch is None else m.watch.version,
        }

    def handle(self, event: Event) -> list[Command]:
        """Advance. Raises BadInput for an unknown model or an event that names nothing sensible; late and repeated events change nothing."""
        m = self._model(event.model)
        match event:
            case FeaturesObserved():
                return self._drifted(m, event.ts_ns, m.monitor.observe_features(event.ts_ns, event.vector))
            case PredictionMade():
                forecasts = {p.version: (p.realized_volatility, p.iv_change) for p in event.predictions}
                m.pending.setdefault(event.target_ns, {}).setdefault(event.request_id, forecasts)
                return []
            case OutcomeKnown():
                return self._outcome(m, event)
            case RetrainingFinished():
                return self._finished(m, event)
            case RetrainingFailed():
                if m.phase is Phase.RETRAINING and event.job_id == m.job_id:
                    self._rest(m)
                return []
            case RetrainRequested():
                if m.phase is not Phase.SERVING:
                    raise BadInput("model", f"{event.model} is {m.phase}: one retraining or challenger at a time")
                return [self._start(event.model, m, event.ts_ns, {"requested": event.reason})]
            case ChallengerRequested():
                return self._challenger_by_hand(m, event)

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            name: {
                "champion": m.champion,
                "monitor": m.monitor.state(),
                "scale": m.scale,
                "phase": m.phase.value,
                "outcomes": m.outcomes,
                "cooling": m.cooling,
                "jobs": m.jobs,
                "job_id": m.job_id,
                "job_champion": m.job_champion,
                "job_starts": list(m.job_starts),
                "trial": _trial_state(m.trial),
                "watch": _trial_state(m.watch),
                "traffic_percentage": m.traffic_percentage,
                "pending": [[target, requests] for target, requests in m.pending.items()],
            }
            for name, m in self._models.items()
        }

    @classmethod
    def restore(cls, config: LoopConfig, state: Mapping[str, Any]) -> LearningLoop:
        """The loop that `state` was taken from."""
        loop = cls(config)
        for name, s in state.items():
            loop._models[name] = _Model(
                champion=s["champion"],
                monitor=DriftMonitor.restore(config.drift, s["monitor"]),
                scale=s["scale"],
                phase=Phase(s["phase"]),
                outcomes=s["outcomes"],
                cooling=s["cooling"],
                jobs=s["jobs"],
                job_id=s["job_id"],
                job_champion=s["job_champion"],
                job_starts=list(s["job_starts"]),
                trial=_restore_trial(config, s["trial"]),
                watch=_restore_trial(config, s["watch"]),
                traffic_percentage=s["traffic_percentage"],
                pending={
                    int(target): {
                        request: {version: (f[0], f[1]) for version, f in forecasts.items()}
                        for request, forecasts in requests.items()
                    }
                    for target, requests in s["pending"]
                },
            )
        return loop

    def _outcome(self, m: _Model, event: OutcomeKnown) -> list[Command]:
        requests = m.pending.pop(event.target_ns, None)
        for stale in [target for target in m.pending if target < event.target_ns]:
            del m.pending[stale]
        if requests is None:
            return []
        losses = self._losses(requests, (event.realized_volatility, event.iv_change))
        if m.champion not in losses:
            return []
        m.outcomes += 1
        m.cooling = max(m.cooling - 1, 0)
        champion_loss = losses[m.champion]
        commands = self._drifted(m, event.ts_ns, m.monitor.observe_loss(event.ts_ns, champion_loss))
        rolled_back = self._watch(m, event, losses, champion_loss)
        if rolled_back:
            return commands + rolled_back
        return commands + self._judge(m, event, losses, champion_loss)

    def _losses(
        self, requests: Mapping[str, Mapping[str, tuple[float, float]]], outcome: tuple[float, float]
    ) -> dict[str, float]:
        """Mean loss of each version over the requests for one outcome."""
        by_version: dict[str, list[float]] = {}
        for forecasts in requests.values():
            for version, forecast in forecasts.items():
                by_version.setdefault(version, []).append(self.config.loss.one(*forecast, outcome))
        means = {version: float(np.mean(values)) for version, values in by_version.items()}
        return {version: loss for version, loss in means.items() if np.isfinite(loss)}

    def _judge(
        self, m: _Model, event: OutcomeKnown, losses: Mapping[str, float], champion_loss: float
    ) -> list[Command]:
        """One more pair for the challenger on trial."""
        trial = m.trial
        if trial is None or trial.version not in losses:
            return []
        trial.losses.append(losses[trial.version])
        decision = trial.test.update(champion_loss, losses[trial.version])
        evidence = trial.test.evidence()
        if decision is Decision.PROMOTE:
            return self._promote(m, event, trial, evidence)
        if decision is Decision.REJECT:
            m.trial = None
            self._rest(m)
            return [
                Reject(event.model, event.ts_ns, trial.version, evidence),
                self._deploy(event.model, m, event.ts_ns),
            ]
        ready = trial.test.count >= self.config.shadow_pairs and trial.test.mean_difference >= 0.0
        if m.phase is Phase.SHADOW and ready:
            m.phase = Phase.TRAFFIC
            m.traffic_percentage = self.config.traffic_percentage
            return [self._deploy(event.model, m, event.ts_ns)]
        return []

    def _promote(self, m: _Model, event: OutcomeKnown, trial: _Trial, evidence: dict[str, Any]) -> list[Command]:
        former = m.champion
        reference = (*trial.reference, *trial.losses)
        m.champion, m.trial = trial.version, None
        m.scale = trial.test.scale
        m.watch = _Trial(former, PairedLossTest(self._watch_config(), m.scale))
        self._rest(m)
        # A challenger put up by hand may have too few losses to calibrate on; the old calibration then stays.
        if len(reference) >= 20:
            m.monitor.set_reference_losses(reference)
        m.monitor.rebase_features()
        return [
            Promote(event.model, event.ts_ns, trial.version, former, evidence),
            self._deploy(event.model, m, event.ts_ns),
        ]

    def _watch(
        self, m: _Model, event: OutcomeKnown, losses: Mapping[str, float], champion_loss: float
    ) -> list[Command]:
        """One more pair for the former champion; commands when it proves the better one."""
        watch = m.watch
        if watch is None or watch.version not in losses:
            return []
        decision = watch.test.update(champion_loss, losses[watch.version])
        if decision is Decision.CONTINUE:
            return []
        m.watch = None
        if decision is Decision.REJECT:
            return [self._deploy(event.model, m, event.ts_ns)]
        commands: list[Command] = []
        removed, m.champion = m.champion, watch.version
        if m.trial is not None:
            # Its pairs were against the champion that has just gone.
            evidence = {**m.trial.test.evidence(), "ended_by": "rollback"}
            commands.append(Reject(event.model, event.ts_ns, m.trial.version, evidence))
            m.trial = None
        if (
            m.phase is not Phase.RETRAINING
        ):  # a job that runs goes on, so that there is never a second one; `_finished` drops its result
            self._rest(m)
        commands.append(RollBack(event.model, event.ts_ns, m.champion, removed, watch.test.evidence()))
        commands.append(self._deploy(event.model, m, event.ts_ns))
        return commands

    def _finished(self, m: _Model, event: RetrainingFinished) -> list[Command]:
        result = event.result
        if m.phase is not Phase.RETRAINING or result.job_id != m.job_id:
            return []
        outdated = m.job_champion != m.champion  # it continued a champion that has been rolled back
        if result.status is not RetrainStatus.REGISTERED or result.version is None or outdated:
            self._rest(m)
            return []
        m.job_id = None
        differences = np.array(result.gate_differences)
        scale = difference_scale(differences) if len(differences) else m.scale
        m.trial = _Trial(
            result.version, PairedLossTest(self.config.promotion, scale), reference=tuple(result.reference_losses)
        )
        m.phase = Phase.SHADOW
        return [self._deploy(event.model, m, event.ts_ns)]

    def _challenger_by_hand(self, m: _Model, event: ChallengerRequested) -> list[Command]:
        if not 0.0 <= event.traffic_percentage <= 100.0:
            raise BadInput("traffic_percentage", f"must be 0 to 100, was {event.traffic_percentage}")
        if event.version == m.champion:
            raise BadInput("version", f"{event.version} is the champion")
        if m.trial is not None and m.trial.version != event.version:
            raise BadInput("version", f"{m.trial.version} is on trial; one challenger at a time")
        if m.phase is Phase.RETRAINING:
            raise BadInput("model", f"{event.model} is retraining; its challenger comes first")
        if m.watch is not None and m.watch.version == event.version:
            m.watch = None  # on trial it is compared anyway
        if m.trial is None:
            m.trial = _Trial(event.version, PairedLossTest(self.config.promotion, m.scale))
        m.phase = Phase.TRAFFIC if event.traffic_percentage > 0 else Phase.SHADOW
        m.traffic_percentage = event.traffic_percentage
        return [self._deploy(event.model, m, event.ts_ns)]

    def _drifted(self, m: _Model, ts_ns: int, events: list[DriftEvent]) -> list[Command]:
        commands: list[Command] = [ReportDrift(event.model, ts_ns, event) for event in events]
        if events and m.phase is Phase.SERVING and not m.cooling and self._in_budget(m):
            evidence = {"drift": [asdict(event) for event in events]}
            commands.append(self._start(events[0].model, m, ts_ns, evidence))
        return commands

    def _in_budget(self, m: _Model) -> bool:
        recent = [start for start in m.job_starts if start > m.outcomes - self.config.budget_window]
        return len(recent) < self.config.max_jobs

    def _start(self, name: str, m: _Model, ts_ns: int, evidence: dict[str, Any]) -> StartRetraining:
        m.jobs += 1
        m.job_id, m.job_champion = f"retrain-{name}-{m.jobs:04d}", m.champion
        m.job_starts = [*m.job_starts[-self.config.max_jobs + 1 :], m.outcomes]
        m.phase = Phase.RETRAINING
        return StartRetraining(name, ts_ns, m.job_id, m.champion, evidence, self._seed(name, m.jobs), ts_ns)

    def _rest(self, m: _Model) -> None:
        m.phase, m.job_id, m.job_champion = Phase.SERVING, None, None
        m.cooling, m.traffic_percentage = self.config.cool_down, 0.0

    def _deploy(self, name: str, m: _Model, ts_ns: int) -> Deploy:
        shadows = [m.trial.version] if m.trial is not None and m.phase is Phase.SHADOW else []
        if m.watch is not None and m.watch.version not in shadows:
            shadows.append(m.watch.version)
        challenger = m.trial.version if m.trial is not None and m.phase is Phase.TRAFFIC else None
        percentage = m.traffic_percentage if challenger is not None else 0.0
        return Deploy(name, ts_ns, m.champion, challenger, percentage, tuple(shadows))

    def _watch_config(self) -> PromotionConfig:
        promotion = self.config.promotion
        pairs = max(self.config.watch_pairs, promotion.min_samples)
        return PromotionConfig(promotion.alpha, promotion.min_samples, pairs)

    def _seed(self, model: str, job: int) -> int:
        sequence = np.random.SeedSequence([self.config.seed, zlib.crc32(model.encode()), job])
        return int(sequence.generate_state(1)[0] >> 1)

    def _model(self, model: str) -> _Model:
        if model not in self._models:
            raise BadInput("model", f"unknown {model!r}; known: {', '.join(self._models) or 'none'}")
        return self._models[model]


def _unit_without_pairs(losses: tuple[float, ...]) -> float:
    """A unit of loss differences for a challenger that nothing is known of: a quarter of the spread of the champion's losses."""
    low, high = np.quantile(losses, [0.25, 0.75])
    return float(max(0.25 * (high - low), 1e-6))


def _trial_state(trial: _Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "version": trial.version,
        "test": trial.test.state(),
        "losses": list(trial.losses),
        "reference": list(trial.reference),
        "max_samples": trial.test.config.max_samples,
    }


def _restore_trial(config: LoopConfig, state: Mapping[str, Any] | None) -> _Trial | None:
    if state is None:
        return None
    promotion = config.promotion
    test_config = PromotionConfig(promotion.alpha, promotion.min_samples, state["max_samples"])
    return _Trial(
        state["version"],
        PairedLossTest.restore(test_config, state["test"]),
        list(state["losses"]),
        tuple(state["reference"]),
    )
