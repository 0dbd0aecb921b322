"""What a strategy may see of the book: a frozen picture taken between events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gammaray.types.orders import OrderLeg
from gammaray.types.signals import Purpose, TradingState


@dataclass(frozen=True, slots=True)
class PositionView:
    """An open position; `avg_px_open` is micro-dollars per share."""

    symbol: str
    signed_qty: int
    avg_px_open: int
    realized_pnl: int


@dataclass(frozen=True, slots=True)
class StrategyPosition:
    """What one strategy holds under one position id: legs with what is filled of them, and when it was opened.

    net_open: micro-dollars received (negative) or paid (positive) for the legs so far, multiplier included.
    """

    position_id: str
    strategy: str
    underlying: str
    opened_ns: int
    signed_qty: Mapping[str, int]
    net_open: int


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order of ours that is not done."""

    client_order_id: str
    strategy: str
    position_id: str
    purpose: Purpose
    legs: tuple[OrderLeg, ...]
    leaves_qty: int
    limit_price: int | None
    submitted_ns: int


@dataclass(frozen=True, slots=True)
class BookView:
    """The book at one time. Amounts are micro-dollars; `equity` is cash plus marks."""

    ts_ns: int
    trading_state: TradingState
    cash: int
    equity: int
    start_of_day_equity: int
    positions: Mapping[str, PositionView]
    strategy_positions: tuple[StrategyPosition, ...]
    working_orders: tuple[WorkingOrder, ...]

    def of_strategy(self, name: str) -> tuple[StrategyPosition, ...]:
        """Open positions of one strategy."""
        return tuple(position for position in self.strategy_positions if position.strategy == name)

    def working(self, name: str) -> tuple[WorkingOrder, ...]:
        """Working orders of one strategy."""
        return tuple(order for order in self.working_orders if order.strategy == name)
