"""Option contracts, assets, calendar, clock and corporate announcements (wire.md 2.7, 2.8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gammaray.venues.simulated.api import ListedContract
from gammaray.venues.simulated.wire.errors import json_response, not_found, syntax_error
from gammaray.venues.simulated.wire.identifiers import asset_id, symbol_of
from gammaray.venues.simulated.wire.instrument_json import asset_json, calendar_json, clock_json, contract_json
from gammaray.venues.simulated.wire.paging import page
from gammaray.venues.simulated.wire.requests import Query
from gammaray.venues.simulated.wire.service import VenueService
from gammaray.venues.simulated.wire.sessions import new_york_date, previous_session, sessions_around

LONGEST_CALENDAR = timedelta(days=366 * 30)


class ReferenceRoutes:
    """Handlers over one service."""

    def __init__(self, service: VenueService) -> None:
        self._exchange = service.exchange

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/v2/options/contracts", self.contracts),
            Route("/v2/options/contracts/{symbol_or_id}", self.contract),
            Route("/v2/assets", self.assets),
            Route("/v2/assets/{symbol_or_id}", self.asset),
            Route("/v2/calendar", self.calendar),
            Route("/v2/clock", self.clock),
            Route("/v2/corporate_actions/announcements", self.announcements),
        ]

    def _json(self, rows: Iterable[ListedContract], deliverables: bool) -> list[dict[str, object]]:
        previous = previous_session(self._exchange, self._exchange.clock_ns())
        day = None if previous is None else previous[0].isoformat()
        return [contract_json(row, asset_id(row.contract.underlying), day, deliverables) for row in rows]

    async def contracts(self, request: Request) -> Response:
        """GET /v2/options/contracts: by symbol; without any expiration filter up to the next weekend."""
        query = Query(request.query_params)
        wanted = query.words("underlying_symbols") or self._exchange.underlyings()
        status = query.choice("status", {"active", "inactive"}, "active")
        keep = ContractFilter(query, default_last=_next_weekend(new_york_date(self._exchange.clock_ns())))
        deliverables = query.flag("show_deliverables")
        query.flag("ppind")
        found = [
            listed
            for underlying in wanted
            if underlying in self._exchange.underlyings()
            for listed in self._exchange.listed(underlying)
            if listed.status == status and keep(listed)
        ]
        found.sort(key=lambda listed: listed.contract.symbol)
        rows, token = page(found, query.text("page_token"), query.whole("limit", 100, 1, 10_000))
        return json_response({"option_contracts": self._json(rows, deliverables), "next_page_token": token})

    async def contract(self, request: Request) -> Response:
        """GET /v2/options/contracts/{symbol or id}."""
        (row,) = self._json([self._exchange.contract(request.path_params["symbol_or_id"])], True)
        return json_response(row)

    async def assets(self, request: Request) -> Response:
        """GET /v2/assets: the underlyings."""
        query = Query(request.query_params)
        status = query.choice("status", {"", "active", "inactive"}, "")
        asset_class = query.text("asset_class", "us_equity")
        exchange = query.text("exchange", "ARCA")
        attributes = {"has_options" if word == "options_enabled" else word for word in query.words("attributes")}
        if status == "inactive" or asset_class != "us_equity" or exchange != "ARCA" or attributes - {"has_options"}:
            return json_response([])
        return json_response([asset_json(s, asset_id(s)) for s in self._exchange.underlyings()])

    async def asset(self, request: Request) -> Response:
        """GET /v2/assets/{symbol or id}."""
        symbol = symbol_of(self._exchange, request.path_params["symbol_or_id"])
        if symbol not in self._exchange.underlyings():
            raise not_found(f"asset not found for {request.path_params['symbol_or_id']}")
        return json_response(asset_json(symbol, asset_id(symbol)))

    async def calendar(self, request: Request) -> Response:
        """GET /v2/calendar: sessions between two dates, by default those around the exchange's day."""
        query = Query(request.query_params)
        today = new_york_date(self._exchange.clock_ns())
        first = query.day("start") or today - timedelta(days=366)
        last = query.day("end") or today + timedelta(days=366)
        query.choice("date_type", {"TRADING", "SETTLEMENT"}, "TRADING")
        if last < first or last - first > LONGEST_CALENDAR:
            raise syntax_error("invalid end: expected a date from start to 30 years later")
        sessions = self._exchange.sessions(first, last + timedelta(days=10))
        settlement = {a[0]: b[0] for a, b in pairwise(sessions)}
        return json_response(calendar_json([s for s in sessions if s[0] <= last], settlement))

    async def clock(self, _request: Request) -> Response:
        """GET /v2/clock."""
        now_ns = self._exchange.clock_ns()
        return json_response(clock_json(now_ns, sessions_around(self._exchange, now_ns)))

    async def announcements(self, request: Request) -> Response:
        """GET /v2/corporate_actions/announcements: this venue's scenarios have none."""
        query = Query(request.query_params)
        since, until = query.day("since"), query.day("until")
        if since is None or until is None or not query.words("ca_types"):
            raise syntax_error("ca_types, since and until are required")
        if until - since > timedelta(days=90):
            raise syntax_error("since and until: at most 90 days apart")
        return json_response([])


class ContractFilter:
    """The filters that contract lists and chain snapshots share."""

    def __init__(self, query: Query, *, default_last: date | None = None) -> None:
        self._day = query.day("expiration_date")
        self._first = query.day("expiration_date_gte")
        self._last = query.day("expiration_date_lte")
        if self._day is None and self._first is None and self._last is None:
            self._last = default_last
        self._root = query.text("root_symbol")
        self._type = query.choice("type", {"", "call", "put"}, "")
        self._style = query.choice("style", {"", "american", "european"}, "")
        self._low, self._high = query.decimal("strike_price_gte"), query.decimal("strike_price_lte")

    def __call__(self, listed: ListedContract) -> bool:
        contract = listed.contract
        strike_milli = contract.strike_milli
        return (
            (self._day is None or contract.expiration == self._day)
            and (self._first is None or contract.expiration >= self._first)
            and (self._last is None or contract.expiration <= self._last)
            and (not self._root or contract.root == self._root)
            and (not self._type or contract.is_call == (self._type == "call"))
            and (not self._style or contract.exercise_style.value == self._style)
            and (self._low is None or strike_milli >= self._low * 1000)
            and (self._high is None or strike_milli <= self._high * 1000)
        )


def _next_weekend(today: date) -> date:
    return today + timedelta(days=(6 - today.weekday()) % 7)
