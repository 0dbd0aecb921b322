"""The state of one underlying and its chain at one time, as columns. What the market room hands forward to features, desk and risk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gammaray.types.instruments import OptionContract


class Quality(IntFlag):
    """Why a quote must not be used. 0 is a good quote."""

    GOOD = 0
    MISSING_BID = 1
    MISSING_ASK = 2
    CROSSED = 4
    LOCKED = 8
    STALE = 16
    NEGATIVE = 32
    OUT_OF_BOUNDS = 64
    """Violates the no-arbitrage bounds of the option price."""
    JUMP = 128


class ContractTable:
    """The listed contracts of one underlying, sorted by expiration, strike, right: the static columns of its snapshots.

    strike: dollars. expiration: days since 1970-01-01. expiry_ns: when trading ends. All arrays have shape (n,).
    """

    def __init__(self, contracts: tuple[OptionContract, ...], expiry_ns: NDArray[np.int64]) -> None:
        if len(expiry_ns) != len(contracts):
            raise ValueError(f"expiry_ns: expected {len(contracts)} values, was {len(expiry_ns)}")
        self.contracts = contracts
        self.expiry_ns = expiry_ns
        self.symbols: tuple[str, ...] = tuple(contract.symbol for contract in contracts)
        self.strike = np.array([contract.strike for contract in contracts], dtype=np.float64)
        self.is_call = np.array([contract.is_call for contract in contracts], dtype=np.bool_)
        self.expiration = np.array(
            [contract.expiration.toordinal() - 719_163 for contract in contracts], dtype=np.int32
        )

    def __len__(self) -> int:
        return len(self.contracts)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each OCC symbol."""
        return {symbol: i for i, symbol in enumerate(self.symbols)}


@dataclass(frozen=True, slots=True)
class SurfaceSlice:
    """One fitted expiry. Volatilities are annual; skew is the 25-delta put minus call implied volatility."""

    expiration: int
    tau: float
    forward: float
    discount: float
    atm_volatility: float
    skew_25d: float
    rmse: float
    """Root mean square error of the fit in volatility."""
    inside_share: float
    """Share of usable quotes whose fitted price lies inside bid and ask."""
    quotes: int


@dataclass(frozen=True, slots=True)
class ChainSnapshot:
    """One underlying at one time. Arrays have shape (n,) in the order of `table`; prices are dollars, NaN where unknown.

    Greeks are per share: delta, gamma per dollar, vega per 1.00 of volatility, theta per year (calendar).
    """

    version: int
    ts_ns: int
    underlying: str
    session_open: bool
    spot: float
    spot_bid: float
    spot_ask: float
    spot_ts_ns: int
    table: ContractTable
    tau: NDArray[np.float64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    bid_size: NDArray[np.float64]
    ask_size: NDArray[np.float64]
    quote_ts_ns: NDArray[np.int64]
    quality: NDArray[np.uint8]
    implied_volatility: NDArray[np.float64]
    delta: NDArray[np.float64]
    gamma: NDArray[np.float64]
    vega: NDArray[np.float64]
    theta: NDArray[np.float64]
    surface: tuple[SurfaceSlice, ...]
    rate: float
    dividend_yield: float
    quotes_seen: int = 0
    """Quotes received since the market state was created."""
    model_price: NDArray[np.float64] | None = None
    """The surface's price of each row in dollars; None or NaN without a surface."""

    @property
    def mid(self) -> NDArray[np.float64]:
        """Middle of bid and ask in dollars; NaN where a side is missing."""
        return 0.5 * (self.bid + self.ask)

    def good(self) -> NDArray[np.bool_]:
        """Rows that may be used."""
        return np.asarray(self.quality == 0)

    @property
    def surface_rmse(self) -> float:
        """Quote-weighted root mean square error of the surface in volatility; NaN without a surface."""
        total = sum(piece.quotes for piece in self.surface)
        if total == 0:
            return float("nan")
        return float(np.sqrt(sum(piece.rmse**2 * piece.quotes for piece in self.surface) / total))

    def atm_volatility(self, tau: float) -> float:
        """At-the-money implied volatility at `tau` years: total variance linear between expiries, flat beyond them; NaN without a surface."""
        if not self.surface:
            return float("nan")
        taus = np.array([piece.tau for piece in self.surface])
        variance = np.array([piece.atm_volatility**2 * piece.tau for piece in self.surface])
        if tau <= taus[0]:
            return self.surface[0].atm_volatility
        if tau >= taus[-1]:
            return self.surface[-1].atm_volatility
        return float(np.sqrt(np.interp(tau, taus, variance) / tau))
