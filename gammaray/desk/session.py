"""The desk at work: journal in front, venue behind, and the books compared. One thread owns a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gammaray.desk import commands, events
from gammaray.desk.books import TRADING_STATES
from gammaray.desk.codec import decode, encode
from gammaray.desk.commands import Command
from gammaray.desk.courier import Courier
from gammaray.desk.desk import Desk
from gammaray.desk.events import Difference, DifferenceKind, Event
from gammaray.desk.limits import RiskLimits
from gammaray.desk.marks import Marks
from gammaray.desk.picture import book_view, positions, totals
from gammaray.desk.reconciliation import (
    ReconciliationReport,
    presume_moves,
    presumed_differences,
    price_differences,
    quantity_gaps,
    unexplained,
)
from gammaray.desk.view import BookView
from gammaray.market.snapshot import ChainSnapshot
from gammaray.operations.errors import MustHalt
from gammaray.storage.journal import Journal, Snapshot
from gammaray.types.account import VenueOrder
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, Clock, to_datetime
from gammaray.types.instruments import is_occ, parse_occ
from gammaray.types.orders import OrderState
from gammaray.types.signals import Purpose, Signal, TradingState
from gammaray.venues.protocol import TradingVenue, VenueError

_DAY_NS = 86_400 * NANOS


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How patient a session is.

    lookup_misses, lookup_grace_s: an order whose outcome is unknown counts as never sent when that many look-ups missed it and
    that much market time has passed. activity_lookback_days: rows of non-trade activities appear late, under earlier ids.
    """

    lookup_misses: int = 3
    lookup_grace_s: float = 10.0
    activity_lookback_days: int = 5
    snapshot_every: int = 5_000
    reconcile_attempts: int = 3


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
        self.journal = journal
        self.venue = venue
        self.clock = clock
        self.account = account
        self.limits = limits
        self.settings = settings or SessionSettings()
        self.desk = Desk()
        self.marks = Marks(self.desk)
        self.venue_errors = 0
        self._order_prefix = order_prefix
        self._courier = Courier(venue, clock)
        self._void = ""
        self._sequence = 0
        self._snapshot_at = 0

    # ---- life

    def start(self) -> ReconciliationReport:
        """Take the journal over, replay it (or open it with what the account holds), and reconcile with the venue.

        Raises JournalError, Fenced, VenueError when journal or venue cannot be used now, MustHalt when the journal is another account's.
        """
        self.journal.fence()
        self._replay()
        if not self._sequence:
            self._open()
        elif self.desk.books.memory.account != self.account:
            raise MustHalt(f"account: the journal is of {self.desk.books.memory.account!r}, not {self.account!r}")
        if self.desk.books.limits != self.limits:
            self._run(events.LimitsSet(self.clock.now_ns(), self.limits, "settings"))
        for record in list(self.desk.books.working.values()):
            if record.cancel_wanted and record.venue_order_id:
                self._courier.failed_cancels[record.client_order_id] = record.venue_order_id
        self._courier.backfill_due = True
        return self.reconcile("start")

    def _replay(self) -> None:
        saved = self.journal.load_snapshot()
        after = 0
        if saved is not None:
            self.desk = Desk.restored(saved.state)
            self.marks = Marks(self.desk)
            after = saved.sequence
        self._sequence = self._snapshot_at = after
        for entry in self.journal.read(after):
            self.desk.handle(decode(entry.kind, entry.payload))
            self._sequence = entry.sequence

    def _open(self) -> None:
        """The first entry: positions, cash and the last activity in them, read until two readings agree."""
        now_ns = self.clock.now_ns()
        while True:
            self.venue.drain_updates()
            before = self.venue.activities()
            held = sorted(self.venue.positions(), key=lambda one: one.symbol)
            cash = self.venue.account().cash
            last = max((row.activity_id for row in self.venue.activities()), default="")
            if last == max((row.activity_id for row in before), default=""):
                break
        self._run(
            events.DeskOpened(
                now_ns,
                self.account,
                self._order_prefix or f"gr{now_ns // NANOS:x}",
                cash,
                tuple(events.OpeningPosition(one.symbol, one.signed_qty, one.avg_entry_price) for one in held),
                last,
            )
        )

    def close(self) -> None:
        """Keep a snapshot for a quick start. The journal stays open; it belongs to the caller."""
        self._check()
        self._save_snapshot()

    # ---- market

    def on_market(self, snapshots: Mapping[str, ChainSnapshot] | Iterable[ChainSnapshot]) -> None:
        """Take over quotes, marks and greeks; start the day with its first open snapshot; act on the day's loss."""
        self._check()
        chains = snapshots.values() if isinstance(snapshots, Mapping) else snapshots
        opened = False
        for chain in chains:
            self.marks.update(chain)
            opened = opened or chain.session_open
        now_ns = self.clock.now_ns()
        day = to_datetime(now_ns).astimezone(NEW_YORK).date().isoformat()
        if opened and day != self.desk.books.memory.day:
            self._run(events.DayStarted(now_ns, day, self.desk.books.memory.closing_equity or self.desk.equity))
        breach = self.desk.decisions.breach(now_ns)
        if breach is not None:
            self._change_state(breach)

    # ---- orders

    def submit(self, signal: Signal) -> Decision:
        """Check a signal and, when it passes, journal it and send it. Raises ValueError for a signal that is no order at all."""
        self._check()
        event = self.desk.decide(signal, self.clock.now_ns())
        self._run(event)
        return self._decision(event)

    def check(self, signal: Signal) -> Decision:
        """What `submit` would decide now; nothing is sent, journaled or remembered."""
        self._check()
        desk = self.desk
        if any(desk.store.find(leg.symbol) is None for leg in signal.legs):
            # Unknown symbols would get rows: decide on a copy.
            desk = Desk.restored(desk.snapshot())
            copied = Marks(desk)
            for chain in self.marks.newest:
                copied.update(chain)
        event = desk.decide(signal, self.clock.now_ns())
        if isinstance(event, events.OrderIntended):
            return Decision(True, "", OrderState.INITIALIZED)
        return Decision(False, "", OrderState.DENIED, event.rule, event.limit, event.value, event.subject)

    def _decision(self, event: events.OrderIntended | events.OrderDenied) -> Decision:
        record = self.desk.books.by_client_id[event.client_order_id]
        state = self.desk.order_state(record)
        if isinstance(event, events.OrderDenied):
            return Decision(False, record.client_order_id, state, event.rule, event.limit, event.value, event.subject)
        return Decision(
            state not in (OrderState.DENIED, OrderState.REJECTED), record.client_order_id, state, reason=record.reason
        )

    def cancel(self, client_order_id: str, by: str = "strategy") -> None:
        """Ask for a cancel; always passes. Raises KeyError for an id that is not ours."""
        self._check()
        if client_order_id not in self.desk.books.by_client_id:
            raise KeyError(client_order_id)
        self._run(events.CancelRequested(self.clock.now_ns(), client_order_id, by))

    def cancel_all(self, by: str, *, only: Purpose | None = None) -> int:
        """Ask for a cancel of every working order (of one purpose); returns how many."""
        self._check()
        wanted = [
            record.client_order_id
            for record in self.desk.books.working.values()
            if not record.cancel_wanted and (only is None or record.signal.purpose is only)
        ]
        for client_order_id in wanted:
            self._run(events.CancelRequested(self.clock.now_ns(), client_order_id, by))
        return len(wanted)

    def set_trading_state(self, state: TradingState, by: str, reason: str) -> None:
        """Change what the desk may do, by hand. Raises ValueError without a name or a reason."""
        self._check()
        if not by or by.startswith("rule:"):
            raise ValueError(f"by: expected a person's name, was {by!r}")
        if not reason:
            raise ValueError("reason: must not be empty")
        self._change_state(events.TradingStateChanged(self.clock.now_ns(), state, by, reason))

    def _change_state(self, event: events.TradingStateChanged) -> None:
        self._run(event)
        if event.state is TradingState.HALTED:
            self.cancel_all(event.by)
        elif event.state is TradingState.REDUCING:
            self.cancel_all(event.by, only=Purpose.OPEN)

    def _tighten(self, state: TradingState, rule: str, reason: str) -> None:
        if TRADING_STATES.index(state) > TRADING_STATES.index(self.desk.trading_state):
            self._change_state(events.TradingStateChanged(self.clock.now_ns(), state, f"rule:{rule}", reason))

    # ---- the venue's news

    def pump(self, *, backfill: bool = False) -> int:
        """Take over what the stream brought, chase open questions, and fetch by REST what the stream may have missed.

        Returns the number of events journaled. Trouble with the venue is counted in `venue_errors`, never raised.
        """
        self._check()
        before = self._sequence
        # Asked first: what is lost after this call is found by the next.
        gap = self.venue.stream_gap()
        self._drain()
        self._chase()
        if backfill or gap or self._courier.backfill_due:
            try:
                self._backfill()
            except VenueError:
                self.venue_errors += 1
                self._courier.backfill_due = True
        return self._sequence - before

    def _drain(self) -> None:
        now_ns = self.clock.now_ns()
        self._run(*(events.UpdateReceived(now_ns, update) for update in self.venue.drain_updates()))

    def _chase(self) -> None:
        """Look up orders whose outcome is unknown, and repeat cancels that may not have arrived."""
        for client_order_id, venue_order_id in list(self._courier.failed_cancels.items()):
            record = self.desk.books.by_client_id[client_order_id]
            if self.desk.order_state(record).is_terminal:
                del self._courier.failed_cancels[client_order_id]
            else:
                self._perform([commands.SendCancel(client_order_id, venue_order_id)])
        now_ns = self.clock.now_ns()
        for record in [one for one in self.desk.books.working.values() if one.unknown]:
            waited = now_ns - int(self.desk.store.book.orders[record.row]["intended_ns"])
            if record.misses >= self.settings.lookup_misses and waited >= self.settings.lookup_grace_s * NANOS:
                self._run(events.NeverArrived(now_ns, record.client_order_id))
            else:
                self._perform([commands.LookUp(record.client_order_id)])

    def _backfill(self) -> None:
        """Orders and activities from where we may have missed some."""
        desk = self.desk
        since = desk.books.memory.reconciled_ns
        for record in desk.books.unconfirmed.values():
            since = min(since, int(desk.store.book.orders[record.row]["intended_ns"]))
        # The venue's clock and ours need not agree to the second.
        listed = self.venue.orders(status="all", after_ns=max(0, since - 60 * NANOS))
        rows = self.venue.activities(after_id=self._lookback_id())
        now_ns = self.clock.now_ns()
        self._courier.backfill_due = False
        self._run(*(events.OrderSeen(now_ns, order) for order in listed if desk.flow.is_news(order)))
        self._run(*(events.ActivityReceived(now_ns, row) for row in rows if desk.ledger.is_new(row)))
        self._courier.backfill_due = False

    def _lookback_id(self) -> str:
        """The newest activity id that is old enough for no late row to come before it."""
        memory = self.desk.books.memory
        edge = to_datetime(max(0, memory.last_ts_ns - self.settings.activity_lookback_days * _DAY_NS))
        stamp = f"{edge:%Y%m%d%H%M%S}"
        newest = memory.first_activity_id
        for activity_id in reversed(memory.activities):
            if newest < activity_id < stamp:
                return activity_id
        return newest

    # ---- the books

    def reconcile(self, cause: str = "asked") -> ReconciliationReport:
        """Compare orders, positions and cash with the venue's, repair what a rule allows, journal the outcome.

        A difference must survive `reconcile_attempts` readings, as the venue moves while it is read. Raises VenueError.
        """
        self._check()
        began_ns = self.clock.now_ns()
        external_before = set(self.desk.books.memory.external_orders)
        external_fills = self.desk.books.memory.external_fills
        for _ in range(self.settings.reconcile_attempts):
            self._drain()
            self._chase()
            self._backfill()
            held = self.venue.positions()
            cash = self.venue.account().cash
            ours = {symbol: view.signed_qty for symbol, view in positions(self.desk).items()}
            gaps = quantity_gaps(ours, held)
            our_cash = int(self.desk.store.book.account[0]["cash"])
            if not gaps and cash == our_cash:
                break
        found: list[Difference] = []
        if gaps or cash != our_cash:
            moves = presume_moves(gaps, cash - our_cash, self.clock.now_ns())
            if moves:
                self._run(*(events.ActivityPresumed(self.clock.now_ns(), move) for move in moves))
                found += presumed_differences(moves, gaps)
            else:
                found += unexplained(gaps, our_cash, cash)
        agreed = not any(not difference.resolved for difference in found)
        averages = {symbol: view.avg_px_open for symbol, view in positions(self.desk).items()}
        found += price_differences(averages, held) if agreed else []
        found += self._order_differences(agreed)
        found += self._external_differences(external_before, external_fills)
        found += self._uncovered()
        report = ReconciliationReport(began_ns, cause, tuple(found))
        self._run(events.Reconciled(report.ts_ns, cause, report.differences))
        if not report.clean:
            first = report.unresolved[0]
            self._tighten(
                TradingState.REDUCING,
                "reconciliation",
                f"{first.kind.value} {first.subject}: ours {first.ours}, theirs {first.theirs}",
            )
        return report

    def _order_differences(self, agreed: bool) -> list[Difference]:
        """Orders whose fills or state do not follow the venue's. Where the ledger agrees, the venue's count is taken over."""
        found = []
        listed: dict[str, list[VenueOrder]] = {}
        for order in self.venue.orders(status="open"):
            listed.setdefault(order.client_order_id, []).append(order)
        for client_order_id, copies in listed.items():
            if len(copies) > 1 and client_order_id in self.desk.books.by_client_id:
                text = ", ".join(copy.venue_order_id for copy in copies)
                found.append(
                    Difference(
                        DifferenceKind.DUPLICATE_ORDER, client_order_id, "1", text, False, "reduce; cancel by hand"
                    )
                )
        for record in self.desk.records:
            filled = int(self.desk.store.book.orders[record.row]["filled_qty"])
            if record.venue_filled_qty > filled:
                ours, theirs = str(filled), str(record.venue_filled_qty)
                found.append(
                    Difference(
                        DifferenceKind.ORDER_QUANTITY,
                        record.client_order_id,
                        ours,
                        theirs,
                        agreed,
                        "the venue's count is taken over where the ledger agrees",
                    )
                )
                if agreed:
                    self._run(events.OrderSettled(self.clock.now_ns(), record.client_order_id, record.venue_filled_qty))
        for record in list(self.desk.books.working.values()):
            if record.unknown or record.client_order_id in listed:
                continue
            # Not open at the venue: it is done there, or lost. The look-up says which.
            before = self.desk.order_state(record)
            self._perform([commands.LookUp(record.client_order_id)])
            after = self.desk.order_state(record)
            kind = DifferenceKind.ORDER_STATE if after.is_terminal else DifferenceKind.MISSING_ORDER
            theirs = record.venue_status if after.is_terminal else "absent"
            found.append(
                Difference(
                    kind, record.client_order_id, before.name, theirs, after.is_terminal, "the venue's word is taken"
                )
            )
        return found

    def _external_differences(self, before: set[str], fills_before: int) -> list[Difference]:
        found = []
        today = to_datetime(self.clock.now_ns()).astimezone(NEW_YORK).date()
        orders = (
            {order.venue_order_id: order for order in self.venue.orders(status="all")}
            if (set(self.desk.books.memory.external_orders) - before)
            else {}
        )
        for venue_order_id, status in self.desk.books.memory.external_orders.items():
            if venue_order_id in before:
                continue
            order = orders.get(venue_order_id)
            symbols = order.legs if order is not None else ()
            expiring = any(is_occ(symbol) and parse_occ(symbol).expiration == today for symbol in symbols)
            kind = DifferenceKind.LIQUIDATED if expiring else DifferenceKind.EXTERNAL_ORDER
            found.append(Difference(kind, venue_order_id, "none", status, True, "recorded, fills booked"))
        fills = self.desk.books.memory.external_fills - fills_before
        if fills > 0:
            found.append(
                Difference(DifferenceKind.EXTERNAL_FILL, "fills", "0", str(fills), True, "booked from the activities")
            )
        return found

    def _uncovered(self) -> list[Difference]:
        self.desk.books.refresh()
        book = self.desk.store.book
        found = []
        for row, name in enumerate(self.desk.store.underlying_names):
            calls = puts = 0
            group = int(book.exposures[row]["first_group"])
            while group >= 0:
                calls += int(book.groups[group]["short_calls"])
                puts += int(book.groups[group]["short_puts"])
                group = int(book.groups[group]["next"])
            share = int(book.exposures[row]["share"])
            shares = int(book.positions[share]["qty"]) if share >= 0 else 0
            if calls > max(0, shares) or (puts and self.desk.books.limits.defined_risk_only):
                text = f"short calls on {calls} shares, short puts on {puts}"
                found.append(
                    Difference(DifferenceKind.UNCOVERED_SHORT, name, text, f"{shares} shares", False, "reduce; close")
                )
        return found

    def end_of_session(self) -> int:
        """After the close: the last news, the day's equity in the journal, a snapshot. Returns the equity in micro-dollars."""
        self.pump(backfill=True)
        equity = self.desk.equity
        self._run(events.DayEnded(self.clock.now_ns(), self.desk.books.memory.day, equity))
        self._save_snapshot()
        return equity

    def adopt_position(self, symbol: str, signed_qty: int, price: int, cash_change: int, by: str) -> None:
        """Take the venue's figures over after a difference that no rule explains. Only a person may; raises ValueError without a name."""
        self._check()
        if not by or by.startswith("rule:"):
            raise ValueError(f"by: expected a person's name, was {by!r}")
        self._run(events.PositionAdopted(self.clock.now_ns(), symbol, signed_qty, price, cash_change, by))

    # ---- pictures

    def book(self) -> BookView:
        """The book as strategies see it."""
        return book_view(self.desk, self.clock.now_ns())

    def totals(self) -> dict[str, Any]:
        """Figures for `summary.json`; money in micro-dollars."""
        return {**totals(self.desk), "venue_errors": self.venue_errors, "journal_entries": self._sequence}

    # ---- events to the journal, commands to the venue

    def _check(self) -> None:
        if self._void:
            raise MustHalt(f"desk session: void since {self._void}; start a new one")

    def _run(self, *batch: Event) -> None:
        """Handle events, make them durable together, then carry out what follows from them."""
        self._perform(self._commit(list(batch)))

    def _commit(self, batch: list[Event]) -> list[Command]:
        wanted: list[Command] = []
        if not batch:
            return wanted
        try:
            while batch:
                event = batch.pop(0)
                found = self.desk.handle(event)
                kind, payload = encode(event)
                self._sequence = self.journal.append(kind, event.ts_ns, payload)
                batch[:0] = [command.anomaly for command in found if isinstance(command, commands.Record)]
                wanted += [command for command in found if not isinstance(command, commands.Record)]
            self.journal.commit()
        except BaseException as error:
            # Memory is ahead of the journal now, and nothing has left.
            self._void = repr(error)
            raise
        if self._sequence - self._snapshot_at >= self.settings.snapshot_every:
            self._save_snapshot()
        return wanted

    def _perform(self, wanted: list[Command]) -> None:
        while wanted:
            outcome = self._courier.carry(wanted.pop(0))
            news = [event for event in outcome if self._is_worth_keeping(event)]
            wanted += self._commit(news)

    def _is_worth_keeping(self, event: Event) -> bool:
        """A look-up that says nothing new is not journaled."""
        if isinstance(event, events.OrderSeen):
            return self.desk.flow.is_news(event.order)
        if isinstance(event, events.LookUpMissed):
            record = self.desk.books.by_client_id[event.client_order_id]
            return record.unknown and record.misses < self.settings.lookup_misses
        return True

    def _save_snapshot(self) -> None:
        self.journal.save_snapshot(Snapshot(self._sequence, self.desk.snapshot()))
        self._snapshot_at = self._sequence
