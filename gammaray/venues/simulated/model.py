"""The values that the exchange keeps and publishes. The wire renders them as Alpaca's JSON; nothing here knows HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

TERMINAL_STATUSES = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})


class ExchangeReject(Exception):
    """A request refused. `status` is the HTTP status, `code` Alpaca's number (wire.md 2.10), `details` extra text fields of the body."""

    def __init__(self, status: int, code: int, message: str, **details: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


@dataclass(slots=True)
class TicketLeg:
    """One leg of a package as submitted. `side` or `position_intent` may be empty."""

    symbol: str
    ratio_qty: int
    side: str = ""
    position_intent: str = ""


@dataclass(slots=True)
class Ticket:
    """An order as submitted, already parsed into exact values (prices in micro-dollars), not yet validated against the account."""

    symbol: str
    qty: int
    side: str
    order_type: str
    time_in_force: str
    limit_price: int | None = None
    stop_price: int | None = None
    client_order_id: str = ""
    order_class: str = ""
    position_intent: str = ""
    extended_hours: bool = False
    legs: list[TicketLeg] = field(default_factory=list)


@dataclass(slots=True)
class ExchangeOrder:
    """An order at the exchange. `notional_filled` is Σ price × qty of its executions (micro-dollars × units), for the average price."""

    order_id: str
    client_order_id: str
    symbol: str
    asset_class: str
    qty: int
    side: str
    order_type: str
    time_in_force: str
    status: str
    created_ns: int
    updated_ns: int
    submitted_ns: int
    order_class: str = "simple"
    position_intent: str = ""
    limit_price: int | None = None
    stop_price: int | None = None
    filled_qty: int = 0
    notional_filled: int = 0
    ratio_qty: int | None = None
    extended_hours: bool = False
    filled_ns: int | None = None
    expired_ns: int | None = None
    canceled_ns: int | None = None
    failed_ns: int | None = None
    replaced_ns: int | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    parent_id: str | None = None
    legs: list[ExchangeOrder] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether the order still works."""
        return self.status not in TERMINAL_STATUSES

    @property
    def leaves_qty(self) -> int:
        """What is not filled yet."""
        return self.qty - self.filled_qty


@dataclass(frozen=True, slots=True)
class ExchangeExecution:
    """One fill. `qty` is positive; `position_qty` is the signed position after it."""

    execution_id: str
    order_id: str
    symbol: str
    side: str
    qty: int
    price: int
    ts_ns: int
    position_qty: int


@dataclass(frozen=True, slots=True)
class ExchangeEvent:
    """What goes out on the trading stream. `order` is a copy of the (parent) order as it was at the event.

    event_id runs from 1 without gaps for the life of the exchange. A simple fill has one execution; a package fill one a leg.
    """

    event_id: int
    event: str
    ts_ns: int
    order: ExchangeOrder
    executions: tuple[ExchangeExecution, ...] = ()
    net_price: int | None = None
    units: int = 0


@dataclass(slots=True)
class ExchangePosition:
    """A position; `cost_micros` is the signed cost of what is open (Σ price × qty × multiplier)."""

    symbol: str
    signed_qty: int
    cost_micros: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class ExchangeActivity:
    """A row of account activities; `activity_id` sorts by time. See wire.md 2.9."""

    activity_id: str
    activity_type: str
    ts_ns: int
    symbol: str = ""
    qty: int = 0
    price: int | None = None
    net_amount: int = 0
    side: str = ""
    order_id: str = ""
    leaves_qty: int = 0
    cum_qty: int = 0
    fill_type: str = ""
    group_id: str = ""
    sub_type: str = ""
    description: str = ""
    execution_id: str = ""
    """Of the execution that a FILL row records."""
    visible_ns: int = 0
    """When REST shows the row: on the paper profile, non-trade rows appear at the start of the next day."""


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """The account in micro-dollars (wire.md 2.2)."""

    cash: int
    long_market_value: int
    short_market_value: int
    equity: int
    last_equity: int
    initial_margin: int
    maintenance_margin: int
    buying_power: int
    regt_buying_power: int
    options_buying_power: int
    non_marginable_buying_power: int
    accrued_fees: int
    multiplier: int
    options_trading_level: int
    last_maintenance_margin: int = 0
    reserved: int = 0
    """Held for open orders; already taken off options_buying_power."""


@dataclass(frozen=True, slots=True)
class Published:
    """Quotes published in one step, all stamped `ts_ns`: columns of equal length; prices in integer cents, 0 size for no quote on a side.

    Only instruments whose quote changed are in it, except the underlyings, which are always there and last.
    """

    ts_ns: int
    symbols: tuple[str, ...]
    bid_cents: NDArray[np.int64]
    ask_cents: NDArray[np.int64]
    bid_size: NDArray[np.int64]
    ask_size: NDArray[np.int64]
    trades: tuple[PublishedTrade, ...] = ()
    """Prints since the step before, in order: those of the flow and ours."""


@dataclass(frozen=True, slots=True)
class PublishedTrade:
    """One print on the tape."""

    symbol: str
    ts_ns: int
    price_cents: int
    qty: int


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """What of an exchange is a choice. Money is micro-dollars.

    profile: "paper" or "live"; live charges fees whatever `fees` says. fees: charge them on paper too. delayed_activities: non-trade rows
    show at the start of the next day, as on Alpaca paper. multiplier: 1 (cash) or 2 (margin). options_level: 0 to 3.
    cap_contracts: largest quantity of one option order. early_assignment: probability at each close that a short contract with next to no time
    value is assigned. Raises ValueError, naming the field.
    """

    seed: int = 7
    cash: int = 1_000_000_000_000
    profile: str = "paper"
    fees: bool = True
    delayed_activities: bool = False
    multiplier: int = 2
    options_level: int = 3
    shorting: bool = True
    option_gtc: bool = True
    wash_trade_guard: bool = True
    cap_contracts: int = 10_000
    early_assignment: float = 0.0
    account_number: str = "PA3SIM000001"

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed: must not be negative, was {self.seed}")
        if self.cash <= 0:
            raise ValueError(f"cash: must be positive, was {self.cash}")
        if self.profile not in ("paper", "live"):
            raise ValueError(f"profile: expected paper or live, was {self.profile!r}")
        if self.multiplier not in (1, 2):
            raise ValueError(f"multiplier: expected 1 or 2, was {self.multiplier}")
        if not 0 <= self.options_level <= 3:
            raise ValueError(f"options_level: expected 0 to 3, was {self.options_level}")
        if not 0.0 <= self.early_assignment <= 1.0:
            raise ValueError(f"early_assignment: expected a probability, was {self.early_assignment}")
        if self.cap_contracts <= 0:
            raise ValueError(f"cap_contracts: must be positive, was {self.cap_contracts}")
