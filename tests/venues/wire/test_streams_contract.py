"""alpaca-py's streams against the venue's: trade updates, option and stock quotes, news."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from alpaca.data.enums import DataFeed
from alpaca.data.live.news import NewsDataStream
from alpaca.data.live.option import OptionDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, PositionIntent, TimeInForce, TradeEvent
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, OptionLegRequest
from alpaca.trading.stream import TradingStream

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET

Eventually = Callable[[Callable[[], bool]], None]


class Heard:
    """Collects what a stream's handler is given."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def hear(self, message: Any) -> None:
        self.messages.append(message)


def trading_stream(venue: VenueServer, heard: Heard, *, raw: bool = False) -> TradingStream:
    stream = TradingStream(KEY, SECRET, raw_data=raw, url_override=f"ws{venue.url[4:]}/stream")
    stream.subscribe_trade_updates(heard.hear)
    return stream


def listening(venue: VenueServer) -> Callable[[], bool]:
    return lambda: bool(venue.service.trade_stream.listeners)


def subscribed(venue: VenueServer, kind: str) -> Callable[[], bool]:
    return lambda: any(c.channels for c in venue.service.data_streams.connections(kind))


def test_trade_updates_of_a_simple_order(
    venue: VenueServer, client: TradingClient, admin: AdminClient, streams: Any, eventually: Eventually
) -> None:
    heard = Heard()
    streams.run(trading_stream(venue, heard))
    eventually(listening(venue))
    order = client.submit_order(
        MarketOrderRequest(symbol="SPY", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    admin.step()
    eventually(lambda: any(m.event == TradeEvent.FILL for m in heard.messages))
    fill = heard.messages[-1]
    assert fill.order.id == order.id
    assert (fill.qty, fill.position_qty) == (3.0, 3.0)
    assert fill.price > 0
    assert {m.event for m in heard.messages} <= {
        TradeEvent.NEW,
        TradeEvent.PENDING_NEW,
        TradeEvent.ACCEPTED,
        TradeEvent.FILL,
    }


def test_trade_updates_of_a_package_say_what_the_sdk_drops(
    venue: VenueServer,
    client: TradingClient,
    admin: AdminClient,
    streams: Any,
    eventually: Eventually,
    near_calls: Any,
) -> None:
    heard = Heard()
    streams.run(trading_stream(venue, heard, raw=True))
    eventually(listening(venue))
    (low, low_quote), (high, high_quote) = near_calls[0], near_calls[2]
    client.submit_order(
        LimitOrderRequest(
            qty=2,
            order_class=OrderClass.MLEG,
            time_in_force=TimeInForce.DAY,
            limit_price=(low_quote.ask_cents - high_quote.bid_cents) / 100,
            legs=[
                OptionLegRequest(
                    symbol=low.symbol, ratio_qty=1, side=OrderSide.BUY, position_intent=PositionIntent.BUY_TO_OPEN
                ),
                OptionLegRequest(
                    symbol=high.symbol, ratio_qty=1, side=OrderSide.SELL, position_intent=PositionIntent.SELL_TO_OPEN
                ),
            ],
        )
    )
    admin.step()
    eventually(lambda: any(m["data"]["event"] == "fill" for m in heard.messages))
    data = heard.messages[-1]["data"]
    assert {part["symbol"]: part["qty"] for part in data["legs"]} == {low.symbol: "2", high.symbol: "2"}
    assert data["position_qtys"] == {low.symbol: "2", high.symbol: "-2"}
    assert "position_qty" not in data
    assert "execution_id" not in data
    assert data["order"]["asset_id"] == "00000000-0000-0000-0000-000000000000"
    numbers = [int(m["data"]["event_id"]) for m in heard.messages]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[-1] == admin.barrier()[1]


def test_option_and_stock_quotes_are_parsed(
    venue: VenueServer, admin: AdminClient, streams: Any, eventually: Eventually, near_calls: Any
) -> None:
    symbols = [contract.symbol for contract, _ in near_calls[:5]]
    options, stocks = Heard(), Heard()
    origin = f"ws{venue.url[4:]}"
    option_stream = OptionDataStream(KEY, SECRET, url_override=f"{origin}/v1beta1/indicative")
    option_stream.subscribe_quotes(options.hear, *symbols)
    stock_stream = StockDataStream(KEY, SECRET, feed=DataFeed.IEX, url_override=f"{origin}/v2/iex")
    stock_stream.subscribe_quotes(stocks.hear, "SPY")
    stock_stream.subscribe_bars(stocks.hear, "SPY")
    streams.run(option_stream)
    streams.run(stock_stream)
    eventually(subscribed(venue, "options"))
    eventually(subscribed(venue, "stocks"))
    state = admin.step()
    assert state.addressed() == (state.clock_ns, {"SPY": len(symbols)})
    eventually(lambda: len(options.messages) >= 5 and bool(stocks.messages))
    assert {quote.symbol for quote in options.messages} == set(symbols)
    moment = datetime(2018, 1, 29, 15, 30, tzinfo=UTC)
    assert {quote.timestamp for quote in options.messages} == {moment}
    exchange = venue.service.exchange
    for quote in options.messages:
        published = exchange.quote(quote.symbol)
        assert (quote.bid_price, quote.ask_price) == (published.bid_cents / 100, published.ask_cents / 100)
    assert stocks.messages[-1].timestamp == moment


def test_unsubscribed_symbols_are_not_sent(
    venue: VenueServer, admin: AdminClient, streams: Any, eventually: Eventually, near_calls: Any
) -> None:
    first, second = (contract.symbol for contract, _ in near_calls[:2])
    heard = Heard()
    stream = OptionDataStream(KEY, SECRET, url_override=f"ws{venue.url[4:]}/v1beta1/opra")
    stream.subscribe_quotes(heard.hear, first, second)
    streams.run(stream)
    eventually(lambda: any(c.wants("quotes", second) for c in venue.service.data_streams.connections("options")))
    eventually(lambda: stream._running)
    stream.unsubscribe_quotes(second)
    eventually(lambda: not any(c.wants("quotes", second) for c in venue.service.data_streams.connections("options")))
    admin.step(3)
    eventually(lambda: bool(heard.messages))
    assert {quote.symbol for quote in heard.messages} == {first}


def test_trades_print_on_the_option_stream(
    venue: VenueServer, client: TradingClient, admin: AdminClient, streams: Any, eventually: Eventually, near_calls: Any
) -> None:
    symbol = near_calls[0][0].symbol
    heard = Heard()
    stream = OptionDataStream(KEY, SECRET, url_override=f"ws{venue.url[4:]}/v1beta1/indicative")
    stream.subscribe_trades(heard.hear, symbol)
    streams.run(stream)
    eventually(subscribed(venue, "options"))
    client.submit_order(MarketOrderRequest(symbol=symbol, qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY))
    admin.step()
    eventually(lambda: bool(heard.messages))
    assert any(trade.symbol == symbol and trade.price > 0 for trade in heard.messages)


def test_halts_are_announced(venue: VenueServer, admin: AdminClient, streams: Any, eventually: Eventually) -> None:
    heard = Heard()
    stream = StockDataStream(KEY, SECRET, feed=DataFeed.IEX, url_override=f"ws{venue.url[4:]}/v2/iex")
    stream.subscribe_trading_statuses(heard.hear, "SPY")
    streams.run(stream)
    eventually(subscribed(venue, "stocks"))
    admin.halt("SPY")
    eventually(lambda: len(heard.messages) == 1)
    assert (heard.messages[0].symbol, heard.messages[0].status_code) == ("SPY", "H")
    admin.halt("SPY", halted=False)
    eventually(lambda: len(heard.messages) == 2)
    assert heard.messages[1].status_code == "T"


def test_news_stream_connects_and_stays_quiet(
    venue: VenueServer, admin: AdminClient, streams: Any, eventually: Eventually
) -> None:
    heard = Heard()
    stream = NewsDataStream(KEY, SECRET, url_override=f"ws{venue.url[4:]}/v1beta1/news")
    stream.subscribe_news(heard.hear, "*")
    streams.run(stream)
    eventually(subscribed(venue, "news"))
    admin.step()
    assert heard.messages == []
