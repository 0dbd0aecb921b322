"""A small exchange to test a desk against: obvious rather than fast, and the truth of what happened.

It takes orders, fills them in whole package units, assigns and expires options, and keeps its own positions (average cost) and cash.
The desk's ledger shares no code with it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

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
from gammaray.types.instruments import is_occ, parse_occ
from gammaray.types.orders import OrderRequest
from gammaray.venues.protocol import VenueRejected

TERMINAL = ("filled", "canceled", "expired", "replaced", "rejected")


@dataclass
class Order:
    """An order at the exchange. `leg_ids` are its own numbers of the legs, which the desk never learns."""

    request: OrderRequest
    venue_order_id: str
    submitted_ns: int
    status: str = "new"
    filled: int = 0
    leg_ids: tuple[str, ...] = ()


@dataclass
class Exchange:
    """One account. `late_rows`: non-trade activities become visible on the next day. `ids_in_rows`: fills carry their execution id."""

    now_ns: int
    cash: int
    late_rows: bool = False
    ids_in_rows: bool = True
    prices: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    events: list[OrderUpdate] = field(default_factory=list)
    rows: list[tuple[int, Activity]] = field(default_factory=list)
    _number: int = 0

    def _next(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number:06d}"

    # ---- orders

    def submit(self, request: OrderRequest) -> Order:
        """Take an order. Refuses ids it has seen and quantities to close that are not there."""
        if any(order.request.client_order_id == request.client_order_id for order in self.orders.values()):
            raise VenueRejected("client_order_id must be unique", 40010001, 422)
        order = Order(request, self._next("v"), self.now_ns)
        order.leg_ids = (
            tuple(self._next("leg") for _ in request.legs) if request.is_package else (order.venue_order_id,)
        )
        self.orders[order.venue_order_id] = order
        self._tell(order, UpdateKind.NEW)
        return order

    def by_client_id(self, client_order_id: str) -> Order | None:
        """An order by the id that its sender gave it."""
        return next((one for one in self.orders.values() if one.request.client_order_id == client_order_id), None)

    def open_orders(self) -> list[Order]:
        """Orders that still work, oldest first."""
        return [order for order in self.orders.values() if order.status not in TERMINAL]

    def cancel(self, venue_order_id: str) -> None:
        """Ask for a cancel: refused for an order that is done, else pending until `settle_cancels`."""
        order = self.orders.get(venue_order_id)
        if order is None:
            raise VenueRejected("order not found", 40410000, 404)
        if order.status in TERMINAL:
            raise VenueRejected(f'order is already in "{order.status}" state', 42210000, 422)
        if order.status != "pending_cancel":
            order.status = "pending_cancel"
            self._tell(order, UpdateKind.PENDING_CANCEL)

    def settle_cancel(self, order: Order) -> None:
        """Carry a pending cancel out."""
        order.status = "canceled"
        self._tell(order, UpdateKind.CANCELED)

    def replace(self, venue_order_id: str, client_order_id: str, qty: int | None, limit_price: int | None) -> Order:
        """Replace an order at once: the old one is done, the new one works with the rest."""
        old = self.orders[venue_order_id]
        if old.status not in ("new", "partially_filled"):
            raise VenueRejected(f"cannot replace order in {old.status} status", 42210000, 422)
        if self.by_client_id(client_order_id) is not None:
            raise VenueRejected("client_order_id must be unique", 40010001, 422)
        if qty is not None and qty <= old.filled:
            raise VenueRejected("qty must be > filled_qty", 42210000, 422)
        request = replace(
            old.request,
            client_order_id=client_order_id,
            qty=(old.request.qty if qty is None else qty) - old.filled,
            limit_price=old.request.limit_price if limit_price is None else limit_price,
        )
        old.status = "replaced"
        self._tell(old, UpdateKind.REPLACED, replaced_by=client_order_id)
        return self.submit(request)

    def expire_day(self) -> None:
        """The close: day orders end."""
        for order in self.open_orders():
            order.status = "expired"
            self._tell(order, UpdateKind.EXPIRED)

    def fill(self, order: Order, units: int) -> None:
        """Fill units of an order at the legs' prices of now."""
        order.filled += units
        executions = []
        for leg, leg_id in zip(order.request.legs, order.leg_ids, strict=True):
            qty = leg.side.sign * leg.ratio_qty * units
            price = self.prices[leg.symbol]
            execution = Execution(self._next("x"), leg.symbol, qty, price)
            executions.append(execution)
            self._trade(leg.symbol, qty, price)
            self.cash -= qty * price * multiplier(leg.symbol)
            self._row(
                Activity(
                    "",
                    ActivityKind.FILL,
                    self.now_ns,
                    leg.symbol,
                    qty,
                    price,
                    order_id=leg_id,
                    execution_id=execution.execution_id if self.ids_in_rows else "",
                ),
                at_once=True,
            )
        done = order.filled == order.request.qty
        if done:
            order.status = "filled"
        elif order.status == "new":
            order.status = "partially_filled"
        self._tell(order, UpdateKind.FILL if done else UpdateKind.PARTIAL_FILL, tuple(executions))

    def _tell(
        self, order: Order, kind: UpdateKind, executions: tuple[Execution, ...] = (), replaced_by: str = ""
    ) -> None:
        self.events.append(
            OrderUpdate(
                kind,
                order.request.client_order_id,
                order.venue_order_id,
                self.now_ns,
                executions,
                event_id=len(self.events) + 1,
                replaced_by=replaced_by,
            )
        )

    # ---- account

    def _trade(self, symbol: str, qty: int, price: int) -> None:
        held = self.positions[symbol]
        after = held + qty
        if held * qty >= 0:
            self.cost[symbol] += qty * price
        elif held * after > 0:
            self.cost[symbol] = self.cost[symbol] * after // held
        else:
            self.cost[symbol] = after * price
        self.positions[symbol] = after

    def _row(self, row: Activity, *, at_once: bool = False) -> None:
        shown = self.now_ns if at_once or not self.late_rows else next_day(self.now_ns)
        stamp = datetime.fromtimestamp(self.now_ns // 10**9, UTC)
        activity_id = f"{stamp:%Y%m%d%H%M%S}000::{self._next('a')}"
        self.rows.append((shown, replace(row, activity_id=activity_id)))

    def fee(self, amount: int) -> None:
        """Charge a fee (positive micro-dollars)."""
        self.cash -= amount
        self._row(Activity("", ActivityKind.FEE, self.now_ns, net_amount=-amount, sub_kind="ORF"), at_once=True)

    def deliver(self, symbol: str, qty: int, kind: ActivityKind) -> None:
        """Exercise (long) or assignment (short) of `qty` contracts (positive) of a position."""
        contract = parse_occ(symbol)
        sign = 1 if self.positions[symbol] > 0 else -1
        change = -sign * qty
        shares = sign * qty * contract.multiplier * (1 if contract.is_call else -1)
        amount = -shares * contract.strike_micros
        group = self._next("g")
        self._trade(symbol, change, 0)
        self._trade(contract.underlying, shares, contract.strike_micros)
        self.cash += amount
        self._row(Activity("", kind, self.now_ns, symbol, change, group_id=group))
        self._row(
            Activity(
                "",
                ActivityKind.OPTION_TRADE,
                self.now_ns,
                contract.underlying,
                shares,
                contract.strike_micros,
                amount,
                group,
            )
        )

    def lapse(self, symbol: str) -> None:
        """A position expires worthless."""
        change = -self.positions[symbol]
        self._trade(symbol, change, 0)
        self._row(Activity("", ActivityKind.EXPIRY, self.now_ns, symbol, change))

    # ---- what REST shows

    def show(self, order: Order) -> VenueOrder:
        """An order as REST shows it."""
        request = order.request
        return VenueOrder(
            request.client_order_id,
            order.venue_order_id,
            order.status,
            request.qty,
            order.filled,
            None,
            tuple(leg.symbol for leg in request.legs),
            request.limit_price,
            order.submitted_ns,
            self.now_ns,
        )

    def visible_rows(self, after_id: str) -> list[Activity]:
        """Activities that are visible now, behind an id."""
        rows = [row for shown, row in self.rows if shown <= self.now_ns and row.activity_id > after_id]
        return sorted(rows, key=lambda row: row.activity_id)

    def visible_positions(self) -> list[VenuePosition]:
        """Open positions."""
        return [
            VenuePosition(symbol, qty, abs(self.cost[symbol] // qty), self.prices.get(symbol, 0))
            for symbol, qty in self.positions.items()
            if qty
        ]

    def visible_account(self) -> VenueAccount:
        """The account's figures; only cash is kept."""
        return VenueAccount("T1", self.cash, 0, 0, 0, 0, 0, 0, 0, 3)


def multiplier(symbol: str) -> int:
    """Shares of one unit of an instrument."""
    return 100 if is_occ(symbol) else 1


def next_day(now_ns: int) -> int:
    """06:00 UTC of the next day: when the venue shows the rows of non-trade activities."""
    day = 86_400 * 10**9
    return (now_ns // day + 1) * day + 6 * 3600 * 10**9
