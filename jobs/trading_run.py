"""One run of the system: start everything, step through the market, end with books that reconcile."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.actor import ActorHandle

from actors import names
from actors.calls import call, find, last_line
from actors.cluster import Cluster, connect, free_ports, require_free_port
from actors.configuration import ActorConfiguration
from actors.launch import end, launch
from actors.messages import DeskReport, LearningReport
from actors.serving import ServeController, application_config
from apps.auth import key_hash, new_key
from gammaray.features.observer import Step
from gammaray.operations.errors import ConfigurationError, GammaRayError
from gammaray.operations.logs import configure_logs, get_logger
from gammaray.operations.progress import ProgressView
from gammaray.operations.run_folder import RunFolder, create_run_folder, write_atomically
from gammaray.operations.settings import Settings, VenueKind
from gammaray.risk.exposure import BookExposure, Exposure
from gammaray.types.clock import WallClock
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.protocol import VenueError
from gammaray.venues.simulated.admin_client import AdminClient
from jobs.data import import_history, learns_from_history, training_set
from jobs.healing import Healer
from jobs.pacing import FreeRunningPacer, LockStepPacer, Pacer, WallPacer
from jobs.picture import picture
from jobs.summary import RunRecord, build_summary
from jobs.train import train_champions
from jobs.venue_process import VenueProcess, underlyings

WALL_INTERVAL_S = 60.0
"""Between decisions on paper and live."""
START_TIMEOUT_S = 120.0
JOB_TIMEOUT_S = 600.0
_NO_EXPOSURE = BookExposure(0, {}, Exposure(), ())
_log = get_logger("jobs.trading_run")


class Stopped(Exception):
    """Somebody asked the run to stop while it was starting."""


def run_system(
    settings: Settings,
    *,
    run_dir: Path,
    view: ProgressView,
    stop: threading.Event,
    started: str,
    on_connected: Callable[[], None] = lambda: None,
    on_ready: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run from start to end and return the summary, which is also written to the run's folder.

    on_connected: called once Ray is up (Ray installs signal handlers of its own then); on_ready: once the market may begin.
    Raises ConfigurationError, in one line, for what the operator must mend before anything can run.
    """
    run = TradingRun(settings, run_dir, view, stop, started)
    try:
        run.start(on_connected)
        on_ready()
        run.trade()
    except Stopped:
        view.stage("stopping")
    except ConfigurationError:
        run.abandon()
        raise
    except (GammaRayError, VenueError, ray.exceptions.RayError) as error:
        _log.error("run_failed", error=str(error), kind=type(error).__name__)
        run.record.errors.append(last_line(error))
    except BaseException:
        run.abandon()
        raise
    return run.finish()


class TradingRun:
    """Owns what a run starts: the exchange's process, the cluster, the actors, the application; and ends them again."""

    def __init__(
        self, settings: Settings, run_dir: Path, view: ProgressView, stop: threading.Event, started: str
    ) -> None:
        self.settings = settings
        self.run_id = run_dir.name
        self.record = RunRecord()
        self._launched = False
        self.desk_report: DeskReport | None = None
        self.learning: LearningReport | None = None
        self._view = view
        self._stop = stop
        self._venue: VenueProcess | None = None
        self._healer = Healer(settings.cluster.namespace, self.record, view)
        self._cluster: Cluster | None = None
        self._serve: ServeController | None = None
        self._exposure = _NO_EXPOSURE
        self._pacer: Pacer | None = None
        self._begun = time.monotonic()
        if settings.run.venue is not VenueKind.SIMULATED:
            # A missing key or live switch is said before anything is touched.
            AlpacaSettings.from_environment(settings.run.venue.value, os.environ)
        require_free_port(settings.serve.host, settings.serve.http_port, "serve.http_port")
        self.folder: RunFolder = create_run_folder(run_dir, settings, self.run_id, started)
        configure_logs(self.folder.logs / "run.log", run_id=self.run_id)
        self.api_url = f"http://{settings.serve.host}:{settings.serve.http_port}"

    # ---- start

    def start(self, on_connected: Callable[[], None]) -> None:
        """Start the parts, the slow ones side by side. Raises ConfigurationError or Stopped."""
        settings = self.settings
        self._announce_venue()
        venue_url = self._start_venue()
        with self._stage("starting Ray"):
            self._cluster = connect(settings.cluster, settings.serve)
            on_connected()
        self._view.stage(f"Ray dashboard: {self._cluster.dashboard_url}")
        key = os.environ.get("GAMMARAY_API_KEY") or new_key()
        write_atomically(self.folder.api_key, key, mode=0o600)
        learns = settings.learning.enabled and learns_from_history(settings)
        if learns:
            with self._stage("importing the history that the models learn from (S&P 500 and VIX)"):
                import_history(settings, self.folder)
        if self._venue is not None:
            with self._stage("waiting for the exchange"):
                self._venue.wait_ready()
        configuration = ActorConfiguration(
            run_id=self.run_id,
            settings=settings,
            folder=self.folder,
            venue_url=venue_url,
            underlyings=underlyings(settings, venue_url),
            api_url=self.api_url,
            dashboard_url=self._cluster.dashboard_url,
            key_hashes=(key_hash(key),),
        )
        self._write_endpoints(configuration)
        now_ns = AdminClient(venue_url).clock().clock_ns if venue_url else WallClock().now_ns()
        champions = None
        if learns:
            # One call a worker: the process ends with it, and gives torch's memory back.
            champions = ray.remote(num_cpus=1, max_calls=1)(train_champions).remote(
                self.folder, settings.learning.models, now_ns, settings.run.seed
            )
        self._serve = ServeController(self._cluster.dashboard_url)
        with self._stage("starting the actors and the application"):
            launch(configuration)
            self._launched = True
            self._serve.deploy(application_config(settings, configuration.key_hashes))
            self._serve.wait_running(START_TIMEOUT_S)
            for name in names.ALL:
                self._ask(name, "health")
        self._view.stage(f"HTTP API: {self.api_url}/v1  docs: {self.api_url}/docs")
        self._view.stage(f"API key: {key}  (also in {self.folder.api_key})")
        if champions is not None:
            with self._stage("training the first champions"):
                versions = self._wait(champions)
                self.learning = self._ask(names.DRIFT, "start_models", versions, training_set(self.folder, now_ns))
        self._pacer = self._make_pacer(venue_url)
        self.record.seconds["start"] = time.monotonic() - self._begun
        self._view.stage(f"ready after {self.record.seconds['start']:.1f} s")

    def _write_endpoints(self, configuration: ActorConfiguration) -> None:
        """Where other processes find the running system: `TradingSystem.connect(run_dir)` and `jobs.upgrade` read it."""
        assert self._cluster is not None
        endpoints = {
            "ray_address": self._cluster.address,
            "dashboard_url": configuration.dashboard_url,
            "namespace": configuration.namespace,
            "api_url": configuration.api_url,
            "venue_url": configuration.venue_url,
            "venue_pid": self._venue.pid if self._venue else None,
            "underlyings": configuration.underlyings,
            "key_hashes": configuration.key_hashes,
        }
        write_atomically(self.folder.endpoints, json.dumps(endpoints, indent=2))

    def _announce_venue(self) -> None:
        run = self.settings.run
        if run.venue is VenueKind.SIMULATED:
            return
        venue = AlpacaSettings.from_environment(run.venue.value, os.environ)
        risk = self.settings.risk
        money = "REAL MONEY" if run.venue is VenueKind.LIVE else "paper money"
        self._view.stage(
            f"about to trade {money} at {venue.trading_url} on {', '.join(run.underlyings) or 'SPY'}: at most "
            f"{risk.max_position_size:.0%} of equity a position, {risk.max_daily_loss:.0%} loss a day, leverage {risk.max_leverage:g}"
        )

    def _start_venue(self) -> str:
        run = self.settings.run
        if run.venue is not VenueKind.SIMULATED:
            return ""
        self._venue = VenueProcess(run, self.folder, free_ports(1)[0])
        self._venue.start()
        self._healer.venue = self._venue
        self._view.stage(f"simulated exchange: {self._venue.url} ({run.scenario.value}, seed {run.seed})")
        return self._venue.url

    def _make_pacer(self, venue_url: str) -> Pacer:
        run = self.settings.run
        if not venue_url:
            return WallPacer(WallClock(), WALL_INTERVAL_S, self._stop, run.duration_s)
        admin = AdminClient(venue_url)
        if run.free_running:
            return FreeRunningPacer(admin, self._healer.revive_venue, run.speed, self._stop)
        return LockStepPacer(admin, self._healer.revive_venue)

    # ---- trade

    def trade(self) -> None:
        """Step after step until the scenario, the asked time or somebody ends it."""
        assert self._pacer is not None
        began = time.monotonic()
        duration_s = self.settings.run.duration_s
        while not self._stop.is_set():
            if duration_s is not None and time.monotonic() - began > duration_s:
                break
            step = self._pacer.next()
            if step is None:
                break
            self._step(step)
            self._show()
        self.record.seconds["trade"] = time.monotonic() - began

    def _step(self, step: Step) -> None:
        report = self._healer.patiently(lambda: self._market_to_desk(step))
        self.desk_report = report
        self.record.market_from_ns = self.record.market_from_ns or step.ts_ns
        self.record.market_to_ns = step.ts_ns
        self.record.steps += 1
        if step.number == 1:
            self.record.seconds["first_step"] = time.monotonic() - self._begun
        if "first_order" not in self.record.seconds and sum(report.totals["orders_by_state"].values()):
            self.record.seconds["first_order"] = time.monotonic() - self._begun
        if step.is_close:
            self.record.sessions += 1

    def _market_to_desk(self, step: Step) -> DeskReport:
        """Quotes to snapshot to decisions; the driver holds references only, the data goes from actor to actor."""
        tick = self._actor(names.MARKET).advance.remote(step)
        report_ref = self._actor(names.DESK).on_step.remote(tick)
        report: DeskReport = ray.get(report_ref)
        self._exposure = ray.get(self._actor(names.RISK).on_step.remote(tick, report_ref))
        if step.is_close:
            closes = self._actor(names.MARKET).close_session.remote(tick)
            forecasts = self._actor(names.DESK).on_close.remote(closes)
            self._learn(ray.get(self._actor(names.DRIFT).on_close.remote(closes, forecasts)))
        return report

    def _learn(self, learning: LearningReport) -> None:
        """Note what the learning loop did; in lock-step the market waits for its jobs."""
        self._note(learning)
        deadline = time.monotonic() + JOB_TIMEOUT_S
        while learning.pending and not self._stop.is_set():
            self._show()
            learning = self._ask(names.DRIFT, "poll")
            self._note(learning)
            if self.settings.run.free_running or not self._venue or time.monotonic() > deadline:
                break
            if learning.pending:
                time.sleep(0.25)

    def _note(self, learning: LearningReport) -> None:
        before = self.learning
        self.learning = learning
        if before is None:
            return
        for kind in ("drift_events", "retraining_jobs", "promotions", "rejections", "rollbacks"):
            for event in getattr(learning, kind)[len(getattr(before, kind)) :]:
                detail = event.get("detector") or event.get("status") or f"version {event.get('version')}"
                self._view.stage(
                    f"{event['market_time'][:10]} {kind.replace('_', ' ')[:-1]}: {event['model']} {detail}"
                )

    # ---- end

    def finish(self) -> dict[str, Any]:
        """Close the desk (cancels, reconciliation), write the summary, end everything that was started."""
        began = time.monotonic()
        # Before the actors are there, there are no books that could differ.
        closing: Mapping[str, Any] = {} if self._launched else {"differences": []}
        if self._launched:
            try:
                self.desk_report, closing = self._healer.patiently(lambda: self._ask(names.DESK, "close"))
                if self.learning is not None:
                    self.learning = self._ask(names.DRIFT, "report")
            except (GammaRayError, VenueError, ray.exceptions.RayError) as error:
                self.record.errors.append(f"closing: {last_line(error)}")
        self.record.seconds["total"] = time.monotonic() - self._begun
        manifest = json.loads((self.folder.path / "manifest.json").read_text())
        summary = build_summary(self.record, self.desk_report, self.learning, closing, manifest)
        write_atomically(self.folder.summary, json.dumps(summary, indent=2))
        self._view.close()
        self._view.stage(f"summary: {self.folder.summary}")
        self.abandon()
        self._view.stage(f"ended in {time.monotonic() - began:.1f} s")
        return summary

    def abandon(self) -> None:
        """End whatever was started, without asking anybody."""
        try:
            if self._cluster is not None:
                end(self.settings.cluster.namespace)
                if self._cluster.owned and self._serve is not None:
                    from ray import serve

                    serve.shutdown()
                self._cluster.close()
        except ray.exceptions.RayError as error:
            _log.error("cluster_not_closed", error=str(error))
        finally:
            self.folder.endpoints.unlink(missing_ok=True)
            self._cluster = None
            self._launched = False
            if self._venue is not None:
                self._venue.stop()
                self._venue = None

    # ---- small things

    def _show(self) -> None:
        if self.desk_report is not None and self._pacer is not None:
            restarts = sum(self.record.restarts.values())
            self._view.update(
                picture(self.desk_report, self._exposure.total, self.learning, self._pacer.done(), restarts)
            )

    @contextmanager
    def _stage(self, text: str) -> Any:
        if self._stop.is_set():
            raise Stopped
        self._view.stage(f"{text} …")
        began = time.monotonic()
        yield
        self.record.seconds[text.split(" (")[0]] = time.monotonic() - began

    def _ask(self, name: str, method: str, *args: Any) -> Any:
        return call(name, self.settings.cluster.namespace, method, *args, timeout_s=START_TIMEOUT_S)

    def _actor(self, name: str) -> ActorHandle:
        """Found anew each time: an upgrade puts another actor under the same name."""
        return find(name, self.settings.cluster.namespace)

    def _wait(self, ref: Any) -> Any:
        """Wait for a result, giving up when asked to stop."""
        while not self._stop.is_set():
            ready, _ = ray.wait([ref], timeout=0.25)
            if ready:
                return ray.get(ref)
        raise Stopped
