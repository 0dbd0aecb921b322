"""The drift actor: hosts the learning loop of a group of models, and carries out what it asks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import ray

from actors import metrics
from actors.configuration import ActorConfiguration
from actors.messages import ForecastReport, LearningReport
from actors.metrics import Gauges
from actors.process import enter_process
from actors.retraining_jobs import RetrainingJobs
from actors.serving import ServeController, application_config
from gammaray.features.observer import SessionClose
from gammaray.learning.loop import LearningLoop, LoopConfig
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
from gammaray.learning.predictions import Outcome, PredictionLog, logged
from gammaray.learning.registry import CHALLENGER, CHAMPION, MlflowRegistry
from gammaray.learning.retrain import RetrainSpec
from gammaray.models.dataset import TrainingSet
from gammaray.models.serving import ModelRouting, Served, VersionRef
from gammaray.operations.errors import BadInput
from gammaray.operations.health import Health
from gammaray.operations.progress import ModelState
from gammaray.operations.run_folder import write_atomically
from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import format_ns, to_datetime

LOG_TIMEOUT_S = 10.0
SERVING_TIMEOUT_S = 60.0
STATE_FILE = "loop.json"


@ray.remote(concurrency_groups={"log": 1, "health": 1})
class DriftActor:
    """Joins predictions with outcomes, feeds the detectors, starts retraining jobs and follows the challengers."""

    def __init__(self, configuration: ActorConfiguration) -> None:
        self._configuration = configuration
        self._log = enter_process(configuration, "drift")
        learning = configuration.settings.learning
        self._config = LoopConfig(
            traffic_percentage=learning.challenger_traffic_percentage, seed=configuration.settings.run.seed
        )
        self._opened_registry: MlflowRegistry | None = None
        self._jobs = RetrainingJobs(configuration.dashboard_url, configuration.folder, configuration.run_id)
        self._serve = ServeController(configuration.dashboard_url)
        self._predictions = PredictionLog(configuration.folder.learning / "predictions.sqlite")
        self._arrived: dict[str, Served] = {}
        self._arrival = threading.Condition()
        self._calendar: TradingCalendar | None = None
        self._loop = LearningLoop(self._config)
        self._events: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("drift_events", "retraining_jobs", "promotions", "rollbacks", "rejections")
        }
        self._routing: dict[str, dict[str, Any]] = {}
        self._last_event: dict[str, str] = {}
        self._gauges = Gauges(metrics.DRIFT)
        self._revision = 0
        self._ts_ns = 0
        self._restore()

    @property
    def _registry(self) -> MlflowRegistry:
        """Opened when first needed: it takes seconds, and two processes must not make its schema at once."""
        if self._opened_registry is None:
            self._opened_registry = MlflowRegistry(self._configuration.folder.models)
        return self._opened_registry

    # ---- models

    def start_models(self, versions: Mapping[str, str], data: TrainingSet) -> LearningReport:
        """Take the first champions in and serve them. `data` is what they were trained on: the reference of "no change"."""
        self._ts_ns = int(data.outcome_ts_ns[-1])
        for model, version in versions.items():
            if model in self._loop.models:
                continue
            card = self._registry.get(model, version).card
            self._loop.add_model(model, version, data.feature_names, data.features, card.reference_losses)
            self._route(Deploy(model, self._ts_ns, version, None, 0.0, ()))
        self._apply_routing()
        self._save()
        return self._report()

    def on_close(self, closes: tuple[SessionClose, ...], forecasts: ForecastReport) -> LearningReport:
        """A session is over: outcomes of the last predictions, new features, new predictions, and what follows from them.

        Idempotent: the loop ignores repeated outcomes and predictions.
        """
        served = self._wait_for(forecasts.request_ids)
        for close in closes:
            self._ts_ns = max(self._ts_ns, close.ts_ns)
            self._predictions.append_outcomes(
                [
                    Outcome(
                        close.underlying, close.ts_ns, close.ts_ns, float(close.outcomes[0]), float(close.outcomes[1])
                    )
                ]
            )
            for model in self._loop.models:
                self._handle(
                    OutcomeKnown(model, close.ts_ns, close.ts_ns, float(close.outcomes[0]), float(close.outcomes[1]))
                )
                if len(close.window):
                    self._handle(FeaturesObserved(model, close.ts_ns, tuple(float(v) for v in close.window[-1])))
        targets = {close.underlying: close.target_ns for close in closes}
        for each in served:
            underlying = each.key.partition(":")[0]
            if underlying in targets and each.model in self._loop.models:
                self._handle(PredictionMade.of(each, targets[underlying]))
        self._save()
        return self._report()

    def poll(self) -> LearningReport:
        """Look at the retraining jobs; what has finished goes on to serving."""
        for job_id, model in list(self._jobs.pending.items()):
            outcome = self._jobs.outcome(job_id)
            if outcome is None:
                continue
            self._events["retraining_jobs"].append(
                {
                    "job_id": job_id,
                    "model": model,
                    "market_time": format_ns(self._ts_ns),
                    "status": outcome.status.value,
                    "version": outcome.version,
                    "reason": outcome.reason,
                    "metrics": dict(outcome.metrics),
                }
            )
            self._last_event[model] = f"{job_id} {outcome.status.value}"
            if outcome.result is not None:
                self._handle(RetrainingFinished(model, self._ts_ns, outcome.result))
            else:
                self._handle(RetrainingFailed(model, self._ts_ns, job_id, outcome.reason))
        self._save()
        return self._report()

    # ---- asked over HTTP

    def models(self) -> list[dict[str, Any]]:
        """What `GET /v1/models` answers."""
        errors = {name: [asdict(error) for error in self._predictions.errors(name)] for name in self._loop.models}
        return [
            {
                "name": name,
                **self._loop.status(name),
                "serving": self._routing.get(name, {}),
                "live_errors": errors[name],
                "versions": [
                    {"version": version.version, "aliases": list(version.aliases)}
                    for version in self._registry.versions(name)
                ],
                "last_event": self._last_event.get(name, ""),
            }
            for name in self._loop.models
        ]

    def drift(self) -> dict[str, Any]:
        """What `GET /v1/drift` answers."""
        return {**self._events, "models": {name: self._loop.status(name) for name in self._loop.models}}

    def retrain(self, model: str, reason: str) -> dict[str, Any]:
        """Start a retraining by hand."""
        self._handle(RetrainRequested(model, self._ts_ns, reason))
        self._save()
        return {"model": model, **self._loop.status(model)}

    def challenger(self, model: str, version: str, traffic_percentage: float) -> dict[str, Any]:
        """Serve a registered version beside the champion."""
        if version not in {each.version for each in self._registry.versions(model)}:
            raise BadInput("version", f"{model} has no version {version!r}")
        self._handle(ChallengerRequested(model, self._ts_ns, version, traffic_percentage))
        self._save()
        return {"model": model, **self._loop.status(model)}

    @ray.method(concurrency_group="log")
    def log_predictions(self, batch: list[Served]) -> None:
        """Keep what a replica served until the session's close asks for it. Sending a batch twice changes nothing."""
        with self._arrival:
            for each in batch:
                self._arrived[each.request_id] = each
            self._arrival.notify_all()

    @ray.method(concurrency_group="health")
    def health(self) -> Health:
        """Alive, and whether models are served."""
        return Health(
            "drift", live=True, ready=bool(self._routing) or not self._configuration.settings.learning.enabled
        )

    def report(self) -> LearningReport:
        """The newest state."""
        return self._report()

    # ---- the loop's commands

    def _handle(self, event: Event) -> None:
        commands = self._loop.handle(event)
        for command in commands:
            self._execute(command)
        if any(isinstance(command, Deploy) for command in commands):
            self._apply_routing()

    def _execute(self, command: Command) -> None:
        model, when = command.model, format_ns(command.ts_ns)
        match command:
            case ReportDrift(event=event):
                self._events["drift_events"].append(
                    {"market_time": when, "model": model, "detector": event.detector, "evidence": dict(event.evidence)}
                )
                self._last_event[model] = f"drift ({event.detector}) {when[:10]}"
                self._log.warning("drift", model=model, detector=event.detector, market_time=when)
            case StartRetraining():
                spec = RetrainSpec(
                    command.job_id,
                    model,
                    command.champion_version,
                    command.data_until_ns,
                    command.seed,
                    command.evidence,
                )
                self._jobs.start(spec)
                self._last_event[model] = f"{command.job_id} started"
                self._log.info("retraining_started", model=model, job_id=command.job_id, market_time=when)
            case Deploy():
                self._route(command)
            case Promote():
                self._registry.set_alias(model, CHAMPION, command.version)
                self._registry.clear_alias(model, CHALLENGER)
                self._note(
                    "promotions", model, when, version=command.version, former=command.former, evidence=command.evidence
                )
            case Reject():
                self._registry.clear_alias(model, CHALLENGER)
                self._note("rejections", model, when, version=command.version, evidence=command.evidence)
            case RollBack():
                self._registry.set_alias(model, CHAMPION, command.version)
                self._note(
                    "rollbacks",
                    model,
                    when,
                    version=command.version,
                    removed=command.removed,
                    evidence=command.evidence,
                )

    def _note(self, kind: str, model: str, when: str, **details: Any) -> None:
        self._events[kind].append({"market_time": when, "model": model, **details})
        self._last_event[model] = f"{kind.removesuffix('s')} of v{details['version']} {when[:10]}"
        self._log.info(kind, model=model, market_time=when, version=details["version"])

    def _route(self, command: Deploy) -> None:
        def ref(version: str) -> VersionRef:
            return VersionRef(version, str(self._registry.get(command.model, version).onnx_path))

        routing = ModelRouting(
            ref(command.champion),
            ref(command.challenger) if command.challenger else None,
            command.traffic_percentage,
            tuple(ref(version) for version in command.shadows),
        )
        self._routing[command.model] = routing.to_config()
        trial = command.challenger or next(iter(command.shadows), None)
        if trial is not None:
            self._registry.set_alias(command.model, CHALLENGER, trial)

    def _apply_routing(self) -> None:
        """Put the routing into Serve and wait until a replica answers with it."""
        self._revision += 1
        settings = self._configuration.settings
        config = application_config(settings, self._configuration.key_hashes)
        self._serve.set_models(config, self._routing, self._revision)
        self._serve.wait_revision(self._configuration.api_url, self._revision, SERVING_TIMEOUT_S)
        self._log.info("serving", revision=self._revision, routing=self._routing)

    # ---- predictions

    def _wait_for(self, request_ids: tuple[str, ...]) -> list[Served]:
        """The logged answers of these requests, in their order; those that do not arrive in time are left out and counted."""
        wanted = list(request_ids)
        with self._arrival:
            complete = self._arrival.wait_for(lambda: all(each in self._arrived for each in wanted), LOG_TIMEOUT_S)
            served = [self._arrived.pop(each) for each in wanted if each in self._arrived]
            others = list(self._arrived.values())
            self._arrived.clear()
        if not complete:
            self._log.error("predictions_missing", wanted=len(wanted), arrived=len(served))
        for each in (*served, *others):
            underlying = each.key.partition(":")[0]
            self._predictions.append(logged(each, underlying, self._target_ns(each.ts_ns)))
        return served

    def _target_ns(self, ts_ns: int) -> int:
        day = to_datetime(ts_ns).astimezone(NEW_YORK).date()
        if self._calendar is None or not self._calendar.first <= day < self._calendar.last - timedelta(days=10):
            self._calendar = TradingCalendar(day - timedelta(days=10), day + timedelta(days=400))
        return self._calendar.after(day).close_ns

    # ---- durability

    def _measure(self) -> None:
        self._gauges.set("gammaray_retraining_pending", len(self._jobs.pending))
        for name in self._loop.models:
            events = sum(event["model"] == name for event in self._events["drift_events"])
            self._gauges.set("gammaray_drift_events", events, model=name)
            self._gauges.set("gammaray_champion_version", float(self._loop.status(name)["champion"]), model=name)

    def _report(self) -> LearningReport:
        self._measure()
        states = []
        for name in self._loop.models:
            status = self._loop.status(name)
            states.append(
                ModelState(
                    name,
                    status["champion"],
                    status["challenger"] or "",
                    status["traffic_percentage"],
                    status["phase"],
                    self._last_event.get(name, ""),
                )
            )
        return LearningReport(
            models=tuple(states),
            drift_events=tuple(self._events["drift_events"]),
            retraining_jobs=tuple(self._events["retraining_jobs"]),
            promotions=tuple(self._events["promotions"]),
            rejections=tuple(self._events["rejections"]),
            rollbacks=tuple(self._events["rollbacks"]),
            predictions=self._predictions.counts()[0],
            pending=tuple(self._jobs.pending),
        )

    @property
    def _state_path(self) -> Path:
        return self._configuration.folder.learning / STATE_FILE

    def _save(self) -> None:
        state = {
            "loop": self._loop.state(),
            "events": self._events,
            "routing": self._routing,
            "last_event": self._last_event,
            "revision": self._revision,
            "ts_ns": self._ts_ns,
            "pending": self._jobs.pending,
        }
        write_atomically(self._state_path, json.dumps(state))

    def _restore(self) -> None:
        if not self._state_path.exists():
            return
        state = json.loads(self._state_path.read_text())
        self._loop = LearningLoop.restore(self._config, state["loop"])
        self._events = state["events"]
        self._routing = state["routing"]
        self._last_event = state["last_event"]
        self._revision = state["revision"]
        self._ts_ns = state["ts_ns"]
        self._jobs.pending.update(state["pending"])
        self._log.warning("restored", models=self._loop.models, pending=list(self._jobs.pending))
