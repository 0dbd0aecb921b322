"""One running system, asked over HTTP, as a Ray cluster, and from Python; then ended by Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from running_system import RunningSystem

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        "--from",
        "2018-01-29",
        "--to",
        "2018-03-29",
        "--free-running",
        "--speed",
        "900",
        "--steps-per-session",
        "26",
    )
    started = RunningSystem(tmp_path_factory.mktemp("system"), port, *options)
    try:
        started.wait_for("ready after")
        with started.client() as client:
            deadline = time.monotonic() + 60
            while not client.get("/v1/risk").json().get("ts_ns"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield started
    finally:
        started.stop()


@pytest.fixture
def client(system: RunningSystem) -> Iterator[httpx.Client]:
    with system.client() as each:
        yield each


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a response (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:gammaray:problem:")
    return body


def test_health_needs_no_key_and_everything_else_does(system: RunningSystem) -> None:
    health = httpx.get(f"{system.api}/v1/health", timeout=10).json()
    assert health["live"] is True
    assert {part["part"] for part in health["parts"]} == {"market", "desk", "risk", "drift"}
    problem(httpx.get(f"{system.api}/v1/portfolio"), 401)
    body = problem(httpx.get(f"{system.api}/v1/portfolio", headers={"X-API-Key": "gr_wrong"}), 401)
    assert "gr_wrong" not in json.dumps(body)


def test_greeks_by_columns(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/greeks", json={"right": "C", "spot": 100, "strike": [90, 100, 110], "tau": 0.5, "volatility": 0.2}
    ).json()
    # Black-Scholes, rate 0: at the money the price is S (2 N(σ√τ/2) − 1) = 100 (2 N(0.0707107) − 1) = 5.6371978
    assert answer["price"][1] == pytest.approx(5.6371977797, abs=1e-9)
    assert len(answer["delta"]) == 3


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/greeks", {"right": "C", "spot": -1, "strike": 1, "tau": 1, "volatility": 0.2}, "spot"),
        ("/v1/greeks", {"right": "C", "strike": 1, "tau": 1, "volatility": 0.2}, "spot"),
        ("/v1/orders", {"legs": [], "qty": 1}, "legs"),
        ("/v1/orders", {"legs": [{"symbol": "SPY", "side": "buy"}], "qty": 0}, "qty"),
        (
            "/v1/orders",
            {"legs": [{"symbol": "SPY", "side": "buy"}], "qty": 1, "limit_price": "1.0000001"},
            "limit_price",
        ),
        ("/v1/orders", {"legs": [{"symbol": "SPY", "side": "buy"}], "qty": 1, "extra": 1}, "extra"),
        ("/v1/models/lstm/predict", {"window": [[1.0]]}, "window"),
        ("/v1/models/lstm/challenger", {"version": "999"}, "version"),
        ("/v1/signals", {"underlyings": "SPY"}, "underlyings"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, path: str, body: dict[str, Any], field: str) -> None:
    document = problem(client.post(path, json=body), 422)
    assert any(field in error["field"] for error in document["errors"]), document


def test_unknown_model_and_route(client: httpx.Client) -> None:
    problem(client.post("/v1/models/nosuch/predict", json={"window": [[1.0]]}), 404)
    problem(client.get("/v1/nosuch"), 404)


def test_an_order_is_checked_and_sent(client: httpx.Client) -> None:
    share = {"legs": [{"symbol": "SPY", "side": "buy"}], "qty": 1}
    assert client.post("/v1/orders/check", json={**share, "qty": 1_000_000}).json()["rule"] == "order_size"
    sent = client.post("/v1/orders", json={**share, "purpose": "open"})
    assert sent.status_code == 201, sent.text
    answer = sent.json()
    listed = client.get("/v1/orders", params={"limit": 10_000}).json()
    assert answer["client_order_id"] in {order["client_order_id"] for order in listed}
    assert client.get("/v1/portfolio").json()["trading_state"] == "active"


def test_signals_models_and_drift(client: httpx.Client) -> None:
    assert isinstance(client.post("/v1/signals", json={}).json(), list)
    (model,) = client.get("/v1/models").json()
    assert model["name"] == "lstm"
    assert model["serving"]["champion"]["version"] == model["champion"] == "1"
    assert client.get("/v1/drift").json()["models"]["lstm"]["phase"] in ("serving", "retraining", "shadow", "traffic")


def test_openapi_lists_every_route(client: httpx.Client) -> None:
    paths = set(client.get("/openapi.json").json()["paths"])
    assert paths >= {
        "/v1/health", "/v1/greeks", "/v1/orders/check", "/v1/orders", "/v1/portfolio", "/v1/risk", "/v1/models/{name}/predict",
        "/v1/models", "/v1/models/{name}/retrain", "/v1/models/{name}/challenger", "/v1/drift", "/v1/signals",
    }  # fmt: skip


def test_a_retraining_job_is_submitted_to_the_cluster(system: RunningSystem) -> None:
    ray = Path(sys.executable).parent / "ray"
    result = subprocess.run(
        [
            str(ray), "job", "submit", "--address", system.endpoints["dashboard_url"], "--working-dir", str(ROOT), "--",
            sys.executable, "-m", "jobs.retrain", "--run-dir", str(system.folder), "--model", "lstm",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert '"status": "registered"' in result.stdout or '"status": "worse"' in result.stdout, result.stdout[-2000:]


def test_the_dashboard_shows_named_actors_and_the_application(system: RunningSystem) -> None:
    dashboard = system.endpoints["dashboard_url"]
    actors = httpx.get(f"{dashboard}/api/v0/actors", params={"limit": 100}, timeout=20).json()["data"]["result"][
        "result"
    ]
    assert {actor["name"] for actor in actors} >= {"market", "desk", "risk", "drift", "supervisor"}
    applications = httpx.get(f"{dashboard}/api/serve/applications/", timeout=20).json()["applications"]
    assert applications["gammaray"]["status"] == "RUNNING"


def test_an_actor_is_upgraded_while_the_run_goes_on(system: RunningSystem, client: httpx.Client) -> None:
    before = system.pid_of("desk")
    result = subprocess.run(
        [sys.executable, "-m", "jobs.upgrade", "--run-dir", str(system.folder), "--actor", "desk"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert system.pid_of("desk") != before
    assert client.get("/v1/portfolio").status_code == 200


def test_every_component_check_passes_and_the_kill_switch_halts(system: RunningSystem) -> None:
    script = (
        "import sys; from gammaray.cli.main import main; main(['verify', '--only-built', '--run-dir', sys.argv[1]])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(system.folder)], capture_output=True, text=True, timeout=200, check=False
    )
    # This run serves the LSTM alone.
    failed = [line for line in result.stdout.splitlines() if "✗" in line]
    assert all("Transformer" in line for line in failed), result.stdout + result.stderr
    with system.client() as client:
        halted = client.post("/v1/trading-state", json={"state": "halted", "reason": "test"})
        assert halted.json() == {"trading_state": "halted"}
        order = {"legs": [{"symbol": "SPY", "side": "buy"}], "qty": 1}
        assert client.post("/v1/orders/check", json=order).json()["rule"] == "trading_state"


def test_ctrl_c_ends_everything_it_started_and_the_books_reconcile(system: RunningSystem) -> None:
    children = system.descendants()
    venue = psutil.Process(system.endpoints["venue_pid"])
    began = time.monotonic()
    assert system.stop() == 0, system.output.read_text()[-3000:]
    assert time.monotonic() - began < 30  # 15 s on an idle machine; this one also runs the rest of the tests
    _, alive = psutil.wait_procs([*children, venue], timeout=10)
    assert [process.name() for process in alive] == []
    assert system.summary["reconciliation_differences"] == []
