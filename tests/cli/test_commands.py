"""The command line: options become settings, mistakes become one line."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from gammaray.cli.progress import PlainView, TableView, rows
from gammaray.cli.run import settings_from_options
from gammaray.operations.progress import ModelState, Progress
from gammaray.operations.settings import ScenarioKind

PROGRESS = Progress(
    market_ns=1_517_864_400_000_000_000, done=0.71, underlyings={"SPY": 264.88}, contracts=812, quotes=1_234_567,
    surface_rmse=0.0012, positions=5, working_orders=1, orders_by_state={"FILLED": 3}, trading_state="active",
    equity=1_001_643_950_000, realized_pnl=0, unrealized_pnl=-5_000_000, fees=12_340_000, delta=1234.0, gamma=-5.0, vega=-900.0,
    theta_per_day=120.0, models=(ModelState("lstm", "1", "2", 20.0, "traffic", ""), ModelState("transformer", "1", "", 0.0, "serving", "")),
    drift_events=1, last_drift="lstm page_hinkley 2018-02-05",
)  # fmt: skip


def gammaray(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gammaray.cli.main", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_options_become_settings() -> None:
    settings = settings_from_options(None, {"seed": 9, "first_day": date(2018, 1, 2), "scenario": None})
    assert (settings.run.seed, settings.run.first_day, settings.run.scenario) == (
        9,
        date(2018, 1, 2),
        ScenarioKind.HISTORY,
    )
    replay = settings_from_options(None, {"data_dir": Path("/somewhere")})
    assert replay.run.scenario is ScenarioKind.REPLAY


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--from", "5 February"), "--from: expected a date"),
        (("run", "--from", "2018-02-05", "--to", "2018-01-01"), "first_day 2018-02-05 is after last_day 2018-01-01"),
        (("run", "--config", "/no/such/file"), "/no/such/file: No such file"),
        (("run", "--steps-per-session", "0"), "steps_per_session"),
        (("backtest", "--from", "1990-01-02", "--to", "1990-01-05"), "first"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = gammaray(*arguments, "--run-dir", str(tmp_path / "run"))
    assert result.returncode == 2, result.stderr
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    import socket

    config = tmp_path / "settings.yaml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config.write_text(f"serve: {{http_port: {port}}}\n")
        result = gammaray("run", "--config", str(config), "--run-dir", str(tmp_path / "run"))
    assert result.returncode == 2
    assert f"serve.http_port: port {port}" in result.stderr
    assert not (tmp_path / "run").exists()


def test_live_needs_its_switch_and_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GAMMARAY_ALLOW_LIVE", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(variable, raising=False)
    result = gammaray("run", "--venue", "live", "--run-dir", str(tmp_path / "live"))
    assert (result.returncode, "GAMMARAY_ALLOW_LIVE" in result.stderr) == (2, True), result.stderr
    result = gammaray("run", "--venue", "paper", "--run-dir", str(tmp_path / "paper"))
    assert (result.returncode, "APCA_API_KEY_ID" in result.stderr) == (2, True), result.stderr


def test_help_lists_the_commands() -> None:
    assert {"run", "venue", "backtest", "verify"} <= set(gammaray("--help").stdout.split())


def test_the_table_shows_what_a_person_wants_to_know() -> None:
    shown = dict(rows(PROGRESS))
    assert shown["market time"] == "2018-02-05 16:00 New York"
    assert shown["surface error"] == "12.0 bp of volatility"
    assert "lstm v1 | challenger v2 20 % (traffic); transformer v1 (serving)" in shown["models"]
    assert "equity 1,001,643.95" in shown["P&L ($)"]


def test_plain_lines_for_pipes_and_a_table_for_terminals() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    view.stage("starting")
    view.update(PROGRESS)
    view.update(PROGRESS)  # within the interval: nothing new
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "2018-02-05 16:00 New York  71 %" in lines[1]

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    table = TableView(terminal)
    table.update(PROGRESS)
    table.close()
    assert "challenger v2" in terminal.getvalue()
