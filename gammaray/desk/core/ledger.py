"""Positions as first-in-first-out lots: the fold of fills into quantity, cost and realised profit."""

from __future__ import annotations

from gammaray.desk.core.layout import Book
from gammaray.pricing.jit import kernel


@kernel
def take_lot(book: Book) -> int:
    """A free row of the lot pool. The caller has made sure that there is one."""
    account = book.account[0]
    row = account["free_lot"]
    if row >= 0:
        account["free_lot"] = book.lots[row]["next"]
        return row  # type: ignore[no-any-return]
    row = account["lots"]
    account["lots"] = row + 1
    return row  # type: ignore[no-any-return]


@kernel
def change_position(book: Book, instrument: int, qty: int, price: int) -> int:
    """Add `qty` (signed) at `price` to a position: opposite lots close oldest first, the rest opens a lot. Cash stays as it is.

    Returns the realised profit in micro-dollars. The group's margin is marked as out of date.
    """
    position = book.positions[instrument]
    multiplier = book.instruments[instrument]["multiplier"]
    rest = qty
    realized = 0
    while rest != 0 and position["qty"] * rest < 0:
        row = position["first_lot"]
        lot = book.lots[row]
        taken = min(abs(rest), abs(lot["qty"]))
        signed = taken if lot["qty"] > 0 else -taken
        realized += signed * (price - lot["price"]) * multiplier
        lot["qty"] -= signed
        position["qty"] -= signed
        rest += signed
        if lot["qty"] == 0:
            position["first_lot"] = lot["next"]
            if lot["next"] < 0:
                position["last_lot"] = -1
            lot["price"] = 0
            lot["next"] = book.account[0]["free_lot"]
            book.account[0]["free_lot"] = row
    if rest != 0:
        row = take_lot(book)
        lot = book.lots[row]
        lot["qty"] = rest
        lot["price"] = price
        lot["next"] = -1
        if position["last_lot"] >= 0:
            book.lots[position["last_lot"]]["next"] = row
        else:
            position["first_lot"] = row
        position["last_lot"] = row
        position["qty"] += rest
    position["realized"] += realized
    book.account[0]["realized"] += realized
    group = book.instruments[instrument]["group"]
    if group >= 0:
        book.groups[group]["dirty"] = 1
    return realized  # type: ignore[no-any-return]


@kernel
def apply_fill(book: Book, instrument: int, qty: int, price: int) -> int:
    """A fill: the position changes and cash pays for it. Returns the realised profit in micro-dollars."""
    multiplier = book.instruments[instrument]["multiplier"]
    book.account[0]["cash"] -= qty * price * multiplier
    book.account[0]["executions"] += 1
    return change_position(book, instrument, qty, price)


@kernel
def open_cost(book: Book, instrument: int) -> int:
    """Σ price × qty of the open lots in micro-dollars per share times contracts, signed (without the multiplier)."""
    total = 0
    row = book.positions[instrument]["first_lot"]
    while row >= 0:
        total += book.lots[row]["qty"] * book.lots[row]["price"]
        row = book.lots[row]["next"]
    return total
