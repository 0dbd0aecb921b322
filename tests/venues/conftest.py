"""A venue in a thread, and the real alpaca-py clients pointed at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.trading.client import TradingClient

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer, VenueSettings
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET

os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")

FIRST, LAST = date(2018, 1, 29), date(2018, 2, 7)
"""Eight sessions through the shock of 5 February 2018."""


@pytest.fixture
def venue() -> Iterator[VenueServer]:
    """A fresh venue, its clock half an hour into the first session."""
    with VenueServer(VenueSettings(first=FIRST, last=LAST)) as server:
        with AdminClient(server.url) as admin:
            admin.step(2)
        yield server


@pytest.fixture
def admin(venue: VenueServer) -> Iterator[AdminClient]:
    """The admin API of the venue."""
    with AdminClient(venue.url) as client:
        yield client


@pytest.fixture
def client(venue: VenueServer) -> Iterator[TradingClient]:
    """alpaca-py's trading client."""
    trading = TradingClient(KEY, SECRET, url_override=venue.url)
    yield trading
    trading._session.close()


@pytest.fixture
def option_data(venue: VenueServer) -> Iterator[OptionHistoricalDataClient]:
    """alpaca-py's client of option data."""
    data = OptionHistoricalDataClient(KEY, SECRET, url_override=venue.url)
    yield data
    data._session.close()


@pytest.fixture
def stock_data(venue: VenueServer) -> Iterator[StockHistoricalDataClient]:
    """alpaca-py's client of stock data."""
    data = StockHistoricalDataClient(KEY, SECRET, url_override=venue.url)
    yield data
    data._session.close()


@pytest.fixture
def near_calls(venue: VenueServer) -> list[Any]:
    """Calls of the nearest expiry after today, out of the money by up to twenty strikes, nearest first, quoted on both sides."""
    exchange = venue.service.exchange
    spot = exchange.quote("SPY")
    assert spot is not None
    today = date(2018, 1, 29)
    calls = [
        row for row in exchange.listed("SPY") if row.contract.is_call and row.contract.strike * 100 > spot.bid_cents
    ]
    expiry = min(row.contract.expiration for row in calls if row.contract.expiration > today)
    chosen = sorted((r for r in calls if r.contract.expiration == expiry), key=lambda r: r.contract.strike_milli)
    quotes = [(row.contract, exchange.quote(row.contract.symbol)) for row in chosen[:20]]
    return [(contract, quote) for contract, quote in quotes if quote is not None and quote.bid_size and quote.ask_size]


class StreamRunner:
    """Runs an alpaca-py stream in a thread and stops it."""

    def __init__(self) -> None:
        from gammaray.venues.alpaca.stream_thread import StreamThread

        self._make_thread = StreamThread
        self._threads: list[Any] = []

    def run(self, stream: Any) -> Any:
        """Start a stream that has its subscriptions."""
        thread = self._make_thread("test stream", lambda: stream)
        thread.start()
        self._threads.append(thread)
        return stream

    def stop(self) -> None:
        """Stop every stream."""
        for thread in self._threads:
            thread.stop()


@pytest.fixture
def streams() -> Iterator[StreamRunner]:
    """Runs streams and stops them at the end."""
    runner = StreamRunner()
    yield runner
    runner.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds, at most half a minute."""
    import time

    def wait(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.01)

    return wait
