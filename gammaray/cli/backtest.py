"""`gammaray backtest`: the desk and the strategies over history, without a cluster."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from gammaray.cli.options import parse_day
from gammaray.operations.settings import ScenarioKind, load_settings


def backtest(
    scenario: Annotated[ScenarioKind | None, typer.Option(help="What the exchange plays.")] = None,
    data: Annotated[Path | None, typer.Option(help="Recorded quotes to replay.")] = None,
    from_day: Annotated[str | None, typer.Option("--from", help="First day.")] = None,
    to_day: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    steps: Annotated[int | None, typer.Option("--steps-per-session", help="Decisions a session.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of a run whose first champions forecast.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the result goes.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML).")] = None,
) -> None:
    """Run a back-test and leave a folder with its figures, its journal and an equity plot.

    Without --models the strategies trade on the volatility baseline. The exit status is 0 only if the books agree with the exchange's.
    """
    options = {
        "scenario": scenario if data is None else ScenarioKind.REPLAY,
        "data_dir": data,
        "first_day": parse_day(from_day, "--from"),
        "last_day": parse_day(to_day, "--to"),
        "steps_per_session": steps,
        "seed": seed,
    }
    settings = load_settings(config, {"run": {name: value for name, value in options.items() if value is not None}})
    from gammaray.backtest.run import backtest_folder
    from gammaray.cli.progress import progress_bar

    now = datetime.now(UTC)
    folder = run_dir or Path("runs") / f"backtest-{now:%Y%m%d-%H%M%S}"
    with progress_bar("back-test") as show:
        summary = backtest_folder(
            settings, folder, models=models, started=now.isoformat(timespec="seconds"), progress=show
        )
    took = datetime.now(UTC) - now
    print(json.dumps(summary, indent=2))
    print(f"{folder}/equity.png  ({took / timedelta(seconds=1):.1f} s)")
    if summary["reconciliation_differences"]:
        raise typer.Exit(1)
