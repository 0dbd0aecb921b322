"""Market data of the underlyings by REST, for several symbols and for one; news and corporate actions (wire.md 3)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.wire.errors import json_response, not_found
from gammaray.venues.simulated.wire.instrument_data import DAY_NS, InstrumentData, Json
from gammaray.venues.simulated.wire.market_json import bar_json, stock_quote_json, stock_trade_json
from gammaray.venues.simulated.wire.option_routes import constant
from gammaray.venues.simulated.wire.requests import Query
from gammaray.venues.simulated.wire.service import VenueService

FEEDS = frozenset({"", "sip", "iex", "delayed_sip", "otc", "boats", "overnight"})
EXCHANGES = {"V": "IEX"}
TRADE_CONDITIONS = {"@": "Regular Sale"}
QUOTE_CONDITIONS = {"R": "Regular Market Maker Open"}


class StockRoutes:
    """Handlers over one service."""

    def __init__(self, service: VenueService) -> None:
        self._exchange = service.exchange
        self._data = InstrumentData(
            service.exchange, lambda symbol: not is_occ(symbol), FEEDS, stock_quote_json, stock_trade_json
        )

    def routes(self) -> list[Route]:
        """The routes, in order of matching."""
        root = "/v2/stocks"
        return [
            Route(f"{root}/bars", self.bars),
            Route(f"{root}/bars/latest", self.latest_bars),
            Route(f"{root}/quotes/latest", self.latest_quotes),
            Route(f"{root}/trades", self.trades),
            Route(f"{root}/trades/latest", self.latest_trades),
            Route(f"{root}/snapshots", self.snapshots),
            Route(f"{root}/meta/exchanges", constant(EXCHANGES)),
            Route(f"{root}/meta/conditions/trade", constant(TRADE_CONDITIONS)),
            Route(f"{root}/meta/conditions/quote", constant(QUOTE_CONDITIONS)),
            Route(f"{root}/{{symbol}}/bars", self.bars_of_one),
            Route(f"{root}/{{symbol}}/bars/latest", self.latest_bar_of_one),
            Route(f"{root}/{{symbol}}/quotes/latest", self.latest_quote_of_one),
            Route(f"{root}/{{symbol}}/trades/latest", self.latest_trade_of_one),
            Route(f"{root}/{{symbol}}/snapshot", self.snapshot_of_one),
            Route("/v1beta1/news", self.news),
            Route("/v1/corporate-actions", self.corporate_actions),
        ]

    async def latest_quotes(self, request: Request) -> Response:
        """GET /v2/stocks/quotes/latest?symbols=…"""
        return json_response({"quotes": self._data.latest_quotes(Query(request.query_params))})

    async def latest_trades(self, request: Request) -> Response:
        """GET /v2/stocks/trades/latest?symbols=…"""
        return json_response({"trades": self._data.latest_trades(Query(request.query_params))})

    async def trades(self, request: Request) -> Response:
        """GET /v2/stocks/trades?symbols=…"""
        return json_response({"trades": self._data.trades(Query(request.query_params)), "next_page_token": None})

    async def bars(self, request: Request) -> Response:
        """GET /v2/stocks/bars?symbols=…&timeframe=…"""
        bars, token = self._data.bars(Query(request.query_params))
        return json_response({"bars": bars, "next_page_token": token})

    async def latest_bars(self, request: Request) -> Response:
        """GET /v2/stocks/bars/latest?symbols=…"""
        return json_response({"bars": self._latest_bars(Query(request.query_params))})

    def _latest_bars(self, query: Query) -> dict[str, Json]:
        bars = {symbol: self._data.latest_bar(symbol) for symbol in self._data.symbols(query)}
        return {symbol: bar_json(bar) for symbol, bar in bars.items() if bar is not None}

    async def snapshots(self, request: Request) -> Response:
        """GET /v2/stocks/snapshots?symbols=…: symbols at top level."""
        return json_response(self._snapshots(Query(request.query_params)))

    def _snapshots(self, query: Query) -> dict[str, Json]:
        snapshots: dict[str, Json] = {}
        for symbol in self._data.symbols(query):
            snapshot: Json = {}
            if (trade := self._exchange.last_trade_cents(symbol)) is not None:
                snapshot["latestTrade"] = stock_trade_json(*trade)
            if (quote := self._exchange.quote(symbol)) is not None:
                snapshot["latestQuote"] = stock_quote_json(quote)
            if (minute := self._data.latest_bar(symbol)) is not None:
                snapshot["minuteBar"] = bar_json(minute)
            now_ns = self._exchange.clock_ns()
            daily = self._exchange.bars(symbol, start_ns=now_ns - 10 * DAY_NS, end_ns=now_ns, step="1Day")
            for name, bar in zip(("dailyBar", "prevDailyBar"), reversed(daily), strict=False):
                snapshot[name] = bar_json(bar)
            snapshots[symbol] = snapshot
        return snapshots

    async def bars_of_one(self, request: Request) -> Response:
        """GET /v2/stocks/{symbol}/bars."""
        symbol, query = _one(request)
        bars, token = self._data.bars(query)
        return json_response({"symbol": symbol, "bars": bars.get(symbol, []), "next_page_token": token})

    async def latest_bar_of_one(self, request: Request) -> Response:
        """GET /v2/stocks/{symbol}/bars/latest."""
        symbol, query = _one(request)
        return json_response({"symbol": symbol, "bar": _only(self._latest_bars(query), symbol)})

    async def latest_quote_of_one(self, request: Request) -> Response:
        """GET /v2/stocks/{symbol}/quotes/latest."""
        symbol, query = _one(request)
        return json_response({"symbol": symbol, "quote": _only(self._data.latest_quotes(query), symbol)})

    async def latest_trade_of_one(self, request: Request) -> Response:
        """GET /v2/stocks/{symbol}/trades/latest."""
        symbol, query = _one(request)
        return json_response({"symbol": symbol, "trade": _only(self._data.latest_trades(query), symbol)})

    async def snapshot_of_one(self, request: Request) -> Response:
        """GET /v2/stocks/{symbol}/snapshot."""
        symbol, query = _one(request)
        return json_response({"symbol": symbol, **_only(self._snapshots(query), symbol)})

    async def news(self, request: Request) -> Response:
        """GET /v1beta1/news: this venue's scenarios have none."""
        query = Query(request.query_params)
        query.whole("limit", 10, 1, 50)
        query.flag("include_content")
        query.flag("exclude_contentless")
        query.time("start")
        query.time("end")
        return json_response({"news": [], "next_page_token": None})

    async def corporate_actions(self, request: Request) -> Response:
        """GET /v1/corporate-actions: this venue's scenarios have none."""
        query = Query(request.query_params)
        query.day("start")
        query.day("end")
        query.whole("limit", 100, 1, 1000)
        return json_response({"corporate_actions": {}, "next_page_token": None})


def _one(request: Request) -> tuple[str, Query]:
    symbol: str = request.path_params["symbol"]
    return symbol, Query({**request.query_params, "symbols": symbol.partition(",")[0]})


def _only(answers: dict[str, Json], symbol: str) -> Json:
    if symbol not in answers:
        raise not_found(f"no data for {symbol}")
    return answers[symbol]
