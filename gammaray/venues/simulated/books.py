"""Our own orders that rest: price-time priority per instrument, beside the market makers' ladder."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from gammaray.venues.simulated.model import ExchangeOrder


@dataclass(slots=True)
class RestingOrder:
    """A simple order in a book. cents: its limit; None for a market order that waits. ahead: market makers' quantity at its price that came first.

    entry: running number that decides between equal prices.
    """

    order: ExchangeOrder
    row: int
    entry: int
    cents: int | None
    ahead: int = 0

    @property
    def is_buy(self) -> bool:
        """Whether it is a bid."""
        return self.order.side == "buy"

    def priority(self) -> tuple[int, int]:
        """Smaller comes first: market orders, then better prices, then earlier ones."""
        if self.cents is None:
            return (-(1 << 60), self.entry)
        return (-self.cents if self.is_buy else self.cents, self.entry)


@dataclass(slots=True)
class InstrumentBook:
    """Resting orders of one instrument, best first on each side."""

    bids: list[RestingOrder] = field(default_factory=list)
    asks: list[RestingOrder] = field(default_factory=list)

    def side(self, *, is_buy: bool) -> list[RestingOrder]:
        """Bids or asks."""
        return self.bids if is_buy else self.asks


class Books:
    """All resting simple orders."""

    def __init__(self) -> None:
        self._by_row: dict[int, InstrumentBook] = {}
        self._by_id: dict[str, RestingOrder] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[RestingOrder]:
        """All of them in order of entry."""
        return iter(sorted(self._by_id.values(), key=lambda resting: resting.entry))

    def rows(self) -> list[int]:
        """Instruments with resting orders, in order."""
        return sorted(self._by_row)

    def get(self, row: int) -> InstrumentBook | None:
        """The book of an instrument, if any order rests there."""
        return self._by_row.get(row)

    def add(self, resting: RestingOrder) -> None:
        """Put an order at its place."""
        book = self._by_row.setdefault(resting.row, InstrumentBook())
        insort(book.side(is_buy=resting.is_buy), resting, key=RestingOrder.priority)
        self._by_id[resting.order.order_id] = resting

    def find(self, order_id: str) -> RestingOrder | None:
        """The entry of an order, if it rests."""
        return self._by_id.get(order_id)

    def remove(self, order_id: str) -> RestingOrder | None:
        """Take an order out; None when it does not rest."""
        resting = self._by_id.pop(order_id, None)
        if resting is None:
            return None
        book = self._by_row[resting.row]
        book.side(is_buy=resting.is_buy).remove(resting)
        if not book.bids and not book.asks:
            del self._by_row[resting.row]
        return resting
