"""The order states as one table: (state, event) → state. Every pair that is not in it is an error that the desk journals."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gammaray.types.account import UpdateKind
from gammaray.types.orders import OrderState


class OrderEvent(IntEnum):
    """What can happen to an order, whichever channel it came by."""

    SUBMIT = 0
    DENY = 1
    NOT_SENT = 2
    ACKNOWLEDGE = 3
    REJECT = 4
    FILL_PART = 5
    FILL_ALL = 6
    REQUEST_CANCEL = 7
    CANCEL = 8
    REFUSE_CANCEL = 9
    REQUEST_REPLACE = 10
    REPLACE = 11
    REFUSE_REPLACE = 12
    EXPIRE = 13


EVENT_MEANING = {
    OrderEvent.SUBMIT: "the gate passed it; the intent is in the journal",
    OrderEvent.DENY: "the gate refused it",
    OrderEvent.NOT_SENT: "it never reached the venue (connection refused, or the venue never had it)",
    OrderEvent.ACKNOWLEDGE: "the venue has it (response, stream or look-up)",
    OrderEvent.REJECT: "the venue refused it",
    OrderEvent.FILL_PART: "an execution that leaves a rest",
    OrderEvent.FILL_ALL: "the execution that completes it",
    OrderEvent.REQUEST_CANCEL: "we asked for a cancel, or the venue says that one is under way",
    OrderEvent.CANCEL: "the venue canceled it",
    OrderEvent.REFUSE_CANCEL: "the venue refused the cancel",
    OrderEvent.REQUEST_REPLACE: "we asked for a replacement, or the venue says that one is under way",
    OrderEvent.REPLACE: "the venue replaced it by another order",
    OrderEvent.REFUSE_REPLACE: "the venue refused the replacement",
    OrderEvent.EXPIRE: "its time in force ended",
}

_S, _E = OrderState, OrderEvent

TRANSITIONS: dict[tuple[OrderState, OrderEvent], OrderState] = {
    (_S.INITIALIZED, _E.SUBMIT): _S.SUBMITTED,
    (_S.INITIALIZED, _E.DENY): _S.DENIED,
    # Sent; nobody knows yet whether it arrived.
    (_S.SUBMITTED, _E.NOT_SENT): _S.DENIED,
    (_S.SUBMITTED, _E.ACKNOWLEDGE): _S.ACCEPTED,
    (_S.SUBMITTED, _E.REJECT): _S.REJECTED,
    (_S.SUBMITTED, _E.FILL_PART): _S.PARTIALLY_FILLED,
    (_S.SUBMITTED, _E.FILL_ALL): _S.FILLED,
    (_S.SUBMITTED, _E.REQUEST_CANCEL): _S.PENDING_CANCEL,
    (_S.SUBMITTED, _E.CANCEL): _S.CANCELED,
    (_S.SUBMITTED, _E.EXPIRE): _S.EXPIRED,
    (_S.SUBMITTED, _E.REPLACE): _S.REPLACED,
    # Working at the venue.
    (_S.ACCEPTED, _E.ACKNOWLEDGE): _S.ACCEPTED,
    (_S.ACCEPTED, _E.REJECT): _S.REJECTED,
    (_S.ACCEPTED, _E.FILL_PART): _S.PARTIALLY_FILLED,
    (_S.ACCEPTED, _E.FILL_ALL): _S.FILLED,
    (_S.ACCEPTED, _E.REQUEST_CANCEL): _S.PENDING_CANCEL,
    (_S.ACCEPTED, _E.CANCEL): _S.CANCELED,
    (_S.ACCEPTED, _E.REQUEST_REPLACE): _S.PENDING_REPLACE,
    (_S.ACCEPTED, _E.REPLACE): _S.REPLACED,
    (_S.ACCEPTED, _E.EXPIRE): _S.EXPIRED,
    (_S.ACCEPTED, _E.REFUSE_CANCEL): _S.ACCEPTED,
    (_S.ACCEPTED, _E.REFUSE_REPLACE): _S.ACCEPTED,
    (_S.PARTIALLY_FILLED, _E.ACKNOWLEDGE): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _E.FILL_PART): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _E.FILL_ALL): _S.FILLED,
    (_S.PARTIALLY_FILLED, _E.REQUEST_CANCEL): _S.PENDING_CANCEL,
    (_S.PARTIALLY_FILLED, _E.CANCEL): _S.CANCELED,
    (_S.PARTIALLY_FILLED, _E.REQUEST_REPLACE): _S.PENDING_REPLACE,
    (_S.PARTIALLY_FILLED, _E.REPLACE): _S.REPLACED,
    (_S.PARTIALLY_FILLED, _E.EXPIRE): _S.EXPIRED,
    (_S.PARTIALLY_FILLED, _E.REFUSE_CANCEL): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _E.REFUSE_REPLACE): _S.PARTIALLY_FILLED,
    # A request is under way; the order still works until the venue says otherwise.
    (_S.PENDING_CANCEL, _E.ACKNOWLEDGE): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, _E.NOT_SENT): _S.DENIED,
    (_S.PENDING_CANCEL, _E.REJECT): _S.REJECTED,
    (_S.PENDING_CANCEL, _E.FILL_PART): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, _E.FILL_ALL): _S.FILLED,
    (_S.PENDING_CANCEL, _E.REQUEST_CANCEL): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, _E.CANCEL): _S.CANCELED,
    (_S.PENDING_CANCEL, _E.REFUSE_CANCEL): _S.ACCEPTED,
    (_S.PENDING_CANCEL, _E.REPLACE): _S.REPLACED,
    (_S.PENDING_CANCEL, _E.REFUSE_REPLACE): _S.PENDING_CANCEL,
    (_S.PENDING_CANCEL, _E.EXPIRE): _S.EXPIRED,
    (_S.PENDING_REPLACE, _E.ACKNOWLEDGE): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, _E.REJECT): _S.REJECTED,
    (_S.PENDING_REPLACE, _E.FILL_PART): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, _E.FILL_ALL): _S.FILLED,
    (_S.PENDING_REPLACE, _E.REQUEST_CANCEL): _S.PENDING_CANCEL,
    (_S.PENDING_REPLACE, _E.CANCEL): _S.CANCELED,
    (_S.PENDING_REPLACE, _E.REQUEST_REPLACE): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, _E.REPLACE): _S.REPLACED,
    (_S.PENDING_REPLACE, _E.REFUSE_REPLACE): _S.ACCEPTED,
    (_S.PENDING_REPLACE, _E.REFUSE_CANCEL): _S.PENDING_REPLACE,
    (_S.PENDING_REPLACE, _E.EXPIRE): _S.EXPIRED,
    # Done. News that was overtaken changes nothing; a fill that was overtaken still counts.
    (_S.FILLED, _E.ACKNOWLEDGE): _S.FILLED,
    (_S.FILLED, _E.REQUEST_CANCEL): _S.FILLED,
    (_S.FILLED, _E.REFUSE_CANCEL): _S.FILLED,
    (_S.FILLED, _E.REQUEST_REPLACE): _S.FILLED,
    (_S.FILLED, _E.REFUSE_REPLACE): _S.FILLED,
    (_S.CANCELED, _E.ACKNOWLEDGE): _S.CANCELED,
    (_S.CANCELED, _E.FILL_PART): _S.CANCELED,
    (_S.CANCELED, _E.FILL_ALL): _S.FILLED,
    (_S.CANCELED, _E.REQUEST_CANCEL): _S.CANCELED,
    (_S.CANCELED, _E.REFUSE_CANCEL): _S.CANCELED,
    (_S.CANCELED, _E.REQUEST_REPLACE): _S.CANCELED,
    (_S.CANCELED, _E.REFUSE_REPLACE): _S.CANCELED,
    (_S.CANCELED, _E.CANCEL): _S.CANCELED,
    (_S.EXPIRED, _E.ACKNOWLEDGE): _S.EXPIRED,
    (_S.EXPIRED, _E.FILL_PART): _S.EXPIRED,
    (_S.EXPIRED, _E.FILL_ALL): _S.FILLED,
    (_S.EXPIRED, _E.REQUEST_CANCEL): _S.EXPIRED,
    (_S.EXPIRED, _E.REFUSE_CANCEL): _S.EXPIRED,
    (_S.EXPIRED, _E.REQUEST_REPLACE): _S.EXPIRED,
    (_S.EXPIRED, _E.REFUSE_REPLACE): _S.EXPIRED,
    (_S.EXPIRED, _E.EXPIRE): _S.EXPIRED,
    (_S.REPLACED, _E.ACKNOWLEDGE): _S.REPLACED,
    (_S.REPLACED, _E.FILL_PART): _S.REPLACED,
    (_S.REPLACED, _E.FILL_ALL): _S.FILLED,
    (_S.REPLACED, _E.REQUEST_CANCEL): _S.REPLACED,
    (_S.REPLACED, _E.REFUSE_CANCEL): _S.REPLACED,
    (_S.REPLACED, _E.REQUEST_REPLACE): _S.REPLACED,
    (_S.REPLACED, _E.REPLACE): _S.REPLACED,
    (_S.REJECTED, _E.ACKNOWLEDGE): _S.REJECTED,
    (_S.REJECTED, _E.REJECT): _S.REJECTED,
    (_S.REJECTED, _E.REFUSE_CANCEL): _S.REJECTED,
    # We had given it up for lost, and the venue turns out to have it: it works until the cancel that this causes.
    (_S.DENIED, _E.ACKNOWLEDGE): _S.ACCEPTED,
    (_S.DENIED, _E.REFUSE_CANCEL): _S.DENIED,
    (_S.DENIED, _E.FILL_PART): _S.PARTIALLY_FILLED,
    (_S.DENIED, _E.FILL_ALL): _S.FILLED,
    (_S.DENIED, _E.CANCEL): _S.CANCELED,
    (_S.DENIED, _E.REJECT): _S.REJECTED,
    (_S.DENIED, _E.EXPIRE): _S.EXPIRED,
}
"""ACCEPTED as a target reads PARTIALLY_FILLED where the order has fills."""

UPDATE_EVENTS: dict[UpdateKind, OrderEvent | None] = {
    UpdateKind.NEW: OrderEvent.ACKNOWLEDGE,
    UpdateKind.PARTIAL_FILL: None,
    UpdateKind.FILL: None,
    UpdateKind.CANCELED: OrderEvent.CANCEL,
    UpdateKind.EXPIRED: OrderEvent.EXPIRE,
    UpdateKind.REJECTED: OrderEvent.REJECT,
    UpdateKind.REPLACED: OrderEvent.REPLACE,
    UpdateKind.PENDING_CANCEL: OrderEvent.REQUEST_CANCEL,
    UpdateKind.PENDING_REPLACE: OrderEvent.REQUEST_REPLACE,
    UpdateKind.CANCEL_REJECTED: OrderEvent.REFUSE_CANCEL,
    UpdateKind.REPLACE_REJECTED: OrderEvent.REFUSE_REPLACE,
}
"""What a stream update means; fills (None) act through their executions."""

UPDATE_STATUS: dict[UpdateKind, str] = {
    UpdateKind.NEW: "new",
    UpdateKind.PARTIAL_FILL: "partially_filled",
    UpdateKind.FILL: "filled",
    UpdateKind.CANCELED: "canceled",
    UpdateKind.EXPIRED: "expired",
    UpdateKind.REJECTED: "rejected",
    UpdateKind.REPLACED: "replaced",
    UpdateKind.PENDING_CANCEL: "pending_cancel",
    UpdateKind.PENDING_REPLACE: "pending_replace",
    UpdateKind.CANCEL_REJECTED: "new",
    UpdateKind.REPLACE_REJECTED: "new",
}
"""The status that REST would show after a stream update."""

STATUS_EVENTS: dict[str, OrderEvent] = {
    **dict.fromkeys(
        (
            "new",
            "accepted",
            "pending_new",
            "accepted_for_bidding",
            "pending_review",
            "held",
            "stopped",
            "suspended",
            "calculated",
            "done_for_day",
            "partially_filled",
            "filled",
        ),
        OrderEvent.ACKNOWLEDGE,
    ),
    "canceled": OrderEvent.CANCEL,
    "expired": OrderEvent.EXPIRE,
    "replaced": OrderEvent.REPLACE,
    "rejected": OrderEvent.REJECT,
    "pending_cancel": OrderEvent.REQUEST_CANCEL,
    "pending_replace": OrderEvent.REQUEST_REPLACE,
}
"""What each of Alpaca's order statuses means. The fills behind partially_filled and filled come as executions or activities."""


ENDS = frozenset({OrderEvent.CANCEL, OrderEvent.EXPIRE, OrderEvent.REPLACE, OrderEvent.REJECT})
"""What ends an order without filling it."""


def transition_table() -> NDArray[np.int8]:
    """The table as an array, rows states, columns events; -1 marks an illegal pair."""
    table = np.full((len(OrderState), len(OrderEvent)), -1, dtype=np.int8)
    for (state, event), target in TRANSITIONS.items():
        table[state, event] = target
    return table


def terminal_states() -> NDArray[np.bool_]:
    """Which states end an order, by state number."""
    return np.array([state.is_terminal for state in OrderState], dtype=np.bool_)
