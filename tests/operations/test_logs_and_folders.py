import json
import pickle
from pathlib import Path

import pytest

from gammaray.operations.errors import BadInput, ConfigurationError
from gammaray.operations.health import Health, summarize
from gammaray.operations.logs import configure_logs, get_logger
from gammaray.operations.run_folder import create_run_folder
from gammaray.operations.settings import load_settings


def test_lines_are_json_with_bound_context_and_no_secrets(tmp_path: Path) -> None:
    configure_logs(tmp_path / "a.log", run_id="r1", actor="desk")
    get_logger("t").info("order_sent", client_order_id="x", api_key="PK123", qty=2)
    line = json.loads((tmp_path / "a.log").read_text())
    assert (line["run_id"], line["actor"], line["client_order_id"], line["qty"]) == ("r1", "desk", "x", 2)
    assert line["api_key"] == "***"


def test_a_run_folder_is_used_once(tmp_path: Path) -> None:
    folder = create_run_folder(tmp_path / "run", load_settings(), "r1", "2026-01-01T00:00:00Z")
    content = json.loads((folder.path / "manifest.json").read_text())
    assert content["settings"]["run"]["seed"] == content["seed"]
    folder.summary.write_text("{}")
    with pytest.raises(ConfigurationError, match="holds a run already"):
        create_run_folder(tmp_path / "run", load_settings(), "r2", "2026-01-01T00:00:00Z")


def test_unhealthy_parts_come_first() -> None:
    live, ready, parts = summarize(
        [Health("desk", True, True), Health("market", True, False, "stale"), Health("risk", False, False)]
    )
    assert (live, ready) == (False, False)
    assert [part.part for part in parts] == ["risk", "market", "desk"]


def test_errors_survive_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(BadInput("qty", "must be positive")))
    assert (error.field, error.problem, str(error)) == ("qty", "must be positive", "qty: must be positive")
