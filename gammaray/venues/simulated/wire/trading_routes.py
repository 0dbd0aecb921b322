"""Orders, positions, account and activities: the trading REST API (wire.md 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.model import ExchangeOrder, ExchangePosition, ExchangeReject, Ticket
from gammaray.venues.simulated.wire.account_json import (
    account_json,
    activity_json,
    portfolio_history_json,
    position_json,
)
from gammaray.venues.simulated.wire.configuration import read_configuration
from gammaray.venues.simulated.wire.errors import FORBIDDEN, error_body, json_response, not_found, syntax_error
from gammaray.venues.simulated.wire.identifiers import asset_id, named_id, symbol_of
from gammaray.venues.simulated.wire.order_json import leg_json, order_json
from gammaray.venues.simulated.wire.positions import available_qty, mark_of
from gammaray.venues.simulated.wire.requests import Query, quantity, read_body, read_replace, read_ticket
from gammaray.venues.simulated.wire.service import VenueService
from gammaray.venues.simulated.wire.sessions import new_york_date


class TradingRoutes:
    """Handlers over one service."""

    def __init__(self, service: VenueService) -> None:
        self._service = service
        self._exchange = service.exchange

    def routes(self) -> list[Route]:
        """The routes, in order of matching."""
        return [
            Route("/v2/account", self.account),
            Route("/v2/account/configurations", self.configurations, methods=["GET", "PATCH"]),
            Route("/v2/account/activities", self.activities),
            Route("/v2/account/activities/{activity_type}", self.activities),
            Route("/v2/account/portfolio/history", self.portfolio_history),
            Route("/v2/orders", self.orders, methods=["GET", "POST", "DELETE"]),
            Route("/v2/orders:by_client_order_id", self.order_by_client_id),
            Route("/v2/orders/{order_id}", self.order, methods=["GET", "PATCH", "DELETE"]),
            Route("/v2/positions", self.positions, methods=["GET", "DELETE"]),
            Route("/v2/positions/{symbol_or_id}", self.position, methods=["GET", "DELETE"]),
            Route("/v2/positions/{symbol_or_id}/exercise", self.exercise, methods=["POST"]),
            Route("/v2/positions/{symbol_or_id}/do-not-exercise", self.do_not_exercise, methods=["POST"]),
        ]

    async def account(self, _request: Request) -> Response:
        """GET /v2/account."""
        number = self._exchange.account_number
        return json_response(
            account_json(
                self._exchange.account(),
                account_id=named_id("account", number),
                number=number,
                configuration=self._service.configuration,
                now_ns=self._exchange.clock_ns(),
                created_ns=self._service.created_ns,
            )
        )

    async def configurations(self, request: Request) -> Response:
        """GET and PATCH /v2/account/configurations; nulls in a PATCH keep what is."""
        if request.method == "PATCH":
            self._service.configure(read_configuration(await read_body(request)))
        return json_response(self._service.configuration)

    async def activities(self, request: Request) -> Response:
        """GET /v2/account/activities[/{type}]: a page of rows, the cursor is the id of the last row seen."""
        query = Query(request.query_params)
        types = {request.path_params["activity_type"]} if "activity_type" in request.path_params else set()
        types |= set(query.words("activity_types"))
        category = query.choice("category", {"", "trade_activity", "non_trade_activity"}, "")
        if types and category:
            raise syntax_error("activity_types and category cannot be used together")
        descending = query.choice("direction", {"asc", "desc"}, "desc") == "desc"
        size = query.whole("page_size", 100, 1, 100)
        token = query.text("page_token")
        day = query.day("date")
        after = query.time("after")
        until = query.time("until", end_of_day=True)
        order_id = query.text("order_id")
        rows = sorted(self._exchange.activities(), key=lambda a: a.activity_id, reverse=descending)
        chosen: list[dict[str, Any]] = []
        for activity in rows:
            if types and activity.activity_type not in types:
                continue
            if category and (activity.activity_type == "FILL") != (category == "trade_activity"):
                continue
            if order_id and activity.order_id != order_id:
                continue
            if day is not None and new_york_date(activity.ts_ns) != day:
                continue
            if (after is not None and activity.ts_ns <= after) or (until is not None and activity.ts_ns > until):
                continue
            if token and (activity.activity_id >= token if descending else activity.activity_id <= token):
                continue
            chosen.append(activity_json(activity))
            if len(chosen) == size and day is None:
                break
        return json_response(chosen)

    async def portfolio_history(self, request: Request) -> Response:
        """GET /v2/account/portfolio/history: equity after the clock's advances, thinned to the timeframe."""
        query = Query(request.query_params)
        timeframe = query.choice("timeframe", {"1Min", "5Min", "15Min", "1H", "1D"}, "1D")
        start, end = query.time("start"), query.time("end", end_of_day=True)
        now = self._exchange.clock_ns()
        if start is None:
            start = (end or now) - _period_ns(query.text("period", "1M"))
        width = {"1Min": 60, "5Min": 300, "15Min": 900, "1H": 3600, "1D": 0}[timeframe] * 1_000_000_000
        last_in_bucket: dict[object, tuple[int, int]] = {}
        for ns, equity in self._service.equity:
            if start <= ns <= (end or now):
                last_in_bucket[new_york_date(ns) if width == 0 else ns // width] = (ns, equity)
        points = list(last_in_bucket.values())
        base = points[0][1] if points else self._exchange.account().equity
        return json_response(portfolio_history_json(points, timeframe, base))

    async def orders(self, request: Request) -> Response:
        """POST, GET and DELETE /v2/orders."""
        if request.method == "POST":
            ticket = read_ticket(await read_body(request))
            return json_response(order_json(self._service.submit(ticket)))
        if request.method == "DELETE":
            return self._cancel_all()
        return json_response([order_json(order) for order in self._list(Query(request.query_params))])

    def _cancel_all(self) -> Response:
        results: list[dict[str, Any]] = []
        for order in [o for o in self._exchange.orders() if o.is_open]:
            try:
                self._service.cancel(order.order_id)
            except ExchangeReject as reject:
                results.append({"id": order.order_id, "status": 500, "body": error_body(reject)})
            else:
                results.append({"id": order.order_id, "status": 200})
        return json_response(results, 207)

    def _list(self, query: Query) -> list[ExchangeOrder]:
        status = query.choice("status", {"open", "closed", "all"}, "open")
        limit = query.whole("limit", 50, 1, 500)
        after, until = query.time("after"), query.time("until")
        descending = query.choice("direction", {"asc", "desc"}, "desc") == "desc"
        symbols, side = set(query.words("symbols")), query.choice("side", {"", "buy", "sell"}, "")
        classes = set(query.words("asset_class"))
        query.flag("nested")
        orders = list(self._exchange.orders())
        if before := query.text("before_order_id"):
            orders = orders[: _index(orders, before)]
        if later := query.text("after_order_id"):
            orders = orders[_index(orders, later) + 1 :]
        chosen = [
            order
            for order in orders
            if (status == "all" or order.is_open == (status == "open"))
            and (after is None or order.submitted_ns > after)
            and (until is None or order.submitted_ns < until)
            and (not symbols or any(part.symbol in symbols for part in order.legs or [order]))
            and (not side or any(part.side == side for part in order.legs or [order]))
            and (not classes or ("us_option" if order.legs or is_occ(order.symbol) else "us_equity") in classes)
        ]
        if descending:
            chosen.reverse()
        return chosen[:limit]

    async def order(self, request: Request) -> Response:
        """GET, PATCH and DELETE /v2/orders/{id}. A leg is found by its own id."""
        order_id: str = request.path_params["order_id"]
        if request.method == "PATCH":
            fields = read_replace(await read_body(request))
            return json_response(order_json(self._service.replace(order_id, fields)))
        if request.method == "DELETE":
            self._service.cancel(order_id)
            return Response(status_code=204)
        order = self._exchange.order(order_id)
        if order.parent_id is not None:
            parent = self._exchange.order(order.parent_id)
            return json_response(leg_json(order, parent))
        return json_response(order_json(order))

    async def order_by_client_id(self, request: Request) -> Response:
        """GET /v2/orders:by_client_order_id."""
        client_order_id = Query(request.query_params).text("client_order_id")
        if not client_order_id:
            raise syntax_error("client_order_id is required")
        return json_response(order_json(self._exchange.order_by_client_id(client_order_id)))

    def _position_json(self, position: ExchangePosition) -> dict[str, Any]:
        return position_json(
            position,
            mark_of(self._exchange, position.symbol),
            available_qty(self._exchange, position),
            asset_id(position.symbol),
        )

    def _position(self, symbol_or_id: str) -> ExchangePosition:
        symbol = symbol_of(self._exchange, symbol_or_id)
        for position in self._exchange.positions():
            if position.symbol == symbol:
                return position
        raise not_found("position does not exist")

    async def positions(self, request: Request) -> Response:
        """GET and DELETE /v2/positions."""
        if request.method == "GET":
            return json_response([self._position_json(position) for position in self._exchange.positions()])
        if Query(request.query_params).flag("cancel_orders"):
            self._cancel_all()
        results: list[dict[str, Any]] = []
        for position in list(self._exchange.positions()):
            try:
                order = self._close(position, available_qty(self._exchange, position) or position.signed_qty)
            except ExchangeReject as reject:
                results.append({"symbol": position.symbol, "status": reject.status, "body": error_body(reject)})
            else:
                results.append({"symbol": position.symbol, "status": 200, "body": order_json(order)})
        return json_response(results, 207)

    async def position(self, request: Request) -> Response:
        """GET and DELETE /v2/positions/{symbol or id}."""
        position = self._position(request.path_params["symbol_or_id"])
        if request.method == "GET":
            return json_response(self._position_json(position))
        query = Query(request.query_params)
        qty, percentage = query.decimal("qty"), query.decimal("percentage")
        if qty is not None and percentage is not None:
            raise syntax_error("only one of qty or percentage can be specified")
        size = abs(position.signed_qty)
        if percentage is not None:
            if not 0 < percentage <= 100:
                raise syntax_error("percentage must be between 0 and 100")
            # Whole units only: Alpaca closes fractions of shares, this venue none.
            size = int(size * percentage / 100)
            if size == 0:
                raise syntax_error("percentage: less than one unit of the position")
        elif qty is not None:
            size = quantity(qty)
        available = abs(available_qty(self._exchange, position))
        if size > available:
            raise ExchangeReject(
                403,
                FORBIDDEN,
                f"insufficient qty available for order (requested: {size}, available: {available})",
                available=str(available),
                existing_qty=str(abs(position.signed_qty)),
                held_for_orders=str(abs(position.signed_qty) - available),
                symbol=position.symbol,
            )
        return json_response(order_json(self._close(position, size if position.signed_qty > 0 else -size)))

    def _close(self, position: ExchangePosition, signed_qty: int) -> ExchangeOrder:
        side = "sell" if signed_qty > 0 else "buy"
        option = is_occ(position.symbol)
        return self._service.submit(
            Ticket(
                symbol=position.symbol,
                qty=abs(signed_qty),
                side=side,
                order_type="market",
                time_in_force="day",
                position_intent=f"{side}_to_close" if option else "",
            )
        )

    async def exercise(self, request: Request) -> Response:
        """POST /v2/positions/{symbol or contract id}/exercise."""
        self._service.exercise(symbol_of(self._exchange, request.path_params["symbol_or_id"]))
        return Response(status_code=200)

    async def do_not_exercise(self, request: Request) -> Response:
        """POST /v2/positions/{symbol or contract id}/do-not-exercise."""
        self._service.do_not_exercise(symbol_of(self._exchange, request.path_params["symbol_or_id"]))
        return Response(status_code=200)


def _index(orders: list[ExchangeOrder], order_id: str) -> int:
    for i, order in enumerate(orders):
        if order.order_id == order_id:
            return i
    raise not_found(f"order not found for {order_id}")


def _period_ns(period: str) -> int:
    unit_days = {"D": 1, "W": 7, "M": 31, "A": 366}
    number, unit = period[:-1], period[-1:]
    if not number.isdigit() or len(number) > 4 or unit not in unit_days:
        raise syntax_error("invalid period: expected a number and one of D, W, M, A")
    return timedelta(days=int(number) * unit_days[unit]) // timedelta(microseconds=1) * 1000
