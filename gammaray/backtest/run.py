"""One back-test from settings to a result folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from gammaray.backtest.engine import EquityPoint, run_backtest
from gammaray.backtest.forecasts import ModelForecasts
from gammaray.backtest.report import write_report
from gammaray.operations.run_folder import create_run_folder
from gammaray.operations.settings import ScenarioKind, Settings
from gammaray.storage.history import History
from gammaray.storage.history_import import import_spy
from gammaray.storage.sqlite_journal import SqliteJournal
from gammaray.strategies.selection import risk_limits, strategies, trader_settings
from gammaray.venues.simulated.server import VenueSettings, build_exchange


def backtest_folder(
    settings: Settings,
    path: Path,
    *,
    models: Path | None = None,
    started: str = "",
    progress: Callable[[float, EquityPoint], None] = lambda done, point: None,
) -> dict[str, Any]:
    """Run a back-test and write its folder; returns the figures. Raises ConfigurationError for settings that make no market."""
    run = settings.run
    forecasts = None if models is None else ModelForecasts.of_run(models / "models")
    replay = run.scenario is ScenarioKind.REPLAY
    exchange = build_exchange(
        VenueSettings(
            seed=run.seed,
            scenario="history" if replay else run.scenario.value,
            data=run.data_dir if replay else None,
            first=run.first_day,
            last=run.last_day,
            steps_per_session=run.steps_per_session,
            cash_dollars=run.starting_cash_dollars,
            fees=True,
        )
    )
    folder = create_run_folder(path, settings, path.name, started)
    history = History(folder.history)
    if run.scenario is ScenarioKind.HISTORY:
        import_spy(history, settings.learning.initial_first_day, run.first - timedelta(days=1))
    journal = SqliteJournal(folder.journal)
    try:
        result = run_backtest(
            exchange,
            strategies(settings),
            journal,
            history,
            risk_limits(settings.risk),
            forecasts=forecasts,
            trader=trader_settings(run),
            progress=progress,
        )
    finally:
        journal.close()
    return write_report(result, folder.path, f"{run.scenario.value}, seed {run.seed}")
