"""Orders from acceptance to their end: submit, cancel, replace, expire; and which of them rest, wait or match."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gammaray.types.money import CENT
from gammaray.venues.simulated.admission import (
    STOP_TYPES,
    Admission,
    AdmittedLeg,
    OrderAdmission,
)
from gammaray.venues.simulated.board import Board
from gammaray.venues.simulated.books import Books, RestingOrder
from gammaray.venues.simulated.buying_power import BuyingPower
from gammaray.venues.simulated.executions import Executions
from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.ledger import Ledger
from gammaray.venues.simulated.market_status import MarketStatus
from gammaray.venues.simulated.matching import Match, match_arrival, queue_position
from gammaray.venues.simulated.model import ExchangeOrder, Ticket, TicketLeg
from gammaray.venues.simulated.packages import PackageLeg, match_inside, match_natural
from gammaray.venues.simulated.records import Records, copy_order, record_number
from gammaray.venues.simulated.refusals import business_error, not_found, syntax_error

_NOT_REPLACEABLE = frozenset({"accepted", "pending_new", "pending_cancel", "pending_replace"})


class OrderEntry:
    """The life of our orders at the exchange. `is_halted` says whether an instrument may not trade now."""

    def __init__(
        self,
        table: InstrumentTable,
        board: Board,
        books: Books,
        records: Records,
        ledger: Ledger,
        executions: Executions,
        admission: OrderAdmission,
        power: BuyingPower,
        status: MarketStatus,
        is_halted: Callable[[int], bool],
    ) -> None:
        self._table = table
        self._board = board
        self._books = books
        self._records = records
        self._ledger = ledger
        self._executions = executions
        self._admission = admission
        self._power = power
        self._status = status
        self._is_halted = is_halted

    @property
    def working(self) -> list[ExchangeOrder]:
        """Open orders, oldest first."""
        return list(self._records.working.values())

    def submit(self, ticket: Ticket) -> ExchangeOrder:
        """Accept an order or raise ExchangeReject. Returns it as it was accepted; what it matched at once comes as events."""
        if ticket.client_order_id and ticket.client_order_id in self._records.by_client_id:
            raise syntax_error("client_order_id must be unique")
        admission = self._admission.admit(ticket, self.working)
        order = self._create(ticket, admission, replaces=None)
        accepted = copy_order(order)
        if self._status.is_open:
            self.route(order)
        return accepted

    def close_by_venue(self, symbol: str) -> None:
        """The venue's own market order that closes a position, whatever the account may afford; our orders in the symbol are canceled."""
        for order in self.working:
            if symbol in ([leg.symbol for leg in order.legs] or [order.symbol]):
                self._end(order, "canceled")
        row = self._table.row_of[symbol]
        held = self._ledger.signed_qty(symbol)
        side = "sell" if held > 0 else "buy"
        ticket = Ticket(symbol=symbol, qty=abs(held), side=side, order_type="market", time_in_force="day")
        admission = Admission((AdmittedLeg(row, symbol, side, f"{side}_to_close", 1),), 0)
        self.route(self._create(ticket, admission, replaces=None))

    def cancel(self, order_id: str) -> None:
        """Cancel a working order at once. Raises ExchangeReject for an unknown, terminal or leg order."""
        order = self.find(order_id)
        if order.parent_id is not None:
            raise business_error(f"leg order is already in {order.status} state")
        if not order.is_open:
            raise business_error(f'order is already in "{order.status}" state')
        self._end(order, "canceled")

    def replace(
        self,
        order_id: str,
        *,
        qty: int | None,
        limit_price: int | None,
        time_in_force: str | None,
        client_order_id: str | None,
    ) -> ExchangeOrder:
        """Replace a working order by a new one with the rest of its quantity. Returns the new order as accepted.

        `qty` is the whole quantity, what the old order filled included. A refused replacement leaves the old order as it is.
        """
        old = self.find(order_id)
        if old.parent_id is not None or not old.is_open or old.status in _NOT_REPLACEABLE:
            raise business_error(f"cannot replace order in {old.status} status")
        if client_order_id and client_order_id in self._records.by_client_id:
            raise syntax_error("client_order_id must be unique")
        whole = old.qty if qty is None else qty
        price = old.limit_price if limit_price is None else limit_price
        tif = time_in_force or old.time_in_force
        if (whole, price, tif) == (old.qty, old.limit_price, old.time_in_force):
            raise business_error("order parameters are not changed")
        if whole <= old.filled_qty:
            raise business_error("qty must be > filled_qty")
        ticket = Ticket(
            symbol=old.symbol,
            qty=whole - old.filled_qty,
            side=old.side,
            order_type=old.order_type,
            time_in_force=tif,
            limit_price=price,
            stop_price=old.stop_price,
            client_order_id=client_order_id or "",
            order_class=old.order_class if old.legs else "",
            extended_hours=old.extended_hours,
            legs=[TicketLeg(leg.symbol, leg.ratio_qty or 1, leg.side) for leg in old.legs],
        )
        admission = self._admission.admit(ticket, self.working, replacing=old)
        self._leave_book(old)
        new = self._create(ticket, admission, replaces=old)
        now_ns = self._status.now_ns
        for each in (old, *old.legs):
            each.status = "replaced"
            each.replaced_ns = each.updated_ns = now_ns
        old.replaced_by = new.order_id
        self._records.emit("replaced", now_ns, old)
        accepted = copy_order(new)
        if self._status.is_open:
            self.route(new)
        return accepted

    def find(self, order_id: str) -> ExchangeOrder:
        """An order or leg by id. Raises ExchangeReject 404."""
        order = self._records.orders.get(order_id)
        if order is None:
            raise not_found(f"order not found for {order_id}")
        return order

    def _create(self, ticket: Ticket, admission: Admission, replaces: ExchangeOrder | None) -> ExchangeOrder:
        now_ns = self._status.now_ns
        is_package = bool(ticket.legs)
        row = admission.legs[0].row
        is_option = self._table.contracts[row] is not None
        order_id = self._records.next_id()
        status = "pending_new" if self._status.is_open else "accepted"
        order = ExchangeOrder(
            order_id=order_id,
            client_order_id=ticket.client_order_id or self._records.next_id(),
            symbol="" if is_package else ticket.symbol,
            asset_class="" if is_package else "us_option" if is_option else "us_equity",
            qty=ticket.qty,
            side="" if is_package else ticket.side,
            order_type=ticket.order_type,
            time_in_force=ticket.time_in_force,
            status=status,
            created_ns=now_ns,
            updated_ns=now_ns,
            submitted_ns=now_ns,
            order_class="mleg" if is_package else "simple" if is_option else "",
            position_intent=admission.legs[0].intent if is_option and not is_package else "",
            limit_price=ticket.limit_price,
            stop_price=ticket.stop_price,
            extended_hours=ticket.extended_hours,
            replaces=None if replaces is None else replaces.order_id,
        )
        if is_package:
            order.legs = [
                ExchangeOrder(
                    order_id=self._records.next_id(),
                    client_order_id=self._records.next_id(),
                    symbol=leg.symbol,
                    asset_class="us_option",
                    qty=ticket.qty * leg.ratio,
                    side=leg.side,
                    order_type="",
                    time_in_force=ticket.time_in_force,
                    status=status,
                    created_ns=now_ns,
                    updated_ns=now_ns,
                    submitted_ns=now_ns,
                    order_class="mleg",
                    position_intent=leg.intent,
                    ratio_qty=leg.ratio,
                    parent_id=order_id,
                )
                for leg in admission.legs
            ]
        self._records.add_order(order)
        self._power.unit_reserves[order_id] = admission.unit_reserve
        return order

    def route(self, order: ExchangeOrder) -> None:
        """Bring an accepted order to the market: it becomes `new`, matches what it can, and the rest stays by its time in force."""
        now_ns = self._status.now_ns
        for each in (order, *order.legs):
            each.status = "new"
            each.updated_ns = now_ns
        self._records.emit("new", now_ns, order)
        if order.legs:
            self.match_package(order)
            return
        if order.order_type in STOP_TYPES:
            row = self._table.row_of[order.symbol]
            low, high = self._board.best(row, is_buy=False)[0], self._board.best(row, is_buy=True)[0]
            self.trigger_stop(order, low=low or high, high=high or low)
            return
        self._meet_market(order)

    def waiting_stops(self) -> list[ExchangeOrder]:
        """Stop orders that have not been triggered, oldest first."""
        return [
            order
            for order in self.working
            if order.order_type in STOP_TYPES and order.status == "new" and self._books.find(order.order_id) is None
        ]

    def trigger_stop(self, order: ExchangeOrder, *, low: int, high: int) -> None:
        """Send a stop order to the market when a range of prices (cents) has reached its stop."""
        stop = (order.stop_price or 0) // CENT
        if high >= stop if order.side == "buy" else low <= stop:
            self._meet_market(order)

    def _meet_market(self, order: ExchangeOrder) -> None:
        """Match a simple order with the market; the rest stays by its time in force."""
        row = self._table.row_of[order.symbol]
        cents = None if order.limit_price is None else order.limit_price // CENT
        resting = RestingOrder(order, row, record_number(order.order_id), cents)
        if not self._is_halted(row):
            if order.time_in_force == "fok" and not self._can_fill(resting):
                self._end(order, "canceled")
                return
            self.book(match_arrival(self._board, resting))
        if not order.is_open:
            return
        if order.time_in_force in ("ioc", "fok"):
            self._end(order, "canceled")
            return
        resting.ahead = queue_position(self._board, resting)
        self._books.add(resting)

    def _can_fill(self, resting: RestingOrder) -> bool:
        there = sum(
            size
            for cents, size in self._board.ladder(resting.row, is_buy=resting.is_buy)
            if resting.cents is None or (cents <= resting.cents if resting.is_buy else cents >= resting.cents)
        )
        return there >= resting.order.qty

    def book(self, matches: Sequence[Match]) -> None:
        """Book fills of simple orders; an order that is done leaves its book."""
        for match in matches:
            order = match.resting.order
            self._executions.fill(order, match.resting.row, match.cents, match.qty)
            if not order.is_open:
                self._books.remove(order.order_id)

    def match_package(self, order: ExchangeOrder, rng: np.random.Generator | None = None) -> None:
        """Match a package with the market makers' ladders and, given a generator (once a step), with package market makers."""
        legs = self.package_legs(order)
        if any(self._is_halted(leg.row) for leg in legs):
            return
        limit = None if order.limit_price is None else order.limit_price // CENT
        for match in match_natural(self._board, legs, order.leaves_qty, limit):
            self._executions.fill_package(order, legs, match)
        if order.is_open and limit is not None and rng is not None:
            inside = match_inside(self._board, legs, order.leaves_qty, limit, rng)
            if inside is not None:
                self._executions.fill_package(order, legs, inside)

    def package_legs(self, order: ExchangeOrder) -> list[PackageLeg]:
        """The legs of a package by row."""
        return [
            PackageLeg(self._table.row_of[leg.symbol], 1 if leg.side == "buy" else -1, leg.ratio_qty or 1)
            for leg in order.legs
        ]

    def cancel_unbacked(self, symbol: str) -> None:
        """After exercise or assignment: cancel orders that would close more of an option than is left, newest first."""
        held = abs(self._ledger.signed_qty(symbol))
        closing = [
            (order, leg.leaves_qty)
            for order in self.working
            for leg in order.legs or [order]
            if leg.symbol == symbol and leg.position_intent.endswith("close")
        ]
        excess = sum(qty for _, qty in closing) - held
        for order, qty in reversed(closing):
            if excess <= 0:
                break
            self._end(order, "canceled")
            excess -= qty

    def expire_day_orders(self) -> None:
        """At the close: day orders end; so do orders in contracts that have stopped trading."""
        for order in self.working:
            symbols = [leg.symbol for leg in order.legs] or [order.symbol]
            expiries = [self._table.expiry_ns(self._table.row_of[symbol]) for symbol in symbols]
            dead = any(0 < expiry <= self._status.now_ns for expiry in expiries)
            if order.time_in_force == "day" or dead:
                self._end(order, "expired")

    def _leave_book(self, order: ExchangeOrder) -> None:
        self._books.remove(order.order_id)
        self._power.unit_reserves.pop(order.order_id, None)

    def _end(self, order: ExchangeOrder, status: str) -> None:
        """Cancel or expire an order and its legs, with the event of that name."""
        self._leave_book(order)
        now_ns = self._status.now_ns
        for each in (order, *order.legs):
            if each.is_open:
                each.status = status
                each.updated_ns = now_ns
                if status == "canceled":
                    each.canceled_ns = now_ns
                else:
                    each.expired_ns = now_ns
        self._records.emit(status, now_ns, order)
