"""The venue as a process: kill -9 and restart give the same state; same seed and same inputs give the same bytes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from gammaray.cli.venue import venue as venue_command
from gammaray.types.orders import OrderLeg, OrderRequest, Side
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.market_data import AlpacaMarketData
from gammaray.venues.alpaca.trading import AlpacaTrading
from gammaray.venues.protocol import VenueAmbiguous, VenueUnavailable
from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET

pytestmark = pytest.mark.e2e

START_TIMEOUT_S = 60


class Process:
    """`gammaray venue` in a process of its own, on a port that survives restarts."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"venue-{self.port}.log"
        self._command = [sys.executable, "-m", "gammaray.cli.venue", "--port", str(self.port), *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            base_url=self.url, headers={"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}, trust_env=False
        )
        self.admin = AdminClient(self.url)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()
            try:
                self.http.get("/v2/clock")
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        os.kill(self._process.pid, number)
        return self._process.wait(20)

    def close(self) -> None:
        self.http.close()
        self.admin.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)

    def picture(self) -> dict[str, Any]:
        """Everything that REST says about the account and the market."""
        paths = {
            "clock": "/v2/clock",
            "account": "/v2/account",
            "configuration": "/v2/account/configurations",
            "orders": "/v2/orders?status=all&limit=500",
            "positions": "/v2/positions",
            "activities": "/v2/account/activities",
            "history": "/v2/account/portfolio/history?timeframe=1Min",
            "chain": "/v1beta1/options/snapshots/SPY?limit=1000",
            "quote": "/v2/stocks/quotes/latest?symbols=SPY",
        }
        answers = {name: self.http.get(path) for name, path in paths.items()}
        assert {answer.status_code for answer in answers.values()} == {200}
        return {name: answer.json() for name, answer in answers.items()} | {"events": self.admin.barrier()[1]}

    def trade(self, first: int, last: int) -> list[int]:
        """A few orders and steps; the numbers make the client order ids. Returns the status of each answer."""
        answers: list[int] = []
        for i in range(first, last):
            snapshots = self.http.get("/v1beta1/options/snapshots/SPY?limit=1000&type=call").json()["snapshots"]
            quoted = sorted(s for s, row in snapshots.items() if row.get("latestQuote", {}).get("bp", 0) > 0.5)
            body = {
                "symbol": quoted[(7 * i) % len(quoted)],
                "qty": i % 3 + 1,
                "side": "buy",
                "type": "market" if i % 2 else "limit",
                "time_in_force": "day",
                "client_order_id": f"o{i}",
            }
            if i % 2 == 0:
                body["limit_price"] = 0.01
            # The second is refused as a duplicate: refusals are inputs, too.
            answers += [self.http.post("/v2/orders", json=body).status_code for _ in range(2)]
            self.admin.step()
        self.http.patch("/v2/account/configurations", json={"max_options_trading_level": last % 3 + 1})
        return answers


@pytest.fixture
def arguments() -> tuple[str, ...]:
    return ("--from", "2018-02-01", "--to", "2018-02-06", "--steps-per-session", "7", "--seed", "11")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Any]:
    made: list[Process] = []

    def make(*arguments: str) -> Process:
        process = Process(tmp_path, *arguments)
        made.append(process)
        process.start()
        return process

    yield make
    for process in made:
        process.close()


def test_a_venue_comes_back_as_it_was(processes: Any, arguments: tuple[str, ...], tmp_path: Path) -> None:
    venue = processes(*arguments, "--journal", str(tmp_path / "venue.journal"))
    undisturbed = processes(*arguments)
    venue.admin.step()
    undisturbed.admin.step()
    answers: list[int] = []
    for first, last, end in ((0, 4, signal.SIGKILL), (4, 7, signal.SIGTERM)):
        answers += venue.trade(first, last)
        before = venue.picture()
        assert venue.end(end) == -end
        venue.start()
        assert venue.picture() == before
    answers += venue.trade(7, 12)
    assert answers == undisturbed.trade(0, 4) + undisturbed.trade(4, 7) + undisturbed.trade(7, 12)
    picture = venue.picture()
    assert picture == undisturbed.picture()
    assert picture["positions"]
    assert {order["status"] for order in picture["orders"]} >= {"filled", "expired"}


def test_the_adapter_lives_through_a_kill_of_the_venue(
    processes: Any, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    venue = processes(*arguments, "--journal", str(tmp_path / "venue.journal"))
    settings = AlpacaSettings.simulated(venue.url)
    trading, market = AlpacaTrading(settings), AlpacaMarketData(settings)
    try:
        venue.admin.step()
        trading.connect()
        contracts = [c.symbol for c in market.contracts("SPY", first=date(2018, 2, 1), last=date(2018, 12, 31))]
        market.subscribe(["SPY"], contracts)
        trading.submit(OrderRequest("before", (OrderLeg("SPY", Side.BUY),), 1))
        assert trading.wait_for_event(venue.admin.step().last_event_id, 10)
        assert trading.drain_updates()
        assert not trading.stream_gap()
        venue.end(signal.SIGKILL)
        with pytest.raises((VenueUnavailable, VenueAmbiguous)):
            trading.submit(OrderRequest("during", (OrderLeg("SPY", Side.BUY),), 1))
        venue.start()
        trading.submit(OrderRequest("after", (OrderLeg("SPY", Side.BUY),), 1))
        deadline = time.monotonic() + 30
        gaps = [False, False]
        while not all(gaps):
            gaps = [gaps[0] or trading.stream_gap(), gaps[1] or market.stream_gap()]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert trading.order_by_client_id("during") is None
        assert [order.client_order_id for order in trading.orders()] == ["before", "after"]
        # Subscriptions come back by themselves; the numbers of events run on.
        while not (state := venue.admin.step()).total_addressed():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ts_ns, counts = state.addressed() or (0, {})
        assert market.wait_for_quotes(ts_ns, counts, 10)
        assert trading.wait_for_event(state.last_event_id, 10)
        assert [(p.symbol, p.signed_qty) for p in trading.positions()] == [("SPY", 2)]
    finally:
        trading.close()
        market.close()


def test_a_port_in_use_is_one_line(arguments: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "gammaray.cli.venue", "--port", str(port), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip() == f"venue: port: 127.0.0.1:{port} is in use"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--scenario", "dream"), "scenario: expected history or synthetic"),
        (("--profile", "demo"), "profile: expected paper or live"),
        (("--from", "2018-03-01", "--to", "2018-02-01"), "first: 2018-03-01 is after last 2018-02-01"),
        (("--data", "/nowhere"), "data: no such folder"),
        (("--speed", "0"), "speed: must be positive"),
    ],
)
def test_wrong_arguments_are_one_line(wrong: tuple[str, ...], message: str) -> None:
    app = typer.Typer()
    app.command()(venue_command)
    ended = CliRunner().invoke(app, ["--port", "0", *wrong])
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
