"""What the desk remembers of each order besides its row in the pool."""

from __future__ import annotations

from dataclasses import dataclass, field

from gammaray.desk.limits import RiskLimits
from gammaray.types.orders import OrderLeg
from gammaray.types.signals import Signal


@dataclass(slots=True)
class OrderRecord:
    """One order of ours. `row` is its place in the pool; `unknown`: sent, but not yet heard of.
    `confirmed`: its end is certain, with all that was filled of it.

    `legs`, `qty` and `limit_price` are those in force (a replacement has the signal of the order that it replaces).
    """

    client_order_id: str
    row: int
    signal: Signal
    legs: tuple[OrderLeg, ...]
    qty: int
    limit_price: int | None
    venue_order_id: str = ""
    unknown: bool = True
    confirmed: bool = False
    misses: int = 0
    cancel_wanted: bool = False
    replaces: str = ""
    reason: str = ""
    venue_status: str = ""
    venue_filled_qty: int = 0

    @property
    def is_package(self) -> bool:
        """Whether the order has several legs."""
        return len(self.legs) > 1

    def leg_of(self, symbol: str) -> int:
        """Number of the leg in a symbol, -1 when there is none."""
        for k, leg in enumerate(self.legs):
            if leg.symbol == symbol:
                return k
        return -1


def intent_key(signal: Signal) -> str:
    """What an order is for: two working orders with one intent are one too many."""
    legs = ",".join(f"{leg.symbol}{leg.side.sign * leg.ratio_qty:+d}" for leg in signal.legs)
    return f"{signal.strategy}|{signal.position_id}|{signal.purpose.value}|{legs}"


@dataclass(slots=True)
class Memory:
    """The part of the desk's state that is names rather than numbers. Everything keeps the order in which it appeared."""

    account: str = ""
    order_prefix: str = ""
    day: str = ""
    last_ts_ns: int = 0
    reconciled_ns: int = 0
    closing_equity: int = 0
    first_activity_id: str = ""
    activities: list[str] = field(default_factory=list)
    external_orders: dict[str, str] = field(default_factory=dict)
    external_reported: list[str] = field(default_factory=list)
    external_fills: int = 0
    external_fills_reported: int = 0
    anomalies: int = 0
    differences: int = 0
    denials: dict[str, int] = field(default_factory=dict)
    venue_ids: dict[str, str] = field(default_factory=dict)
    """Our id of each venue order id."""
    limits: RiskLimits = field(default_factory=RiskLimits)
