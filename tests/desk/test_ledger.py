"""FIFO lots, exact cash, exercise, assignment and expiry against hand-worked tables; fills once, whatever channel and order."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.desk import events
from gammaray.desk.desk import Desk
from gammaray.desk.picture import book_view, positions, totals
from gammaray.types.account import Activity, ActivityKind, Execution, OrderUpdate, UpdateKind
from tests.desk.helpers import DOLLAR, NOW, TODAY, activity, fill, leg, open_desk, put_spread, send, signal, symbol

PUT, CALL = symbol("P", 100), symbol("C", 105)


def external(desk: Desk, number: int, what: str, qty: int, price: float) -> None:
    """A fill that only the activities show."""
    desk.handle(activity(ActivityKind.FILL, number, symbol=what, signed_qty=qty, price=round(price * DOLLAR)))


def account(desk: Desk) -> dict[str, int]:
    row = desk.store.book.account[0]
    return {name: int(row[name]) for name in ("cash", "realized", "fees", "income")}


def test_lots_close_first_in_first_out() -> None:
    """Buy 2 at 1.00 and 3 at 1.50, sell 4 at 2.00, then sell 3 more.

    Sale of 4: 2 × (2.00 - 1.00) + 2 × (2.00 - 1.50) = 3.00 a share, times 100 = 300. Of the next 3 at 1.20, one closes the last
    lot: 1.20 - 1.50 = -0.30, -30; two open a short at 1.20. Cash: -200 - 450 + 800 + 360 = 510.
    """
    desk, _, _ = open_desk()
    for number, (qty, price) in enumerate([(2, 1.00), (3, 1.50), (-4, 2.00)]):
        external(desk, number, PUT, qty, price)
    assert account(desk)["realized"] == 300 * DOLLAR
    assert positions(desk)[PUT].avg_px_open == round(1.50 * DOLLAR)
    external(desk, 9, PUT, -3, 1.20)
    assert account(desk)["realized"] == 270 * DOLLAR
    assert account(desk)["cash"] == (100_000 + 510) * DOLLAR
    assert (positions(desk)[PUT].signed_qty, positions(desk)[PUT].avg_px_open) == (-2, round(1.20 * DOLLAR))


def test_shares_have_multiplier_one() -> None:
    desk, _, _ = open_desk()
    external(desk, 1, "XYZ", 100, 102.50)
    external(desk, 2, "XYZ", -40, 103.00)
    assert account(desk) == {
        "cash": (100_000 - 10_250 + 4_120) * DOLLAR,
        "realized": 20 * DOLLAR,
        "fees": 0,
        "income": 0,
    }


def test_an_assigned_put_brings_shares_at_the_strike() -> None:
    """Sold 1 put 100 at 2.00 (+200), assigned: the option leaves at zero (+200 realised), 100 shares come at 100 (-10,000)."""
    desk, _, _ = open_desk()
    external(desk, 1, PUT, -1, 2.00)
    desk.handle(activity(ActivityKind.ASSIGNMENT, 2, symbol=PUT, signed_qty=1, group_id="g"))
    desk.handle(
        activity(
            ActivityKind.OPTION_TRADE, 3, symbol="XYZ", signed_qty=100, price=100 * DOLLAR, net_amount=-10_000 * DOLLAR
        )
    )
    assert account(desk) == {
        "cash": (100_000 + 200 - 10_000) * DOLLAR,
        "realized": 200 * DOLLAR,
        "fees": 0,
        "income": 0,
    }
    assert {what: view.signed_qty for what, view in positions(desk).items()} == {"XYZ": 100}
    assert positions(desk)["XYZ"].avg_px_open == 100 * DOLLAR


def test_an_exercised_call_and_an_expired_one() -> None:
    """Bought 2 calls 105 at 0.50 (-100). One is exercised (100 shares at 105), one expires: -50 realised each."""
    desk, _, _ = open_desk()
    external(desk, 1, CALL, 2, 0.50)
    desk.handle(activity(ActivityKind.EXERCISE, 2, symbol=CALL, signed_qty=-1))
    desk.handle(
        activity(
            ActivityKind.OPTION_TRADE, 3, symbol="XYZ", signed_qty=100, price=105 * DOLLAR, net_amount=-10_500 * DOLLAR
        )
    )
    desk.handle(activity(ActivityKind.EXPIRY, 4, symbol=CALL, signed_qty=-1))
    assert account(desk) == {
        "cash": (100_000 - 100 - 10_500) * DOLLAR,
        "realized": -100 * DOLLAR,
        "fees": 0,
        "income": 0,
    }
    assert list(positions(desk)) == ["XYZ"]


def test_fees_dividends_and_other_cash() -> None:
    desk, _, _ = open_desk()
    desk.handle(activity(ActivityKind.FEE, 1, net_amount=-60_000, sub_kind="ORF"))
    desk.handle(activity(ActivityKind.DIVIDEND, 2, symbol="XYZ", net_amount=25 * DOLLAR))
    desk.handle(activity(ActivityKind.CASH, 3, net_amount=-10 * DOLLAR))
    assert account(desk) == {
        "cash": (100_000 + 15) * DOLLAR - 60_000,
        "realized": 0,
        "fees": 60_000,
        "income": 15 * DOLLAR,
    }


def test_an_activity_is_applied_once_by_its_id() -> None:
    desk, _, _ = open_desk()
    for _ in range(3):
        desk.handle(activity(ActivityKind.FEE, 1, net_amount=-60_000))
    assert account(desk)["fees"] == 60_000


def test_a_late_row_is_set_off_against_what_was_presumed() -> None:
    """Of 3 short puts 2 were presumed assigned; the rows then come as 1 + 2: the third contract is applied, the two are not."""
    desk, _, _ = open_desk()
    external(desk, 1, PUT, -3, 2.00)
    move = Activity("", ActivityKind.ASSIGNMENT, NOW, PUT, 2)
    desk.handle(events.ActivityPresumed(NOW, move))
    assert positions(desk)[PUT].signed_qty == -1
    desk.handle(activity(ActivityKind.ASSIGNMENT, 2, symbol=PUT, signed_qty=1))
    assert positions(desk)[PUT].signed_qty == -1
    desk.handle(activity(ActivityKind.ASSIGNMENT, 3, symbol=PUT, signed_qty=2))
    assert PUT not in positions(desk)


def test_strategy_positions_follow_fills_and_assignment() -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread(qty=2))
    fill(desk, "t-000001", 1, **{PUT: (-2, 1.00), symbol("P", 95): (2, 0.40)})
    (held,) = book_view(desk, NOW).of_strategy("tester")
    assert held.signed_qty == {PUT: -2, symbol("P", 95): 2}
    assert held.net_open == -120 * DOLLAR  # 2 × (0.40 - 1.00) × 100
    desk.handle(activity(ActivityKind.ASSIGNMENT, 2, symbol=PUT, signed_qty=1))
    (held,) = book_view(desk, NOW).strategy_positions
    assert held.signed_qty == {PUT: -1, symbol("P", 95): 2, "XYZ": 100}
    assert held.net_open == (10_000 - 120) * DOLLAR


def test_unrealised_profit_is_at_the_marks() -> None:
    """Put 100 marks at its middle: 102.50 - no intrinsic value, 60 + 70 - 250 / 8 = 99 cents (31 cut); sold at 1.10: 11 dollars."""
    desk, marks, market = open_desk()
    external(desk, 1, PUT, -1, 1.10)
    marks.update(market.snapshot(NOW))
    assert totals(desk)["unrealized_pnl"] == 11 * DOLLAR
    assert desk.equity == (100_000 + 11) * DOLLAR


@st.composite
def _fills(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    one = st.tuples(
        st.sampled_from([PUT, CALL, "XYZ"]),
        st.sampled_from([-2, 1, 2]),
        st.sampled_from([990_000, 1_050_000]),
    )
    return draw(st.lists(one, min_size=1, max_size=12))


@given(_fills(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=150, deadline=None)
def test_each_fill_counts_once_whatever_is_lost_doubled_or_shuffled(fills: list, rng, data) -> None:  # type: ignore[no-untyped-def, type-arg]
    """The stream drops, doubles and shuffles; the activities have everything: positions and cash are the sums over the fills.

    With and without execution ids in the activities, however late the desk learns that they are shared.
    """
    desk, _, _ = open_desk()
    shared = data.draw(st.booleans())
    stream: list[events.Event] = []
    rows: list[events.Event] = []
    for number, (what, qty, price) in enumerate(fills):
        execution = Execution(f"x{number}", what, qty, price)
        update = events.UpdateReceived(
            NOW, OrderUpdate(UpdateKind.FILL, f"other{number}", f"o{number}", NOW, (execution,))
        )
        stream += [update] * data.draw(st.integers(0, 2))
        known_as = f"x{number}" if shared else ""
        rows.append(
            activity(ActivityKind.FILL, number + 1, symbol=what, signed_qty=qty, price=price, execution_id=known_as)
        )
    mixed = stream + rows
    rng.shuffle(mixed)
    for event in mixed:
        desk.handle(event)
    held: dict[str, int] = {}
    cash = 100_000 * DOLLAR
    for what, qty, price in fills:
        held[what] = held.get(what, 0) + qty
        cash -= qty * price * (1 if what == "XYZ" else 100)
    assert {what: view.signed_qty for what, view in positions(desk).items()} == {k: v for k, v in held.items() if v}
    assert account(desk)["cash"] == cash
    # What is realised plus what is open at cost is what was paid and received.
    open_cost = sum(Fraction(int(_cost(desk, what))) * (1 if what == "XYZ" else 100) for what in positions(desk))
    assert account(desk)["realized"] - open_cost == cash - 100_000 * DOLLAR


def _cost(desk: Desk, what: str) -> int:
    from gammaray.desk.core.ledger import open_cost

    row = desk.store.find(what)
    assert row is not None
    return int(open_cost(desk.store.book, row))


def test_lots_are_used_again() -> None:
    """Opening and closing for ever does not grow the pool."""
    desk, _, _ = open_desk()
    for number in range(200):
        external(desk, 2 * number, PUT, 1, 1.00)
        external(desk, 2 * number + 1, PUT, -1, 1.00)
    assert int(desk.store.book.account[0]["lots"]) == 1


def test_the_package_and_its_legs_agree_while_legs_come_apart() -> None:
    """Leg executions may come in separate updates: units count when all legs have them."""
    desk, _, _ = open_desk()
    ratio = signal(leg(PUT, "sell", 1), leg(symbol("P", 95), "buy", 2), qty=2, price=0.10)
    assert isinstance(send(desk, ratio), events.OrderIntended)
    row = desk.store.book.orders[0]
    fill(desk, "t-000001", 1, **{PUT: (-1, 1.00)})
    assert row["filled_qty"] == 0
    fill(desk, "t-000001", 2, **{symbol("P", 95): (3, 0.40)})
    assert row["filled_qty"] == 1
    fill(desk, "t-000001", 3, **{PUT: (-1, 1.00), symbol("P", 95): (1, 0.40)})
    assert row["filled_qty"] == 2


def test_an_overfill_is_booked_and_recorded() -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread())
    fill(desk, "t-000001", 1, **{PUT: (-1, 1.00), symbol("P", 95): (1, 0.40)})
    (command,) = fill(desk, "t-000001", 2, **{PUT: (-1, 1.00)})
    assert command.anomaly.what == "overfill"  # type: ignore[attr-defined]
    assert positions(desk)[PUT].signed_qty == -2


def test_an_adopted_position_is_the_venues() -> None:
    desk, _, _ = open_desk()
    external(desk, 1, PUT, -2, 1.00)
    desk.handle(events.PositionAdopted(NOW, PUT, 1, 500_000, -50 * DOLLAR, "Ada"))
    assert positions(desk)[PUT].signed_qty == 1
    assert account(desk)["cash"] == (100_000 + 200 - 50) * DOLLAR


def test_opening_positions_keep_their_cost() -> None:
    desk = Desk()
    held = (events.OpeningPosition("XYZ", 10, 101 * DOLLAR),)
    desk.handle(events.DeskOpened(NOW, "T1", "t", 5 * DOLLAR, held, "20260301000000::z"))
    external(desk, 1, "XYZ", -10, 103.00)
    assert account(desk)["realized"] == 20 * DOLLAR
    before = replace(activity(ActivityKind.FEE, 1).activity, activity_id="20260228::a", net_amount=-1)
    desk.handle(events.ActivityReceived(NOW, before))
    assert account(desk)["fees"] == 0, "rows from before the journal are in the opening figures"


@pytest.mark.parametrize("seed", range(3))
def test_reservations_are_the_sum_over_working_orders(seed: int) -> None:
    """Whatever is filled, canceled or refused, the stored sums equal those recomputed from the orders that work."""
    desk, _, _ = open_desk()
    rng = np.random.default_rng(seed)
    for number in range(25):
        send(desk, put_spread(qty=int(rng.integers(1, 4)), position_id=f"p{number}"))
        record = desk.records[int(rng.integers(len(desk.records)))]
        state = desk.order_state(record)
        if not state.is_terminal and rng.random() < 0.5:
            fill(desk, record.client_order_id, number, **{PUT: (-1, 1.0), symbol("P", 95): (1, 0.4)})
        elif not state.is_terminal and rng.random() < 0.5:
            update = OrderUpdate(UpdateKind.CANCELED, record.client_order_id, "v", NOW)
            desk.handle(events.UpdateReceived(NOW, update))
        book = desk.store.book
        leaves = [
            (book.orders[one.row], int(book.orders[one.row]["qty"] - book.orders[one.row]["filled_qty"]))
            for one in desk.books.working.values()
        ]
        assert book.account[0]["reserved_funds"] == sum(
            int(row["reserved"][0]) * n // int(row["qty"]) for row, n in leaves
        )
        assert book.underlyings[0]["loss"] == sum(int(row["reserved"][1]) * n // int(row["qty"]) for row, n in leaves)
        assert book.positions[desk.store.find(PUT)]["working_sell"] == sum(n for _, n in leaves)


def test_the_day_is_noted() -> None:
    desk, _, _ = open_desk()
    assert desk.books.memory.day == TODAY.isoformat()
    desk.handle(events.DayEnded(NOW, TODAY.isoformat(), 99 * DOLLAR))
    assert desk.books.memory.closing_equity == 99 * DOLLAR
