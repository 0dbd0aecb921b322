"""What the desk and the market room need from a venue. The Alpaca adapter and the in-process exchange both offer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gammaray.types.account import Activity, OrderUpdate, VenueAccount, VenueOrder, VenuePosition
from gammaray.types.instruments import OptionContract
from gammaray.types.orders import OrderRequest


class VenueError(Exception):
    """A venue did not do what was asked."""


class VenueRejected(VenueError):
    """The venue refused, for good: `code` and `message` are its own (Alpaca's error body)."""

    def __init__(self, message: str, code: int = 0, status: int = 0) -> None:
        super().__init__(f"{message} (HTTP {status}, code {code})")
        self.message = message
        self.code = code
        self.status = status


class VenueAmbiguous(VenueError):
    """Nobody knows whether it happened (timeout, 504, closed connection, duplicate id): look the order up, never send again blind."""


class VenueUnavailable(VenueError):
    """The request did not reach the venue (connection refused, circuit open); nothing happened there."""


class TradingVenue(Protocol):
    """Orders and account. Methods block; each raises VenueRejected, VenueAmbiguous or VenueUnavailable."""

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order."""
        ...

    def cancel(self, venue_order_id: str) -> None:
        """Ask for a cancel; the outcome comes as an update."""
        ...

    def replace(
        self, venue_order_id: str, *, client_order_id: str, qty: int | None, limit_price: int | None
    ) -> VenueOrder:
        """Ask for a replacement under a new id; the outcome comes as updates."""
        ...

    def order_by_client_id(self, client_order_id: str) -> VenueOrder | None:
        """Look an order up; None when the venue never had it."""
        ...

    def orders(self, *, status: str = "all", after_ns: int = 0) -> list[VenueOrder]:
        """Orders submitted after a time, oldest first. status: open, closed, all."""
        ...

    def positions(self) -> list[VenuePosition]:
        """Open positions."""
        ...

    def account(self) -> VenueAccount:
        """The account's figures."""
        ...

    def activities(self, *, after_id: str = "") -> list[Activity]:
        """Activities after an activity id, oldest first, all pages."""
        ...

    def clock_ns(self) -> int:
        """The venue's time."""
        ...

    def drain_updates(self) -> list[OrderUpdate]:
        """Updates that came on the trading stream since the last call, in order. Does not block."""
        ...

    def stream_gap(self) -> bool:
        """Whether the trading stream was interrupted since the last call: what it missed must be fetched by REST."""
        ...


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """Quotes in order of arrival, columnar; all arrays have the same length.

    symbols: index into `names`. Prices are dollars (NaN: no quote on that side), sizes in contracts or shares. `ts_ns` is the venue's stamp.
    """

    names: tuple[str, ...]
    symbol: NDArray[np.int32]
    ts_ns: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    bid_size: NDArray[np.float64]
    ask_size: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `ts_ns` is its left edge, prices in dollars."""

    ts_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class MarketDataVenue(Protocol):
    """Quotes, contracts and bars."""

    def contracts(self, underlying: str, *, first: date, last: date) -> list[OptionContract]:
        """Contracts listed now with expirations in a range."""
        ...

    def subscribe(self, underlyings: Sequence[str], options: Sequence[str]) -> None:
        """Stream quotes of these (the full set wanted; called again it replaces the set)."""
        ...

    def drain_quotes(self) -> QuoteBatch:
        """Quotes that came since the last call. Does not block."""
        ...

    def chain_quotes(self, underlying: str) -> QuoteBatch:
        """The latest quote of every listed contract and of the underlying, by REST."""
        ...

    def stream_gap(self) -> bool:
        """Whether a quote stream was interrupted since the last call."""
        ...

    def daily_bars(self, symbol: str, *, first: date, last: date) -> list[Bar]:
        """Daily bars of the underlying."""
        ...

    def clock_ns(self) -> int:
        """The venue's time."""
        ...
