"""`gammaray run`: the main job on a local cluster, or on a running one."""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gammaray.cli.options import parse_day
from gammaray.cli.progress import progress_view
from gammaray.operations.settings import ScenarioKind, Settings, VenueKind, load_settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def settings_from_options(config: Path | None, options: dict[str, Any]) -> Settings:
    """Settings of a run: defaults, the file, the environment, then whatever was typed."""
    run = {name: value for name, value in options.items() if value is not None}
    if run.get("data_dir") is not None and "scenario" not in run:
        run["scenario"] = ScenarioKind.REPLAY
    return load_settings(config, {"run": run})


def run(
    venue: Annotated[VenueKind | None, typer.Option(help="Where orders go.")] = None,
    scenario: Annotated[ScenarioKind | None, typer.Option(help="What the simulated exchange plays.")] = None,
    data: Annotated[Path | None, typer.Option(help="Replay recorded quotes from this folder.")] = None,
    from_day: Annotated[str | None, typer.Option("--from", help="First day of the scenario.")] = None,
    to_day: Annotated[str | None, typer.Option("--to", help="Last day of the scenario.")] = None,
    free_running: Annotated[
        bool, typer.Option("--free-running", help="Let the exchange's clock run by itself.")
    ] = False,
    speed: Annotated[float | None, typer.Option(help="Market seconds per second of a free-running clock.")] = None,
    for_s: Annotated[float | None, typer.Option("--for", help="Stop after this many seconds.")] = None,
    steps: Annotated[int | None, typer.Option("--steps-per-session", help="Decisions a session.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the run leaves its folder.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML).")] = None,
) -> None:
    """Run the system: exchange, actors, models and the HTTP API, with live progress.

    Ctrl-C ends what was started here and nothing else. The exit status is 0 only if the books reconcile.
    """
    settings = settings_from_options(
        config,
        {
            "venue": venue,
            "scenario": scenario,
            "data_dir": data,
            "first_day": parse_day(from_day, "--from"),
            "last_day": parse_day(to_day, "--to"),
            "free_running": True if free_running else None,
            "speed": speed,
            "duration_s": for_s,
            "steps_per_session": steps,
            "seed": seed,
        },
    )
    stop = threading.Event()
    previous = {each: signal.getsignal(each) for each in _SIGNALS}

    def end_on_signals() -> None:
        for each in _SIGNALS:
            signal.signal(each, lambda *_: stop.set())

    end_on_signals()
    view = progress_view(sys.stdout)
    try:
        # The job needs Ray, which takes a second to import; wrong options were already refused.
        from jobs.trading_run import run_system

        now = datetime.now(UTC)
        summary = run_system(
            settings,
            run_dir=run_dir or Path("runs") / f"{now:%Y%m%d-%H%M%S}-{settings.run.seed}",
            view=view,
            stop=stop,
            started=now.isoformat(timespec="seconds"),
            on_connected=end_on_signals,
        )
    finally:
        view.close()
        for each, handler in previous.items():
            signal.signal(each, handler)
    print(json.dumps(_short(summary), indent=2))
    if summary["reconciliation_differences"] or summary["errors"]:
        raise typer.Exit(1)


def _short(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary for a terminal: evidence and manifests stay in the file."""
    shown = {
        name: value
        for name, value in summary.items()
        if name not in ("drift_events", "manifest", "retraining_jobs", "promotions", "rollbacks")
    }
    shown["drift_events"] = [
        {"market_time": event["market_time"], "model": event["model"], "detector": event["detector"]}
        for event in summary["drift_events"]
    ]
    for name in ("retraining_jobs", "promotions", "rollbacks"):
        shown[name] = len(summary[name])
    return shown
