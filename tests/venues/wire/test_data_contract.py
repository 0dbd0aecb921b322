"""alpaca-py's market-data clients against every data endpoint."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import OptionsFeed
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    NewsRequest,
    OptionBarsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    OptionTradesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET


def test_chain_has_every_listed_contract_over_pages(
    venue: VenueServer, option_data: OptionHistoricalDataClient
) -> None:
    chain = option_data.get_option_chain(OptionChainRequest(underlying_symbol="SPY", feed=OptionsFeed.INDICATIVE))
    listed = venue.service.exchange.listed("SPY")
    assert set(chain) == {row.contract.symbol for row in listed}
    raw = OptionHistoricalDataClient(KEY, SECRET, raw_data=True, url_override=venue.url)
    page = raw.get("/options/snapshots/SPY", {"limit": 5})
    assert len(page["snapshots"]) == 5
    assert page["next_page_token"]
    calls = option_data.get_option_chain(OptionChainRequest(underlying_symbol="SPY", type="call", strike_price_gte=300))
    assert calls
    assert all("C" in symbol[-9:] and int(symbol[-8:]) >= 300_000 for symbol in calls)
    assert option_data.get_option_chain(OptionChainRequest(underlying_symbol="NOPE")) == {}


def test_greeks_are_those_of_the_quotes(
    venue: VenueServer, option_data: OptionHistoricalDataClient, near_calls: Any
) -> None:
    contract, quote = near_calls[0]
    snapshot = option_data.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=contract.symbol))[
        contract.symbol
    ]
    assert snapshot.latest_quote.bid_price == quote.bid_cents / 100
    greeks = snapshot.greeks
    # A call just out of the money with days to live: delta a little under one half, vega and gamma positive, theta negative.
    assert 0.3 < greeks.delta < 0.6
    assert greeks.gamma > 0
    assert greeks.vega > 0
    assert greeks.theta < 0
    # The price that Black-76 gives at this volatility is the mid: sigma sqrt(tau) F / sqrt(2 pi) approximates an at-the-money price.
    exchange = venue.service.exchange
    spot = exchange.quote("SPY").bid_cents / 100
    ((_, _, close),) = exchange.sessions(contract.expiration, contract.expiration)
    tau = (close - exchange.clock_ns()) / 1e9 / 86400 / 365
    at_the_money = 0.4 * snapshot.implied_volatility * tau**0.5 * spot
    mid = (quote.bid_cents + quote.ask_cents) / 200
    assert mid == pytest.approx(at_the_money - 0.5 * (contract.strike - spot), rel=0.15)


def test_latest_quotes_trades_and_bars(
    client: TradingClient,
    admin: AdminClient,
    option_data: OptionHistoricalDataClient,
    stock_data: StockHistoricalDataClient,
    near_calls: Any,
) -> None:
    symbol = near_calls[0][0].symbol
    client.submit_order(MarketOrderRequest(symbol=symbol, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY))
    admin.step()
    quote = option_data.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=symbol))[symbol]
    assert 0 < quote.bid_price <= quote.ask_price
    assert quote.timestamp == datetime(2018, 1, 29, 15, 30, tzinfo=UTC)
    trade = option_data.get_option_latest_trade(OptionLatestTradeRequest(symbol_or_symbols=symbol))[symbol]
    assert trade.price > 0
    trades = option_data.get_option_trades(OptionTradesRequest(symbol_or_symbols=symbol))
    assert [t.price for t in trades[symbol]] == [trade.price]
    stock = stock_data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="SPY"))["SPY"]
    assert stock.bid_price < stock.ask_price
    last = stock_data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SPY"))
    if last:
        assert last["SPY"].price > 0
    bar = stock_data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="SPY"))["SPY"]
    assert bar.low <= bar.close <= bar.high
    snapshot = stock_data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="SPY"))["SPY"]
    assert snapshot.latest_quote.ask_price == stock.ask_price
    assert option_data.get_option_exchange_codes()["C"].startswith("CBOE")


def test_daily_bars_reach_back_and_never_forward(venue: VenueServer, stock_data: StockHistoricalDataClient) -> None:
    request = StockBarsRequest(
        symbol_or_symbols="SPY", timeframe=TimeFrame.Day, start=datetime(2017, 12, 1), end=datetime(2018, 3, 1)
    )
    bars = stock_data.get_stock_bars(request)["SPY"]
    days = [bar.timestamp.date() for bar in bars]
    assert days[0] == date(2017, 12, 1)
    assert days == sorted(days)
    # The session of the 29th is not over: like Alpaca's, its bar is what was traded so far.
    running = bars.pop()
    assert running.timestamp.date() == date(2018, 1, 29)
    quote = venue.service.exchange.quote("SPY")
    assert quote is not None
    assert running.close == pytest.approx((quote.bid_cents + quote.ask_cents) / 200, abs=0.05)
    # S&P 500 of 26 January 2018 closed at 2872.87; the venue's SPY is a tenth of it, to the cent.
    assert bars[-1].close == pytest.approx(287.29, abs=0.011)
    assert all(bar.low <= min(bar.open, bar.close) and bar.high >= max(bar.open, bar.close) for bar in bars)
    few = StockBarsRequest(
        symbol_or_symbols="SPY", timeframe=TimeFrame.Day, start=datetime(2017, 12, 1), end=datetime(2018, 3, 1), limit=3
    )
    assert [bar.timestamp.date() for bar in stock_data.get_stock_bars(few)["SPY"]] == days[:3]
    weeks = StockBarsRequest(
        symbol_or_symbols="SPY", timeframe=TimeFrame.Week, start=datetime(2018, 1, 8), end=datetime(2018, 1, 19, 23)
    )
    first, second = stock_data.get_stock_bars(weeks)["SPY"]
    daily = {bar.timestamp.date(): bar for bar in bars}
    assert first.open == daily[date(2018, 1, 8)].open
    assert first.close == daily[date(2018, 1, 12)].close
    assert second.high == max(bar.high for day, bar in daily.items() if date(2018, 1, 15) <= day <= date(2018, 1, 19))


def test_intraday_bars_are_whole_minutes(stock_data: StockHistoricalDataClient) -> None:
    request = StockBarsRequest(
        symbol_or_symbols="SPY", timeframe=TimeFrame(15, TimeFrameUnit.Minute), start=datetime(2018, 1, 29, 14, 30)
    )
    bars = stock_data.get_stock_bars(request)["SPY"]
    assert bars
    assert all(bar.timestamp.minute % 15 == 0 for bar in bars)


def test_paths_of_one_symbol_say_the_same(stock_data: StockHistoricalDataClient, venue: VenueServer) -> None:
    raw = StockHistoricalDataClient(KEY, SECRET, raw_data=True, url_override=venue.url)
    many = raw.get("/stocks/bars", {"symbols": "SPY", "timeframe": "1Day", "start": "2018-01-02"})
    one = raw.get("/stocks/SPY/bars", {"timeframe": "1Day", "start": "2018-01-02"})
    assert one["bars"] == many["bars"]["SPY"] != []
    quote = raw.get("/stocks/SPY/quotes/latest")["quote"]
    assert raw.get("/stocks/SPY/snapshot")["latestQuote"] == quote
    assert (
        stock_data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="SPY"))["SPY"].ask_price
        == quote["ap"]
    )
    with pytest.raises(APIError) as missing:
        raw.get("/stocks/NOPE/quotes/latest")
    assert missing.value.code == 40410000


def test_option_bars_of_an_untraded_contract_are_empty(
    option_data: OptionHistoricalDataClient, near_calls: Any
) -> None:
    symbol = near_calls[-1][0].symbol
    request = OptionBarsRequest(symbol_or_symbols=symbol, timeframe=TimeFrame.Day, start=datetime(2018, 1, 2))
    assert isinstance(option_data.get_option_bars(request).data, dict)


def test_news_and_corporate_actions_are_empty_but_right(venue: VenueServer) -> None:
    news = NewsClient(KEY, SECRET, url_override=venue.url)
    assert news.get_news(NewsRequest(symbols="SPY", include_content=True)).data == {"news": []}
    actions = CorporateActionsClient(KEY, SECRET, url_override=venue.url)
    assert actions.get_corporate_actions(CorporateActionsRequest(symbols=["SPY"])).data == {}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/options/snapshots", {}),
        ("/options/quotes/latest", {"symbols": "SPY"}),
        ("/options/bars", {"symbols": "SPY180202C00280000", "timeframe": "61Min"}),
        ("/options/bars", {"symbols": "SPY180202C00280000", "start": "soon"}),
        ("/options/snapshots/SPY", {"limit": "0"}),
        ("/options/snapshots/SPY", {"page_token": "%%%"}),
        ("/options/snapshots/SPY", {"strike_price_gte": "cheap"}),
        ("/options/snapshots/SPY", {"feed": "sip"}),
    ],
)
def test_bad_queries_are_refused(venue: VenueServer, path: str, query: dict[str, str]) -> None:
    raw = OptionHistoricalDataClient(KEY, SECRET, raw_data=True, url_override=venue.url)
    with pytest.raises(APIError) as refusal:
        raw.get(path, query)
    assert refusal.value.status_code in {400, 422}
    assert refusal.value.message
