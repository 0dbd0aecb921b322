"""Counting things that two channels report, so that each is applied once whichever reports it first, or alone.

A fill comes on the stream and as an account activity. Where the venue gives both the same execution id, that decides; that it does is
believed once it has been seen. Until then equal fills - same symbol, quantity, price, and order where both channels name it - are
counted: of these the stream shows some and the activities show all, so what has happened is the larger of the two counts. (A
package's activities name the orders of its legs, which we do not know.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import combinations

MAX_COMBINED = 12
"""Of more waiting fills than this in one symbol only the oldest are combined (2^n ways)."""

_STREAM, _ACTIVITY, _BOOKED = 1, 2, 4


class Verdict(Enum):
    """What a report of a fill is."""

    NEW = auto()
    KNOWN = auto()
    """The other channel has brought it."""
    DOUBTFUL = auto()
    """By its count it is known, but it may be an equal fill that the other channel has yet to bring."""
    REPEATED = auto()
    """The same channel has brought it."""


@dataclass(slots=True)
class Tally:
    """How often each channel has reported a fill."""

    stream: int = 0
    activities: int = 0


@dataclass(slots=True)
class Fill:
    """A fill as a channel reports it. `order_id` is the venue's, empty where the channels do not name the order alike."""

    symbol: str
    signed_qty: int
    price: int
    order_id: str
    execution_id: str
    client_order_id: str = ""

    def same_trade(self, other: Fill) -> bool:
        """Whether the two cannot be told apart by what was traded."""
        return (self.symbol, self.signed_qty, self.price) == (other.symbol, other.signed_qty, other.price)


@dataclass(slots=True)
class FillWitnesses:
    """What each channel has reported, and the fills in the ledger that wait for their order, oldest first.

    `doubtful`: fills that were taken for known by their count, as long as the ids are not known to be shared.
    """

    ids_shared: bool = False
    ids: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    orphans: list[Fill] = field(default_factory=list)
    doubtful: list[Fill] = field(default_factory=list)

    def on_stream(self, fill: Fill) -> Verdict:
        """The stream reports a fill; NEW means that it is to be booked."""
        return self._report(fill, _STREAM, _ACTIVITY)

    def in_activities(self, fill: Fill) -> Verdict:
        """The activities report a fill, each row once; NEW means that it is to be booked."""
        return self._report(fill, _ACTIVITY, _STREAM)

    def _report(self, fill: Fill, channel: int, other: int) -> Verdict:
        seen = self.ids.get(fill.execution_id, 0) if fill.execution_id else 0
        self.ids_shared = self.ids_shared or bool(seen & other)
        if seen & channel and (seen & _BOOKED or not self.ids_shared):
            return Verdict.REPEATED
        if fill.execution_id and self.ids_shared:
            verdict = Verdict.KNOWN if seen & _BOOKED else Verdict.NEW
        else:
            tally = self._tally(fill, fill.order_id)
            tally.stream += channel == _STREAM
            tally.activities += channel == _ACTIVITY
            ahead = tally.stream - tally.activities if channel == _STREAM else tally.activities - tally.stream
            verdict = Verdict.NEW if ahead > 0 else Verdict.DOUBTFUL
        if fill.execution_id:
            self.ids[fill.execution_id] = seen | channel | (_BOOKED if verdict is Verdict.NEW else 0)
            if verdict is Verdict.DOUBTFUL:
                self.doubtful.append(fill)
        return verdict

    def resolve_doubts(self) -> list[Fill]:
        """Once ids are known to be shared: the doubtful fills that were others after all, to be booked now."""
        if not self.ids_shared or not self.doubtful:
            return []
        missed = {fill.execution_id: fill for fill in self.doubtful if not self.ids[fill.execution_id] & _BOOKED}
        self.doubtful = []
        for execution_id in missed:
            self.ids[execution_id] |= _BOOKED
        return list(missed.values())

    def _tally(self, fill: Fill, order_id: str) -> Tally:
        key = f"{fill.symbol}|{fill.signed_qty}|{fill.price}|{order_id}"
        return self.tallies.setdefault(key, Tally())

    def claim_named(self, order_id: str) -> list[Fill]:
        """An order of one leg has become known: the fills that waited under its id are its own, and are counted so."""
        taken = [orphan for orphan in self.orphans if orphan.order_id == order_id]
        for orphan in taken:
            self.orphans.remove(orphan)
            if not (orphan.execution_id and self.ids_shared):
                self._tally(orphan, "").activities -= 1
                self._tally(orphan, order_id).activities += 1
        return taken

    def claim(self, fill: Fill) -> bool:
        """The stream names the order of a fill that is in the ledger; whether that fill waited for it."""
        for orphan in self.orphans:
            by_id = self.ids_shared and orphan.execution_id and fill.execution_id
            if orphan.execution_id == fill.execution_id if by_id else orphan.same_trade(fill):
                self.orphans.remove(orphan)
                return True
        return False

    def claim_exactly(self, symbol: str, signed_qty: int) -> list[Fill]:
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
