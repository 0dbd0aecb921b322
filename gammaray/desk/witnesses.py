"""Counting things that two channels report, so that each is applied once whichever reports it first, or alone.

A fill comes on the stream and as an account activity, and the two need not carry a common number: activities name the orders of a
package's legs, which we do not know. Of equal fills - same symbol, quantity, price, and order where both channels name it - the
stream shows some and the activities show all; what has happened is the larger of the two counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

MAX_COMBINED = 12
"""Of more waiting fills than this in one symbol only the oldest are combined (2^n ways)."""


@dataclass(slots=True)
class Tally:
    """How often each channel has reported a thing."""

    stream: int = 0
    activities: int = 0


@dataclass(slots=True)
class Orphan:
    """A fill in the ledger of which nobody knows the order yet; `order_id` is the venue's, as the activity named it."""

    symbol: str
    signed_qty: int
    price: int
    order_id: str


@dataclass(slots=True)
class FillWitnesses:
    """Counts of equal fills, and the fills that wait for their order, oldest first.

    `order_id` is empty where the channels do not name the order alike: for packages, and for orders that are not ours.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    orphans: list[Orphan] = field(default_factory=list)

    def _tally(self, symbol: str, signed_qty: int, price: int, order_id: str) -> Tally:
        return self.tallies.setdefault(f"{symbol}|{signed_qty}|{price}|{order_id}", Tally())

    def on_stream(self, symbol: str, signed_qty: int, price: int, order_id: str) -> bool:
        """The stream reports a fill (duplicates by execution id already dropped); whether the ledger lacks it."""
        tally = self._tally(symbol, signed_qty, price, order_id)
        tally.stream += 1
        return tally.stream > tally.activities

    def in_activities(self, symbol: str, signed_qty: int, price: int, order_id: str) -> bool:
        """The activities report a fill (each row once); whether the ledger lacks it."""
        tally = self._tally(symbol, signed_qty, price, order_id)
        tally.activities += 1
        return tally.activities > tally.stream

    def claim_named(self, order_id: str) -> list[Orphan]:
        """An order of one leg has become known: the fills that waited under its id are its own, and are counted so."""
        taken = [orphan for orphan in self.orphans if orphan.order_id == order_id]
        for orphan in taken:
            self.orphans.remove(orphan)
            self._tally(orphan.symbol, orphan.signed_qty, orphan.price, "").activities -= 1
            self._tally(orphan.symbol, orphan.signed_qty, orphan.price, order_id).activities += 1
        return taken

    def claim(self, symbol: str, signed_qty: int, price: int) -> bool:
        """The stream names the package of a fill that is in the ledger; whether such a fill waited for it."""
        for orphan in self.orphans:
            if (orphan.symbol, orphan.signed_qty, orphan.price) == (symbol, signed_qty, price):
                self.orphans.remove(orphan)
                return True
        return False

    def claim_exactly(self, symbol: str, signed_qty: int) -> list[Orphan]:
        """Waiting fills of a symbol that add up to `signed_qty` and no less: the fewest, then the oldest. [] when none do."""
        sign = 1 if signed_qty > 0 else -1
        fitting = [
            orphan
            for orphan in self.orphans
            if orphan.symbol == symbol and orphan.signed_qty * sign > 0 and abs(orphan.signed_qty) <= abs(signed_qty)
        ][:MAX_COMBINED]
        for count in range(1, len(fitting) + 1):
            for chosen in combinations(fitting, count):
                if sum(orphan.signed_qty for orphan in chosen) == signed_qty:
                    for orphan in chosen:
                        self.orphans.remove(orphan)
                    return list(chosen)
        return []


@dataclass(slots=True)
class PresumedMoves:
    """Quantities booked before the venue showed the rows, by kind, symbol and price: rows to come are set off against them."""

    outstanding: dict[str, int] = field(default_factory=dict)

    def presume(self, key: str, signed_qty: int) -> None:
        """A move is booked ahead of its row."""
        self.outstanding[key] = self.outstanding.get(key, 0) + signed_qty

    def rest_of(self, key: str, signed_qty: int) -> int:
        """A row has come: the part of its quantity that is not booked yet."""
        ahead = self.outstanding.get(key, 0)
        if ahead * signed_qty <= 0:
            return signed_qty
        covered = min(abs(ahead), abs(signed_qty)) * (1 if signed_qty > 0 else -1)
        if ahead == covered:
            del self.outstanding[key]
        else:
            self.outstanding[key] = ahead - covered
        return signed_qty - covered
