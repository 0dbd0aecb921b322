"""From market snapshots to the quotes, marks and greeks that the gate and the valuation read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.desk import Desk
from gammaray.desk.store import terms
from gammaray.market.snapshot import ChainSnapshot, ContractTable, Quality
from gammaray.types.money import MICROS

NO_GREEKS = 256
"""A quality bit of ours: the quote may be good, but its risk is not known."""

_UNUSABLE_MARK = int(Quality.MISSING_ASK | Quality.CROSSED | Quality.NEGATIVE)


class Marks:
    """Writes snapshots into a desk's quotes. Only instruments that the desk knows are looked at."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._snapshots: dict[str, ChainSnapshot] = {}
        self._rows: dict[str, tuple[ContractTable, int, NDArray[np.int64], NDArray[np.int64]]] = {}
        desk.books.quote_symbols = self.quote_symbols

    @property
    def newest(self) -> tuple[ChainSnapshot, ...]:
        """The newest snapshot of each underlying."""
        return tuple(self._snapshots.values())

    def update(self, snapshot: ChainSnapshot) -> None:
        """Take a snapshot over; an older one than the last is ignored."""
        last = self._snapshots.get(snapshot.underlying)
        if last is not None and (snapshot.ts_ns, snapshot.version) < (last.ts_ns, last.version):
            return
        self._snapshots[snapshot.underlying] = snapshot
        self._desk.decisions.open_sessions[snapshot.underlying] = snapshot.session_open
        self._write(snapshot)

    def quote_symbols(self, symbols: list[str]) -> None:
        """Quote symbols that became known since the last snapshot of their underlying."""
        for name in dict.fromkeys(terms(symbol)[0] for symbol in symbols):
            if name in self._snapshots:
                self._write(self._snapshots[name])

    def _write(self, snapshot: ChainSnapshot) -> None:
        store = self._desk.store
        rows, chain_rows = self._known_rows(snapshot)
        quotes = store.book.quotes
        if len(rows):
            _write_options(quotes, rows, chain_rows, snapshot, store.book.instruments["multiplier"][rows])
        share = store.find(snapshot.underlying)
        if share is not None:
            _write_share(quotes[share], snapshot)
        self._desk.books.touch()

    def _known_rows(self, snapshot: ChainSnapshot) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        known = len(self._desk.store.symbols)
        cached = self._rows.get(snapshot.underlying)
        if cached is not None and cached[0] is snapshot.table and cached[1] == known:
            return cached[2], cached[3]
        index = snapshot.table.index
        pairs = [(row, index[symbol]) for row, symbol in enumerate(self._desk.store.symbols) if symbol in index]
        rows = np.array([row for row, _ in pairs], dtype=np.int64)
        chain_rows = np.array([row for _, row in pairs], dtype=np.int64)
        self._rows[snapshot.underlying] = (snapshot.table, known, rows, chain_rows)
        return rows, chain_rows


def _micros(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Dollars to integer micro-dollars, unknown values to 0."""
    return np.rint(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) * MICROS).astype(np.int64)


def _write_options(
    quotes: NDArray[Any],
    rows: NDArray[np.int64],
    chain: NDArray[np.int64],
    snapshot: ChainSnapshot,
    multiplier: NDArray[np.int64],
) -> None:
    bid = _micros(snapshot.bid[chain])
    ask = _micros(snapshot.ask[chain])
    quality = snapshot.quality[chain].astype(np.int64)
    greeks = np.stack([snapshot.delta[chain], snapshot.gamma[chain], snapshot.vega[chain]])
    quality |= np.where(np.isfinite(greeks).all(axis=0), 0, NO_GREEKS)
    usable = (quality & _UNUSABLE_MARK) == 0
    spot = snapshot.spot if np.isfinite(snapshot.spot) else 0.0
    quotes["bid"][rows] = bid
    quotes["ask"][rows] = ask
    quotes["mark"][rows] = np.where(usable, (bid + ask) // 2, quotes["mark"][rows])
    quotes["ts_ns"][rows] = snapshot.quote_ts_ns[chain]
    quotes["quality"][rows] = quality
    quotes["delta"][rows] = _micros(greeks[0] * spot * multiplier)
    quotes["gamma"][rows] = _micros(greeks[1] * spot * spot * 0.01 * multiplier)
    quotes["vega"][rows] = _micros(greeks[2] * 0.01 * multiplier)


def _write_share(quote: Any, snapshot: ChainSnapshot) -> None:
    quality = 0
    if not snapshot.spot_bid > 0:
        quality |= Quality.MISSING_BID
    if not snapshot.spot_ask > 0:
        quality |= Quality.MISSING_ASK
    if snapshot.spot_bid > snapshot.spot_ask:
        quality |= Quality.CROSSED
    bid, ask, spot = (int(value) for value in _micros(np.array([snapshot.spot_bid, snapshot.spot_ask, snapshot.spot])))
    quote["bid"] = bid
    quote["ask"] = ask
    if spot > 0:
        quote["mark"] = spot
        quote["delta"] = spot
    quote["ts_ns"] = snapshot.spot_ts_ns
    quote["quality"] = int(quality)
