"""Market-data REST: options, stocks, news and corporate actions (wire.md 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gammaray.types.instruments import is_occ
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.api import ListedContract, Quote
from gammaray.venues.simulated.model import ExchangeReject
from gammaray.venues.simulated.wire.bars import aggregate, base_step, parse_timeframe
from gammaray.venues.simulated.wire.chain_greeks import chain_greeks
from gammaray.venues.simulated.wire.errors import json_response, syntax_error
from gammaray.venues.simulated.wire.market_json import (
    bar_json,
    option_quote_json,
    option_trade_json,
    stock_quote_json,
    stock_trade_json,
)
from gammaray.venues.simulated.wire.paging import page
from gammaray.venues.simulated.wire.reference_routes import ContractFilter
from gammaray.venues.simulated.wire.requests import Query
from gammaray.venues.simulated.wire.service import VenueService

OPTION_FEEDS = {"", "opra", "indicative"}
STOCK_FEEDS = {"", "sip", "iex", "delayed_sip", "otc", "boats", "overnight"}
MAX_SYMBOLS = 100
DAY_NS = 86_400_000_000_000

OPTION_EXCHANGES = {"C": "CBOE - Cboe Options Exchange", "B": "BOX - Boston Options Exchange"}
OPTION_TRADE_CONDITIONS = {"I": "AUTO - Automatic execution"}
OPTION_QUOTE_CONDITIONS = {"A": "Automated quotation"}


class DataRoutes:
    """Handlers over one service."""

    def __init__(self, service: VenueService) -> None:
        self._exchange = service.exchange

    def routes(self) -> list[Route]:
        """The routes, in order of matching."""
        options, stocks = "/v1beta1/options", "/v2/stocks"
        return [
            Route(f"{options}/snapshots", self.option_snapshots),
            Route(f"{options}/snapshots/{{underlying}}", self.option_chain),
            Route(f"{options}/quotes/latest", self.option_latest_quotes),
            Route(f"{options}/trades/latest", self.option_latest_trades),
            Route(f"{options}/bars", self.option_bars),
            Route(f"{options}/trades", self.option_trades),
            Route(f"{options}/meta/exchanges", _constant(OPTION_EXCHANGES)),
            Route(f"{options}/meta/conditions/trade", _constant(OPTION_TRADE_CONDITIONS)),
            Route(f"{options}/meta/conditions/quote", _constant(OPTION_QUOTE_CONDITIONS)),
            Route(f"{stocks}/bars", self.stock_bars),
            Route(f"{stocks}/bars/latest", self.stock_latest_bars),
            Route(f"{stocks}/quotes/latest", self.stock_latest_quotes),
            Route(f"{stocks}/trades/latest", self.stock_latest_trades),
            Route(f"{stocks}/snapshots", self.stock_snapshots),
            Route("/v1beta1/news", self.news),
            Route("/v1/corporate-actions", self.corporate_actions),
        ]

    async def option_chain(self, request: Request) -> Response:
        """GET /v1beta1/options/snapshots/{underlying}: by symbol; also contracts that expired today (without greeks)."""
        query = Query(request.query_params)
        query.choice("feed", OPTION_FEEDS, "")
        underlying = request.path_params["underlying"]
        if underlying not in self._exchange.underlyings():
            return json_response({"snapshots": {}, "next_page_token": None})
        keep = ContractFilter(query)
        updated_since = query.time("updated_since")
        listed = sorted((c for c in self._exchange.listed(underlying) if keep(c)), key=lambda c: c.contract.symbol)
        if updated_since is not None:
            listed = [c for c in listed if (q := self._exchange.quote(c.contract.symbol)) and q.ts_ns >= updated_since]
        rows, token = page(listed, query.text("page_token"), query.whole("limit", 100, 1, 1000))
        return json_response({"snapshots": self._snapshots(rows), "next_page_token": token})

    async def option_snapshots(self, request: Request) -> Response:
        """GET /v1beta1/options/snapshots?symbols=…"""
        query = Query(request.query_params)
        query.choice("feed", OPTION_FEEDS, "")
        listed = [self._exchange.contract(symbol) for symbol in self._known(query, is_occ, MAX_SYMBOLS)]
        rows, token = page(listed, query.text("page_token"), query.whole("limit", 100, 1, 1000))
        return json_response({"snapshots": self._snapshots(rows), "next_page_token": token})

    def _snapshots(self, listed: Iterable[ListedContract]) -> dict[str, dict[str, Any]]:
        rows = list(listed)
        computed = chain_greeks(self._exchange, rows)
        snapshots: dict[str, dict[str, Any]] = {}
        for row in rows:
            symbol = row.contract.symbol
            snapshot: dict[str, Any] = {}
            if (quote := self._exchange.quote(symbol)) is not None:
                snapshot["latestQuote"] = option_quote_json(quote)
            if (trade := self._exchange.last_trade_cents(symbol)) is not None:
                snapshot["latestTrade"] = option_trade_json(*trade)
            snapshots[symbol] = snapshot | computed.get(symbol, {})
        return snapshots

    async def option_latest_quotes(self, request: Request) -> Response:
        """GET /v1beta1/options/quotes/latest?symbols=…"""
        return self._latest_quotes(request, is_occ, OPTION_FEEDS, option_quote_json)

    async def option_latest_trades(self, request: Request) -> Response:
        """GET /v1beta1/options/trades/latest?symbols=…"""
        return self._latest_trades(request, is_occ, OPTION_FEEDS, option_trade_json)

    async def option_bars(self, request: Request) -> Response:
        """GET /v1beta1/options/bars?symbols=…&timeframe=…"""
        return self._bars(request, is_occ)

    async def option_trades(self, request: Request) -> Response:
        """GET /v1beta1/options/trades: the exchange keeps the last trade of a contract only."""
        query = Query(request.query_params)
        start, end = query.time("start"), query.time("end", end_of_day=True)
        trades: dict[str, list[dict[str, Any]]] = {}
        for symbol in self._known(query, is_occ, MAX_SYMBOLS):
            trade = self._exchange.last_trade_cents(symbol)
            if trade is not None and (start is None or trade[0] >= start) and (end is None or trade[0] <= end):
                trades[symbol] = [option_trade_json(*trade)]
        return json_response({"trades": trades, "next_page_token": None})

    async def stock_latest_quotes(self, request: Request) -> Response:
        """GET /v2/stocks/quotes/latest?symbols=…"""
        return self._latest_quotes(request, _is_ticker, STOCK_FEEDS, stock_quote_json)

    async def stock_latest_trades(self, request: Request) -> Response:
        """GET /v2/stocks/trades/latest?symbols=…"""
        return self._latest_trades(request, _is_ticker, STOCK_FEEDS, stock_trade_json)

    async def stock_bars(self, request: Request) -> Response:
        """GET /v2/stocks/bars?symbols=…&timeframe=…"""
        return self._bars(request, _is_ticker)

    async def stock_latest_bars(self, request: Request) -> Response:
        """GET /v2/stocks/bars/latest?symbols=…"""
        query = Query(request.query_params)
        query.choice("feed", STOCK_FEEDS, "")
        bars = {symbol: self._last_bar(symbol, "1Min") for symbol in self._known(query, _is_ticker)}
        return json_response({"bars": {symbol: bar_json(bar) for symbol, bar in bars.items() if bar is not None}})

    async def stock_snapshots(self, request: Request) -> Response:
        """GET /v2/stocks/snapshots?symbols=…: symbols at top level."""
        query = Query(request.query_params)
        query.choice("feed", STOCK_FEEDS, "")
        snapshots: dict[str, dict[str, Any]] = {}
        for symbol in self._known(query, _is_ticker):
            snapshot: dict[str, Any] = {}
            if (trade := self._exchange.last_trade_cents(symbol)) is not None:
                snapshot["latestTrade"] = stock_trade_json(*trade)
            if (quote := self._exchange.quote(symbol)) is not None:
                snapshot["latestQuote"] = stock_quote_json(quote)
            if (minute := self._last_bar(symbol, "1Min")) is not None:
                snapshot["minuteBar"] = bar_json(minute)
            now_ns = self._exchange.clock_ns()
            daily = self._exchange.bars(symbol, start_ns=now_ns - 10 * DAY_NS, end_ns=now_ns, step="1Day")
            for name, bar in zip(("dailyBar", "prevDailyBar"), reversed(daily), strict=False):
                snapshot[name] = bar_json(bar)
            snapshots[symbol] = snapshot
        return json_response(snapshots)

    def _known(self, query: Query, kind: Callable[[str], bool], most: int = 10_000) -> list[str]:
        """The symbols asked for that trade here or did: Alpaca leaves the others out of its answers."""
        known = []
        for symbol in _symbols(query, kind, most):
            with suppress(ExchangeReject):
                self._exchange.quote(symbol)
                known.append(symbol)
        return known

    def _latest_quotes(
        self, request: Request, kind: Callable[[str], bool], feeds: set[str], render: Callable[[Quote], dict[str, Any]]
    ) -> Response:
        query = Query(request.query_params)
        query.choice("feed", feeds, "")
        found = {symbol: self._exchange.quote(symbol) for symbol in self._known(query, kind, MAX_SYMBOLS)}
        return json_response(
            {"quotes": {symbol: render(quote) for symbol, quote in found.items() if quote is not None}}
        )

    def _latest_trades(
        self,
        request: Request,
        kind: Callable[[str], bool],
        feeds: set[str],
        render: Callable[[int, int], dict[str, Any]],
    ) -> Response:
        query = Query(request.query_params)
        query.choice("feed", feeds, "")
        found = {symbol: self._exchange.last_trade_cents(symbol) for symbol in self._known(query, kind, MAX_SYMBOLS)}
        return json_response(
            {"trades": {symbol: render(*trade) for symbol, trade in found.items() if trade is not None}}
        )

    def _last_bar(self, symbol: str, step: str) -> Bar | None:
        now_ns = self._exchange.clock_ns()
        bars = self._exchange.bars(symbol, start_ns=now_ns - 5 * DAY_NS, end_ns=now_ns, step=step)
        return bars[-1] if bars else None

    def _bars(self, request: Request, kind: Callable[[str], bool]) -> Response:
        query = Query(request.query_params)
        timeframe = parse_timeframe(query.text("timeframe", "1Day"))
        now_ns = self._exchange.clock_ns()
        start = query.time("start")
        end = query.time("end", end_of_day=True)
        start = now_ns - DAY_NS if start is None else start
        end = now_ns if end is None else min(end, now_ns)
        descending = query.choice("sort", {"asc", "desc"}, "asc") == "desc"
        rows: list[tuple[str, Bar]] = []
        for symbol in sorted(self._known(query, kind, MAX_SYMBOLS)):
            bars = aggregate(
                self._exchange.bars(symbol, start_ns=start, end_ns=end, step=base_step(timeframe)), timeframe
            )
            rows += [(symbol, bar) for bar in (reversed(bars) if descending else bars)]
        chosen, token = page(rows, query.text("page_token"), query.whole("limit", 1000, 1, 10_000))
        answer: dict[str, list[dict[str, Any]]] = {}
        for symbol, bar in chosen:
            answer.setdefault(symbol, []).append(bar_json(bar))
        return json_response({"bars": answer, "next_page_token": token})

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


def _is_ticker(symbol: str) -> bool:
    return not is_occ(symbol)


def _symbols(query: Query, kind: Callable[[str], bool], most: int = 10_000) -> tuple[str, ...]:
    symbols = query.words("symbols")
    if not symbols:
        raise ExchangeReject(400, 40010000, "symbols is required")
    if len(symbols) > most:
        raise syntax_error(f"invalid symbols: at most {most}")
    for symbol in symbols:
        if not kind(symbol):
            raise ExchangeReject(400, 40010000, f"invalid symbol: {symbol[:30]}")
    return symbols


def _constant(content: dict[str, str]) -> Callable[[Request], Any]:
    async def answer(_request: Request) -> Response:
        return json_response(content)

    return answer
