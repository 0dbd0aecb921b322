"""Quote columns of one chain: batches go in, the newest quote of every contract is kept, and what the feed did wrong is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Quotes(Protocol):
    """The columns of a quote batch (`gammaray.venues.protocol.QuoteBatch`)."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def symbol(self) -> NDArray[np.int32]: ...
    @property
    def ts_ns(self) -> NDArray[np.int64]: ...
    @property
    def bid(self) -> NDArray[np.float64]: ...
    @property
    def ask(self) -> NDArray[np.float64]: ...
    @property
    def bid_size(self) -> NDArray[np.float64]: ...
    @property
    def ask_size(self) -> NDArray[np.float64]: ...


@dataclass(slots=True)
class FeedCounts:
    """What came in since the state was created."""

    quotes: int = 0
    accepted: int = 0
    duplicates: int = 0
    """The same quote with the same time stamp again."""
    out_of_order: int = 0
    """Older than what is known of the contract; dropped."""
    unknown: int = 0
    """Of instruments that are not listed here."""
    gaps: int = 0
    """Interruptions: announced by the venue, or a silence longer than the setting within one day."""


class QuoteColumns:
    """The newest quote of each of `size` instruments. Prices are dollars, NaN where a side is missing; ts_ns 0 means never quoted."""

    def __init__(self, size: int) -> None:
        self.ts_ns = np.zeros(size, np.int64)
        self.bid = np.full(size, np.nan)
        self.ask = np.full(size, np.nan)
        self.bid_size = np.zeros(size)
        self.ask_size = np.zeros(size)
        self.confirmed = np.ones(size, np.bool_)
        """False after a gap, until the feed or a backfill says something about the instrument."""
        self.seen_ts_ns = np.zeros(size, np.int64)
        self.seen_spot = np.full(size, np.nan)
        """Spot at the first snapshot that saw the present quote, and the stamp of that quote."""

    def __len__(self) -> int:
        return int(self.ts_ns.size)

    def moved(self, rows: NDArray[np.int64]) -> QuoteColumns:
        """Columns whose row i is row `rows[i]` of these; -1 gives an empty row."""
        result = QuoteColumns(rows.size)
        kept = rows >= 0
        for name in ("ts_ns", "bid", "ask", "bid_size", "ask_size", "confirmed", "seen_ts_ns", "seen_spot"):
            getattr(result, name)[kept] = getattr(self, name)[rows[kept]]
        return result

    def apply(self, rows: NDArray[np.int64], batch: Quotes) -> tuple[int, int, int, int]:
        """Take in a batch; rows[i] is the row of the batch's i-th quote, -1 when it is not listed.

        Returns how many were accepted, duplicates, out of order, unknown.
        """
        accepted, duplicates, out_of_order, unknown = apply_quotes(
            rows,
            batch.ts_ns,
            batch.bid,
            batch.ask,
            batch.bid_size,
            batch.ask_size,
            self.ts_ns,
            self.bid,
            self.ask,
            self.bid_size,
            self.ask_size,
            self.confirmed,
        )
        return int(accepted), int(duplicates), int(out_of_order), int(unknown)

    def see(self, spot: float) -> None:
        """Note the spot for every quote that no snapshot has seen yet."""
        new = self.seen_ts_ns != self.ts_ns
        self.seen_ts_ns[new] = self.ts_ns[new]
        self.seen_spot[new] = spot


class RowLookup:
    """Rows of a batch's symbols. The venue's adapters hand over the same `names` again and again, so its translation is kept."""

    def __init__(self, index: Mapping[str, int]) -> None:
        self._index = index
        self._names: tuple[str, ...] = ()
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)

    def rows(self, batch: Quotes) -> NDArray[np.int64]:
        """Row of each quote, -1 when unknown. Raises ValueError when `symbol` points outside `names` or columns differ in length."""
        count = batch.symbol.size
        for name in ("ts_ns", "bid", "ask", "bid_size", "ask_size"):
            if getattr(batch, name).shape != (count,):
                raise ValueError(f"{name}: expected shape ({count},), was {getattr(batch, name).shape}")
        if count and not (int(batch.symbol.min()) >= 0 and int(batch.symbol.max()) < len(batch.names)):
            raise ValueError(f"symbol: expected indices from 0 to {len(batch.names) - 1}")
        if batch.names is not self._names and batch.names != self._names:
            self._rows = np.array([self._index.get(name, -1) for name in batch.names], dtype=np.int64)
            self._names = batch.names
        return self._rows[batch.symbol] if count else np.empty(0, np.int64)


@njit(cache=True)
def _same(a: float, b: float) -> bool:
    return a == b or (np.isnan(a) and np.isnan(b))


@njit(cache=True)
def apply_quotes(
    rows: NDArray[np.int64],
    ts: NDArray[np.int64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
    bid_size: NDArray[np.float64],
    ask_size: NDArray[np.float64],
    to_ts: NDArray[np.int64],
    to_bid: NDArray[np.float64],
    to_ask: NDArray[np.float64],
    to_bid_size: NDArray[np.float64],
    to_ask_size: NDArray[np.float64],
    confirmed: NDArray[np.bool_],
) -> tuple[int, int, int, int]:
    """Write a batch into the columns `to_…`; rows of -1 are unknown. Returns accepted, duplicates, out of order, unknown."""
    accepted = duplicates = out_of_order = unknown = 0
    for i in range(rows.size):
        row = rows[i]
        if row < 0:
            unknown += 1
            continue
        if ts[i] < to_ts[row]:
            out_of_order += 1
            continue
        confirmed[row] = True
        if (
            ts[i] == to_ts[row]
            and _same(bid[i], to_bid[row])
            and _same(ask[i], to_ask[row])
            and bid_size[i] == to_bid_size[row]
            and ask_size[i] == to_ask_size[row]
        ):
            duplicates += 1
            continue
        accepted += 1
        to_ts[row] = ts[i]
        to_bid[row] = bid[i]
        to_ask[row] = ask[i]
        to_bid_size[row] = bid_size[i]
        to_ask_size[row] = ask_size[i]
    return accepted, duplicates, out_of_order, unknown
