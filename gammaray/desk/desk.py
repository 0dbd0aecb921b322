"""The state machine of one account. No IO, no clock: events in, commands out, and the same events give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gammaray.desk import events
from gammaray.desk.books import TRADING_STATES, Books
from gammaray.desk.commands import Command
from gammaray.desk.decisions import Decisions
from gammaray.desk.events import Event
from gammaray.desk.ledger import Ledger
from gammaray.desk.order_flow import OrderFlow
from gammaray.desk.records import OrderRecord
from gammaray.desk.state import restore_books, snapshot_books
from gammaray.desk.store import Store
from gammaray.types.orders import OrderState
from gammaray.types.signals import Signal, TradingState

_EXTERNAL = (events.DifferenceKind.EXTERNAL_ORDER, events.DifferenceKind.LIQUIDATED)


class Desk:
    """Everything that must agree about one account.

    `decide` turns a signal into the event that passes or denies it; `handle` applies an event. Quotes reach the desk through
    `gammaray.desk.marks`; they are not part of the durable state, and no event depends on them: what a decision took from the
    market is in the event.
    """

    def __init__(self, books: Books | None = None) -> None:
        self.books = books or Books()
        self.ledger = Ledger(self.books)
        self.flow = OrderFlow(self.books, self.ledger)
        self.decisions = Decisions(self.books)
        flow, ledger = self.flow, self.ledger
        self._handlers: dict[type, Callable[[Any], list[Command]]] = {
            events.DeskOpened: ledger.opened,
            events.LimitsSet: self._limits_set,
            events.DayStarted: self._day_started,
            events.DayEnded: self._day_ended,
            events.OrderIntended: flow.intended,
            events.OrderDenied: flow.denied,
            events.ReplaceIntended: flow.replace_intended,
            events.OrderRefused: flow.refused,
            events.OrderNotSent: flow.not_sent,
            events.OutcomeUnknown: flow.outcome_unknown,
            events.LookUpMissed: flow.look_up_missed,
            events.NeverArrived: flow.never_arrived,
            events.OrderSeen: flow.seen,
            events.UpdateReceived: flow.updated,
            events.ActivityReceived: ledger.activity,
            events.ActivityPresumed: ledger.presumed,
            events.CancelRequested: flow.cancel_requested,
            events.CancelRefused: flow.cancel_refused,
            events.TradingStateChanged: self._trading_state_changed,
            events.Reconciled: self._reconciled,
            events.OrderSettled: ledger.settled,
            events.PositionAdopted: ledger.adopted,
            events.Anomaly: self._anomaly_recorded,
        }

    def decide(self, signal: Signal, now_ns: int) -> events.OrderIntended | events.OrderDenied:
        """Check a signal against every limit. The event returned must be handled (and journaled) before the next decision."""
        return self.decisions.decide(signal, now_ns)

    def handle(self, event: Event) -> list[Command]:
        """Apply an event; returns what is to be done outside, once the event is durable."""
        memory = self.books.memory
        memory.last_ts_ns = max(memory.last_ts_ns, event.ts_ns)
        return self._handlers[type(event)](event)

    def snapshot(self) -> bytes:
        """Everything that events have made of the desk, and nothing that depends on quotes. Equal histories give equal bytes."""
        return snapshot_books(self.books)

    @classmethod
    def restored(cls, state: bytes) -> Desk:
        """The desk of a snapshot, without quotes. Raises ValueError when the bytes are none of this version."""
        return cls(restore_books(state))

    # ---- what is asked most

    @property
    def store(self) -> Store:
        """The arrays."""
        return self.books.store

    @property
    def records(self) -> list[OrderRecord]:
        """Every order of ours, oldest first."""
        return self.books.records

    @property
    def equity(self) -> int:
        """Cash plus marks, micro-dollars."""
        self.books.refresh()
        return int(self.store.book.valuation[0]["equity"])

    @property
    def trading_state(self) -> TradingState:
        """What the desk may do."""
        return TRADING_STATES[int(self.store.book.account[0]["trading_state"])]

    def order_state(self, record: OrderRecord) -> OrderState:
        """State of an order."""
        return self.books.order_state(record)

    # ---- days, states, reports

    def _limits_set(self, event: events.LimitsSet) -> list[Command]:
        self.books.memory.limits = event.limits
        self.books.touch()
        return []

    def _day_started(self, event: events.DayStarted) -> list[Command]:
        self.books.memory.day = event.day
        self.store.book.account[0]["start_of_day_equity"] = event.equity
        self.books.touch()
        return []

    def _day_ended(self, event: events.DayEnded) -> list[Command]:
        self.books.memory.closing_equity = event.equity
        return []

    def _trading_state_changed(self, event: events.TradingStateChanged) -> list[Command]:
        self.store.book.account[0]["trading_state"] = TRADING_STATES.index(event.state)
        return []

    def _reconciled(self, event: events.Reconciled) -> list[Command]:
        memory = self.books.memory
        memory.reconciled_ns = event.ts_ns
        memory.differences += sum(not difference.resolved for difference in event.differences)
        memory.external_reported += [one.subject for one in event.differences if one.kind in _EXTERNAL]
        memory.external_fills_reported = memory.external_fills
        return []

    def _anomaly_recorded(self, event: events.Anomaly) -> list[Command]:
        self.books.memory.anomalies += 1
        return []
