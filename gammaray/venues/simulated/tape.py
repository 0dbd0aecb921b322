"""Every print of the run in order: last trades, minute and daily bars of contracts come from it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


class Tape:
    """Append-only columns: row, time, price in cents, quantity."""

    def __init__(self) -> None:
        self._columns = tuple(array("q") for _ in range(4))

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, row: int, ts_ns: int, cents: int, qty: int) -> None:
        """One print."""
        for column, value in zip(self._columns, (row, ts_ns, cents, qty), strict=True):
            column.append(value)

    def extend(self, rows: Sequence[int], ts_ns: int, cents: Sequence[int], qtys: Sequence[int]) -> None:
        """Prints of one time."""
        row_column, ts_column, cents_column, qty_column = self._columns
        row_column.extend(rows)
        ts_column.extend([ts_ns] * len(rows))
        cents_column.extend(cents)
        qty_column.extend(qtys)

    def since(self, start: int) -> list[tuple[int, int, int, int]]:
        """(row, ts_ns, cents, qty) of the prints from number `start` on."""
        return list(zip(*(column[start:] for column in self._columns), strict=True))

    def of(self, row: int, start_ns: int, end_ns: int) -> tuple[IntArray, IntArray, IntArray]:
        """(ts_ns, cents, qty) of an instrument's prints with start_ns ≤ ts ≤ end_ns."""
        # frombuffer locks the arrays against growing: the views must not outlive this call.
        rows, ts, cents, qty = (np.frombuffer(column, dtype=np.int64) for column in self._columns)
        mine = (rows == row) & (ts >= start_ns) & (ts <= end_ns)
        return ts[mine], cents[mine], qty[mine]

    def state(self) -> list[bytes]:
        """The columns as bytes."""
        return [column.tobytes() for column in self._columns]

    def restore(self, state: Sequence[bytes]) -> None:
        """Give `state` back."""
        columns = tuple(array("q") for _ in range(4))
        for column, data in zip(columns, state, strict=True):
            column.frombytes(data)
        self._columns = columns
