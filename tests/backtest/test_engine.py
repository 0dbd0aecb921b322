"""The back-test over a few sessions of the exchange: books agree, it repeats itself, and the future does not leak."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gammaray.backtest.run import backtest_folder
from gammaray.operations.errors import ConfigurationError
from gammaray.operations.settings import Settings, load_settings


def settings(last: date, **run: Any) -> Settings:
    return load_settings(
        None, {"run": {"first_day": date(2018, 1, 29), "last_day": last, "steps_per_session": 5, "seed": 3, **run}}
    )


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("week") / "run"
    return folder, backtest_folder(settings(date(2018, 2, 2)), folder)


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "equity.csv").open() as file:
        return list(csv.DictReader(file))


def test_books_agree_and_packages_fill(week: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = week
    assert summary["reconciliation_differences"] == []
    assert summary["sessions"] == 5
    assert summary["multi_leg_fills"] > 0
    assert (folder / "equity.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert curve(folder)[-1]["equity"] == summary["equity"]


def test_the_same_seed_gives_the_same_journal(week: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = backtest_folder(settings(date(2018, 2, 2)), tmp_path / "run")
    assert again["journal_sha256"] == week[1]["journal_sha256"]
    other = backtest_folder(settings(date(2018, 2, 2), seed=4), tmp_path / "other")
    assert other["journal_sha256"] != week[1]["journal_sha256"]


def test_a_truncated_future_changes_no_decision(week: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    backtest_folder(settings(date(2018, 1, 30)), tmp_path / "run")
    short = curve(tmp_path / "run")
    assert curve(week[0])[: len(short)] == short


def test_a_used_folder_is_refused(week: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(ConfigurationError, match="holds a run already"):
        backtest_folder(settings(date(2018, 1, 30)), week[0])
