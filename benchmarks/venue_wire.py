"""The wire of the simulated venue: quotes a second to one alpaca-py client, and how long an order takes to be acknowledged.

`python -m benchmarks.venue_wire` starts `gammaray venue` as a process of its own; every quote is counted, so a drop shows.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psutil
from alpaca.data.live.option import OptionDataStream

from gammaray.types.orders import OrderLeg, OrderRequest, Side
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.market_data import AlpacaMarketData
from gammaray.venues.alpaca.stream_thread import StreamThread
from gammaray.venues.alpaca.trading import AlpacaTrading
from gammaray.venues.simulated.admin_client import AdminClient

STEPS = 150
ORDERS = 500
BATCH = 50
RESULTS = Path(__file__).parent / "results" / "venue_wire.json"


class Stopwatch:
    """Wall-clock time, and the processor time of the client (this process) and of the venue."""

    def __init__(self, venue: psutil.Process) -> None:
        self._venue = venue
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        times = self._venue.cpu_times()
        return time.perf_counter(), time.process_time(), times.user + times.system

    def row(self, received: int, addressed: int) -> dict[str, float]:
        """Figures for that many quotes; microseconds of processor time a quote do not depend on what else the machine does."""
        wall, client, venue = (now - start for now, start in zip(self._now(), self._start, strict=True))
        return {
            "quotes": received,
            "dropped": addressed - received,
            "per_second": received / wall,
            "client_cpu_us": client / received * 1e6,
            "venue_cpu_us": venue / received * 1e6,
        }


def contracts_of(settings: AlpacaSettings) -> list[str]:
    """Every listed contract."""
    market = AlpacaMarketData(settings)
    contracts = market.contracts("SPY", first=date(2018, 1, 2), last=date(2019, 12, 31))
    market.close()
    return [contract.symbol for contract in contracts]


def adapter_quotes(settings: AlpacaSettings, admin: AdminClient, venue: psutil.Process) -> dict[str, float]:
    """Through the adapter, in lock-step: whole frames, waited for and drained as columns."""
    contracts = contracts_of(settings)
    market = AlpacaMarketData(settings)
    market.subscribe(["SPY"], contracts)
    received = addressed = 0
    watch = Stopwatch(venue)
    for _ in range(STEPS):
        state = admin.step()
        last = state.addressed()
        assert last is not None
        assert market.wait_for_quotes(*last, timeout_s=30)
        batch = market.drain_quotes()
        addressed += state.total_addressed()["SPY"]
        received += int((batch.symbol != batch.names.index("SPY")).sum())
    row = watch.row(received, addressed)
    market.close()
    return row


def plain_quotes(settings: AlpacaSettings, admin: AdminClient, venue: psutil.Process) -> dict[str, float]:
    """Through alpaca-py as it is: one call of a handler for each quote, as fast as the venue publishes."""
    contracts = contracts_of(settings)
    received = 0

    async def count(_quote: object) -> None:
        nonlocal received
        received += 1

    stream = OptionDataStream(
        settings.key_id.get_secret_value(),
        settings.secret_key.get_secret_value(),
        raw_data=True,
        url_override=settings.option_stream_url,
    )
    stream.subscribe_quotes(count, *contracts)
    thread = StreamThread("plain quotes", lambda: stream)
    thread.start()
    while not (sent := admin.step().total_addressed()["SPY"]):
        time.sleep(0.05)
    wait_until(lambda: received >= sent)
    received = addressed = 0
    watch = Stopwatch(venue)
    for _ in range(STEPS):
        addressed += admin.step().total_addressed()["SPY"]
    wait_until(lambda: received >= addressed)
    row = watch.row(received, addressed)
    thread.stop()
    return row


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for a condition, or give up quietly: the figures then show what is missing."""
    deadline = time.perf_counter() + timeout_s
    while not condition() and time.perf_counter() < deadline:
        time.sleep(0.001)


def acknowledgements(settings: AlpacaSettings, admin: AdminClient, venue: psutil.Process) -> dict[str, float]:
    """Milliseconds from the call of submit to its answer, for orders that rest; processor time an order."""
    trading = AlpacaTrading(settings)
    trading.connect()
    times = []
    client = served = 0.0
    for first in range(0, ORDERS, BATCH):
        watch = Stopwatch(venue)
        for i in range(first, first + BATCH):
            request = OrderRequest(f"bench-{i}", (OrderLeg("SPY", Side.BUY),), 1, 1_000_000)
            started = time.perf_counter()
            trading.submit(request)
            times.append((time.perf_counter() - started) * 1000)
        row = watch.row(BATCH, BATCH)
        client += row["client_cpu_us"] / (ORDERS / BATCH)
        served += row["venue_cpu_us"] / (ORDERS / BATCH)
        for order in trading.orders(status="open"):
            trading.cancel(order.venue_order_id)
        admin.step()
    trading.close()
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98], "client_cpu_us": client, "venue_cpu_us": served}


def main() -> None:
    """Run, print a table, write JSON."""
    command = [sys.executable, "-m", "gammaray.cli.venue", "--port", "0", "--from", "2018-01-02", "--to", "2018-03-29"]
    venue = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert venue.stdout is not None
        url = venue.stdout.readline().split()[1]
        settings = AlpacaSettings.simulated(url)
        with AdminClient(url) as admin:
            admin.step(2)
            results = {
                "order_acknowledged": acknowledgements(settings, admin, psutil.Process(venue.pid)),
                "quotes_adapter": adapter_quotes(settings, admin, psutil.Process(venue.pid)),
                "quotes_plain_alpaca_py": plain_quotes(settings, admin, psutil.Process(venue.pid)),
            }
    finally:
        venue.terminate()
        venue.wait()
    for name, row in results.items():
        print(
            f"{name:24s} "
            + "  ".join(
                f"{key} {value:,.1f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
