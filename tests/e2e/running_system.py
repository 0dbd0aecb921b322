"""`gammaray run` as a child process, as the end-to-end tests drive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

READY_S = 240.0
_SETTINGS = """
learning: {models: [%s]}
cluster: {dashboard_port: 0}
serve: {http_port: %d}
"""


class RunningSystem:
    """Starts a run in `folder`; `stop` ends it as Ctrl-C would."""

    def __init__(self, folder: Path, port: int, *options: str, models: str = "lstm") -> None:
        self.folder = folder / "run"
        config = folder / "settings.yaml"
        config.write_text(_SETTINGS % (models, port))
        self.output = folder / "output.txt"
        self.api = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "gammaray.cli.main",
            "run",
            "--config",
            str(config),
            "--run-dir",
            str(self.folder),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GAMMARAY_")}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, *options], stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )

    def wait_for(self, text: str, timeout_s: float = READY_S) -> None:
        """Wait until the run has printed a text."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if text in self.output.read_text():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"{text!r} did not come; the run said:\n{self.output.read_text()[-3000:]}")

    def wait(self, timeout_s: float) -> int:
        """Wait for the end; returns the exit status."""
        return self.process.wait(timeout_s)

    def stop(self, timeout_s: float = 60.0) -> int:
        """Ask for the end (SIGINT) and wait for it; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise
        return self.process.returncode

    def pid_of(self, actor: str) -> int:
        """The newest process of an actor, from its log."""
        lines = (self.folder / "logs" / f"{actor}.log").read_text().splitlines()
        return int(json.loads(lines[-1])["pid"])

    def replica_pid(self) -> int:
        """The process of the Serve replica, among this run's descendants."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if "ServeReplica:gammaray" in " ".join(process.cmdline()):
                    return process.pid
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        raise AssertionError("no replica was found")

    @property
    def endpoints(self) -> dict[str, Any]:
        """endpoints.json."""
        content: dict[str, Any] = json.loads((self.folder / "endpoints.json").read_text())
        return content

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json."""
        content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return content

    def client(self) -> httpx.Client:
        """An HTTP client with the run's key."""
        key = (self.folder / "api_key").read_text()
        return httpx.Client(base_url=self.api, headers={"Authorization": f"Bearer {key}"}, timeout=20.0)

    def descendants(self) -> list[psutil.Process]:
        """Processes that the run has started, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)
