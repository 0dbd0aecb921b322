"""The arrays of one account with the names of their rows: symbols become row numbers here, and arrays grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.core.layout import CALL, MAX_LEGS, PUT, SHARE, Book, blank, new_book
from gammaray.types.instruments import is_occ, parse_occ

_EPOCH_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()

DURABLE = ("positions", "lots", "underlyings", "account", "orders")


def terms(symbol: str) -> tuple[str, int, int, int, int]:
    """Underlying, kind, strike, multiplier and expiration of a symbol, as `core.layout.INSTRUMENT` has them.

    Raises ValueError for text that is neither an OCC symbol nor a ticker.
    """
    if is_occ(symbol):
        contract = parse_occ(symbol)
        kind = CALL if contract.is_call else PUT
        expiration = contract.expiration.toordinal() - _EPOCH_ORDINAL
        return contract.underlying, kind, contract.strike_micros, contract.multiplier, expiration
    if not is_ticker(symbol):
        raise ValueError(f"symbol: neither an OCC option symbol nor a ticker: {symbol!r}")
    return symbol, SHARE, 0, 1, 0


def is_ticker(symbol: str) -> bool:
    """Whether the text has the form of an equity's symbol."""
    return (
        len(symbol) <= 10
        and symbol[:1].isalpha()
        and symbol.isascii()
        and symbol.isupper()
        and (symbol.replace(".", "").isalnum())
    )


class Store:
    """Rows are given out in the order in which symbols and orders first appear, so that a replay gives the same ones."""

    def __init__(self) -> None:
        self.book: Book = new_book()
        self.symbols: list[str] = []
        self.underlying_names: list[str] = []
        self.orders = 0
        self._groups = 0
        self.rows: dict[str, int] = {}
        """Row of each symbol."""
        self._underlying_rows: dict[str, int] = {}
        self._group_rows: dict[tuple[int, int], int] = {}

    def find(self, symbol: str) -> int | None:
        """Row of a symbol, None when it never appeared."""
        return self.rows.get(symbol)

    def underlying(self, name: str) -> int | None:
        """Row of an underlying, None when it never appeared."""
        return self._underlying_rows.get(name)

    def row(self, symbol: str) -> int:
        """Row of a symbol, new ones added. Raises ValueError for text that is neither an OCC symbol nor a ticker."""
        row = self.rows.get(symbol)
        return self._add(symbol) if row is None else row

    def admit(self, symbols: list[str]) -> tuple[list[str], str]:
        """Give rows to symbols; returns those that are new, and the first that is no symbol, in which case none gets a row."""
        fresh = [symbol for symbol in symbols if symbol not in self.rows]
        for symbol in fresh:
            try:
                terms(symbol)
            except ValueError:
                return [], symbol
        for symbol in fresh:
            self._add(symbol)
        return fresh, ""

    def _add(self, symbol: str) -> int:
        name, kind, strike, multiplier, expiration = terms(symbol)
        row = len(self.symbols)
        self._make_room(instruments=row + 1, positions=row + 1, quotes=row + 1)
        underlying = self._underlying(name)
        entry = self.book.instruments[row]
        entry["underlying"] = underlying
        entry["kind"] = kind
        entry["strike"] = strike
        entry["multiplier"] = multiplier
        entry["expiration"] = expiration
        self.symbols.append(symbol)
        self.rows[symbol] = row
        if kind == SHARE:
            self.book.exposures[underlying]["share"] = row
        else:
            group = self._group(underlying, expiration)
            entry["group"] = group
            self._link(self.book.groups[group], "next_in_group", row)
            self._link(self.book.exposures[underlying], "next_in_underlying", row)
        return row

    def _underlying(self, name: str) -> int:
        row = self._underlying_rows.get(name)
        if row is None:
            row = len(self.underlying_names)
            self._make_room(underlyings=row + 1, exposures=row + 1)
            self.underlying_names.append(name)
            self._underlying_rows[name] = row
        return row

    def _group(self, underlying: int, expiration: int) -> int:
        key = (underlying, expiration)
        row = self._group_rows.get(key)
        if row is None:
            row = self._groups
            self._groups += 1
            self._make_room(groups=self._groups)
            group = self.book.groups[row]
            group["underlying"] = underlying
            group["expiration"] = expiration
            group["next"] = self.book.exposures[underlying]["first_group"]
            self.book.exposures[underlying]["first_group"] = row
            self._group_rows[key] = row
        return row

    def _link(self, head: Any, link: str, row: int) -> None:
        """Insert an option into a list that is sorted by strike."""
        instruments = self.book.instruments
        strike = instruments[row]["strike"]
        before, at = -1, int(head["first_option"])
        while at >= 0 and instruments[at]["strike"] < strike:
            before, at = at, int(instruments[at][link])
        instruments[row][link] = at
        if before < 0:
            head["first_option"] = row
        else:
            instruments[before][link] = row

    def new_order(self) -> int:
        """A fresh row of the order pool."""
        row = self.orders
        self.orders += 1
        self._make_room(orders=self.orders)
        return row

    def reserve_lots(self, count: int = 2 * MAX_LEGS) -> None:
        """Make sure that `count` more lots fit."""
        self._make_room(lots=int(self.book.account[0]["lots"]) + count)

    def _make_room(self, **rows: int) -> None:
        grown: dict[str, NDArray[Any]] = {}
        for field, needed in rows.items():
            array = getattr(self.book, field)
            if needed > len(array):
                grown[field] = blank(field, max(needed, 2 * len(array)))
                grown[field][: len(array)] = array
        if grown:
            self.book = self.book._replace(**grown)

    def used(self, field: str) -> NDArray[Any]:
        """The rows in use of one of the durable arrays."""
        counts = {
            "positions": len(self.symbols),
            "lots": int(self.book.account[0]["lots"]),
            "underlyings": len(self.underlying_names),
            "account": 1,
            "orders": self.orders,
        }
        used: NDArray[Any] = getattr(self.book, field)[: counts[field]]
        return used

    @classmethod
    def restored(cls, symbols: list[str], arrays: dict[str, bytes]) -> Store:
        """The store with these symbols and the bytes of its durable arrays. Quotes are as never seen, margins to be recomputed."""
        store = cls()
        for symbol in symbols:
            store.row(symbol)
        for field in DURABLE:
            dtype = getattr(store.book, field).dtype
            rows = np.frombuffer(arrays[field], dtype=dtype)
            store._make_room(**{field: len(rows)})
            getattr(store.book, field)[: len(rows)] = rows
        store.orders = len(arrays["orders"]) // store.book.orders.dtype.itemsize
        store.book.groups["dirty"] = 1
        return store
