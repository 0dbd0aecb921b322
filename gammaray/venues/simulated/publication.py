"""What the outside sees of the books: best bid and offer with our own resting orders in them, and which of them changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gammaray.venues.simulated.board import Board
from gammaray.venues.simulated.books import Books
from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.model import Published, PublishedTrade
from gammaray.venues.simulated.tape import Tape

IntArray = NDArray[np.int64]


class Publication:
    """Remembers what was published last. `shown` has the rows bid, ask, bid size, ask size by instrument; 0 before the first quote."""

    def __init__(self, table: InstrumentTable, board: Board, books: Books, tape: Tape) -> None:
        self._table = table
        self._board = board
        self._books = books
        self._tape = tape
        self.shown: IntArray = np.zeros((4, 0), dtype=np.int64)
        self.printed = 0
        self.grow()

    def grow(self) -> None:
        """Make room for rows that were listed since."""
        missing = len(self._table) - self.shown.shape[1]
        if missing > 0:
            self.shown = np.concatenate([self.shown, np.zeros((4, missing), dtype=np.int64)], axis=1)

    def top(self, row: int) -> tuple[int, int, int, int]:
        """(bid, bid size, ask, ask size) of an instrument; price and size 0 for no quote."""
        bid, bid_size = self._board.best(row, is_buy=False)
        ask, ask_size = self._board.best(row, is_buy=True)
        book = self._books.get(row)
        if book is not None:
            bids = [r for r in book.bids if r.cents is not None]
            asks = [r for r in book.asks if r.cents is not None]
            if bids and (not bid_size or (bids[0].cents or 0) >= bid):
                ours = bids[0].cents or 0
                bid_size = (bid_size if ours == bid else 0) + sum(r.order.leaves_qty for r in bids if r.cents == ours)
                bid = ours
            if asks and (not ask_size or (asks[0].cents or 0) <= ask):
                ours = asks[0].cents or 0
                ask_size = (ask_size if ours == ask else 0) + sum(r.order.leaves_qty for r in asks if r.cents == ours)
                ask = ours
        return bid, bid_size, ask, ask_size

    def publish(self, rows: NDArray[np.int32], ts_ns: int) -> Published:
        """Quotes of `rows` (underlyings last) that differ from what was shown, the underlyings always, and the prints since the last time."""
        board = self._board
        now = np.stack(
            [
                board.bid[rows],
                board.ask[rows],
                board.bid_size[rows] - board.bid_taken[rows],
                board.ask_size[rows] - board.ask_taken[rows],
            ]
        )
        now[:2] *= now[2:] > 0
        special = ((now[2:] <= 0) & np.stack([board.bid_size[rows] > 0, board.ask_size[rows] > 0])).any(axis=0)
        if len(self._books):
            special |= np.isin(rows, self._books.rows())
        np.maximum(now[2:], 0, out=now[2:])
        for i in np.flatnonzero(special):
            bid, bid_size, ask, ask_size = self.top(int(rows[i]))
            now[:, i] = bid, ask, bid_size, ask_size
        changed = (now != self.shown[:, rows]).any(axis=0)
        changed[-len(self._table.underlyings) :] = True
        self.shown[:, rows] = now
        pick = np.flatnonzero(changed)
        symbols = self._table.symbols
        trades = tuple(
            PublishedTrade(symbols[row], at_ns, cents, qty) for row, at_ns, cents, qty in self._tape.since(self.printed)
        )
        self.printed = len(self._tape)
        columns = now[:, pick]
        return Published(
            ts_ns=ts_ns,
            symbols=tuple(symbols[row] for row in rows[pick].tolist()),
            bid_cents=columns[0],
            ask_cents=columns[1],
            bid_size=columns[2],
            ask_size=columns[3],
            trades=trades,
        )
