"""Orders and account over alpaca-py: the TradingVenue of simulated, paper and live."""

from __future__ import annotations

import time
from dataclasses import replace as with_changes
from datetime import UTC, datetime, timedelta
from typing import Any

from alpaca.trading.client import TradingClient
from alpaca.trading.requests import ReplaceOrderRequest

from gammaray.types.account import Activity, OrderUpdate, UpdateKind, VenueAccount, VenueOrder, VenuePosition
from gammaray.types.clock import format_ns
from gammaray.types.money import MICROS
from gammaray.types.orders import OrderRequest
from gammaray.venues.alpaca import translate
from gammaray.venues.alpaca.config import AlpacaSettings, Environment
from gammaray.venues.alpaca.trading_stream import TradeUpdates
from gammaray.venues.alpaca.transport import harden, read, send
from gammaray.venues.protocol import VenueAmbiguous, VenueError, VenueRejected, VenueUnavailable

NOT_FOUND = 404
ORDER_PAGE = 500
ACTIVITY_PAGE = 100
CONNECT_TIMEOUT_S = 15.0


class AlpacaTrading:
    """A TradingVenue. `connect` starts the trading stream; REST works without it."""

    def __init__(self, settings: AlpacaSettings) -> None:
        self._settings = settings
        self._client = TradingClient(
            settings.key_id.get_secret_value(),
            settings.secret_key.get_secret_value(),
            paper=settings.environment is not Environment.LIVE,
            raw_data=True,
            url_override=settings.trading_url,
        )
        harden(self._client, settings)
        self._updates = TradeUpdates(settings)
        self._client_ids: dict[str, str] = {}
        self._awaited: dict[str, float] = {}
        self._mute = False

    def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Start the trading stream. Raises VenueUnavailable when it is not up in time (it goes on trying)."""
        if not self._updates.start(timeout_s):
            raise VenueUnavailable(f"trading stream: not connected within {timeout_s:g} s")

    def close(self) -> None:
        """Stop the stream and close the connections."""
        self._updates.stop()
        self._client._session.close()

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order, once. Raises VenueRejected, VenueAmbiguous or VenueUnavailable."""
        what = f"submit {request.client_order_id}"
        body = send(lambda: self._client.submit_order(translate.order_request(request)), what)
        return self._await_update(self._order(body, what))

    def cancel(self, venue_order_id: str) -> None:
        """Ask for a cancel; the outcome comes as an update."""
        send(lambda: self._client.cancel_order_by_id(venue_order_id), f"cancel {venue_order_id}")

    def replace(
        self, venue_order_id: str, *, client_order_id: str, qty: int | None, limit_price: int | None
    ) -> VenueOrder:
        """Ask for a replacement under a new id; the outcome comes as updates."""
        what = f"replace {venue_order_id}"
        fields = ReplaceOrderRequest(
            qty=qty,
            limit_price=None if limit_price is None else limit_price / MICROS,
            client_order_id=client_order_id,
        )
        body = send(lambda: self._client.replace_order_by_id(venue_order_id, fields), what)
        return self._await_update(self._order(body, what))

    def order_by_client_id(self, client_order_id: str) -> VenueOrder | None:
        """Look an order up; None when the venue never had it."""
        what = f"look up {client_order_id}"
        try:
            body = read(lambda: self._client.get_order_by_client_id(client_order_id), what, self._settings)
        except VenueRejected as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return self._order(body, what)

    def orders(self, *, status: str = "all", after_ns: int = 0) -> list[VenueOrder]:
        """Orders submitted after a time, oldest first. status: open, closed, all."""
        found: dict[str, VenueOrder] = {}
        cursor = after_ns
        while True:
            query: dict[str, Any] = {"status": status, "direction": "asc", "limit": ORDER_PAGE, "nested": True}
            if cursor:
                query["after"] = format_ns(cursor)
            page = read(lambda q=query: self._client.get("/orders", q), "list orders", self._settings)  # type: ignore[misc]
            fresh = [
                order
                for order in (self._order(body, "list orders") for body in page)
                if order.venue_order_id not in found
            ]
            found |= {order.venue_order_id: order for order in fresh}
            if len(page) < ORDER_PAGE:
                return list(found.values())
            if not fresh:
                raise VenueUnavailable(f"list orders: more than {ORDER_PAGE} orders at one instant")
            # `after` is exclusive: one nanosecond less keeps orders of the same instant that the page cut off.
            cursor = fresh[-1].submitted_ns - 1

    def _order(self, body: Any, what: str) -> VenueOrder:
        try:
            order = translate.venue_order(body)
        except (ValueError, KeyError, TypeError) as error:
            raise VenueAmbiguous(f"{what}: answer not understood: {error}") from error
        self._client_ids[order.venue_order_id] = order.client_order_id
        return order

    def positions(self) -> list[VenuePosition]:
        """Open positions."""
        rows = read(self._client.get_all_positions, "list positions", self._settings)
        return [translate.venue_position(row) for row in rows]

    def account(self) -> VenueAccount:
        """The account's figures."""
        return translate.venue_account(read(self._client.get_account, "account", self._settings))

    def activities(self, *, after_id: str = "") -> list[Activity]:
        """Activities after an activity id (or the beginning of one: YYYYMMDD…), oldest first, all pages.

        Ids sort by the time of the activity, but Alpaca paper shows non-trade rows only on the next day (wire.md 2.9): who wants those
        asks again from a few days back and applies each id once.
        """
        query: dict[str, Any] = {"direction": "asc", "page_size": ACTIVITY_PAGE}
        if after_id:
            query["after"] = _day_before(after_id)
        rows: list[Activity] = []
        while True:
            page = read(lambda: self._client.get("/account/activities", query), "list activities", self._settings)
            rows += [translate.activity(row) for row in page if row["id"] > after_id]
            if len(page) < ACTIVITY_PAGE:
                return rows
            query["page_token"] = page[-1]["id"]

    def clock_ns(self) -> int:
        """The venue's time."""
        return translate.time_ns(read(self._client.get_clock, "clock", self._settings)["timestamp"])

    def drain_updates(self) -> list[OrderUpdate]:
        """Updates that came on the trading stream since the last call, in order. Does not block, but for the look-up of a replacement."""
        self._watch()
        updates = self._updates.drain()
        complete: list[OrderUpdate] = []
        for i, update in enumerate(updates):
            try:
                complete.append(self._with_replacement(update))
            except VenueError:
                self._updates.put_back(updates[i:])  # the venue does not answer: next time
                break
        return complete

    def stream_gap(self) -> bool:
        """Whether the trading stream was interrupted or mute since the last call: what it missed must be fetched by REST."""
        self._watch()
        mute, self._mute = self._mute, False
        return self._updates.take_gap() or mute

    def wait_for_event(self, event_id: int, timeout_s: float) -> bool:
        """Wait until the stream has delivered the event with that number (simulated venues number them)."""
        return self._updates.wait_for_event(event_id, timeout_s)

    def _with_replacement(self, update: OrderUpdate) -> OrderUpdate:
        """The stream names the replacing order by the venue's id; ours is in the answer to the replace, or at the venue."""
        if update.kind is not UpdateKind.REPLACED or not update.replaced_by:
            return update
        known = self._client_ids.get(update.replaced_by)
        if known is None:
            body = read(lambda: self._client.get_order_by_id(update.replaced_by), "look up replacement", self._settings)
            known = self._order(body, "look up replacement").client_order_id
        return with_changes(update, replaced_by=known)

    def _await_update(self, order: VenueOrder) -> VenueOrder:
        self._awaited[order.venue_order_id] = time.monotonic()
        return order

    def _watch(self) -> None:
        """Notice a connected but mute stream: an accepted order of which nothing was heard for too long."""
        for venue_order_id in self._updates.take_heard():
            self._awaited.pop(venue_order_id, None)
        limit = time.monotonic() - self._settings.mute_updates_after_s
        overdue = [order_id for order_id, since in self._awaited.items() if since < limit]
        if overdue:
            for order_id in overdue:
                del self._awaited[order_id]
            self._mute = True
            self._updates.reconnect()


def _day_before(activity_id: str) -> str:
    """The date before the one that an activity id begins with: a filter by day that cuts off too little, never too much."""
    try:
        day = datetime.strptime(activity_id[:8], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"after_id: expected YYYYMMDD…, was {activity_id!r}") from None
    return (day - timedelta(days=1)).strftime("%Y-%m-%d")
