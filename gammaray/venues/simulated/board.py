"""The market makers' side of every book: a ladder of levels per instrument that a step renews and that takers eat into, and the last prints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.scenario.protocol import Frame

IntArray = NDArray[np.int64]

_OPTION_LEVELS = 4
_UNDERLYING_LEVELS = 12
_COLUMNS = (
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "bid_taken",
    "ask_taken",
    "quote_ns",
    "last_cents",
    "last_ns",
    "close_cents",
)


class Board:
    """Columns by instrument row. Level 0 is the frame's quote; level j lies j gaps further out with (1 + j) times its size.

    bid, ask: cents; sizes in contracts or shares, 0 for no quote. *_taken: what takers took from that side's ladder since the last frame.
    last_ns, quote_ns: 0 where there was none yet. close_cents: mark at the last close, -1 before the first.
    """

    def __init__(self, table: InstrumentTable) -> None:
        self._table = table
        for name in _COLUMNS:
            setattr(self, name, np.zeros(0, dtype=np.int64))
        self.bid: IntArray
        self.ask: IntArray
        self.bid_size: IntArray
        self.ask_size: IntArray
        self.bid_taken: IntArray
        self.ask_taken: IntArray
        self.quote_ns: IntArray
        self.last_cents: IntArray
        self.last_ns: IntArray
        self.close_cents: IntArray
        self.grow()

    def grow(self) -> None:
        """Make room for rows that were listed since."""
        missing = len(self._table) - len(self.bid)
        if missing <= 0:
            return
        for name in _COLUMNS:
            fill = -1 if name == "close_cents" else 0
            column = np.concatenate([getattr(self, name), np.full(missing, fill, dtype=np.int64)])
            setattr(self, name, column)

    def requote(self, frame: Frame) -> None:
        """Put the frame's quotes in the place of what was left."""
        rows = frame.rows
        self.bid[rows], self.ask[rows] = frame.bid, frame.ask
        self.bid_size[rows], self.ask_size[rows] = frame.bid_size, frame.ask_size
        self.bid_taken[rows] = 0
        self.ask_taken[rows] = 0
        self.quote_ns[rows] = frame.ts_ns

    def withdraw(self, rows: IntArray) -> None:
        """Take the quotes of some rows away (halt, expiry)."""
        self.bid_size[rows] = 0
        self.ask_size[rows] = 0

    def ladder(self, row: int, *, is_buy: bool) -> list[tuple[int, int]]:
        """(cents, size left) that a taker on that side finds, best first."""
        size = int(self.ask_size[row] if is_buy else self.bid_size[row])
        if size == 0:
            return []
        best = int(self.ask[row] if is_buy else self.bid[row])
        taken = int(self.ask_taken[row] if is_buy else self.bid_taken[row])
        is_option = self._table.contracts[row] is not None
        tick = self._table.tick_cents(row, best)
        spread = int(self.ask[row] - self.bid[row]) if self.bid_size[row] else tick
        gap = max(tick, spread // (2 * tick) * tick) if is_option else 1
        levels = []
        for j in range(_OPTION_LEVELS if is_option else _UNDERLYING_LEVELS):
            cents = best + j * gap if is_buy else best - j * gap
            if cents <= 0:
                break
            here = size * (1 + j)
            left = max(here - taken, 0)
            taken = max(taken - here, 0)
            if left:
                levels.append((cents, left))
        return levels

    def take(self, row: int, *, is_buy: bool, qty: int) -> None:
        """Count `qty` as taken from that side's ladder."""
        column = self.ask_taken if is_buy else self.bid_taken
        column[row] += qty

    def best(self, row: int, *, is_buy: bool) -> tuple[int, int]:
        """(cents, size) of the best level that a taker on that side finds; (0, 0) for none."""
        size = int(self.ask_size[row] if is_buy else self.bid_size[row])
        taken = int(self.ask_taken[row] if is_buy else self.bid_taken[row])
        if size > taken:
            return int(self.ask[row] if is_buy else self.bid[row]), size - taken
        levels = self.ladder(row, is_buy=is_buy)
        return levels[0] if levels else (0, 0)

    def print_trade(self, row: int, cents: int, ts_ns: int) -> None:
        """Record a trade as the last one."""
        self.last_cents[row] = cents
        self.last_ns[row] = ts_ns

    def mark_micros(self, row: int) -> int:
        """The middle of the last known quote in micro-dollars; a missing bid counts as nil."""
        return int(self.bid[row] + self.ask[row]) * 5_000

    def state(self) -> dict[str, bytes]:
        """All columns as bytes."""
        return {name: getattr(self, name).tobytes() for name in _COLUMNS}

    def restore(self, state: dict[str, bytes]) -> None:
        """Give the columns back. Raises ValueError when they are not those of this table."""
        for name in _COLUMNS:
            column = np.frombuffer(state[name], dtype=np.int64).copy()
            if len(column) != len(self._table):
                raise ValueError(f"{name}: expected {len(self._table)} rows, was {len(column)}")
            setattr(self, name, column)
