"""The limits of the pre-trade gate: what may be set, and the rules that deny."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.core.layout import LIMIT

_PPM = 1_000_000
_NANOS = 1_000_000_000
_LARGEST = 2**62


class Rule(StrEnum):
    """Why an order was denied. The first ones stand in the order of the codes of `gammaray.desk.core.gate`."""

    TRADING_STATE = "trading_state"
    ORDER_RATE = "order_rate"
    ORDER_SIZE = "order_size"
    STALE_QUOTE = "stale_quote"
    BAD_QUOTE = "bad_quote"
    WIDE_QUOTE = "wide_quote"
    MARKET_ORDER = "market_order"
    PRICE_COLLAR = "price_collar"
    POSITION_QTY = "position_qty"
    CLOSE_QTY = "close_qty"
    POSITION_INTENT = "position_intent"
    DAILY_LOSS = "daily_loss"
    UNCOVERED_SHORT = "uncovered_short"
    POSITION_LOSS = "max_position_size"
    UNDERLYING_LOSS = "max_underlying_size"
    FUNDS = "funds"
    LEVERAGE = "max_leverage"
    DELTA_UNDERLYING = "delta_underlying"
    DELTA_TOTAL = "delta_total"
    GAMMA_UNDERLYING = "gamma_underlying"
    GAMMA_TOTAL = "gamma_total"
    VEGA_UNDERLYING = "vega_underlying"
    VEGA_TOTAL = "vega_total"
    DUPLICATE_INTENT = "duplicate_intent"
    SELF_TRADE = "self_trade"
    SESSION_CLOSED = "session_closed"
    UNKNOWN_SYMBOL = "unknown_symbol"


CORE_RULES: tuple[Rule, ...] = tuple(Rule)[:23]
"""The rules that the compiled gate checks; code k of the gate is CORE_RULES[k - 1]."""


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Limits of one account. Sizes are fractions of its equity unless the name says otherwise; raises ValueError naming the field.

    max_position_size, max_underlying_size: largest loss of one opened position, and of all options of one underlying.
    max_daily_loss: loss since the start of the day at which the desk goes to REDUCING; halt_daily_loss: to HALTED.
    max_leverage: Σ over underlyings of the absolute dollar delta, over equity.
    max_delta…: dollar delta (delta × spot × multiplier). max_gamma…: change of dollar delta for a spot move of 1 %.
    max_vega…: change of value for one volatility point. price_collar: how far a limit may lie on the wrong side of the middle, of
    the middle's gross (Σ of the legs' middles), at least collar_floor_cents a leg. max_spread: width of the market that a market
    order may meet, of the same gross.
    """

    max_position_size: float = 0.10
    max_underlying_size: float = 0.40
    max_daily_loss: float = 0.05
    halt_daily_loss: float = 0.10
    max_leverage: float = 2.0
    max_order_contracts: int = 200
    max_order_shares: int = 20_000
    max_contracts_per_symbol: int = 1_000
    max_shares_per_symbol: int = 100_000
    max_delta_underlying: float = 1.0
    max_delta_total: float = 1.5
    max_gamma_underlying: float = 0.25
    max_gamma_total: float = 0.40
    max_vega_underlying: float = 0.02
    max_vega_total: float = 0.04
    price_collar: float = 0.25
    collar_floor_cents: int = 10
    max_spread: float = 0.25
    max_quote_age_s: float = 3_600.0
    max_orders_per_minute: int = 120
    defined_risk_only: bool = True
    allow_market_orders: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool):
                continue
            if not 0 < value < float("inf"):
                raise ValueError(f"{field.name}: must be positive and finite, was {value}")
        for name in ("max_position_size", "max_underlying_size", "max_daily_loss", "halt_daily_loss"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name}: a fraction of equity, at most 1, was {getattr(self, name)}")
        if self.halt_daily_loss < self.max_daily_loss:
            raise ValueError(f"halt_daily_loss: {self.halt_daily_loss} is below max_daily_loss {self.max_daily_loss}")

    def in_force(self, equity: int, start_of_day_equity: int) -> NDArray[Any]:
        """The row that the compiled gate reads. Both equities in micro-dollars; the daily loss is measured from the second."""
        row = np.zeros(1, dtype=LIMIT)
        base = max(0, equity)

        def of_equity(fraction: float) -> int:
            return min(base * round(fraction * _PPM) // _PPM, _LARGEST)

        row["order_contracts"] = self.max_order_contracts
        row["order_shares"] = self.max_order_shares
        row["contracts_per_symbol"] = self.max_contracts_per_symbol
        row["shares_per_symbol"] = self.max_shares_per_symbol
        row["position_loss"] = of_equity(self.max_position_size)
        row["underlying_loss"] = of_equity(self.max_underlying_size)
        row["gross_delta"] = of_equity(self.max_leverage)
        row["delta_underlying"] = of_equity(self.max_delta_underlying)
        row["delta_total"] = of_equity(self.max_delta_total)
        row["gamma_underlying"] = of_equity(self.max_gamma_underlying)
        row["gamma_total"] = of_equity(self.max_gamma_total)
        row["vega_underlying"] = of_equity(self.max_vega_underlying)
        row["vega_total"] = of_equity(self.max_vega_total)
        row["daily_loss"] = start_of_day_equity * round(self.max_daily_loss * _PPM) // _PPM
        row["collar_ppm"] = round(self.price_collar * _PPM)
        row["collar_floor"] = self.collar_floor_cents * 10_000
        row["spread_ppm"] = round(self.max_spread * _PPM)
        row["quote_age_ns"] = round(self.max_quote_age_s * _NANOS)
        row["orders_per_minute"] = self.max_orders_per_minute
        row["defined_risk"] = int(self.defined_risk_only)
        row["market_orders"] = int(self.allow_market_orders)
        return row
