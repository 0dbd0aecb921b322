"""The desk at work: journal in front, venue behind, and the books compared. One thread owns a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gammaray.desk import events
from gammaray.desk.books import TRADING_STATES
from gammaray.desk.courier import Courier
from gammaray.desk.desk import Desk
from gammaray.desk.intake import Intake, SessionSettings
from gammaray.desk.limits import RiskLimits
from gammaray.desk.marks import Marks
from gammaray.desk.picture import book_view, totals
from gammaray.desk.reconciler import Reconciler
from gammaray.desk.reconciliation import ReconciliationReport
from gammaray.desk.view import BookView
from gammaray.desk.writer import Writer
from gammaray.market.snapshot import ChainSnapshot
from gammaray.operations.errors import MustHalt
from gammaray.storage.journal import Journal
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, Clock, to_datetime
from gammaray.types.orders import OrderState
from gammaray.types.signals import Purpose, Signal, TradingState
from gammaray.venues.protocol import TradingVenue


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a signal. A denial names the rule, its limit and the value; `state` is the order's at the return of the call."""

    accepted: bool
    client_order_id: str
    state: OrderState
    rule: str = ""
    limit: int = 0
    value: int = 0
    subject: str = ""
    reason: str = ""


class DeskSession:
    """Drives one desk. Every event is durable before the commands that follow from it leave.

    `order_prefix` starts every client_order_id and must never be used again on the account; by default it is made from the market
    time at which the journal begins. After an exception from the journal the session is void: make a new one, which replays.
    """

    def __init__(
        self,
        journal: Journal,
        venue: TradingVenue,
        limits: RiskLimits,
        clock: Clock,
        account: str,
        *,
        order_prefix: str = "",
        settings: SessionSettings | None = None,
    ) -> None:
        settings = settings or SessionSettings()
        self.journal = journal
        self.venue = venue
        self.clock = clock
        self.account = account
        self._limits = limits
        self._order_prefix = order_prefix
        self._courier = Courier(venue, clock)
        self._writer = Writer(
            journal, self._courier, snapshot_every=settings.snapshot_every, lookup_misses=settings.lookup_misses
        )
        self._intake = Intake(self._writer, self._courier, venue, clock, settings)
        self._reconciler = Reconciler(self._writer, self._intake, venue, clock, settings)
        self.marks = Marks(self._writer.desk)

    @property
    def desk(self) -> Desk:
        """The state machine."""
        return self._writer.desk

    # ---- life

    def start(self) -> ReconciliationReport:
        """Take the journal over, replay it (or open it with what the account holds), and reconcile with the venue.

        Raises JournalError, Fenced, VenueError when journal or venue cannot be used now, MustHalt when the journal is another account's.
        """
        self._writer.take_over()
        self.marks = Marks(self.desk)
        if not self._writer.sequence:
            self._open()
        elif self.desk.books.memory.account != self.account:
            raise MustHalt(f"account: the journal is of {self.desk.books.memory.account!r}, not {self.account!r}")
        if self.desk.books.limits != self._limits:
            self.set_limits(self._limits, "settings")
        for record in self.desk.books.working.values():
            if record.cancel_wanted and record.venue_order_id:
                self._courier.failed_cancels[record.client_order_id] = record.venue_order_id
        return self.reconcile("start")

    def _open(self) -> None:
        """The first entry: positions, cash and the last activity in them, read until two readings agree."""
        now_ns = self.clock.now_ns()
        after_id = self._intake.lookback_id()
        newest = None
        while True:
            before = newest
            self.venue.drain_updates()
            held = sorted(self.venue.positions(), key=lambda one: one.symbol)
            cash = self.venue.account().cash
            newest = max((row.activity_id for row in self.venue.activities(after_id=after_id)), default="")
            if newest == before:
                break
        self._writer.run(
            events.DeskOpened(
                now_ns,
                self.account,
                self._order_prefix or f"gr{now_ns // NANOS:x}",
                cash,
                tuple(events.OpeningPosition(one.symbol, one.signed_qty, one.avg_entry_price) for one in held),
                newest,
            )
        )

    def close(self) -> None:
        """Keep a snapshot for a quick start. The journal stays open; it belongs to the caller."""
        self._writer.save_snapshot()

    # ---- market

    def on_market(self, snapshots: Mapping[str, ChainSnapshot] | Iterable[ChainSnapshot]) -> None:
        """Take over quotes, marks and greeks; start the day with its first open snapshot; act on the day's loss."""
        self._writer.check()
        chains = snapshots.values() if isinstance(snapshots, Mapping) else snapshots
        opened = False
        for chain in chains:
            self.marks.update(chain)
            opened = opened or chain.session_open
        now_ns = self.clock.now_ns()
        memory = self.desk.books.memory
        day = to_datetime(now_ns).astimezone(NEW_YORK).date().isoformat()
        if opened and day != memory.day:
            self._writer.run(events.DayStarted(now_ns, day, memory.closing_equity or self.desk.equity))
        breach = self.desk.decisions.breach(now_ns)
        if breach is not None:
            self._change_state(breach)

    # ---- orders

    def submit(self, signal: Signal) -> Decision:
        """Check a signal and, when it passes, journal it and send it. Raises ValueError for a signal that is no order at all."""
        self._writer.check()
        event = self.desk.decide(signal, self.clock.now_ns())
        self._writer.run(event)
        return self._decision(event.client_order_id, event)

    def check(self, signal: Signal) -> Decision:
        """What `submit` would decide now; nothing is sent, journaled or remembered."""
        self._writer.check()
        desk = self.desk
        if any(desk.store.find(leg.symbol) is None for leg in signal.legs):
            # Symbols that appear for the first time would get rows: decide on a copy.
            desk = Desk.restored(desk.snapshot())
            copied = Marks(desk)
            for chain in self.marks.newest:
                copied.update(chain)
        event = desk.decide(signal, self.clock.now_ns())
        if isinstance(event, events.OrderIntended):
            return Decision(True, "", OrderState.INITIALIZED)
        return Decision(False, "", OrderState.DENIED, event.rule, event.limit, event.value, event.subject)

    def replace(self, client_order_id: str, *, qty: int | None = None, limit_price: int | None = None) -> Decision:
        """Ask for a working order with another quantity or limit in place of this one.

        Raises KeyError for an id that is not ours, ValueError when nothing changes, the quantity is filled already, or the order is
        not in a state that can be replaced.
        """
        self._writer.check()
        record = self.desk.books.by_client_id[client_order_id]
        state = self.desk.order_state(record)
        if state not in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED) or not record.venue_order_id:
            raise ValueError(f"client_order_id: cannot replace an order in state {state.name}")
        new_qty = record.qty if qty is None else qty
        new_limit = record.limit_price if limit_price is None else limit_price
        if (new_qty, new_limit) == (record.qty, record.limit_price):
            raise ValueError("qty, limit_price: nothing would change")
        filled = int(self.desk.store.book.orders[record.row]["filled_qty"])
        if new_qty <= filled:
            raise ValueError(f"qty: must be above the {filled} that are filled, was {new_qty}")
        event = self.desk.decisions.decide_replace(record, new_qty, new_limit, self.clock.now_ns())
        if isinstance(event, tuple):
            rule, limit, value, subject = event
            return Decision(False, client_order_id, state, rule.value, limit, value, subject)
        self._writer.run(event)
        return self._decision(event.new_client_order_id)

    def _decision(
        self, client_order_id: str, event: events.OrderIntended | events.OrderDenied | None = None
    ) -> Decision:
        record = self.desk.books.by_client_id[client_order_id]
        state = self.desk.order_state(record)
        if isinstance(event, events.OrderDenied):
            return Decision(False, client_order_id, state, event.rule, event.limit, event.value, event.subject)
        came_to_nothing = state in (OrderState.DENIED, OrderState.REJECTED)
        return Decision(not came_to_nothing, client_order_id, state, reason=record.reason)

    def cancel(self, client_order_id: str, by: str = "strategy") -> None:
        """Ask for a cancel; always passes. Raises KeyError for an id that is not ours."""
        if client_order_id not in self.desk.books.by_client_id:
            raise KeyError(client_order_id)
        self._writer.run(events.CancelRequested(self.clock.now_ns(), client_order_id, by))

    def cancel_all(self, by: str, *, only: Purpose | None = None) -> int:
        """Ask for a cancel of every working order (of one purpose); returns how many."""
        wanted = [
            record.client_order_id
            for record in self.desk.books.working.values()
            if not record.cancel_wanted and (only is None or record.signal.purpose is only)
        ]
        for client_order_id in wanted:
            self._writer.run(events.CancelRequested(self.clock.now_ns(), client_order_id, by))
        return len(wanted)

    # ---- what may be done

    def set_limits(self, limits: RiskLimits, by: str) -> None:
        """Put other limits in force, from the next decision on."""
        self._writer.run(events.LimitsSet(self.clock.now_ns(), limits, by))

    def set_trading_state(self, state: TradingState, by: str, reason: str) -> None:
        """Change what the desk may do, by hand. Raises ValueError without a name or a reason."""
        _require_person(by)
        if not reason:
            raise ValueError("reason: must not be empty")
        self._change_state(events.TradingStateChanged(self.clock.now_ns(), state, by, reason))

    def _change_state(self, event: events.TradingStateChanged) -> None:
        """HALTED cancels everything that works, REDUCING what would open risk."""
        self._writer.run(event)
        if event.state is TradingState.HALTED:
            self.cancel_all(event.by)
        elif event.state is TradingState.REDUCING:
            self.cancel_all(event.by, only=Purpose.OPEN)

    def adopt_position(self, symbol: str, signed_qty: int, price: int, cash_change: int, by: str) -> None:
        """Take the venue's figures over after a difference that no rule explains. Only a person may; raises ValueError without a name."""
        _require_person(by)
        self._writer.run(events.PositionAdopted(self.clock.now_ns(), symbol, signed_qty, price, cash_change, by))

    # ---- the venue

    def pump(self, *, backfill: bool = False) -> int:
        """Take over what the stream brought, chase open questions, and fetch by REST what the stream may have missed.

        Returns the number of events journaled. Trouble with the venue is counted in `totals`, never raised.
        """
        self._writer.check()
        before = self._writer.sequence
        # Asked first: what is lost after this call is found by the next.
        gap = self.venue.stream_gap()
        self._intake.drain()
        self._intake.chase()
        self._intake.catch_up(wanted=backfill or gap)
        return self._writer.sequence - before

    def reconcile(self, cause: str = "asked") -> ReconciliationReport:
        """Compare orders, positions and cash with the venue's, repair what a rule allows, journal the outcome.

        What no rule explains puts the desk into REDUCING. Raises VenueError when the venue cannot be read.
        """
        self._writer.check()
        report = self._reconciler.reconcile(cause)
        index = TRADING_STATES.index(self.desk.trading_state)
        if not report.clean and index < TRADING_STATES.index(TradingState.REDUCING):
            first = report.unresolved[0]
            reason = f"{first.kind.value} {first.subject}: ours {first.ours}, theirs {first.theirs}"
            self._change_state(
                events.TradingStateChanged(self.clock.now_ns(), TradingState.REDUCING, "rule:reconciliation", reason)
            )
        return report

    def end_of_session(self) -> int:
        """After the close: the last news, the day's equity in the journal, a snapshot. Returns the equity in micro-dollars."""
        self.pump(backfill=True)
        equity = self.desk.equity
        self._writer.run(events.DayEnded(self.clock.now_ns(), self.desk.books.memory.day, equity))
        self._writer.save_snapshot()
        return equity

    # ---- pictures

    def book(self) -> BookView:
        """The book as strategies see it."""
        return book_view(self.desk, self.clock.now_ns())

    def totals(self) -> dict[str, Any]:
        """Figures for `summary.json`; money in micro-dollars."""
        return {
            **totals(self.desk),
            "venue_errors": self._intake.venue_errors,
            "journal_entries": self._writer.sequence,
        }


def _require_person(by: str) -> None:
    if not by or by.startswith("rule:"):
        raise ValueError(f"by: expected a person's name, was {by!r}")
