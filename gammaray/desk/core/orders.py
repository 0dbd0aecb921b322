"""Orders in the pool: one step of the state table, and a fill of one leg."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.core.exposure import hold
from gammaray.desk.core.layout import Book
from gammaray.desk.core.ledger import apply_fill
from gammaray.pricing.jit import kernel

ACCEPTED = 3
PARTIALLY_FILLED = 4
ILLEGAL = -1


@kernel
def step(book: Book, table: NDArray[np.int8], terminal: NDArray[np.bool_], order: int, event: int, ts_ns: int) -> int:
    """Move an order by the table (rows states, columns events). Returns the new state, or -1 and changes nothing for an illegal pair.

    A working order with fills is PARTIALLY_FILLED rather than ACCEPTED. Reservations are let go in a terminal state and taken
    again when an order turns out to work after all.
    """
    row = book.orders[order]
    state = table[row["state"], event]
    if state < 0:
        return ILLEGAL
    if state == ACCEPTED and row["filled_qty"] > 0:
        state = PARTIALLY_FILLED
    if terminal[state] and row["holds"] == 1:
        hold(book, order, -1)
        row["holds"] = 0
    elif not terminal[state] and row["holds"] == 0:
        hold(book, order, 1)
        row["holds"] = 1
    row["state"] = state
    row["updated_ns"] = ts_ns
    return state  # type: ignore[no-any-return]


@kernel
def fill_leg(book: Book, order: int, leg: int, qty: int, price: int, ledger: bool) -> int:
    """Apply a fill (signed contracts) to one leg of an order and, with `ledger`, to position and cash.

    Returns the contracts filled beyond what was ordered.
    """
    row = book.orders[order]
    instrument = row["leg_instrument"][leg]
    if row["holds"] == 1:
        hold(book, order, -1)
    if ledger:
        apply_fill(book, instrument, qty, price)
    row["leg_filled"][leg] += abs(qty)
    units = row["leg_filled"][0] // abs(row["leg_ratio"][0])
    for k in range(1, row["legs"]):
        units = min(units, row["leg_filled"][k] // abs(row["leg_ratio"][k]))
    row["filled_qty"] = units
    if row["holds"] == 1:
        hold(book, order, 1)
    return max(0, row["leg_filled"][leg] - abs(row["leg_ratio"][leg]) * row["qty"])  # type: ignore[no-any-return]
