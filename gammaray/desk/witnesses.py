"""Counting things that two channels report, so that each is applied once whichever reports it first, or alone.

A fill comes on the stream and as an account activity, and the two need not carry a common number (a package's leg orders are not
known to us). Of equal fills - same symbol, quantity, price - the stream shows some and the activities show all; what has happened
is the larger of the two counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How often each channel has reported a thing."""

    stream: int = 0
    activities: int = 0


@dataclass(slots=True)
class Orphan:
    """A fill in the ledger of which nobody knows the order yet."""

    symbol: str
    signed_qty: int
    price: int


@dataclass(slots=True)
class FillWitnesses:
    """Fills by symbol, quantity and price, and those that wait for their order, oldest first."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    orphans: list[Orphan] = field(default_factory=list)

    def on_stream(self, symbol: str, signed_qty: int, price: int) -> bool:
        """The stream reports a fill (duplicates by execution id already dropped); whether the ledger lacks it."""
        tally = self.tallies.setdefault(f"{symbol}|{signed_qty}|{price}", Tally())
        tally.stream += 1
        return tally.stream > tally.activities

    def in_activities(self, symbol: str, signed_qty: int, price: int) -> bool:
        """The activities report a fill (each row once); whether the ledger lacks it."""
        tally = self.tallies.setdefault(f"{symbol}|{signed_qty}|{price}", Tally())
        tally.activities += 1
        return tally.activities > tally.stream

    def claim(self, symbol: str, signed_qty: int, price: int) -> bool:
        """An order for this fill is known; whether such a fill waited for it."""
        orphan = Orphan(symbol, signed_qty, price)
        if orphan not in self.orphans:
            return False
        self.orphans.remove(orphan)
        return True

    def claim_up_to(self, symbol: str, signed_qty: int) -> list[Orphan]:
        """The oldest waiting fills of a symbol on one side that add up to no more than `signed_qty`."""
        sign = 1 if signed_qty > 0 else -1
        rest = abs(signed_qty)
        taken, kept = [], []
        for orphan in self.orphans:
            if orphan.symbol == symbol and orphan.signed_qty * sign > 0 and abs(orphan.signed_qty) <= rest:
                rest -= abs(orphan.signed_qty)
                taken.append(orphan)
            else:
                kept.append(orphan)
        if taken:
            self.orphans = kept
        return taken


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
