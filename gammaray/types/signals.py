"""What a model says about the future, and what a strategy wants done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gammaray.types.orders import OrderLeg, OrderRequest, TimeInForce


class Purpose(StrEnum):
    """Why an order is sent. Only OPEN adds risk; the others pass in the REDUCING trading state."""

    OPEN = "open"
    CLOSE = "close"
    HEDGE = "hedge"


class TradingState(StrEnum):
    """What the desk may do. It goes to stricter states by rule or by hand, and back only by hand."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A served prediction for one underlying, made at `ts_ns` for the next `horizon_days` sessions.

    realized_volatility: annual. iv_change: change of the 30-day at-the-money implied volatility (absolute, annual volatility).
    """

    underlying: str
    ts_ns: int
    horizon_days: int
    realized_volatility: float
    iv_change: float
    model: str
    version: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A trade that a strategy wants.

    qty: units of the package. limit_price: micro-dollars per unit and share, signed net for packages (debit positive), None for a
    market order. probability: of a profit at expiry, 0 to 1. expected_edge: micro-dollars per unit after costs.
    position_id: groups the orders that open, hedge and close one position of the strategy.
    """

    strategy: str
    underlying: str
    ts_ns: int
    purpose: Purpose
    legs: tuple[OrderLeg, ...]
    qty: int
    limit_price: int | None
    position_id: str
    probability: float
    expected_edge: int
    horizon_days: int
    model: str
    model_version: str
    explanation: str
    time_in_force: TimeInForce = TimeInForce.DAY

    def to_order(self, client_order_id: str = "unsent") -> OrderRequest:
        """The order that carries the signal out; the desk gives it its id."""
        return OrderRequest(
            client_order_id=client_order_id,
            legs=self.legs,
            qty=self.qty,
            limit_price=self.limit_price,
            time_in_force=self.time_in_force,
            strategy=self.strategy,
        )
