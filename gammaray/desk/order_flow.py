"""The life of an order: intents, the venue's answers, stream updates, look-ups, cancels and replacements."""

from __future__ import annotations

from gammaray.desk import commands, events
from gammaray.desk.books import Books, wrong
from gammaray.desk.commands import Command
from gammaray.desk.core.exposure import hold
from gammaray.desk.events import Reservation
from gammaray.desk.ledger import Ledger
from gammaray.desk.records import OrderRecord
from gammaray.desk.states import ENDS, STATUS_EVENTS, UPDATE_EVENTS, UPDATE_STATUS, OrderEvent
from gammaray.types.account import VenueOrder
from gammaray.types.orders import OrderState


class OrderFlow:
    """Applies order events to the books; what they ask of the venue comes back as commands."""

    def __init__(self, books: Books, ledger: Ledger) -> None:
        self._books = books
        self._ledger = ledger

    # ---- ours

    def intended(self, event: events.OrderIntended) -> list[Command]:
        """The gate passed a signal."""
        signal = event.signal
        record = self._books.new_record(event.client_order_id, signal, event.ts_ns, signal.qty, signal.limit_price)
        self._place(record, event.closes, event.reserved, event.rate_level_ns, event.ts_ns)
        found = self._books.step(record, OrderEvent.SUBMIT, event.ts_ns)
        return [*found, commands.SendOrder(signal.to_order(event.client_order_id))]

    def _place(
        self, record: OrderRecord, closing: tuple[bool, ...], reserved: Reservation, rate_level_ns: int, ts_ns: int
    ) -> None:
        store = self._books.store
        rows = [store.row(leg.symbol) for leg in record.legs]
        order = store.book.orders[record.row]
        order["legs"] = len(rows)
        order["underlying"] = store.book.instruments[rows[0]]["underlying"]
        for k, leg in enumerate(record.legs):
            order["leg_instrument"][k] = rows[k]
            order["leg_ratio"][k] = leg.side.sign * leg.ratio_qty
            order["leg_closes"][k] = closing[k]
        order["reserved"] = (reserved.funds, reserved.loss, reserved.delta, reserved.gamma, reserved.vega)
        account = store.book.account[0]
        account["rate_level_ns"] = rate_level_ns
        account["rate_ts_ns"] = ts_ns

    def denied(self, event: events.OrderDenied) -> list[Command]:
        """The gate refused a signal."""
        signal = event.signal
        record = self._books.new_record(event.client_order_id, signal, event.ts_ns, signal.qty, signal.limit_price)
        self._books.store.admit([leg.symbol for leg in signal.legs])
        record.unknown = False
        record.reason = event.rule
        denials = self._books.memory.denials
        denials[event.rule] = denials.get(event.rule, 0) + 1
        return self._books.step(record, OrderEvent.DENY, event.ts_ns)

    def replace_intended(self, event: events.ReplaceIntended) -> list[Command]:
        """A working order is to be replaced; both hold their reservations until the venue says which one works."""
        books = self._books
        old = books.by_client_id[event.client_order_id]
        record = books.new_record(event.new_client_order_id, old.signal, event.ts_ns, event.qty, event.limit_price)
        record.replaces = old.client_order_id
        closing = books.store.book.orders[old.row]["leg_closes"]
        self._place(
            record,
            tuple(bool(closing[k]) for k in range(len(old.legs))),
            event.reserved,
            event.rate_level_ns,
            event.ts_ns,
        )
        found = books.step(old, OrderEvent.REQUEST_REPLACE, event.ts_ns)
        found += books.step(record, OrderEvent.SUBMIT, event.ts_ns)
        replace = commands.SendReplace(
            old.client_order_id, old.venue_order_id, event.new_client_order_id, event.whole_qty, event.limit_price
        )
        return [*found, replace]

    def cancel_requested(self, event: events.CancelRequested) -> list[Command]:
        """Somebody wants an order canceled. Without the venue's id the order is looked up first."""
        books = self._books
        record = books.by_client_id.get(event.client_order_id)
        if record is None:
            return wrong(event.ts_ns, "unknown_order", "no such order of ours", event.client_order_id)
        found = books.step(record, OrderEvent.REQUEST_CANCEL, event.ts_ns)
        if books.order_state(record).is_terminal:
            return found
        record.cancel_wanted = True
        if record.venue_order_id:
            return [*found, commands.SendCancel(record.client_order_id, record.venue_order_id)]
        return [*found, commands.LookUp(record.client_order_id)]

    # ---- the venue's answers

    def refused(self, event: events.OrderRefused) -> list[Command]:
        """The venue refused the request for good."""
        record = self._books.by_client_id[event.client_order_id]
        record.reason = f"{event.message} (HTTP {event.status}, code {event.code})"
        return self._came_to_nothing(record, OrderEvent.REJECT, event.ts_ns)

    def not_sent(self, event: events.OrderNotSent) -> list[Command]:
        """The request never reached the venue."""
        record = self._books.by_client_id[event.client_order_id]
        record.reason = event.reason
        return self._came_to_nothing(record, OrderEvent.NOT_SENT, event.ts_ns)

    def never_arrived(self, event: events.NeverArrived) -> list[Command]:
        """Enough look-ups missed it."""
        record = self._books.by_client_id[event.client_order_id]
        return self._came_to_nothing(record, OrderEvent.NOT_SENT, event.ts_ns)

    def _came_to_nothing(self, record: OrderRecord, event: OrderEvent, ts_ns: int) -> list[Command]:
        record.unknown = False
        found = self._books.step(record, event, ts_ns)
        if record.replaces:
            # The old order works on.
            found += self._books.step(self._books.by_client_id[record.replaces], OrderEvent.REFUSE_REPLACE, ts_ns)
        return found

    def outcome_unknown(self, event: events.OutcomeUnknown) -> list[Command]:
        """The request may have arrived: it is looked up, never sent again."""
        record = self._books.by_client_id[event.client_order_id]
        record.reason = event.reason
        return [commands.LookUp(event.client_order_id)] if record.unknown else []

    def look_up_missed(self, event: events.LookUpMissed) -> list[Command]:
        """The venue does not know the order, yet."""
        self._books.by_client_id[event.client_order_id].misses += 1
        return []

    def cancel_refused(self, event: events.CancelRefused) -> list[Command]:
        """The venue refused a cancel, most often because the order is done: the look-up tells."""
        record = self._books.by_client_id[event.client_order_id]
        record.cancel_wanted = False
        found = self._books.step(record, OrderEvent.REFUSE_CANCEL, event.ts_ns)
        return [*found, commands.LookUp(event.client_order_id)]

    # ---- the venue's news

    def is_news(self, order: VenueOrder) -> bool:
        """Whether the venue's picture of an order says anything that we have not heard."""
        record = self._books.by_client_id.get(order.client_order_id)
        if record is None:
            return self._books.memory.external_orders.get(order.venue_order_id) != order.status
        return (
            record.unknown
            or record.venue_order_id != order.venue_order_id
            or record.venue_status != order.status
            or record.venue_filled_qty < order.filled_qty
            or (not record.confirmed and STATUS_EVENTS.get(order.status) in ENDS)
        )

    def seen(self, event: events.OrderSeen) -> list[Command]:
        """The venue's own picture of an order. Its fills come as executions or activities, never from here."""
        order = event.order
        books = self._books
        record = books.by_client_id.get(order.client_order_id)
        if record is None:
            books.memory.external_orders[order.venue_order_id] = order.status
            return []
        found = self._acknowledged(record, order.venue_order_id, event.ts_ns)
        record.venue_status = order.status
        record.venue_filled_qty = max(record.venue_filled_qty, order.filled_qty)
        meaning = STATUS_EVENTS.get(order.status)
        if meaning is None:
            return found + wrong(event.ts_ns, "unknown_status", order.status, order.client_order_id)
        unheard = books.order_state(record) in (OrderState.SUBMITTED, OrderState.DENIED)
        if meaning is not OrderEvent.ACKNOWLEDGE or unheard:
            found += books.step(record, meaning, event.ts_ns)
        if record.replaces and order.qty != record.qty:
            found += self._take_qty(record, order.qty, event.ts_ns)
        found += self._ledger.claim_orphans(record, event.ts_ns)
        if record.venue_filled_qty > int(books.store.book.orders[record.row]["filled_qty"]):
            found.append(commands.Backfill(f"fills of {order.client_order_id} are missing"))
        elif books.order_state(record).is_terminal and meaning in ENDS:
            books.confirm(record)
        return found

    def _take_qty(self, record: OrderRecord, qty: int, ts_ns: int) -> list[Command]:
        """A replacement holds what the old order had not filled when the venue made it, which may be less than we thought."""
        books = self._books
        row = books.store.book.orders[record.row]
        if row["holds"]:
            hold(books.store.book, record.row, -1)
        record.qty = qty
        row["qty"] = qty
        if row["holds"]:
            hold(books.store.book, record.row, 1)
        if row["filled_qty"] == qty and not books.order_state(record).is_terminal:
            return books.step(record, OrderEvent.FILL_ALL, ts_ns)
        return []

    def updated(self, event: events.UpdateReceived) -> list[Command]:
        """An update of the trading stream."""
        update = event.update
        books = self._books
        record = books.by_client_id.get(update.client_order_id)
        found: list[Command] = []
        if record is None:
            books.memory.external_orders[update.venue_order_id] = UPDATE_STATUS[update.kind]
        else:
            found += self._acknowledged(record, update.venue_order_id, event.ts_ns)
        for execution in update.executions:
            found += self._ledger.execution(record, execution, update.ts_ns)
        if record is None:
            return found
        if update.reason:
            record.reason = update.reason
        meaning = UPDATE_EVENTS[update.kind]
        if meaning is not None:
            found += books.step(record, meaning, event.ts_ns)
        elif not update.executions:
            found.append(commands.Backfill(f"fill of {update.client_order_id} came without executions"))
        return found

    def _acknowledged(self, record: OrderRecord, venue_order_id: str, ts_ns: int) -> list[Command]:
        """The venue has the order: remember its id, and cancel it if that was wanted or if we had given it up."""
        record.unknown = False
        fresh = venue_order_id and not record.venue_order_id
        if venue_order_id:
            record.venue_order_id = venue_order_id
            self._books.memory.venue_ids[venue_order_id] = record.client_order_id
        found = self._ledger.named(record, ts_ns) if fresh else []
        if fresh and (record.cancel_wanted or self._books.order_state(record) is OrderState.DENIED):
            found.append(commands.SendCancel(record.client_order_id, venue_order_id))
        return found
