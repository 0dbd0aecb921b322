"""AlpacaMarketData against the served venue: chains, quote streams in lock-step, gaps."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pytest

from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.market_data import AlpacaMarketData
from gammaray.venues.protocol import MarketDataVenue, VenueUnavailable
from gammaray.venues.simulated.admin_client import AdminClient, ClockState
from gammaray.venues.simulated.server import VenueServer

Eventually = Callable[[Callable[[], bool]], None]
RANGE = {"first": date(2018, 1, 29), "last": date(2018, 12, 31)}


@pytest.fixture
def market(venue: VenueServer) -> Iterator[AlpacaMarketData]:
    adapter = AlpacaMarketData(AlpacaSettings.simulated(venue.url))
    yield adapter
    adapter.close()


def addressed(state: ClockState) -> tuple[int, dict[str, int]]:
    counts = state.addressed()
    assert counts is not None
    return counts


def test_it_is_a_market_data_venue(market: AlpacaMarketData, venue: VenueServer) -> None:
    data: MarketDataVenue = market
    contracts = data.contracts("SPY", **RANGE)
    listed = [row.contract for row in venue.service.exchange.listed("SPY")]
    assert sorted(contracts) == sorted(contract for contract in listed if contract.expiration >= RANGE["first"])
    bars = data.daily_bars("SPY", first=date(2018, 1, 22), last=date(2018, 1, 26))
    assert len(bars) == 5
    assert all(bar.low <= bar.close <= bar.high for bar in bars)
    assert data.clock_ns() == venue.service.exchange.clock_ns()


def test_contracts_go_over_pages(market: AlpacaMarketData, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = market.contracts("SPY", **RANGE)
    monkeypatch.setattr("gammaray.venues.alpaca.market_data.CONTRACT_PAGE", 100)
    assert market.contracts("SPY", **RANGE) == everything
    assert len(everything) > 200


def test_chain_by_rest_equals_the_exchange(market: AlpacaMarketData, venue: VenueServer) -> None:
    batch = market.chain_quotes("SPY")
    assert batch.names[batch.symbol[-1]] == "SPY"
    exchange = venue.service.exchange
    for i, row in enumerate(batch.symbol):
        quote = exchange.quote(batch.names[row])
        assert quote is not None
        assert batch.ts_ns[i] == quote.ts_ns
        assert batch.ask[i] == pytest.approx(quote.ask_cents / 100, nan_ok=True)
        if quote.bid_cents == 0:
            assert np.isnan(batch.bid[i])


def test_lock_step_delivers_every_quote_of_every_step(
    market: AlpacaMarketData, admin: AdminClient, venue: VenueServer
) -> None:
    contracts = [contract.symbol for contract in market.contracts("SPY", **RANGE)]
    market.subscribe(["SPY"], contracts)
    for _ in range(5):
        state = admin.step()
        ts_ns, counts = addressed(state)
        assert market.wait_for_quotes(ts_ns, counts, 20)
        batch = market.drain_quotes()
        assert set(batch.ts_ns) == {ts_ns}
        assert len(batch.symbol) == counts["SPY"] + 1
        assert batch.names[batch.symbol[-1]] == "SPY"
        quote = venue.service.exchange.quote(batch.names[batch.symbol[0]])
        assert quote is not None
        assert batch.bid_size[0] == quote.bid_size
    assert not market.stream_gap()
    assert len(market.drain_quotes().symbol) == 0


def test_the_set_is_replaced(market: AlpacaMarketData, admin: AdminClient) -> None:
    contracts = [contract.symbol for contract in market.contracts("SPY", **RANGE)]
    market.subscribe(["SPY"], contracts[:20])
    market.subscribe(["SPY"], contracts[10:30])
    ts_ns, counts = addressed(admin.step(2))
    assert market.wait_for_quotes(ts_ns, counts, 20)
    batch = market.drain_quotes()
    assert {batch.names[i] for i in batch.symbol} <= {*contracts[10:30], "SPY"}
    market.subscribe([], [])
    assert addressed(admin.step())[1] == {"SPY": 0}


def test_an_interruption_is_a_gap_and_the_set_comes_back(
    market: AlpacaMarketData, admin: AdminClient, eventually: Eventually, venue: VenueServer
) -> None:
    contracts = [contract.symbol for contract in market.contracts("SPY", **RANGE)]
    market.subscribe(["SPY"], contracts)
    for kind in ("options", "stocks"):
        admin.stream_fault(kind, "disconnect")
    eventually(market.stream_gap)
    eventually(
        lambda: all(
            any(c.channels.get("quotes") for c in venue.service.data_streams.connections(k))
            for k in ("options", "stocks")
        )
    )
    ts_ns, counts = addressed(admin.step())
    assert market.wait_for_quotes(ts_ns, counts, 20)


def test_a_refused_handshake_is_tried_again(market: AlpacaMarketData, admin: AdminClient) -> None:
    admin.stream_fault("stocks", "refuse", 2)
    market.subscribe(["SPY"], [])
    assert market.stream_gap()


def test_a_second_connection_is_told_the_limit(
    market: AlpacaMarketData, venue: VenueServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.subscribe(["SPY"], [])
    monkeypatch.setattr("gammaray.venues.alpaca.market_data.SUBSCRIBE_TIMEOUT_S", 1.0)
    second = AlpacaMarketData(AlpacaSettings.simulated(venue.url))
    with pytest.raises(VenueUnavailable, match="stocks stream"):
        second.subscribe(["SPY"], [])
    second.close()


def test_lost_frames_are_noticed(market: AlpacaMarketData, admin: AdminClient) -> None:
    contracts = [contract.symbol for contract in market.contracts("SPY", **RANGE)]
    market.subscribe(["SPY"], contracts)
    admin.stream_fault("options", "drop")
    ts_ns, counts = addressed(admin.step())
    assert not market.wait_for_quotes(ts_ns, counts, 0.5)
    admin.stream_fault("options", "mute")
    ts_ns, counts = addressed(admin.step())
    assert counts["SPY"] > 0
    assert not market.wait_for_quotes(ts_ns, counts, 0.5)


def test_a_closed_market_may_be_quiet(venue: VenueServer, admin: AdminClient) -> None:
    market = AlpacaMarketData(dataclasses.replace(AlpacaSettings.simulated(venue.url), mute_quotes_after_s=0.2))
    admin.step_to(admin.clock().session_close_ns)
    market.subscribe(["SPY"], [])
    market.stream_gap()
    time.sleep(0.8)
    assert not market.stream_gap()
    market.close()


def test_a_mute_stream_is_renewed(venue: VenueServer, admin: AdminClient, eventually: Eventually) -> None:
    settings = dataclasses.replace(AlpacaSettings.simulated(venue.url), mute_quotes_after_s=0.3)
    market = AlpacaMarketData(settings)
    market.subscribe(["SPY"], [])
    admin.stream_fault("stocks", "mute")
    admin.step()
    eventually(market.stream_gap)
    market.close()
