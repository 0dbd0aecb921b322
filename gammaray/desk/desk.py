"""The state machine of one account. No IO, no clock: events in, commands out, and the same events give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gammaray.desk import commands, events
from gammaray.desk.commands import Command
from gammaray.desk.core.exposure import hold, revalue
from gammaray.desk.core.gate import MINUTE_NS, rate_level
from gammaray.desk.core.ledger import apply_fill, change_position
from gammaray.desk.core.orders import fill_leg, step
from gammaray.desk.events import Event, Reservation
from gammaray.desk.gate import Gate, closes
from gammaray.desk.limits import RiskLimits, Rule
from gammaray.desk.records import Memory, OrderRecord
from gammaray.desk.states import ENDS, STATUS_EVENTS, UPDATE_EVENTS, OrderEvent, terminal_states, transition_table
from gammaray.desk.store import Store, terms
from gammaray.desk.strategy_book import StrategyBook
from gammaray.desk.witnesses import FillWitnesses, Orphan, PresumedMoves
from gammaray.types.account import Activity, ActivityKind, Execution, VenueOrder
from gammaray.types.instruments import is_occ, parse_occ
from gammaray.types.money import format_dollars
from gammaray.types.orders import OrderRequest, OrderState
from gammaray.types.signals import Purpose, Signal, TradingState

_TABLE = transition_table()
_TERMINAL = terminal_states()
_PURPOSES = (Purpose.OPEN, Purpose.CLOSE, Purpose.HEDGE)
TRADING_STATES = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)


class Desk:
    """Everything that must agree about one account.

    `decide` turns a signal into the event that passes or denies it, without changing anything but the row numbers of new symbols;
    `handle` applies an event. Quotes reach it through `gammaray.desk.marks`; they are not part of the durable state.
    """

    def __init__(self, limits: RiskLimits | None = None) -> None:
        self.limits = limits or RiskLimits()
        self.store = Store()
        self.memory = Memory()
        self.records: list[OrderRecord] = []
        self.by_client_id: dict[str, OrderRecord] = {}
        self.working: dict[int, OrderRecord] = {}
        self.strategies = StrategyBook()
        self.unconfirmed: dict[int, OrderRecord] = {}
        """Orders whose end the venue has not yet stated by REST: what the stream lost of them is still to be asked for."""
        self.fills = FillWitnesses()
        self.moves = PresumedMoves()
        self.quote_new_symbols: Callable[[list[str]], None] = lambda symbols: None
        """Called with symbols that have just got rows, so that they are quoted before they are judged."""
        self.open_sessions: dict[str, bool] = {}
        """Whether the market of an underlying is open; set with its quotes."""
        self._seen_executions: set[str] = set()
        self._seen_activities: set[str] = set()
        self._gate = Gate()
        self._stale = True
        self._limit_row = self.limits.in_force(0, 0)
        self._handlers: dict[type, Callable[[Any], list[Command]]] = {
            events.DeskOpened: self._desk_opened,
            events.DayStarted: self._day_started,
            events.DayEnded: self._day_ended,
            events.OrderIntended: self._order_intended,
            events.OrderDenied: self._order_denied,
            events.ReplaceIntended: self._replace_intended,
            events.OrderRefused: self._order_refused,
            events.OrderNotSent: self._order_not_sent,
            events.OutcomeUnknown: self._outcome_unknown,
            events.LookUpMissed: self._look_up_missed,
            events.NeverArrived: self._never_arrived,
            events.OrderSeen: self._order_seen,
            events.UpdateReceived: self._update_received,
            events.ActivityReceived: self._activity_received,
            events.ActivityPresumed: self._activity_presumed,
            events.CancelRequested: self._cancel_requested,
            events.CancelRefused: self._cancel_refused,
            events.TradingStateChanged: self._trading_state_changed,
            events.Reconciled: self._reconciled,
            events.OrderSettled: self._order_settled,
            events.PositionAdopted: self._position_adopted,
            events.Anomaly: self._anomaly_recorded,
        }

    def take_over(
        self,
        store: Store,
        memory: Memory,
        records: list[OrderRecord],
        strategies: StrategyBook,
        fills: FillWitnesses,
        moves: PresumedMoves,
    ) -> None:
        """Become the desk whose durable parts these are (see `gammaray.desk.state`)."""
        self.store, self.memory, self.records = store, memory, records
        self.strategies, self.fills, self.moves = strategies, fills, moves
        self.by_client_id = {record.client_order_id: record for record in records}
        self.working = {record.row: record for record in records if not self.order_state(record).is_terminal}
        self.unconfirmed = {record.row: record for record in records if not record.confirmed}
        self._seen_executions = set(memory.executions)
        self._seen_activities = set(memory.activities)
        self._stale = True

    # ---- deciding

    def decide(self, signal: Signal, now_ns: int) -> events.OrderIntended | events.OrderDenied:
        """Check a signal against every limit at a time. The event returned must be handled (and journaled) before the next decision."""
        client_order_id = f"{self.memory.order_prefix}-{self.store.orders + 1:06d}"

        def denied(rule: Rule, limit: int, value: int, subject: str = "") -> events.OrderDenied:
            return events.OrderDenied(now_ns, client_order_id, signal, rule.value, limit, value, subject)

        request = signal.to_order(client_order_id)
        unknown = self._register(request)
        if unknown:
            return denied(Rule.UNKNOWN_SYMBOL, 0, 0, unknown)
        if not self.open_sessions.get(signal.underlying, False):
            return denied(Rule.SESSION_CLOSED, 0, 0, signal.underlying)
        twin = self._twin(signal)
        if twin is not None:
            return denied(Rule.DUPLICATE_INTENT, 0, self.order_state(twin), twin.client_order_id)
        crossing = self._would_trade_with(request)
        if crossing is not None:
            return denied(Rule.SELF_TRADE, 0, crossing.limit_price or 0, crossing.client_order_id)
        self.refresh()
        gate = self._gate
        if gate.check(self.store, self._limit_row, signal.legs, signal.qty, signal.limit_price, signal.purpose, now_ns):
            return denied(*gate.denial(self.store))
        return events.OrderIntended(
            now_ns,
            client_order_id,
            signal,
            tuple(closes(leg, signal.purpose) for leg in signal.legs),
            Reservation(*gate.reserved()),
        )

    def _register(self, request: OrderRequest) -> str:
        """Give rows to the symbols of an order; returns the first symbol that is none, and then none has a new row."""
        if all(self.store.find(leg.symbol) is not None for leg in request.legs):
            return ""
        for leg in request.legs:
            try:
                terms(leg.symbol)
            except ValueError:
                return leg.symbol
        known = len(self.store.symbols)
        for leg in request.legs:
            self.store.row(leg.symbol)
        self._stale = True
        self.quote_new_symbols(self.store.symbols[known:])
        return ""

    def _twin(self, signal: Signal) -> OrderRecord | None:
        probe = OrderRecord("", -1, signal, signal.legs, signal.qty, signal.limit_price).intent()
        for record in self.working.values():
            if record.signal.position_id == signal.position_id and record.intent() == probe:
                return record
        return None

    def _would_trade_with(self, request: OrderRequest) -> OrderRecord | None:
        """A simple working order of ours on the other side that this simple order would meet."""
        if request.is_package:
            return None
        leg = request.legs[0]
        row = self.store.find(leg.symbol)
        opposite = self.store.book.positions[row]["working_sell" if leg.side.sign > 0 else "working_buy"]
        if opposite == 0:
            return None
        for record in self.working.values():
            other = record.legs[0]
            if record.is_package or other.symbol != leg.symbol or other.side is leg.side:
                continue
            mine, theirs = request.limit_price, record.limit_price
            if mine is None or theirs is None or (mine - theirs) * leg.side.sign >= 0:
                return record
        return None

    def refresh(self) -> None:
        """Bring values, greeks, margin and the limits in force up to date."""
        if not self._stale:
            return
        store = self.store
        equity = int(revalue(store.book, len(store.symbols), len(store.underlying_names)))
        self._limit_row = self.limits.in_force(equity, int(store.book.account[0]["start_of_day_equity"]))
        self._stale = False

    def market_changed(self) -> None:
        """Quotes or marks changed: what depends on them is recomputed when next asked for."""
        self._stale = True

    @property
    def equity(self) -> int:
        """Cash plus marks, micro-dollars."""
        self.refresh()
        return int(self.store.book.valuation[0]["equity"])

    @property
    def trading_state(self) -> TradingState:
        """What the desk may do."""
        return TRADING_STATES[int(self.store.book.account[0]["trading_state"])]

    def order_state(self, record: OrderRecord) -> OrderState:
        """State of an order."""
        return OrderState(int(self.store.book.orders[record.row]["state"]))

    def unknown_orders(self) -> list[OrderRecord]:
        """Orders that may or may not be at the venue."""
        return [record for record in self.working.values() if record.unknown]

    def breach(self, now_ns: int) -> events.TradingStateChanged | None:
        """The stricter trading state that the day's loss calls for, if it does."""
        self.refresh()
        account = self.store.book.account[0]
        start = int(account["start_of_day_equity"])
        if start <= 0 or int(self.store.book.valuation[0]["unmarked"]):
            return None
        loss = start - self.equity
        for state, fraction in (
            (TradingState.HALTED, self.limits.halt_daily_loss),
            (TradingState.REDUCING, self.limits.max_daily_loss),
        ):
            limit = start * round(fraction * 1_000_000) // 1_000_000
            if loss >= limit and TRADING_STATES.index(state) > int(account["trading_state"]):
                reason = f"loss of the day {format_dollars(loss)} reaches {format_dollars(limit)}"
                return events.TradingStateChanged(now_ns, state, "rule:daily_loss", reason)
        return None

    # ---- handling

    def handle(self, event: Event) -> list[Command]:
        """Apply an event; returns what is to be done outside, once the event is durable."""
        self.memory.last_ts_ns = max(self.memory.last_ts_ns, event.ts_ns)
        return self._handlers[type(event)](event)

    def _desk_opened(self, event: events.DeskOpened) -> list[Command]:
        self.memory.account = event.account
        self.memory.order_prefix = event.order_prefix
        self.memory.first_activity_id = event.last_activity_id
        self.memory.reconciled_ns = event.ts_ns
        self.store.book.account[0]["cash"] = event.cash
        for position in event.positions:
            self._move(position.symbol, position.signed_qty, position.price)
        return []

    def _day_started(self, event: events.DayStarted) -> list[Command]:
        self.memory.day = event.day
        self.store.book.account[0]["start_of_day_equity"] = event.equity
        self._stale = True
        return []

    def _day_ended(self, event: events.DayEnded) -> list[Command]:
        self.memory.closing_equity = event.equity
        return []

    def _new_record(self, client_order_id: str, signal: Signal, ts_ns: int, qty: int, limit: int | None) -> OrderRecord:
        row = self.store.new_order()
        record = OrderRecord(client_order_id, row, signal, signal.legs, qty, limit)
        order = self.store.book.orders[row]
        order["purpose"] = _PURPOSES.index(signal.purpose)
        order["qty"] = qty
        order["has_limit"] = limit is not None
        order["limit_price"] = limit or 0
        order["intended_ns"] = ts_ns
        order["updated_ns"] = ts_ns
        self.records.append(record)
        self.unconfirmed[row] = record
        self.by_client_id[client_order_id] = record
        return record

    def _place(self, record: OrderRecord, closing: tuple[bool, ...], reserved: Reservation) -> None:
        rows = [self.store.row(leg.symbol) for leg in record.legs]
        order = self.store.book.orders[record.row]
        order["legs"] = len(rows)
        order["underlying"] = self.store.book.instruments[rows[0]]["underlying"]
        for k, leg in enumerate(record.legs):
            order["leg_instrument"][k] = rows[k]
            order["leg_ratio"][k] = leg.side.sign * leg.ratio_qty
            order["leg_closes"][k] = closing[k]
        order["reserved"] = (reserved.funds, reserved.loss, reserved.delta, reserved.gamma, reserved.vega)

    def _order_intended(self, event: events.OrderIntended) -> list[Command]:
        signal = event.signal
        record = self._new_record(event.client_order_id, signal, event.ts_ns, signal.qty, signal.limit_price)
        self._place(record, event.closes, event.reserved)
        self._spend_rate(event.ts_ns)
        self._step(record, OrderEvent.SUBMIT, event.ts_ns)
        return [commands.SendOrder(signal.to_order(event.client_order_id))]

    def _spend_rate(self, ts_ns: int) -> None:
        account = self.store.book.account[0]
        level = rate_level(int(account["rate_level_ns"]), int(account["rate_ts_ns"]), ts_ns)
        account["rate_level_ns"] = level + MINUTE_NS // self.limits.max_orders_per_minute
        account["rate_ts_ns"] = ts_ns

    def _order_denied(self, event: events.OrderDenied) -> list[Command]:
        signal = event.signal
        record = self._new_record(event.client_order_id, signal, event.ts_ns, signal.qty, signal.limit_price)
        self._register(signal.to_order(event.client_order_id))
        record.unknown = False
        record.reason = event.rule
        self.memory.denials[event.rule] = self.memory.denials.get(event.rule, 0) + 1
        return self._step(record, OrderEvent.DENY, event.ts_ns)

    def _replace_intended(self, event: events.ReplaceIntended) -> list[Command]:
        old = self.by_client_id[event.client_order_id]
        record = self._new_record(event.new_client_order_id, old.signal, event.ts_ns, event.qty, event.limit_price)
        record.replaces = old.client_order_id
        order = self.store.book.orders[old.row]
        self._place(record, tuple(bool(order["leg_closes"][k]) for k in range(len(old.legs))), event.reserved)
        self._spend_rate(event.ts_ns)
        found = self._step(old, OrderEvent.REQUEST_REPLACE, event.ts_ns)
        self._step(record, OrderEvent.SUBMIT, event.ts_ns)
        replace = commands.SendReplace(
            old.client_order_id, old.venue_order_id, event.new_client_order_id, event.qty, event.limit_price
        )
        return [*found, replace]

    def _step(self, record: OrderRecord, event: OrderEvent, ts_ns: int) -> list[Command]:
        """One step of the table; an illegal pair changes nothing and is to be recorded."""
        before = self.order_state(record)
        state = step(self.store.book, _TABLE, _TERMINAL, record.row, int(event), ts_ns)
        if state < 0:
            return self._wrong(
                ts_ns, "illegal_transition", f"{event.name} in state {before.name}", record.client_order_id
            )
        if OrderState(state).is_terminal:
            self.working.pop(record.row, None)
            if state in (OrderState.FILLED, OrderState.REJECTED, OrderState.DENIED):
                self._confirm(record)
        elif record.row not in self.working:
            late = bool(self.working) and record.row < next(reversed(self.working))
            self.working[record.row] = record
            if late:
                self.working = dict(sorted(self.working.items()))
        return []

    def _confirm(self, record: OrderRecord) -> None:
        record.confirmed = True
        self.unconfirmed.pop(record.row, None)

    def _wrong(self, ts_ns: int, what: str, detail: str, client_order_id: str = "") -> list[Command]:
        return [commands.Record(events.Anomaly(ts_ns, what, detail, client_order_id))]

    def _known(self, client_order_id: str, ts_ns: int) -> OrderRecord | list[Command]:
        record = self.by_client_id.get(client_order_id)
        if record is None:
            return self._wrong(ts_ns, "unknown_order", "no such order of ours", client_order_id)
        return record

    def _order_refused(self, event: events.OrderRefused) -> list[Command]:
        record = self.by_client_id[event.client_order_id]
        record.unknown = False
        record.reason = f"{event.message} (HTTP {event.status}, code {event.code})"
        return self._step(record, OrderEvent.REJECT, event.ts_ns) + self._unreplace(record, event.ts_ns)

    def _order_not_sent(self, event: events.OrderNotSent) -> list[Command]:
        record = self.by_client_id[event.client_order_id]
        record.unknown = False
        record.reason = event.reason
        return self._step(record, OrderEvent.NOT_SENT, event.ts_ns) + self._unreplace(record, event.ts_ns)

    def _unreplace(self, record: OrderRecord, ts_ns: int) -> list[Command]:
        """A replacement that came to nothing leaves the old order working."""
        if not record.replaces:
            return []
        return self._step(self.by_client_id[record.replaces], OrderEvent.REFUSE_REPLACE, ts_ns)

    def _outcome_unknown(self, event: events.OutcomeUnknown) -> list[Command]:
        record = self.by_client_id[event.client_order_id]
        record.reason = event.reason
        return [commands.LookUp(event.client_order_id)] if record.unknown else []

    def _look_up_missed(self, event: events.LookUpMissed) -> list[Command]:
        self.by_client_id[event.client_order_id].misses += 1
        return []

    def _never_arrived(self, event: events.NeverArrived) -> list[Command]:
        record = self.by_client_id[event.client_order_id]
        record.unknown = False
        return self._step(record, OrderEvent.NOT_SENT, event.ts_ns) + self._unreplace(record, event.ts_ns)

    def _acknowledged(self, record: OrderRecord, venue_order_id: str) -> list[Command]:
        """The venue has the order: remember its id, and cancel it if that was wanted or if we had given it up."""
        record.unknown = False
        fresh = venue_order_id and not record.venue_order_id
        if venue_order_id:
            record.venue_order_id = venue_order_id
            self.memory.venue_ids[venue_order_id] = record.client_order_id
        if fresh and (record.cancel_wanted or self.order_state(record) is OrderState.DENIED):
            return [commands.SendCancel(record.client_order_id, venue_order_id)]
        return []

    def _order_seen(self, event: events.OrderSeen) -> list[Command]:
        order = event.order
        record = self.by_client_id.get(order.client_order_id)
        if record is None:
            self.memory.external_orders[order.venue_order_id] = order.status
            return []
        for leg_id in order.legs:
            if not is_occ(leg_id):
                self.memory.venue_ids[leg_id] = record.client_order_id
        found = self._acknowledged(record, order.venue_order_id)
        record.venue_status = order.status
        record.venue_filled_qty = order.filled_qty
        meaning = STATUS_EVENTS.get(order.status)
        if meaning is None:
            return found + self._wrong(event.ts_ns, "unknown_status", order.status, order.client_order_id)
        if meaning is not OrderEvent.ACKNOWLEDGE or self.order_state(record) in (
            OrderState.SUBMITTED,
            OrderState.DENIED,
        ):
            found += self._step(record, meaning, event.ts_ns)
        found += self._claim_orphans(record, event.ts_ns)
        if order.filled_qty > int(self.store.book.orders[record.row]["filled_qty"]):
            found.append(commands.Backfill(f"fills of {order.client_order_id} are missing"))
        elif self.order_state(record).is_terminal and meaning in ENDS:
            self._confirm(record)
        return found

    def _claim_orphans(self, record: OrderRecord, ts_ns: int) -> list[Command]:
        """Fills that the ledger has without an order, and of which the venue says now that this order had as many."""
        found: list[Command] = []
        order = self.store.book.orders[record.row]
        for k, leg in enumerate(record.legs):
            missing = record.venue_filled_qty * leg.ratio_qty - int(order["leg_filled"][k])
            if missing > 0 and self.fills.orphans:
                for orphan in self.fills.claim_up_to(leg.symbol, missing * leg.side.sign):
                    found += self._attribute(
                        record, orphan.symbol, orphan.signed_qty, orphan.price, ts_ns, ledger=False
                    )
        return found

    def is_news(self, order: VenueOrder) -> bool:
        """Whether the venue's picture of an order says anything that we have not heard."""
        record = self.by_client_id.get(order.client_order_id)
        if record is None:
            return self.memory.external_orders.get(order.venue_order_id) != order.status
        return (
            record.unknown
            or record.venue_order_id != order.venue_order_id
            or record.venue_status != order.status
            or record.venue_filled_qty != order.filled_qty
        )

    def _order_settled(self, event: events.OrderSettled) -> list[Command]:
        record = self.by_client_id[event.client_order_id]
        order = self.store.book.orders[record.row]
        if order["holds"]:
            hold(self.store.book, record.row, -1)
        for k in range(len(record.legs)):
            order["leg_filled"][k] = abs(int(order["leg_ratio"][k])) * event.filled_qty
        order["filled_qty"] = event.filled_qty
        if order["holds"]:
            hold(self.store.book, record.row, 1)
        complete = event.filled_qty == int(order["qty"])
        return self._step(record, OrderEvent.FILL_ALL if complete else OrderEvent.FILL_PART, event.ts_ns)

    def _update_received(self, event: events.UpdateReceived) -> list[Command]:
        update = event.update
        record = self.by_client_id.get(update.client_order_id)
        found: list[Command] = []
        if record is not None:
            found += self._acknowledged(record, update.venue_order_id)
        else:
            self.memory.external_orders[update.venue_order_id] = update.kind.value
        for execution in update.executions:
            found += self._execution(record, execution, update.ts_ns)
        if record is None:
            return found
        if update.reason:
            record.reason = update.reason
        meaning = UPDATE_EVENTS[update.kind]
        if meaning is not None:
            found += self._step(record, meaning, event.ts_ns)
        elif not update.executions:
            found.append(commands.Backfill(f"fill of {update.client_order_id} came without executions"))
        return found

    # ---- ledger

    def _execution(self, record: OrderRecord | None, execution: Execution, ts_ns: int) -> list[Command]:
        """A fill on the stream: once by its execution id, and not if an activity brought it before."""
        if execution.execution_id:
            if execution.execution_id in self._seen_executions:
                return []
            self._seen_executions.add(execution.execution_id)
            self.memory.executions.append(execution.execution_id)
        symbol, qty, price = execution.symbol, execution.signed_qty, execution.price
        if self.fills.on_stream(symbol, qty, price):
            return self._apply_fill(record, symbol, qty, price, ts_ns)
        if record is not None and self.fills.claim(symbol, qty, price):
            return self._attribute(record, symbol, qty, price, ts_ns, ledger=False)
        return []

    def _apply_fill(self, record: OrderRecord | None, symbol: str, qty: int, price: int, ts_ns: int) -> list[Command]:
        self._stale = True
        if record is not None and any(leg.symbol == symbol for leg in record.legs):
            return self._attribute(record, symbol, qty, price, ts_ns, ledger=True)
        self.fills.orphans.append(Orphan(symbol, qty, price))
        self.memory.external_fills += 1
        row = self.store.row(symbol)
        self.store.reserve_lots()
        apply_fill(self.store.book, row, qty, price)
        return []

    def _attribute(
        self, record: OrderRecord, symbol: str, qty: int, price: int, ts_ns: int, *, ledger: bool
    ) -> list[Command]:
        """Book a fill to one of our orders; `ledger` False where the ledger has it already."""
        leg = next(k for k, one in enumerate(record.legs) if one.symbol == symbol)
        self.store.reserve_lots()
        book = self.store.book
        if not ledger:
            self.memory.external_fills -= 1
        over = fill_leg(book, record.row, leg, qty, price, ledger)
        self._stale = True
        amount = qty * price * self._multiplier(symbol)
        signal = record.signal
        self.strategies.fill(signal.position_id, signal.strategy, signal.underlying, symbol, qty, amount, ts_ns)
        order = book.orders[record.row]
        found: list[Command] = []
        if over:
            found += self._wrong(ts_ns, "overfill", f"{symbol}: {over} more than ordered", record.client_order_id)
            return found
        complete = order["filled_qty"] == order["qty"]
        return self._step(record, OrderEvent.FILL_ALL if complete else OrderEvent.FILL_PART, ts_ns)

    def _multiplier(self, symbol: str) -> int:
        return int(self.store.book.instruments[self.store.row(symbol)]["multiplier"])

    def _move(self, symbol: str, qty: int, price: int) -> None:
        row = self.store.row(symbol)
        self.store.reserve_lots()
        if qty:
            change_position(self.store.book, row, qty, price)
        self._stale = True

    def _activity_received(self, event: events.ActivityReceived) -> list[Command]:
        activity = event.activity
        if not self.is_new_activity(activity):
            return []
        self._seen_activities.add(activity.activity_id)
        self.memory.activities.append(activity.activity_id)
        if activity.kind is ActivityKind.FILL:
            return self._fill_activity(activity)
        rest = self.moves.rest_of(_move_key(activity), activity.signed_qty) if activity.symbol else 0
        if activity.signed_qty == 0 or rest == activity.signed_qty:
            self._apply_move(activity)
        elif rest:
            part = activity.net_amount * rest // activity.signed_qty
            self._apply_move(replace(activity, signed_qty=rest, net_amount=part))
        return []

    def is_new_activity(self, activity: Activity) -> bool:
        """Whether a row is neither booked yet nor part of what the account held when the journal began."""
        return (
            activity.activity_id > self.memory.first_activity_id and activity.activity_id not in self._seen_activities
        )

    def _activity_presumed(self, event: events.ActivityPresumed) -> list[Command]:
        self.moves.presume(_move_key(event.activity), event.activity.signed_qty)
        self._apply_move(event.activity)
        return []

    def _fill_activity(self, activity: Activity) -> list[Command]:
        if not self.fills.in_activities(activity.symbol, activity.signed_qty, activity.price):
            return []
        client_order_id = self.memory.venue_ids.get(activity.order_id, "")
        record = self.by_client_id.get(client_order_id) or self._missing_fill_of(activity)
        return self._apply_fill(record, activity.symbol, activity.signed_qty, activity.price, activity.ts_ns)

    def _missing_fill_of(self, activity: Activity) -> OrderRecord | None:
        """The oldest order of ours of which the venue says that more is filled than we know, and which this fill would fit."""
        for record in self.records:
            order = self.store.book.orders[record.row]
            for k, leg in enumerate(record.legs):
                if leg.symbol != activity.symbol or leg.side.sign * activity.signed_qty <= 0 or order["legs"] == 0:
                    continue
                if order["leg_filled"][k] + abs(activity.signed_qty) <= record.venue_filled_qty * leg.ratio_qty:
                    return record
        return None

    def _apply_move(self, activity: Activity) -> None:
        """An activity that is no fill: quantities at the stated price (options leave at zero), cash by its net amount."""
        account = self.store.book.account[0]
        account["cash"] += activity.net_amount
        self._stale = True
        if activity.kind is ActivityKind.FEE:
            account["fees"] -= activity.net_amount
        elif activity.kind in (ActivityKind.DIVIDEND, ActivityKind.CASH):
            account["income"] += activity.net_amount
        elif activity.symbol:
            self._move(activity.symbol, activity.signed_qty, activity.price)
            if is_occ(activity.symbol) and activity.signed_qty:
                contract = parse_occ(activity.symbol)
                shares = 0
                if activity.kind is not ActivityKind.EXPIRY:
                    shares = activity.signed_qty * contract.multiplier * (-1 if contract.is_call else 1)
                self.strategies.expire(
                    activity.symbol, activity.signed_qty, contract.underlying, shares, contract.strike_micros
                )

    # ---- cancels, states, reconciliation

    def _cancel_requested(self, event: events.CancelRequested) -> list[Command]:
        record = self._known(event.client_order_id, event.ts_ns)
        if isinstance(record, list):
            return record
        found = self._step(record, OrderEvent.REQUEST_CANCEL, event.ts_ns)
        if self.order_state(record).is_terminal:
            return found
        record.cancel_wanted = True
        if record.venue_order_id:
            return [*found, commands.SendCancel(record.client_order_id, record.venue_order_id)]
        return [*found, commands.LookUp(record.client_order_id)]

    def _cancel_refused(self, event: events.CancelRefused) -> list[Command]:
        record = self.by_client_id[event.client_order_id]
        record.cancel_wanted = False
        found = self._step(record, OrderEvent.REFUSE_CANCEL, event.ts_ns)
        return [*found, commands.LookUp(event.client_order_id)]

    def _trading_state_changed(self, event: events.TradingStateChanged) -> list[Command]:
        self.store.book.account[0]["trading_state"] = TRADING_STATES.index(event.state)
        return []

    def _reconciled(self, event: events.Reconciled) -> list[Command]:
        self.memory.reconciled_ns = event.ts_ns
        self.memory.differences += sum(not difference.resolved for difference in event.differences)
        return []

    def _position_adopted(self, event: events.PositionAdopted) -> list[Command]:
        row = self.store.row(event.symbol)
        change = event.signed_qty - int(self.store.book.positions[row]["qty"])
        self._move(event.symbol, change, event.price)
        self.store.book.account[0]["cash"] += event.cash_change
        return []

    def _anomaly_recorded(self, event: events.Anomaly) -> list[Command]:
        self.memory.anomalies += 1
        return []


def _move_key(activity: Activity) -> str:
    return f"{activity.kind.value}|{activity.symbol}|{activity.price}"
