"""What the desk learns and decides: frozen values that are journaled and, replayed in order, give the same state.

Times are market time, UTC nanoseconds. Money is micro-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gammaray.desk.limits import RiskLimits
from gammaray.types.account import Activity, OrderUpdate, VenueOrder
from gammaray.types.signals import Signal, TradingState


@dataclass(frozen=True, slots=True)
class OpeningPosition:
    """A position that was there before the journal began; `price` is the venue's average entry."""

    symbol: str
    signed_qty: int
    price: int


@dataclass(frozen=True, slots=True)
class DeskOpened:
    """The journal begins: what the account holds, and the last activity that is in those figures."""

    ts_ns: int
    account: str
    order_prefix: str
    cash: int
    positions: tuple[OpeningPosition, ...]
    last_activity_id: str


@dataclass(frozen=True, slots=True)
class LimitsSet:
    """These limits are in force from now on."""

    ts_ns: int
    limits: RiskLimits
    by: str


@dataclass(frozen=True, slots=True)
class DayStarted:
    """A session begins; `day` is ISO, `equity` the value that the day's loss is measured from."""

    ts_ns: int
    day: str
    equity: int


@dataclass(frozen=True, slots=True)
class DayEnded:
    """A session is over; `equity` is at its last marks."""

    ts_ns: int
    day: str
    equity: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order that passed holds until it is done: funds, largest loss, and dollar greeks (see `core.layout`)."""

    funds: int
    loss: int
    delta: int
    gamma: int
    vega: int


@dataclass(frozen=True, slots=True)
class OrderIntended:
    """The gate passed a signal. Journaled before the order leaves. `rate_level_ns`: the order rate's bucket with it."""

    ts_ns: int
    client_order_id: str
    signal: Signal
    closes: tuple[bool, ...]
    reserved: Reservation
    rate_level_ns: int


@dataclass(frozen=True, slots=True)
class OrderDenied:
    """The gate refused a signal: `value` against `limit` under `rule`, concerning `subject` (a symbol, or empty)."""

    ts_ns: int
    client_order_id: str
    signal: Signal
    rule: str
    limit: int
    value: int
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceIntended:
    """A working order is to be replaced under a new id. `qty` is the new order's, `whole_qty` what both are to fill together."""

    ts_ns: int
    client_order_id: str
    new_client_order_id: str
    qty: int
    whole_qty: int
    limit_price: int | None
    reserved: Reservation
    rate_level_ns: int


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """The venue refused an order for good, in its answer to the request."""

    ts_ns: int
    client_order_id: str
    code: int
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class OrderNotSent:
    """The request never reached the venue."""

    ts_ns: int
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """Nobody knows whether the request reached the venue; look-ups will tell."""

    ts_ns: int
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LookUpMissed:
    """The venue did not know an order whose outcome is unknown."""

    ts_ns: int
    client_order_id: str


@dataclass(frozen=True, slots=True)
class NeverArrived:
    """Enough look-ups over enough time missed an order: it counts as never sent."""

    ts_ns: int
    client_order_id: str


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """The venue's own picture of an order, by answer, look-up or listing."""

    ts_ns: int
    order: VenueOrder


@dataclass(frozen=True, slots=True)
class UpdateReceived:
    """An update came on the trading stream."""

    ts_ns: int
    update: OrderUpdate


@dataclass(frozen=True, slots=True)
class ActivityReceived:
    """A row of the account's activities was fetched."""

    ts_ns: int
    activity: Activity


@dataclass(frozen=True, slots=True)
class ActivityPresumed:
    """Positions and cash moved at the venue as this activity would move them, before the venue shows the row.

    When the row comes it is recognised and not applied again. `activity_id` is empty.
    """

    ts_ns: int
    activity: Activity


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants an order canceled."""

    ts_ns: int
    client_order_id: str
    by: str


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue refused a cancel in its answer to the request."""

    ts_ns: int
    client_order_id: str
    message: str


@dataclass(frozen=True, slots=True)
class TradingStateChanged:
    """The desk may do less, by rule or hand, or more again, by hand only. `by` names the person or the rule."""

    ts_ns: int
    state: TradingState
    by: str
    reason: str


class DifferenceKind(StrEnum):
    """In what the venue and the desk may differ."""

    MISSING_ORDER = "missing_order"
    EXTERNAL_ORDER = "external_order"
    DUPLICATE_ORDER = "duplicate_order"
    ORDER_STATE = "order_state"
    ORDER_QUANTITY = "order_quantity"
    POSITION_QUANTITY = "position_quantity"
    POSITION_PRICE = "position_price"
    CASH = "cash"
    ASSIGNED = "assigned"
    EXERCISED = "exercised"
    EXPIRED = "expired"
    LIQUIDATED = "liquidated"
    EXTERNAL_FILL = "external_fill"
    UNCOVERED_SHORT = "uncovered_short"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference found in a reconciliation. `resolved`: a rule explained or repaired it."""

    kind: DifferenceKind
    subject: str
    ours: str
    theirs: str
    resolved: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The books were compared with the venue's."""

    ts_ns: int
    cause: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class OrderSettled:
    """The ledger agrees with the venue, but this order's fills were booked elsewhere: the venue's count is taken over."""

    ts_ns: int
    client_order_id: str
    filled_qty: int


@dataclass(frozen=True, slots=True)
class PositionAdopted:
    """A person took the venue's figures over: the position becomes `signed_qty` at `price`, cash changes by `cash_change`."""

    ts_ns: int
    symbol: str
    signed_qty: int
    price: int
    cash_change: int
    by: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that must not happen did: an illegal (state, event) pair, an overfill, a row that contradicts itself."""

    ts_ns: int
    what: str
    detail: str
    client_order_id: str = ""


Event = (
    DeskOpened
    | LimitsSet
    | DayStarted
    | DayEnded
    | OrderIntended
    | OrderDenied
    | ReplaceIntended
    | OrderRefused
    | OrderNotSent
    | OutcomeUnknown
    | LookUpMissed
    | NeverArrived
    | OrderSeen
    | UpdateReceived
    | ActivityReceived
    | ActivityPresumed
    | CancelRequested
    | CancelRefused
    | TradingStateChanged
    | Reconciled
    | OrderSettled
    | PositionAdopted
    | Anomaly
)
