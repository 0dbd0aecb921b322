"""The exchange as a venue without a wire: for back-tests and fault simulation. Time moves only by `advance_to`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from numpy.typing import NDArray

from gammaray.types.account import (
    Activity,
    ActivityKind,
    Execution,
    OrderUpdate,
    UpdateKind,
    VenueAccount,
    VenueOrder,
    VenuePosition,
)
from gammaray.types.instruments import OptionContract, is_occ
from gammaray.types.money import CENT, format_micros
from gammaray.types.orders import OrderRequest
from gammaray.venues.protocol import Bar, QuoteBatch, VenueAmbiguous, VenueRejected
from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.model import (
    ExchangeActivity,
    ExchangeEvent,
    ExchangeOrder,
    ExchangeReject,
    Published,
    Ticket,
    TicketLeg,
)
from gammaray.venues.simulated.scenario.paths import midnight_ns

_DUPLICATE_ID = "client_order_id must be unique"
_KINDS = {kind.value for kind in UpdateKind}


class InProcessVenue:
    """Offers TradingVenue and MarketDataVenue over an exchange. Its streams are never interrupted."""

    def __init__(self, exchange: ExchangeApi) -> None:
        self.exchange = exchange
        self._names: list[str] = []
        self._index: dict[str, int] = {}
        self._underlyings: frozenset[str] = frozenset()
        self._options: frozenset[str] = frozenset()
        self._published: list[Published] = []

    def advance_to(self, now_ns: int) -> list[Published]:
        """Move the exchange to a time; quotes and updates of the way wait to be drained."""
        published = self.exchange.advance_to(now_ns)
        self._published.extend(published)
        return published

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order. Raises VenueRejected, and VenueAmbiguous for an id that the exchange has already."""
        try:
            return venue_order(self.exchange.submit(ticket_of(request)))
        except ExchangeReject as error:
            raise _translated(error) from error

    def cancel(self, venue_order_id: str) -> None:
        """Ask for a cancel. Raises VenueRejected."""
        try:
            self.exchange.cancel(venue_order_id)
        except ExchangeReject as error:
            raise _translated(error) from error

    def replace(
        self, venue_order_id: str, *, client_order_id: str, qty: int | None, limit_price: int | None
    ) -> VenueOrder:
        """Ask for a replacement. Raises VenueRejected, and VenueAmbiguous for an id that the exchange has already."""
        try:
            return venue_order(
                self.exchange.replace(
                    venue_order_id,
                    qty=qty,
                    limit_price=limit_price,
                    time_in_force=None,
                    client_order_id=client_order_id,
                )
            )
        except ExchangeReject as error:
            raise _translated(error) from error

    def order_by_client_id(self, client_order_id: str) -> VenueOrder | None:
        """Look an order up; None when the exchange never had it."""
        try:
            return venue_order(self.exchange.order_by_client_id(client_order_id))
        except ExchangeReject:
            return None

    def orders(self, *, status: str = "all", after_ns: int = 0) -> list[VenueOrder]:
        """Orders submitted after a time, oldest first. status: open, closed, all. Raises ValueError for another word."""
        if status not in ("open", "closed", "all"):
            raise ValueError(f"status: expected open, closed or all, was {status!r}")
        return [
            venue_order(order)
            for order in self.exchange.orders()
            if order.submitted_ns > after_ns and (status == "all" or order.is_open == (status == "open"))
        ]

    def positions(self) -> list[VenuePosition]:
        """Open positions; the current price is the middle of the last quote."""
        rows = []
        for position in self.exchange.positions():
            quote = self.exchange.quote(position.symbol)
            rows.append(
                VenuePosition(
                    symbol=position.symbol,
                    signed_qty=position.signed_qty,
                    avg_entry_price=_average(position.cost_micros, position.signed_qty * position.multiplier),
                    current_price=0 if quote is None else (quote.bid_cents + quote.ask_cents) * CENT // 2,
                )
            )
        return rows

    def account(self) -> VenueAccount:
        """The account's figures."""
        figures = self.exchange.account()
        return VenueAccount(
            account_number=self.exchange.account_number,
            cash=figures.cash,
            equity=figures.equity,
            long_market_value=figures.long_market_value,
            short_market_value=figures.short_market_value,
            buying_power=figures.buying_power,
            options_buying_power=figures.options_buying_power,
            initial_margin=figures.initial_margin,
            maintenance_margin=figures.maintenance_margin,
            options_trading_level=figures.options_trading_level,
        )

    def activities(self, *, after_id: str = "") -> list[Activity]:
        """Activities after an activity id, oldest first."""
        return [activity_of(row) for row in self.exchange.activities() if row.activity_id > after_id]

    def clock_ns(self) -> int:
        """The exchange's time."""
        return self.exchange.clock_ns()

    def drain_updates(self) -> list[OrderUpdate]:
        """Order updates since the last call."""
        return [self._update(event) for event in self.exchange.drain_events() if event.event in _KINDS]

    def _update(self, event: ExchangeEvent) -> OrderUpdate:
        replaced_by = event.order.replaced_by
        update = update_of(event)
        if replaced_by is None:
            return update
        return replace(update, replaced_by=self.exchange.order(replaced_by).client_order_id)

    def stream_gap(self) -> bool:
        """Never: nothing lies between the exchange and the caller."""
        return False

    def contracts(self, underlying: str, *, first: date, last: date) -> list[OptionContract]:
        """Active contracts with expirations from `first` to `last`."""
        return [
            listed.contract
            for listed in self.exchange.listed(underlying)
            if listed.status == "active" and first <= listed.contract.expiration <= last
        ]

    def subscribe(self, underlyings: Sequence[str], options: Sequence[str]) -> None:
        """Hand out quotes of these from now on."""
        self._underlyings = frozenset(underlyings)
        self._options = frozenset(options)

    def drain_quotes(self) -> QuoteBatch:
        """Quotes of the subscribed symbols that were published since the last call, in order."""
        published, self._published = self._published, []
        wanted = self._underlyings | self._options
        stamps: list[NDArray[np.int64]] = []
        symbols: list[NDArray[np.int32]] = []
        columns: list[NDArray[np.int64]] = []
        for each in published:
            picked = [i for i, symbol in enumerate(each.symbols) if symbol in wanted]
            symbols.append(np.array([self._number(each.symbols[i]) for i in picked], dtype=np.int32))
            stamps.append(np.full(len(picked), each.ts_ns, dtype=np.int64))
            table = np.stack([each.bid_cents, each.ask_cents, each.bid_size, each.ask_size])
            columns.append(table[:, picked])
        if not columns:
            return self._batch(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((4, 0), np.int64))
        return self._batch(np.concatenate(symbols), np.concatenate(stamps), np.concatenate(columns, axis=1))

    def chain_quotes(self, underlying: str) -> QuoteBatch:
        """The latest quote of every active contract, then of the underlying."""
        symbols = [row.contract.symbol for row in self.exchange.listed(underlying) if row.status == "active"]
        quotes = [q for q in map(self.exchange.quote, [*symbols, underlying]) if q is not None]
        table = np.array([[q.bid_cents, q.ask_cents, q.bid_size, q.ask_size] for q in quotes], dtype=np.int64)
        return self._batch(
            np.array([self._number(q.symbol) for q in quotes], dtype=np.int32),
            np.array([q.ts_ns for q in quotes], dtype=np.int64),
            table.reshape(-1, 4).T,
        )

    def daily_bars(self, symbol: str, *, first: date, last: date) -> list[Bar]:
        """Daily bars of an underlying known by now. Raises VenueRejected for an unknown symbol."""
        if is_occ(symbol):
            raise ValueError(f"symbol: expected an underlying, was {symbol}")
        try:
            bars = self.exchange.bars(symbol, start_ns=midnight_ns(first), end_ns=midnight_ns(last), step="1Day")
        except ExchangeReject as error:
            raise _translated(error) from error
        return list(bars)

    def _number(self, symbol: str) -> int:
        number = self._index.get(symbol)
        if number is None:
            number = self._index[symbol] = len(self._names)
            self._names.append(symbol)
        return number

    def _batch(self, symbol: NDArray[np.int32], ts_ns: NDArray[np.int64], columns: NDArray[np.int64]) -> QuoteBatch:
        bid, ask, bid_size, ask_size = columns.astype(np.float64)
        return QuoteBatch(
            names=tuple(self._names),
            symbol=symbol,
            ts_ns=ts_ns,
            bid=np.where(bid_size > 0, bid / 100, np.nan),
            ask=np.where(ask_size > 0, ask / 100, np.nan),
            bid_size=bid_size,
            ask_size=ask_size,
        )


def ticket_of(request: OrderRequest) -> Ticket:
    """Our order as the exchange takes it."""
    first = request.legs[0]
    if request.is_package:
        legs = [
            TicketLeg(leg.symbol, leg.ratio_qty, leg.side.value, "" if leg.intent is None else leg.intent.value)
            for leg in request.legs
        ]
    else:
        legs = []
    return Ticket(
        symbol="" if legs else first.symbol,
        qty=request.qty,
        side="" if legs else first.side.value,
        order_type=request.order_type.value,
        time_in_force=request.time_in_force.value,
        limit_price=request.limit_price,
        client_order_id=request.client_order_id,
        order_class="mleg" if legs else "",
        position_intent="" if legs or first.intent is None else first.intent.value,
        legs=legs,
    )


def venue_order(order: ExchangeOrder) -> VenueOrder:
    """An order as a venue reports it."""
    return VenueOrder(
        client_order_id=order.client_order_id,
        venue_order_id=order.order_id,
        status=order.status,
        qty=order.qty,
        filled_qty=order.filled_qty,
        filled_avg_price=format_micros(_average(order.notional_filled, order.filled_qty)) if order.filled_qty else None,
        legs=tuple(leg.symbol for leg in order.legs) or (order.symbol,),
        limit_price=order.limit_price,
        submitted_ns=order.submitted_ns,
        updated_ns=order.updated_ns,
    )


def update_of(event: ExchangeEvent) -> OrderUpdate:
    """A trading-stream event as an update; `replaced_by` is the exchange's order id."""
    return OrderUpdate(
        kind=UpdateKind(event.event),
        client_order_id=event.order.client_order_id,
        venue_order_id=event.order.order_id,
        ts_ns=event.ts_ns,
        executions=tuple(
            Execution(e.execution_id, e.symbol, e.qty if e.side == "buy" else -e.qty, e.price) for e in event.executions
        ),
        event_id=event.event_id,
        replaced_by=event.order.replaced_by or "",
    )


def activity_of(row: ExchangeActivity) -> Activity:
    """A row of account activities; a type that we have no kind for moves cash alone and keeps its name."""
    known = row.activity_type in {kind.value for kind in ActivityKind}
    kind = ActivityKind(row.activity_type) if known else ActivityKind.CASH
    sold = kind is ActivityKind.FILL and row.side == "sell"
    return Activity(
        activity_id=row.activity_id,
        kind=kind,
        ts_ns=row.ts_ns,
        symbol=row.symbol,
        signed_qty=-row.qty if sold else row.qty,
        price=row.price or 0,
        net_amount=row.net_amount,
        group_id=row.group_id,
        order_id=row.order_id,
        execution_id=row.execution_id,
        sub_kind=row.fill_type or row.sub_type or ("" if known else row.activity_type),
    )


def _average(total: int, units: int) -> int:
    """total / units rounded half-even to the micro-dollar; 0 for no units."""
    if units == 0:
        return 0
    return int((Decimal(total) / units).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _translated(error: ExchangeReject) -> VenueRejected | VenueAmbiguous:
    if error.message == _DUPLICATE_ID:
        return VenueAmbiguous(error.message)
    return VenueRejected(error.message, error.code, error.status)
