"""What the desk wants done outside: frozen values that its driver carries out, after the events behind them are durable."""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.desk.events import Anomaly
from gammaray.types.orders import OrderRequest


@dataclass(frozen=True, slots=True)
class SendOrder:
    """Send an order to the venue."""

    request: OrderRequest


@dataclass(frozen=True, slots=True)
class SendReplace:
    """Ask the venue to replace an order. `qty` is the whole quantity, what the old order has filled included."""

    client_order_id: str
    venue_order_id: str
    new_client_order_id: str
    qty: int
    limit_price: int | None


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Ask the venue to cancel an order."""

    client_order_id: str
    venue_order_id: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the venue for an order by our id."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """Fetch what the stream may have missed: orders, activities."""

    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """Journal an anomaly that an event brought to light."""

    anomaly: Anomaly


Command = SendOrder | SendReplace | SendCancel | LookUp | Backfill | Record
