"""`make setup` says in one line what is wrong with the machine."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SETUP = Path(__file__).resolve().parents[2] / "deploy" / "setup.py"


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gammaray_setup", SETUP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    monkeypatch.setattr(sys, "argv", ["setup.py", "--venv", str(tmp_path / "venv")])
    return module


def said(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        setup.main()
    assert left.value.code == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_wrong_python(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Version(tuple[int, ...]):
        pass

    monkeypatch.setattr(sys, "version_info", Version((3, 10, 13)))
    assert "Python 3.11 to 3.13 is needed" in said(setup, capsys)


def test_no_disk(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    usage = shutil.disk_usage("/")._replace(free=2**30)
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda _: usage)
    assert "free disk are needed" in said(setup, capsys)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("ERROR: Failed to establish a new connection", "no package index can be reached"),
        ("OSError: [Errno 28] No space left on device", "the disk filled up"),
        ("ERROR: something else", "pip failed with status 1"),
    ],
)
def test_pip_fails(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: str, line: str
) -> None:
    def fail(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", output)

    monkeypatch.setattr(setup.subprocess, "run", fail)
    assert line in said(setup, capsys)
