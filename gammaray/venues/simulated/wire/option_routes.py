"""Market data of options by REST: chains, snapshots with greeks, latest quotes and trades, bars (wire.md 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.api import ListedContract
from gammaray.venues.simulated.wire.chain_greeks import chain_greeks
from gammaray.venues.simulated.wire.errors import json_response
from gammaray.venues.simulated.wire.instrument_data import InstrumentData, Json
from gammaray.venues.simulated.wire.market_json import option_quote_json, option_trade_json
from gammaray.venues.simulated.wire.paging import page
from gammaray.venues.simulated.wire.reference_routes import ContractFilter
from gammaray.venues.simulated.wire.requests import Query
from gammaray.venues.simulated.wire.service import VenueService

FEEDS = frozenset({"", "opra", "indicative"})
SNAPSHOT_PAGE = 1000

EXCHANGES = {"C": "CBOE - Cboe Options Exchange", "B": "BOX - Boston Options Exchange"}
TRADE_CONDITIONS = {"I": "AUTO - Automatic execution"}
QUOTE_CONDITIONS = {"A": "Automated quotation"}


class OptionRoutes:
    """Handlers over one service."""

    def __init__(self, service: VenueService) -> None:
        self._exchange = service.exchange
        self._data = InstrumentData(service.exchange, is_occ, FEEDS, option_quote_json, option_trade_json)

    def routes(self) -> list[Route]:
        """The routes."""
        root = "/v1beta1/options"
        return [
            Route(f"{root}/snapshots", self.snapshots),
            Route(f"{root}/snapshots/{{underlying}}", self.chain),
            Route(f"{root}/quotes/latest", self.latest_quotes),
            Route(f"{root}/trades/latest", self.latest_trades),
            Route(f"{root}/bars", self.bars),
            Route(f"{root}/trades", self.trades),
            Route(f"{root}/meta/exchanges", constant(EXCHANGES)),
            Route(f"{root}/meta/conditions/trade", constant(TRADE_CONDITIONS)),
            Route(f"{root}/meta/conditions/quote", constant(QUOTE_CONDITIONS)),
        ]

    async def chain(self, request: Request) -> Response:
        """GET /v1beta1/options/snapshots/{underlying}: by symbol; also contracts that expired today (without greeks)."""
        query = Query(request.query_params)
        query.choice("feed", FEEDS, "")
        underlying = request.path_params["underlying"]
        if underlying not in self._exchange.underlyings():
            return json_response({"snapshots": {}, "next_page_token": None})
        keep = ContractFilter(query)
        updated_since = query.time("updated_since")
        listed = sorted((c for c in self._exchange.listed(underlying) if keep(c)), key=lambda c: c.contract.symbol)
        if updated_since is not None:
            listed = [c for c in listed if (q := self._exchange.quote(c.contract.symbol)) and q.ts_ns >= updated_since]
        return self._snapshot_page(listed, query)

    async def snapshots(self, request: Request) -> Response:
        """GET /v1beta1/options/snapshots?symbols=…"""
        query = Query(request.query_params)
        return self._snapshot_page([self._exchange.contract(symbol) for symbol in self._data.symbols(query)], query)

    def _snapshot_page(self, listed: list[ListedContract], query: Query) -> Response:
        rows, token = page(listed, query.text("page_token"), query.whole("limit", 100, 1, SNAPSHOT_PAGE))
        return json_response({"snapshots": self._snapshots(rows), "next_page_token": token})

    def _snapshots(self, rows: Iterable[ListedContract]) -> dict[str, Json]:
        rows = list(rows)
        computed = chain_greeks(self._exchange, rows)
        snapshots: dict[str, Json] = {}
        for row in rows:
            symbol = row.contract.symbol
            snapshot: Json = {}
            if (quote := self._exchange.quote(symbol)) is not None:
                snapshot["latestQuote"] = option_quote_json(quote)
            if (trade := self._exchange.last_trade_cents(symbol)) is not None:
                snapshot["latestTrade"] = option_trade_json(*trade)
            snapshots[symbol] = snapshot | computed.get(symbol, {})
        return snapshots

    async def latest_quotes(self, request: Request) -> Response:
        """GET /v1beta1/options/quotes/latest?symbols=…"""
        return json_response({"quotes": self._data.latest_quotes(Query(request.query_params))})

    async def latest_trades(self, request: Request) -> Response:
        """GET /v1beta1/options/trades/latest?symbols=…"""
        return json_response({"trades": self._data.latest_trades(Query(request.query_params))})

    async def bars(self, request: Request) -> Response:
        """GET /v1beta1/options/bars?symbols=…&timeframe=…"""
        bars, token = self._data.bars(Query(request.query_params))
        return json_response({"bars": bars, "next_page_token": token})

    async def trades(self, request: Request) -> Response:
        """GET /v1beta1/options/trades?symbols=…"""
        return json_response({"trades": self._data.trades(Query(request.query_params)), "next_page_token": None})


def constant(content: dict[str, str]) -> Callable[[Request], Any]:
    """A handler that always answers the same."""

    async def answer(_request: Request) -> Response:
        return json_response(content)

    return answer
