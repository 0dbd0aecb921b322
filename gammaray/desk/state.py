"""The durable state of a desk as bytes, and back."""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.desk.books import Books
from gammaray.desk.codec import dump, load
from gammaray.desk.records import Memory, OrderRecord
from gammaray.desk.store import DURABLE, Store
from gammaray.desk.strategy_book import StrategyBook
from gammaray.desk.witnesses import FillWitnesses, PresumedMoves

VERSION = 1


@dataclass(slots=True)
class _Frame:
    version: int
    symbols: list[str]
    arrays: dict[str, str]
    memory: Memory
    records: list[OrderRecord]
    strategies: StrategyBook
    fills: FillWitnesses
    moves: PresumedMoves


def snapshot_books(books: Books) -> bytes:
    """JSON of names and memory, with the arrays' bytes in hexadecimal."""
    return dump(
        _Frame(
            VERSION,
            books.store.symbols,
            {field: books.store.used(field).tobytes().hex() for field in DURABLE},
            books.memory,
            books.records,
            books.strategies,
            books.fills,
            books.moves,
        )
    )


def restore_books(state: bytes) -> Books:
    """The books of a snapshot. Raises ValueError when the bytes are none of this version."""
    frame = load(_Frame, state)
    if frame.version != VERSION:
        raise ValueError(f"version: expected {VERSION}, was {frame.version}")
    return Books.restored(
        Store.restored(frame.symbols, {field: bytes.fromhex(text) for field, text in frame.arrays.items()}),
        frame.memory,
        frame.records,
        frame.strategies,
        frame.fills,
        frame.moves,
    )
