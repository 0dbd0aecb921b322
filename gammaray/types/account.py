"""What the venue says about the account and the orders in it: the values that the desk's events carry and reconciliation compares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UpdateKind(StrEnum):
    """What happened to an order at the venue (names of Alpaca's trade-update events, the ones that change our state)."""

    NEW = "new"
    PARTIAL_FILL = "partial_fill"
    FILL = "fill"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    CANCEL_REJECTED = "order_cancel_rejected"
    REPLACE_REJECTED = "order_replace_rejected"


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill of one instrument. `signed_qty` is positive for a buy; `price` is micro-dollars per share."""

    execution_id: str
    symbol: str
    signed_qty: int
    price: int


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """A change of an order at the venue; fills carry their executions (one a leg for a package)."""

    kind: UpdateKind
    client_order_id: str
    venue_order_id: str
    ts_ns: int
    executions: tuple[Execution, ...] = ()
    event_id: int = 0
    """The venue's running number of the event where it gives one (ours does), else 0."""
    reason: str = ""
    replaced_by: str = ""
    """client_order_id of the order that replaced this one."""


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue reports it by REST. `status` is Alpaca's word. Prices are micro-dollars."""

    client_order_id: str
    venue_order_id: str
    status: str
    qty: int
    filled_qty: int
    filled_avg_price: str | None
    legs: tuple[str, ...]
    limit_price: int | None = None
    submitted_ns: int = 0
    updated_ns: int = 0


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A position as the venue reports it. `signed_qty` is negative for a short; prices are micro-dollars per share."""

    symbol: str
    signed_qty: int
    avg_entry_price: int
    current_price: int


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """The account's figures in micro-dollars."""

    account_number: str
    cash: int
    equity: int
    long_market_value: int
    short_market_value: int
    buying_power: int
    options_buying_power: int
    initial_margin: int
    maintenance_margin: int
    options_trading_level: int


class ActivityKind(StrEnum):
    """Account activities that move positions or cash (Alpaca's activity types)."""

    FILL = "FILL"
    EXERCISE = "OPEXC"
    ASSIGNMENT = "OPASN"
    EXPIRY = "OPEXP"
    OPTION_TRADE = "OPTRD"
    FEE = "FEE"
    DIVIDEND = "DIV"
    CASH = "CASH"


@dataclass(frozen=True, slots=True)
class Activity:
    """A row of the venue's account activities.

    `signed_qty` changes the position in `symbol`; `net_amount` changes cash (micro-dollars; for FILL it follows from price and qty).
    Rows of one exercise or assignment share `group_id`. `order_id` is the venue's, for FILL.
    """

    activity_id: str
    kind: ActivityKind
    ts_ns: int
    symbol: str = ""
    signed_qty: int = 0
    price: int = 0
    net_amount: int = 0
    group_id: str = ""
    order_id: str = ""
    execution_id: str = ""
    sub_kind: str = ""
