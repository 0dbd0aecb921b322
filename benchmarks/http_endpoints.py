"""Latency of the HTTP endpoints with the HAProxy ingress, beside Ray Serve's own proxy on the same machine.

`python -m benchmarks.http_endpoints` starts a system for each of the two, one after the other, with the market standing still, and asks every
endpoint over one kept connection; then the health endpoint over 16 connections for throughput.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from actors.cluster import free_ports
from gammaray.client import TradingSystem
from gammaray.operations.settings import ServeSettings, load_settings

REQUESTS = 400
CONNECTIONS = 16
SECONDS = 4.0
RESULTS = Path(__file__).parent / "results" / "http_endpoints.json"

GREEKS = {"right": "C", "spot": 100, "strike": 100, "tau": 0.5, "volatility": 0.2}
CHAIN = {"right": "C", "spot": 100, "strike": [50 + 0.1 * i for i in range(1000)], "tau": 0.5, "volatility": 0.2}
SHARE = {"legs": [{"symbol": "SPY", "side": "buy"}], "qty": 1}


def percentiles(ask: Callable[[], httpx.Response]) -> dict[str, float]:
    """Milliseconds of repeated calls over one connection."""
    for _ in range(20):
        assert ask().is_success, ask().text
    took = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        ask()
        took.append(1e3 * (time.perf_counter() - began))
    took.sort()
    return {"p50_ms": took[REQUESTS // 2], "p99_ms": took[int(0.99 * REQUESTS)]}


def throughput(url: str) -> float:
    """Requests a second of /v1/serving over several connections."""
    stop = time.monotonic() + SECONDS
    counts = [0] * CONNECTIONS

    def work(number: int) -> None:
        with httpx.Client(base_url=url) as client:
            while time.monotonic() < stop:
                client.get("/v1/serving").raise_for_status()
                counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def measure(haproxy: bool) -> dict[str, Any]:
    """Start a system, ask it, end it."""
    settings = load_settings().model_copy(update={"serve": ServeSettings(http_port=free_ports(1)[0], haproxy=haproxy)})
    with TemporaryDirectory(prefix="gammaray-bench-") as folder:
        options: dict[str, Any] = {
            "first_day": date(2018, 1, 29),
            "last_day": date(2018, 3, 29),
            "free_running": True,
            "speed": 1.0,
        }
        system = TradingSystem(
            settings=settings.model_copy(update={"run": load_settings(None, {"run": options}).run}),
            run_dir=Path(folder) / "run",
        )
        with system:
            key = system.folder.api_key.read_text()
            endpoints = json.loads(system.folder.endpoints.read_text())
            window = system.call("market", "feature_window", "SPY")
            predict = {"window": window["rows"].tolist(), "key": "bench"}
            with httpx.Client(
                base_url=endpoints["api_url"], headers={"Authorization": f"Bearer {key}"}, timeout=10
            ) as http:
                rows = {
                    "GET /v1/serving": percentiles(lambda: http.get("/v1/serving")),
                    "POST /v1/greeks (1)": percentiles(lambda: http.post("/v1/greeks", json=GREEKS)),
                    "POST /v1/greeks (1000)": percentiles(lambda: http.post("/v1/greeks", json=CHAIN)),
                    "POST /v1/models/lstm/predict": percentiles(
                        lambda: http.post("/v1/models/lstm/predict", json=predict)
                    ),
                    "POST /v1/orders/check": percentiles(lambda: http.post("/v1/orders/check", json=SHARE)),
                    "GET /v1/portfolio": percentiles(lambda: http.get("/v1/portfolio")),
                    "GET /v1/health": percentiles(lambda: http.get("/v1/health")),
                }
            rate = throughput(endpoints["api_url"])
    return {"endpoints": rows, "requests_per_s": rate}


def main() -> None:
    """Measure both, print the table, write JSON."""
    ours, peer = measure(haproxy=True), measure(haproxy=False)
    print(f"{'endpoint':32} {'HAProxy p50':>12} {'p99':>8} {'Serve p50':>10} {'p99':>8} {'ratio p50':>10}   (ms)")
    for name, row in ours["endpoints"].items():
        other = peer["endpoints"][name]
        print(
            f"{name:32} {row['p50_ms']:12.2f} {row['p99_ms']:8.2f} {other['p50_ms']:10.2f} {other['p99_ms']:8.2f}"
            f" {other['p50_ms'] / row['p50_ms']:10.1f}"
        )
    print(f"{'requests/s, 16 connections':32} {ours['requests_per_s']:12.0f} {'':8} {peer['requests_per_s']:10.0f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"haproxy": ours, "serve_proxy": peer}, indent=2))


if __name__ == "__main__":
    main()
