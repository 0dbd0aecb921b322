"""The state table is data: complete for the venue's words, and what it must not allow it does not."""

from __future__ import annotations

import pytest

from gammaray.desk import events
from gammaray.desk.commands import Record
from gammaray.desk.states import STATUS_EVENTS, TRANSITIONS, UPDATE_EVENTS, UPDATE_STATUS, OrderEvent, transition_table
from gammaray.types.account import OrderUpdate, UpdateKind
from gammaray.types.orders import OrderState
from gammaray.venues.alpaca.translate import ORDER_STATUSES
from tests.desk.helpers import NOW, fill, open_desk, put_spread, send, symbol


def test_every_status_and_update_of_the_venue_has_a_meaning() -> None:
    assert set(STATUS_EVENTS) == ORDER_STATUSES
    assert set(UPDATE_EVENTS) == set(UpdateKind)
    assert set(UPDATE_STATUS.values()) <= ORDER_STATUSES


def test_the_array_is_the_table() -> None:
    table = transition_table()
    for state in OrderState:
        for event in OrderEvent:
            expected = TRANSITIONS.get((state, event))
            assert table[state, event] == (-1 if expected is None else expected)


def test_terminal_states_are_left_only_by_late_fills_and_by_orders_that_were_given_up() -> None:
    for (state, event), target in TRANSITIONS.items():
        if state.is_terminal and state is not OrderState.DENIED and target is not state:
            assert (event, target) == (OrderEvent.FILL_ALL, OrderState.FILLED)


def test_a_filled_order_takes_no_further_fill_and_a_rejected_one_none_at_all() -> None:
    for event in (OrderEvent.FILL_PART, OrderEvent.FILL_ALL):
        assert (OrderState.FILLED, event) not in TRANSITIONS
        assert (OrderState.REJECTED, event) not in TRANSITIONS


def update(kind: UpdateKind, client_order_id: str = "t-000001") -> events.UpdateReceived:
    return events.UpdateReceived(NOW, OrderUpdate(kind, client_order_id, f"v-{client_order_id}", NOW))


def test_a_fill_after_a_cancel_counts_and_changes_no_more_than_quantities() -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread(qty=3))
    desk.handle(update(UpdateKind.NEW))
    desk.handle(update(UpdateKind.CANCELED))
    record = desk.records[0]
    assert desk.order_state(record) is OrderState.CANCELED
    assert fill(desk, "t-000001", 1, **{symbol("P", 100): (-1, 1.0), symbol("P", 95): (1, 0.4)}) == []
    assert desk.order_state(record) is OrderState.CANCELED
    assert desk.store.book.orders[record.row]["filled_qty"] == 1
    fill(desk, "t-000001", 2, **{symbol("P", 100): (-2, 1.0), symbol("P", 95): (2, 0.4)})
    assert desk.order_state(record) is OrderState.FILLED


@pytest.mark.parametrize("kind", [UpdateKind.EXPIRED, UpdateKind.REJECTED, UpdateKind.CANCELED])
def test_an_illegal_pair_changes_nothing_and_is_recorded(kind: UpdateKind) -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread())
    fill(desk, "t-000001", 1, **{symbol("P", 100): (-1, 1.0), symbol("P", 95): (1, 0.4)})
    (command,) = desk.handle(update(kind))
    assert isinstance(command, Record)
    assert command.anomaly.what == "illegal_transition"
    assert command.anomaly.client_order_id == "t-000001"
    assert desk.order_state(desk.records[0]) is OrderState.FILLED


def test_a_refused_cancel_gives_back_the_state_that_the_fills_say() -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread(qty=2))
    desk.handle(update(UpdateKind.NEW))
    desk.handle(events.CancelRequested(NOW, "t-000001", "tester"))
    assert desk.order_state(desk.records[0]) is OrderState.PENDING_CANCEL
    desk.handle(update(UpdateKind.CANCEL_REJECTED))
    assert desk.order_state(desk.records[0]) is OrderState.ACCEPTED
    fill(desk, "t-000001", 1, **{symbol("P", 100): (-1, 1.0), symbol("P", 95): (1, 0.4)})
    desk.handle(events.CancelRequested(NOW, "t-000001", "tester"))
    desk.handle(update(UpdateKind.CANCEL_REJECTED))
    assert desk.order_state(desk.records[0]) is OrderState.PARTIALLY_FILLED
