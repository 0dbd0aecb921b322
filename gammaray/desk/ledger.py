"""Executions and account activities become positions, cash and fills of orders: each once, whichever channel brings it."""

from __future__ import annotations

from dataclasses import replace

from gammaray.desk import commands, events
from gammaray.desk.books import Books, wrong
from gammaray.desk.commands import Command
from gammaray.desk.core.exposure import hold
from gammaray.desk.core.ledger import apply_fill
from gammaray.desk.core.orders import fill_leg
from gammaray.desk.records import OrderRecord
from gammaray.desk.states import OrderEvent
from gammaray.desk.witnesses import Fill, Verdict
from gammaray.types.account import Activity, ActivityKind, Execution
from gammaray.types.instruments import is_occ, parse_occ


class Ledger:
    """Writes into the books. Positions are FIFO lots, cash is the exact sum of what fills and activities moved."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def opened(self, event: events.DeskOpened) -> list[Command]:
        """What the account held when the journal began."""
        memory = self._books.memory
        memory.account = event.account
        memory.order_prefix = event.order_prefix
        memory.first_activity_id = event.last_activity_id
        memory.reconciled_ns = event.ts_ns
        self._books.store.book.account[0]["cash"] = event.cash
        for position in event.positions:
            self._books.move(position.symbol, position.signed_qty, position.price)
        return []

    # ---- fills

    def execution(self, record: OrderRecord | None, execution: Execution, ts_ns: int) -> list[Command]:
        """A fill on the stream."""
        named = record is not None and not record.is_package
        fill = Fill(
            execution.symbol,
            execution.signed_qty,
            execution.price,
            record.venue_order_id if named and record is not None else "",
            execution.execution_id,
            "" if record is None else record.client_order_id,
        )
        fills = self._books.fills
        verdict = fills.on_stream(fill)
        found = self._resolve_doubts(ts_ns)
        if verdict is Verdict.NEW:
            return found + self._book(record, fill, ts_ns)
        # An order whose end is certain has all its fills: an equal one that waits is another order's.
        waits = record is not None and record.is_package and not record.confirmed
        if verdict is not Verdict.REPEATED and waits and record is not None and fills.claim(fill):
            return found + self._attribute(record, fill, ts_ns, booked=True)
        if verdict is Verdict.DOUBTFUL:
            found.append(commands.Backfill(f"a fill of {fill.symbol} looks like one that is booked"))
        return found

    def _resolve_doubts(self, ts_ns: int) -> list[Command]:
        """Book fills that a count had taken for others, when ids have shown that they are not."""
        books = self._books
        found: list[Command] = []
        for fill in books.fills.resolve_doubts():
            client_order_id = fill.client_order_id or books.memory.venue_ids.get(fill.order_id, "")
            found += self._book(books.by_client_id.get(client_order_id), fill, ts_ns)
        return found

    def _book(self, record: OrderRecord | None, fill: Fill, ts_ns: int) -> list[Command]:
        """A fill that positions and cash do not have yet."""
        books = self._books
        if record is not None and books.store.book.orders[record.row]["legs"] and record.leg_of(fill.symbol) >= 0:
            return self._attribute(record, fill, ts_ns, booked=False)
        books.fills.orphans.append(fill)
        books.memory.external_fills += 1
        row = books.store.row(fill.symbol)
        books.store.reserve_lots()
        apply_fill(books.store.book, row, fill.signed_qty, fill.price)
        books.touch()
        return []

    def _attribute(self, record: OrderRecord, fill: Fill, ts_ns: int, *, booked: bool) -> list[Command]:
        """A fill of one of our orders; `booked` where positions and cash have it already."""
        books = self._books
        symbol, qty = fill.symbol, fill.signed_qty
        books.store.reserve_lots()
        if booked:
            books.memory.external_fills -= 1
        over = fill_leg(books.store.book, record.row, record.leg_of(symbol), qty, fill.price, not booked)
        books.touch()
        signal = record.signal
        amount = qty * fill.price * books.multiplier(symbol)
        books.strategies.fill(signal.position_id, signal.strategy, signal.underlying, symbol, qty, amount, ts_ns)
        if over:
            return wrong(ts_ns, "overfill", f"{symbol}: {over} more than ordered", record.client_order_id)
        order = books.store.book.orders[record.row]
        complete = order["filled_qty"] == order["qty"]
        return books.step(record, OrderEvent.FILL_ALL if complete else OrderEvent.FILL_PART, ts_ns)

    def named(self, record: OrderRecord, ts_ns: int) -> list[Command]:
        """The venue's id of an order has become known: fills that came under it are its own."""
        found: list[Command] = []
        if not record.is_package:
            for orphan in self._books.fills.claim_named(record.venue_order_id):
                found += self._attribute(record, orphan, ts_ns, booked=True)
        return found

    def claim_orphans(self, record: OrderRecord, ts_ns: int) -> list[Command]:
        """Fills without an order go to a package where they make up exactly what the venue says is filled beyond what we know."""
        books = self._books
        found: list[Command] = []
        if not (books.fills.orphans and record.is_package and books.store.book.orders[record.row]["legs"]):
            return found
        for k, leg in enumerate(record.legs):
            filled = int(books.store.book.orders[record.row]["leg_filled"][k])
            missing = record.venue_filled_qty * leg.ratio_qty - filled
            if missing > 0:
                for orphan in books.fills.claim_exactly(leg.symbol, missing * leg.side.sign):
                    found += self._attribute(record, orphan, ts_ns, booked=True)
        return found

    def settled(self, event: events.OrderSettled) -> list[Command]:
        """Take the venue's count of an order over; positions and cash have the fills already."""
        books = self._books
        record = books.by_client_id[event.client_order_id]
        record.venue_filled_qty = event.filled_qty
        found = self.claim_orphans(record, event.ts_ns)
        order = books.store.book.orders[record.row]
        if order["filled_qty"] >= event.filled_qty:
            return found
        if order["holds"]:
            hold(books.store.book, record.row, -1)
        for k in range(len(record.legs)):
            order["leg_filled"][k] = abs(int(order["leg_ratio"][k])) * event.filled_qty
        order["filled_qty"] = event.filled_qty
        if order["holds"]:
            hold(books.store.book, record.row, 1)
        complete = event.filled_qty == int(order["qty"])
        return found + books.step(record, OrderEvent.FILL_ALL if complete else OrderEvent.FILL_PART, event.ts_ns)

    # ---- activities

    def is_new(self, activity: Activity) -> bool:
        """Whether a row is neither booked yet nor part of what the account held when the journal began."""
        books = self._books
        return (
            activity.activity_id > books.memory.first_activity_id and activity.activity_id not in books.seen_activities
        )

    def activity(self, event: events.ActivityReceived) -> list[Command]:
        """A row of the account's activities, once by its id."""
        row = event.activity
        if not self.is_new(row):
            return []
        books = self._books
        books.seen_activities.add(row.activity_id)
        books.memory.activities.append(row.activity_id)
        if row.kind is ActivityKind.FILL:
            return self._fill_activity(row)
        rest = books.moves.rest_of(_move_key(row), row.signed_qty) if row.signed_qty else 0
        if rest == row.signed_qty:
            self._apply_move(row)
        elif rest:
            self._apply_move(replace(row, signed_qty=rest, net_amount=row.net_amount * rest // row.signed_qty))
        return []

    def presumed(self, event: events.ActivityPresumed) -> list[Command]:
        """A move that the venue has made and will show as an activity later."""
        self._books.moves.presume(_move_key(event.activity), event.activity.signed_qty)
        self._apply_move(event.activity)
        return []

    def _fill_activity(self, row: Activity) -> list[Command]:
        books = self._books
        record = books.by_client_id.get(books.memory.venue_ids.get(row.order_id, ""))
        named = record is not None and not record.is_package
        fill = Fill(row.symbol, row.signed_qty, row.price, row.order_id if named else "", row.execution_id)
        verdict = books.fills.in_activities(fill)
        found = self._resolve_doubts(row.ts_ns)
        if verdict is not Verdict.NEW:
            return found
        found += self._book(record, replace(fill, order_id=row.order_id), row.ts_ns)
        if record is None:
            # The packages of which the venue says that more is filled than we know may claim it.
            orders = books.store.book.orders
            for one in list(books.unconfirmed.values()):
                if one.venue_filled_qty > orders[one.row]["filled_qty"] and one.leg_of(row.symbol) >= 0:
                    found += self.claim_orphans(one, row.ts_ns)
        return found

    def _apply_move(self, row: Activity) -> None:
        """An activity that is no fill: quantities at the stated price (options leave at zero), cash by its net amount."""
        books = self._books
        account = books.store.book.account[0]
        account["cash"] += row.net_amount
        books.touch()
        if row.kind is ActivityKind.FEE:
            account["fees"] -= row.net_amount
        elif row.kind in (ActivityKind.DIVIDEND, ActivityKind.CASH):
            account["income"] += row.net_amount
        elif row.symbol and row.signed_qty:
            books.move(row.symbol, row.signed_qty, row.price)
            if is_occ(row.symbol):
                self._leave_strategies(row)

    def _leave_strategies(self, row: Activity) -> None:
        """The strategies that hold a contract lose it, and get the shares that an exercise or assignment brings."""
        contract = parse_occ(row.symbol)
        shares = 0
        if row.kind is not ActivityKind.EXPIRY:
            shares = row.signed_qty * contract.multiplier * (-1 if contract.is_call else 1)
        self._books.strategies.expire(row.symbol, row.signed_qty, contract.underlying, shares, contract.strike_micros)

    def adopted(self, event: events.PositionAdopted) -> list[Command]:
        """A person took the venue's figures over."""
        books = self._books
        row = books.store.row(event.symbol)
        books.move(event.symbol, event.signed_qty - int(books.store.book.positions[row]["qty"]), event.price)
        books.store.book.account[0]["cash"] += event.cash_change
        return []


def _move_key(row: Activity) -> str:
    return f"{row.kind.value}|{row.symbol}|{row.price}"
