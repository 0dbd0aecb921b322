"""A running system, each part of which is killed with SIGKILL in the middle of trading. It must go on, and the books must reconcile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.ray]

READY_S = 240.0
SETTINGS = """
learning: {models: [lstm]}
cluster: {dashboard_port: 0}
serve: {http_port: %d}
run: {first_day: 2018-01-22, last_day: 2018-02-02, steps_per_session: 7}
"""


class Run:
    """`gammaray run` as a child process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "run"
        config = folder / "settings.yaml"
        config.write_text(SETTINGS % port)
        self.output = folder / "output.txt"
        self.api = f"http://127.0.0.1:{port}"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "gammaray.cli.main",
                    "run",
                    "--config",
                    str(config),
                    "--run-dir",
                    str(self.folder),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, text: str, timeout_s: float) -> None:
        """Wait until the run has printed a text."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if text in self.output.read_text():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"{text!r} did not come; the run said:\n{self.output.read_text()[-3000:]}")

    def pid_of(self, actor: str) -> int:
        """The newest process of an actor, from its log."""
        lines = (self.folder / "logs" / f"{actor}.log").read_text().splitlines()
        return int(json.loads(lines[-1])["pid"])

    def headers(self) -> dict[str, str]:
        """The key of the run."""
        return {"Authorization": f"Bearer {(self.folder / 'api_key').read_text()}"}

    def replica_pid(self) -> int:
        """The process of the Serve replica, among this run's descendants."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if "ServeReplica:gammaray" in " ".join(process.cmdline()):
                    return process.pid
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        raise AssertionError("no replica was found")

    def orders(self) -> int:
        """How many orders there are; waits while the API is away."""
        deadline = time.monotonic() + 60
        while True:
            try:
                response = httpx.get(f"{self.api}/v1/orders", headers=self.headers(), timeout=5)
                if response.status_code == 200:
                    return len(response.json())
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "the API did not come back"
            time.sleep(0.2)


@pytest.fixture
def run(tmp_path: Path, free_port: int) -> Iterator[Run]:
    started = Run(tmp_path, free_port)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGTERM)
            try:
                started.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(started.process.pid, signal.SIGKILL)


@pytest.mark.timeout(600)
def test_the_run_survives_the_death_of_each_part(run: Run) -> None:
    run.wait_for("ready after", READY_S)
    venue_pid = json.loads((run.folder / "endpoints.json").read_text())["venue_pid"]
    kills = [
        ("desk", run.pid_of("desk")),
        ("market", run.pid_of("market")),
        ("venue", venue_pid),
        ("replica", run.replica_pid()),
    ]
    for _part, pid in kills:
        os.kill(pid, signal.SIGKILL)
        run.orders()  # the API answers again, and through it the desk
        time.sleep(1.0)
    assert run.process.wait(400) == 0, run.output.read_text()[-3000:]

    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["reconciliation_differences"] == []
    assert summary["errors"] == []
    assert summary["market_to"] == "2018-02-02T21:00:00Z"
    assert summary["sessions"] == 10
    for part in ("desk", "market", "venue"):
        assert summary["restarts"].get(part, 0) >= 1, summary["restarts"]
    assert summary["orders_by_state"].get("FILLED", 0) > 0
    # Every session's close was predicted on once, though a replica died: 10 sessions, one model.
    assert summary["predictions"] == 10
    assert not (run.folder / "endpoints.json").exists()
