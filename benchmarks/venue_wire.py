"""The wire of the simulated venue: quotes a second to one alpaca-py client, and how long an order takes to be acknowledged.

`python -m benchmarks.venue_wire` starts `gammaray venue` as a process of its own; every quote is counted, so a drop shows.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

from alpaca.data.live.option import OptionDataStream

from gammaray.types.orders import OrderLeg, OrderRequest, Side
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.market_data import AlpacaMarketData
from gammaray.venues.alpaca.stream_thread import StreamThread
from gammaray.venues.alpaca.trading import AlpacaTrading
from gammaray.venues.simulated.admin_client import AdminClient

STEPS = 150
ORDERS = 500
RESULTS = Path(__file__).parent / "results" / "venue_wire.json"


def adapter_quotes(settings: AlpacaSettings, admin: AdminClient) -> dict[str, Any]:
    """Through the adapter: whole frames, drained as columns."""
    market = AlpacaMarketData(settings)
    contracts = [c.symbol for c in market.contracts("SPY", first=date(2018, 1, 2), last=date(2019, 12, 31))]
    market.subscribe(["SPY"], contracts)
    started = time.perf_counter()
    state = admin.step(STEPS)
    last = state.addressed()
    assert last is not None
    complete = market.wait_for_quotes(*last, timeout_s=60)
    batch = market.drain_quotes()
    seconds = time.perf_counter() - started
    addressed = state.total_addressed()["SPY"]
    received = int((batch.symbol != batch.names.index("SPY")).sum())
    market.close()
    return {"quotes": received, "dropped": addressed - received, "complete": complete, "per_second": received / seconds}


def plain_quotes(settings: AlpacaSettings, admin: AdminClient) -> dict[str, Any]:
    """Through alpaca-py as it is: one call of a handler for each quote."""
    market = AlpacaMarketData(settings)
    contracts = [c.symbol for c in market.contracts("SPY", first=date(2018, 1, 2), last=date(2019, 12, 31))]
    market.close()
    received = 0
    wanted = -1
    done = threading.Event()

    async def count(_quote: object) -> None:
        nonlocal received
        received += 1
        if received == wanted:
            done.set()

    stream = OptionDataStream(
        settings.key_id.get_secret_value(),
        settings.secret_key.get_secret_value(),
        raw_data=True,
        url_override=settings.option_stream_url,
    )
    stream.subscribe_quotes(count, *contracts)
    thread = StreamThread("plain quotes", lambda: stream)
    thread.start()
    while not admin.step().total_addressed():
        time.sleep(0.05)
    time.sleep(1.0)
    received = 0
    started = time.perf_counter()
    addressed = admin.step(STEPS).total_addressed()["SPY"]
    wanted = addressed
    if received < wanted:
        done.wait(60)
    seconds = time.perf_counter() - started
    thread.stop()
    return {"quotes": received, "dropped": addressed - received, "per_second": received / seconds}


def acknowledgements(settings: AlpacaSettings) -> dict[str, float]:
    """Milliseconds from the call of submit to its answer, for orders that rest."""
    trading = AlpacaTrading(settings)
    trading.connect()
    times = []
    for i in range(ORDERS):
        request = OrderRequest(f"bench-{i}", (OrderLeg("SPY", Side.BUY),), 1, 1_000_000)
        started = time.perf_counter()
        trading.submit(request)
        times.append((time.perf_counter() - started) * 1000)
    trading.close()
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


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
                "order_acknowledged": acknowledgements(settings),
                "quotes_adapter": adapter_quotes(settings, admin),
                "quotes_plain_alpaca_py": plain_quotes(settings, admin),
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
