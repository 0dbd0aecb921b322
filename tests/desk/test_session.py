"""The session in front of a small exchange: write-ahead, ambiguous outcomes, restarts, reconciliation of each class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gammaray.desk.codec import decode
from gammaray.desk.desk import Desk
from gammaray.desk.events import DifferenceKind
from gammaray.desk.intake import SessionSettings
from gammaray.desk.limits import RiskLimits
from gammaray.desk.reconciliation import ReconciliationReport
from gammaray.desk.session import DeskSession
from gammaray.operations.errors import MustHalt
from gammaray.storage.journal import Fenced, JournalError
from gammaray.storage.memory_journal import MemoryDisk, MemoryJournal
from gammaray.storage.sqlite_journal import SqliteJournal
from gammaray.types.account import ActivityKind, VenueOrder
from gammaray.types.clock import VirtualClock
from gammaray.types.orders import OrderRequest, OrderState
from gammaray.types.signals import Purpose, TradingState
from gammaray.venues.protocol import VenueAmbiguous, VenueRejected, VenueUnavailable
from tests.desk.helpers import DOLLAR, NOW, TODAY, WIDE, leg, put_spread, signal, symbol
from tests.faults.exchange import Exchange
from tests.faults.link import CALM, Link
from tests.faults.market import Market

PUT, WING, CALL = symbol("P", 100), symbol("P", 95), symbol("C", 105)
CASH = 100_000 * DOLLAR


class Desk1:
    """A session, its exchange and its disk."""

    def __init__(self, limits: RiskLimits = WIDE, *, late_rows: bool = False) -> None:
        self.clock = VirtualClock(NOW)
        self.market = Market(np.random.default_rng(1), TODAY)
        self.exchange = Exchange(NOW, CASH, late_rows=late_rows)
        self.exchange.prices = self.market.prices()
        self.link = Link(self.exchange, np.random.default_rng(2), replace(CALM))
        self.disk = MemoryDisk()
        self.limits = limits

    def start(self, **settings: float) -> DeskSession:
        """A new process."""
        self.session = DeskSession(
            MemoryJournal(self.disk),
            self.link,
            self.limits,
            self.clock,
            "T1",
            order_prefix="t",
            settings=SessionSettings(**settings),  # type: ignore[arg-type]
        )
        self.report = self.session.start()
        self.session.on_market([self.market.snapshot(self.clock.now_ns())])
        return self.session

    def later(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance_to(self.clock.now_ns() + seconds * 10**9)
        self.exchange.now_ns = self.clock.now_ns()

    def state(self, number: int = 0) -> OrderState:
        """State of the n-th order."""
        return self.session.desk.order_state(self.session.desk.records[number])

    def kinds(self) -> list[str]:
        """Kinds of the journal's entries."""
        return [entry.kind for entry in self.disk.entries]


@pytest.fixture
def one() -> Desk1:
    made = Desk1()
    made.start()
    return made


def kinds_of(report: ReconciliationReport) -> list[DifferenceKind]:
    return [difference.kind for difference in report.differences]


# ---- sending


def test_the_intent_is_durable_before_the_order_leaves(one: Desk1) -> None:
    seen: list[list[str]] = []
    submit = one.exchange.submit

    def spy(request: OrderRequest) -> object:
        seen.append(one.kinds())
        assert request.client_order_id == "t-000001"
        return submit(request)

    one.exchange.submit = spy  # type: ignore[method-assign, assignment]
    decision = one.session.submit(put_spread())
    assert decision.accepted
    assert decision.state is OrderState.ACCEPTED
    assert seen[0][-1] == "OrderIntended"


def test_nothing_leaves_when_the_journal_cannot_be_written(one: Desk1, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise JournalError("disk is full")

    monkeypatch.setattr(one.session.journal, "commit", full)
    with pytest.raises(JournalError):
        one.session.submit(put_spread())
    assert not one.exchange.orders
    with pytest.raises(MustHalt, match="disk is full"):
        one.session.pump()
    one.start()
    assert one.report.clean
    assert not one.session.desk.records


def test_a_denied_signal_is_journaled_and_not_sent(one: Desk1) -> None:
    decision = one.session.submit(signal(leg(CALL, "sell"), price=1.0))
    assert (decision.accepted, decision.rule, decision.value) == (False, "uncovered_short", 100)
    assert not one.exchange.orders
    assert one.kinds()[-1] == "OrderDenied"


def test_check_leaves_no_trace(one: Desk1) -> None:
    before = one.session.desk.snapshot()
    assert one.session.check(put_spread()).accepted
    assert one.session.check(signal(leg(CALL, "sell"), price=1.0)).rule == "uncovered_short"
    assert one.session.desk.snapshot() == before


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (VenueRejected("insufficient options buying power", 40310000, 403), OrderState.REJECTED),
        (VenueUnavailable("connection refused"), OrderState.DENIED),
    ],
)
def test_a_request_that_came_to_nothing(one: Desk1, error: Exception, state: OrderState) -> None:
    def fails(request: OrderRequest) -> VenueOrder:
        raise error

    one.link.submit = fails  # type: ignore[method-assign]
    decision = one.session.submit(put_spread())
    assert not decision.accepted
    assert decision.state is state
    assert str(error).split(" (")[0] in decision.reason
    assert one.session.totals()["available_funds"] == CASH


@pytest.mark.parametrize(
    "error", [VenueAmbiguous("504"), VenueRejected("client_order_id must be unique", 40010001, 422)]
)
def test_an_accepted_order_with_a_lost_answer_is_found_by_look_up(one: Desk1, error: Exception) -> None:
    submit = one.link.submit

    def loses(request: OrderRequest) -> VenueOrder:
        submit(request)
        raise error

    one.link.submit = loses  # type: ignore[method-assign]
    decision = one.session.submit(put_spread())
    assert (decision.accepted, decision.state) == (True, OrderState.ACCEPTED)
    assert len(one.exchange.orders) == 1


def test_an_order_that_never_arrived_is_given_up_after_look_ups_and_time(one: Desk1) -> None:
    def loses(request: OrderRequest) -> VenueOrder:
        raise VenueAmbiguous("timeout")

    one.link.submit = loses  # type: ignore[method-assign]
    assert one.session.submit(put_spread()).state is OrderState.SUBMITTED
    for _ in range(5):
        one.session.pump()
    assert one.state() is OrderState.SUBMITTED, "not before the grace time"
    one.later(11)
    one.session.pump()
    assert one.state() is OrderState.DENIED
    assert one.kinds().count("LookUpMissed") == 3


def test_an_order_that_surfaces_after_it_was_given_up_is_canceled(one: Desk1) -> None:
    held: list[OrderRequest] = []

    def loses(request: OrderRequest) -> VenueOrder:
        held.append(request)
        raise VenueAmbiguous("timeout")

    one.link.submit = loses  # type: ignore[method-assign]
    one.session.submit(put_spread())
    for _ in range(3):
        one.later(11)
        one.session.pump()
    assert one.state() is OrderState.DENIED
    order = one.exchange.submit(held[0])
    one.session.pump()
    assert order.status == "pending_cancel"
    one.exchange.settle_cancel(order)
    one.session.pump()
    assert one.state() is OrderState.CANCELED
    assert one.session.reconcile().clean


# ---- restarts


def test_a_killed_process_finds_its_order_again(one: Desk1) -> None:
    """Killed between the commit of the intent and the answer: the order is at the venue, nothing is sent twice."""

    class Killed(BaseException):
        pass

    submit = one.link.submit

    def dies(request: OrderRequest) -> VenueOrder:
        submit(request)
        raise Killed

    one.link.submit = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        one.session.submit(put_spread(qty=2))
    order = next(iter(one.exchange.orders.values()))
    one.exchange.fill(order, 1)
    one.link.submit = submit  # type: ignore[method-assign]
    one.link.disconnect()
    one.start()
    assert one.report.clean
    assert one.state() is OrderState.PARTIALLY_FILLED
    assert one.session.book().positions[PUT].signed_qty == -1
    assert one.session.submit(put_spread(position_id="p2")).client_order_id == "t-000002"


def test_a_snapshot_and_the_tail_give_what_the_whole_journal_gives(one: Desk1) -> None:
    one.session.submit(put_spread())
    one.session.close()
    one.exchange.fill(next(iter(one.exchange.orders.values())), 1)
    one.session.pump()
    replayed = Desk()
    for entry in one.disk.entries:
        replayed.handle(decode(entry.kind, entry.payload))
    assert one.disk.snapshots[-1].sequence < len(one.disk.entries)
    assert replayed.snapshot() == one.session.desk.snapshot()
    live = one.session.desk.snapshot()
    again = Desk.restored(one.disk.snapshots[-1].state)
    for entry in one.disk.entries[one.disk.snapshots[-1].sequence :]:
        again.handle(decode(entry.kind, entry.payload))
    assert again.snapshot() == live


def test_a_second_process_shuts_the_first_out(one: Desk1) -> None:
    old = one.session
    one.start()
    with pytest.raises(Fenced):
        old.submit(put_spread())
    assert not one.exchange.orders


def test_a_journal_of_another_account_is_refused(one: Desk1) -> None:
    other = DeskSession(MemoryJournal(one.disk), one.link, WIDE, one.clock, "T2")
    with pytest.raises(MustHalt, match="'T1', not 'T2'"):
        other.start()


def test_a_wanted_cancel_survives_the_process(one: Desk1) -> None:
    one.session.submit(put_spread())
    cancel = one.link.cancel

    def fails(venue_order_id: str) -> None:
        raise VenueAmbiguous("timeout")

    one.link.cancel = fails  # type: ignore[method-assign]
    one.session.cancel("t-000001")
    one.link.cancel = cancel  # type: ignore[method-assign]
    one.start()
    order = next(iter(one.exchange.orders.values()))
    assert order.status == "pending_cancel"


def test_the_same_on_a_real_file(tmp_path: Path) -> None:
    """Two equal lives on SQLite give the same digest, one of them with a restart's snapshot in between."""
    digests = []
    for name in ("a.db", "b.db"):
        one = Desk1()
        journal = SqliteJournal(tmp_path / name)
        one.session = DeskSession(journal, one.link, WIDE, one.clock, "T1", order_prefix="t")
        one.session.start()
        one.session.on_market([one.market.snapshot(NOW)])
        one.session.submit(put_spread())
        one.exchange.fill(next(iter(one.exchange.orders.values())), 1)
        one.session.pump()
        if name == "b.db":
            one.session.close()
        digests.append(journal.digest())
        journal.close()
    assert digests[0] == digests[1]


# ---- what may be done


def test_halting_cancels_everything_and_only_a_person_goes_back(one: Desk1) -> None:
    one.session.submit(put_spread())
    one.session.set_trading_state(TradingState.HALTED, "Ada", "looks odd")
    assert next(iter(one.exchange.orders.values())).status == "pending_cancel"
    assert one.session.submit(put_spread(position_id="p2")).rule == "trading_state"
    with pytest.raises(ValueError, match="by"):
        one.session.set_trading_state(TradingState.ACTIVE, "rule:anything", "why")
    one.start()
    assert one.session.desk.trading_state is TradingState.HALTED, "a restart is no person"
    one.session.set_trading_state(TradingState.ACTIVE, "Ada", "all clear")
    assert one.session.submit(put_spread(position_id="p3")).accepted


def test_the_days_loss_reduces_by_rule_and_cancels_opening_orders() -> None:
    one = Desk1(replace(WIDE, max_daily_loss=0.01, halt_daily_loss=0.5))
    one.start()
    one.session.submit(put_spread())
    one.session.submit(signal(leg("XYZ", "buy"), qty=1, price=102.0, purpose=Purpose.HEDGE, position_id="h"))
    one.exchange.fee(1_000 * DOLLAR)
    one.session.pump(backfill=True)
    one.session.on_market([one.market.snapshot(NOW)])
    assert one.session.desk.trading_state is TradingState.REDUCING
    assert [order.status for order in one.exchange.orders.values()] == ["pending_cancel", "new"]


def test_limits_changed_by_a_restart_are_in_the_journal(one: Desk1) -> None:
    one.limits = replace(WIDE, max_order_contracts=1)
    one.start()
    assert one.kinds().count("LimitsSet") == 2
    assert one.session.submit(put_spread(qty=2)).rule == "order_size"


def test_replacing_an_order(one: Desk1) -> None:
    one.session.submit(put_spread(qty=2))
    one.session.pump()
    decision = one.session.replace("t-000001", limit_price=round(-0.55 * DOLLAR))
    assert (decision.accepted, decision.client_order_id) == (True, "t-000002")
    one.session.pump()
    assert (one.state(0), one.state(1)) == (OrderState.REPLACED, OrderState.ACCEPTED)
    with pytest.raises(ValueError, match="REPLACED"):
        one.session.replace("t-000001", qty=1)
    with pytest.raises(ValueError, match="nothing would change"):
        one.session.replace("t-000002", qty=2)
    assert one.session.replace("t-000002", qty=10_000).rule == "order_size"
    one.exchange.fill(list(one.exchange.orders.values())[1], 2)
    assert one.session.reconcile().clean
    assert one.session.book().positions[PUT].signed_qty == -2


def test_a_refused_replacement_leaves_the_order_working(one: Desk1) -> None:
    one.session.submit(put_spread(qty=2))

    def fails(*args: object, **kwargs: object) -> VenueOrder:
        raise VenueRejected("order parameters are not changed", 42210000, 422)

    one.link.replace = fails  # type: ignore[method-assign, assignment]
    decision = one.session.replace("t-000001", qty=1)
    assert not decision.accepted
    assert (one.state(0), one.state(1)) == (OrderState.ACCEPTED, OrderState.REJECTED)


# ---- reconciliation


def test_fills_that_the_stream_lost_come_from_the_activities(one: Desk1) -> None:
    one.session.submit(put_spread(qty=2))
    one.exchange.fill(next(iter(one.exchange.orders.values())), 2)
    one.link._sent = len(one.exchange.events)  # everything on the stream is lost, nobody notices
    one.session.pump()
    assert not one.session.book().positions
    report = one.session.reconcile()
    assert report.clean
    assert kinds_of(report) == [DifferenceKind.ORDER_STATE]
    assert one.state() is OrderState.FILLED
    (held,) = one.session.book().strategy_positions
    assert held.signed_qty == {PUT: -2, WING: 2}


def test_external_orders_are_recorded_once_and_their_fills_booked(one: Desk1) -> None:
    stranger = one.exchange.submit(OrderRequest("by hand", (leg(CALL, "buy"),), 1, None))
    one.exchange.fill(stranger, 1)
    report = one.session.reconcile()
    assert report.clean
    assert kinds_of(report) == [DifferenceKind.EXTERNAL_ORDER, DifferenceKind.EXTERNAL_FILL]
    assert one.session.book().positions[CALL].signed_qty == 1
    assert kinds_of(one.session.reconcile()) == []


def test_a_liquidation_on_the_expiration_day(one: Desk1) -> None:
    near = symbol("C", 105, near=True)
    bought = one.exchange.submit(OrderRequest("by hand", (leg(near, "buy"),), 1, None))
    one.exchange.fill(bought, 1)
    one.session.reconcile()
    sold = one.exchange.submit(OrderRequest("venue", (leg(near, "sell"),), 1, None))
    one.exchange.fill(sold, 1)
    report = one.session.reconcile()
    assert kinds_of(report)[0] is DifferenceKind.LIQUIDATED
    assert report.clean
    assert not one.session.book().positions


def open_spread(one: Desk1) -> None:
    one.session.submit(put_spread(qty=2))
    one.exchange.fill(list(one.exchange.orders.values())[-1], 2)
    one.session.pump()


def test_an_assignment_is_presumed_until_its_rows_come() -> None:
    one = Desk1(late_rows=True)
    one.start()
    open_spread(one)
    one.exchange.deliver(PUT, 1, ActivityKind.ASSIGNMENT)
    report = one.session.reconcile()
    assert (kinds_of(report), report.clean) == ([DifferenceKind.ASSIGNED], True)
    book = one.session.book()
    assert {what: view.signed_qty for what, view in book.positions.items()} == {PUT: -1, WING: 2, "XYZ": 100}
    cash = book.cash
    one.later(86_400)
    report = one.session.reconcile()
    assert (kinds_of(report), one.session.book().cash) == ([], cash)
    assert one.kinds().count("ActivityReceived") == 4, "2 fills of legs, 2 rows of the assignment"


def test_expiry_of_one_leg_and_exercise_of_the_other_are_told_apart_by_cash() -> None:
    """Both vanish, shares and cash say which was exercised."""
    one = Desk1(late_rows=True)
    one.start()
    open_spread(one)
    one.exchange.deliver(PUT, 2, ActivityKind.ASSIGNMENT)
    one.exchange.lapse(WING)
    report = one.session.reconcile()
    assert sorted(kinds_of(report)) == [DifferenceKind.ASSIGNED, DifferenceKind.EXPIRED]
    assert report.clean


def test_both_legs_exercised_leave_no_shares_but_cash() -> None:
    one = Desk1(late_rows=True)
    one.start()
    open_spread(one)
    one.exchange.deliver(PUT, 2, ActivityKind.ASSIGNMENT)
    one.exchange.deliver(WING, 2, ActivityKind.EXERCISE)
    report = one.session.reconcile()
    assert sorted(kinds_of(report)) == [DifferenceKind.ASSIGNED, DifferenceKind.EXERCISED]
    assert report.clean
    assert one.session.book().cash == one.exchange.cash
    one.later(86_400)
    assert one.session.reconcile().differences == ()


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (lambda exchange: exchange.positions.update({WING: 5}), DifferenceKind.POSITION_QUANTITY),
        (lambda exchange: setattr(exchange, "cash", exchange.cash - DOLLAR), DifferenceKind.CASH),
    ],
)
def test_what_no_rule_explains_reduces(one: Desk1, what: Callable[[Exchange], None], kind: DifferenceKind) -> None:
    open_spread(one)
    what(one.exchange)
    report = one.session.reconcile()
    assert kind in kinds_of(report)
    assert not report.clean
    assert one.session.desk.trading_state is TradingState.REDUCING
    assert one.session.totals()["reconciliation_differences"] >= 1
    assert "TradingStateChanged" in one.kinds()


def test_a_person_adopts_the_venues_position(one: Desk1) -> None:
    open_spread(one)
    one.exchange.positions[WING] = 5
    assert not one.session.reconcile().clean
    with pytest.raises(ValueError, match="by"):
        one.session.adopt_position(WING, 5, DOLLAR, 0, "")
    one.session.adopt_position(WING, 5, DOLLAR, 0, "Ada")
    assert one.session.reconcile().clean


def test_an_order_that_the_venue_lost(one: Desk1) -> None:
    one.session.submit(put_spread())
    one.session.pump()
    one.exchange.orders.clear()
    report = one.session.reconcile()
    assert kinds_of(report) == [DifferenceKind.MISSING_ORDER]
    assert not report.clean


def test_average_prices_that_differ_are_recorded(one: Desk1) -> None:
    open_spread(one)
    one.exchange.cost[WING] += 100_000
    report = one.session.reconcile()
    assert (kinds_of(report), report.clean) == ([DifferenceKind.POSITION_PRICE], True)


def test_a_short_that_lost_its_cover_from_outside_reduces(one: Desk1) -> None:
    open_spread(one)
    sale = one.exchange.submit(OrderRequest("by hand", (leg(WING, "sell"),), 2, None))
    one.exchange.fill(sale, 2)
    report = one.session.reconcile()
    assert DifferenceKind.UNCOVERED_SHORT in kinds_of(report)
    assert one.session.desk.trading_state is TradingState.REDUCING


def test_the_end_of_the_session_keeps_the_equity_that_the_next_days_loss_is_measured_from(one: Desk1) -> None:
    one.exchange.fee(100 * DOLLAR)
    equity = one.session.end_of_session()
    assert equity == CASH - 100 * DOLLAR
    one.later(86_400)
    one.session.on_market([one.market.snapshot(one.clock.now_ns())])
    assert one.session.book().start_of_day_equity == equity


def test_trouble_with_the_venue_is_counted_and_made_good(one: Desk1) -> None:
    one.session.submit(put_spread())
    one.exchange.fill(next(iter(one.exchange.orders.values())), 1)
    one.link._sent = len(one.exchange.events)
    one.link.weather.query_fails = 1.0
    one.session.pump(backfill=True)
    assert one.session.totals()["venue_errors"] == 1
    one.link.weather.query_fails = 0.0
    one.session.pump()
    assert one.state() is OrderState.FILLED
