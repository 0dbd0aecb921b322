"""Every instrument that the exchange has listed so far, as rows of one append-only table: underlyings first, contracts in order of listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray

from gammaray.types.instruments import OptionContract

PENNY_UNDERLYINGS = frozenset({"SPY", "QQQ", "IWM"})
"""Options that trade in cents at every price; others of the penny programme in 5 cents from $3 on."""

CASH_SETTLED = frozenset({"SPX", "NDX", "RUT", "VIX", "XSP"})
"""Indices: their options are European and pay cash, and they are not traded themselves."""


@lru_cache(maxsize=65_536)
def instrument_id(symbol: str) -> str:
    """The UUID of an instrument, the same in every run."""
    return str(uuid5(NAMESPACE_URL, f"gammaray:instrument:{symbol}"))


def option_tick_cents(underlying: str, price_cents: int) -> int:
    """The minimum price increment of an option in cents (all classes are in the penny programme)."""
    return 1 if underlying in PENNY_UNDERLYINGS or price_cents < 300 else 5


@dataclass(frozen=True, slots=True)
class InstrumentColumns:
    """Static columns by row; strike is NaN and expiry_ns 0 for an underlying. All have shape (n,)."""

    strike: NDArray[np.float64]
    expiry_ns: NDArray[np.int64]
    is_call: NDArray[np.bool_]
    underlying_row: NDArray[np.int32]


class InstrumentTable:
    """Rows are never removed: an expired contract keeps its row. Raises ValueError for a symbol that is already there."""

    def __init__(self, underlyings: Sequence[str]) -> None:
        self.underlyings = tuple(underlyings)
        self.symbols: list[str] = []
        self.contracts: list[OptionContract | None] = []
        self.row_of: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._expiry_ns: list[int] = []
        self._columns: InstrumentColumns | None = None
        for symbol in underlyings:
            self._append(symbol, None, 0)

    def __len__(self) -> int:
        return len(self.symbols)

    def list_contract(self, contract: OptionContract, expiry_ns: int) -> int:
        """Append a contract that stops trading at `expiry_ns`; returns its row."""
        if contract.underlying not in self.row_of:
            raise ValueError(f"contract: underlying {contract.underlying} is not traded here")
        return self._append(contract.symbol, contract, expiry_ns)

    def _append(self, symbol: str, contract: OptionContract | None, expiry_ns: int) -> int:
        if symbol in self.row_of:
            raise ValueError(f"symbol: {symbol} is listed already")
        row = len(self.symbols)
        self.symbols.append(symbol)
        self.contracts.append(contract)
        self._expiry_ns.append(expiry_ns)
        self.row_of[symbol] = row
        self._columns = None
        return row

    @property
    def columns(self) -> InstrumentColumns:
        """The static columns of all rows."""
        if self._columns is None:
            contracts = self.contracts
            self._columns = InstrumentColumns(
                strike=np.array([np.nan if c is None else c.strike for c in contracts], dtype=np.float64),
                expiry_ns=np.array(self._expiry_ns, dtype=np.int64),
                is_call=np.array([c is not None and c.is_call for c in contracts], dtype=np.bool_),
                underlying_row=np.array(
                    [row if c is None else self.row_of[c.underlying] for row, c in enumerate(contracts)], dtype=np.int32
                ),
            )
        return self._columns

    def row_of_id(self, identifier: str) -> int | None:
        """The row of an instrument id, if there is one."""
        for row in range(len(self._ids), len(self.symbols)):
            self._ids[instrument_id(self.symbols[row])] = row
        return self._ids.get(identifier)

    def multiplier(self, row: int) -> int:
        """Shares (or price units) per unit of quantity."""
        contract = self.contracts[row]
        return 1 if contract is None else contract.multiplier

    def underlying_row(self, row: int) -> int:
        """The row of a contract's underlying; of an underlying, its own."""
        contract = self.contracts[row]
        return row if contract is None else self.row_of[contract.underlying]

    def expiry_ns(self, row: int) -> int:
        """When the instrument stops trading; 0 for an underlying."""
        return self._expiry_ns[row]

    def tick_cents(self, row: int, price_cents: int) -> int:
        """Minimum price increment at a price, in cents."""
        contract = self.contracts[row]
        return 1 if contract is None else option_tick_cents(contract.underlying, price_cents)
