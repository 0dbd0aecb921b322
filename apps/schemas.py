"""Bodies of the HTTP API. Unknown fields are refused; money is decimal text, never a JSON float."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gammaray.types.instruments import is_occ
from gammaray.types.money import to_micros
from gammaray.types.orders import OrderLeg, PositionIntent, Side

MAX_OPTIONS_PER_REQUEST = 20_000

Number = Annotated[float, Field(allow_inf_nan=False)]
Column = Number | Annotated[list[Number], Field(min_length=1, max_length=MAX_OPTIONS_PER_REQUEST)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid")


class GreeksRequest(Body):
    """Options by columns; numbers and arrays broadcast. Times in years, rates continuous, volatility annual."""

    right: Literal["C", "P"] | list[Literal["C", "P"]]
    spot: Column
    strike: Column
    tau: Column
    rate: Column = 0.0
    volatility: Column
    dividend_yield: Column = 0.0
    order: Literal[1, 2, 3] = 1


class LegBody(Body):
    """One leg of an order."""

    symbol: str
    side: Side
    ratio_qty: int = Field(1, ge=1, le=100)
    position_intent: PositionIntent | None = None

    def to_leg(self) -> OrderLeg:
        """The leg as a value."""
        return OrderLeg(self.symbol, self.side, self.ratio_qty, self.position_intent)


class OrderBody(Body):
    """An order. `limit_price` is decimal text; for several legs the signed net (positive debit, negative credit)."""

    legs: list[LegBody] = Field(min_length=1, max_length=4)
    qty: int = Field(ge=1, le=1_000_000)
    limit_price: str | None = None
    purpose: Literal["open", "close", "hedge"] = "open"
    strategy: str = Field("manual", pattern=r"^[a-z][a-z0-9_]{0,31}$")

    @field_validator("limit_price")
    @classmethod
    def _exact(cls, value: str | None) -> str | None:
        if value is not None:
            to_micros(value, "limit_price")
        return value

    @property
    def limit_micros(self) -> int | None:
        """The limit price in micro-dollars."""
        return None if self.limit_price is None else to_micros(self.limit_price, "limit_price")

    @property
    def underlying(self) -> str:
        """Ticker of the underlying of the first leg."""
        symbol = self.legs[0].symbol
        if not is_occ(symbol):
            return symbol
        from gammaray.types.instruments import parse_occ

        return parse_occ(symbol).underlying


class PredictRequest(Body):
    """A window of feature vectors, oldest first, shape (sessions, features), in the order of the model's feature names."""

    window: list[list[Number]] = Field(min_length=1, max_length=512)
    key: str = Field("http", max_length=128, description="keeps one caller on one version while traffic is split")
    request_id: str | None = Field(None, max_length=128)
    ts_ns: int = Field(0, ge=0, description="market time of the newest row")
    feature_version: str | None = Field(None, description="version of the features; checked when given")
    feature_names: list[str] | None = Field(None, description="order of the features; checked with feature_version")


class ChallengerRequest(Body):
    """A version to serve beside the champion."""

    version: str
    traffic_percentage: float = Field(10.0, ge=0, le=100)


class RetrainRequest(Body):
    """A retraining asked for by hand."""

    reason: str = Field("by hand", max_length=500)


class SignalsRequest(Body):
    """Which underlyings to look at; empty for all."""

    underlyings: list[str] = Field(default_factory=list, max_length=100)


class TradingStateRequest(Body):
    """A trading state set by a person."""

    state: Literal["active", "reducing", "halted"]
    reason: str = Field(min_length=1, max_length=500)


Json = dict[str, Any]
