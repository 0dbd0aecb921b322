"""A running system, each part of which is killed with SIGKILL in the middle of trading. It must go on, and the books must reconcile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from running_system import RunningSystem

from gammaray.verification.run_document import run_document

pytestmark = [pytest.mark.e2e, pytest.mark.ray]


def wait_for_orders(system: RunningSystem, timeout_s: float = 60.0) -> None:
    """Wait until the API, and through it the desk, answers."""
    deadline = time.monotonic() + timeout_s
    with system.client() as client:
        while time.monotonic() < deadline:
            try:
                if client.get("/v1/orders").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    raise AssertionError("the API did not come back")


@pytest.mark.timeout(600)
def test_the_run_survives_the_death_of_each_part(tmp_path: Path, free_port: int) -> None:
    system = RunningSystem(
        tmp_path, free_port, "--from", "2018-01-22", "--to", "2018-02-02", "--steps-per-session", "7"
    )
    try:
        system.wait_for("ready after")
        victims = {
            "desk": system.pid_of("desk"),
            "market": system.pid_of("market"),
            "venue": system.endpoints["venue_pid"],
            "replica": system.replica_pid(),
        }
        for pid in victims.values():
            os.kill(pid, signal.SIGKILL)
            wait_for_orders(system)
            time.sleep(1.0)
        assert system.wait(400) == 0, system.output.read_text()[-3000:]
    finally:
        system.stop()

    summary = system.summary
    assert summary["reconciliation_differences"] == []
    assert summary["errors"] == []
    assert summary["market_to"] == "2018-02-02T21:00:00Z"
    assert summary["sessions"] == 10
    for part in ("desk", "market", "venue"):
        assert summary["restarts"].get(part, 0) >= 1, summary["restarts"]
    assert summary["orders_by_state"].get("FILLED", 0) > 0
    # Every session's close was predicted on exactly once, though a replica died: 10 sessions, one model.
    assert summary["predictions"] == 10
    assert not (system.folder / "endpoints.json").exists()
    assert "| sessions | 10 |" in run_document([summary])
