"""What an order says, and the states it passes through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import gcd

from gammaray.types.instruments import is_occ


class Side(StrEnum):
    """Buy or sell; `sign` is +1 or -1."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How the order is priced."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long the order works."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class PositionIntent(StrEnum):
    """What an option order does to the position; the venue checks it against what it infers."""

    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"


class OrderState(IntEnum):
    """States of an order on our side. DENIED is ours, REJECTED is the venue's."""

    INITIALIZED = 0
    DENIED = 1
    SUBMITTED = 2
    ACCEPTED = 3
    PARTIALLY_FILLED = 4
    PENDING_CANCEL = 5
    PENDING_REPLACE = 6
    FILLED = 7
    CANCELED = 8
    EXPIRED = 9
    REJECTED = 10
    REPLACED = 11

    @property
    def is_terminal(self) -> bool:
        """Whether the order no longer works. A late fill may still move a CANCELED, EXPIRED or REPLACED one."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrderState.DENIED,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
        OrderState.REPLACED,
    }
)


@dataclass(frozen=True, slots=True)
class OrderLeg:
    """One leg. `ratio_qty` is the number of contracts per unit of the package (1 for a simple order)."""

    symbol: str
    side: Side
    ratio_qty: int = 1
    intent: PositionIntent | None = None

    def __post_init__(self) -> None:
        if self.ratio_qty <= 0:
            raise ValueError(f"ratio_qty: must be positive, was {self.ratio_qty} ({self.symbol})")
        if self.intent is not None and not self.intent.value.startswith(self.side.value):
            raise ValueError(f"intent: {self.intent} contradicts side {self.side} ({self.symbol})")


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as a strategy states it.

    qty: units of the package, contracts or shares. limit_price: micro-dollars per unit and share; for packages the signed net
    (positive debit, negative credit); None for a market order. client_order_id: set by the desk, deterministic, unique for ever.
    Raises ValueError, naming the field, for anything a venue could not accept.
    """

    client_order_id: str
    legs: tuple[OrderLeg, ...]
    qty: int
    limit_price: int | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    strategy: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.client_order_id) <= 128:
            raise ValueError(f"client_order_id: expected 1 to 128 characters, was {len(self.client_order_id)}")
        if not 1 <= len(self.legs) <= 4:
            raise ValueError(f"legs: expected 1 to 4, was {len(self.legs)}")
        if self.qty <= 0:
            raise ValueError(f"qty: must be positive, was {self.qty}")
        symbols = [leg.symbol for leg in self.legs]
        if len(set(symbols)) != len(symbols):
            raise ValueError(f"legs: symbols must differ, were {symbols}")
        ratios = gcd(*(leg.ratio_qty for leg in self.legs))
        if ratios != 1:
            raise ValueError(f"legs: ratio quantities share the divisor {ratios}; put it into qty")
        if self.is_package:
            if not all(is_occ(symbol) for symbol in symbols):
                raise ValueError(f"legs: a package holds options only, was {symbols}")
        elif self.limit_price is not None and self.limit_price <= 0:
            raise ValueError(f"limit_price: must be positive for a simple order, was {self.limit_price}")

    @property
    def is_package(self) -> bool:
        """Whether the order has several legs (Alpaca's `mleg`)."""
        return len(self.legs) > 1

    @property
    def order_type(self) -> OrderType:
        """Market or limit."""
        return OrderType.MARKET if self.limit_price is None else OrderType.LIMIT
