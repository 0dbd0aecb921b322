"""The durable state of a desk as bytes, and back. Equal histories give equal bytes."""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.desk.codec import dump, load
from gammaray.desk.desk import Desk
from gammaray.desk.limits import RiskLimits
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


def snapshot(desk: Desk) -> bytes:
    """Everything that journaled events have made of the desk; nothing that depends on quotes."""
    return dump(
        _Frame(
            VERSION,
            desk.store.symbols,
            {field: desk.store.used(field).tobytes().hex() for field in DURABLE},
            desk.memory,
            desk.records,
            desk.strategies,
            desk.fills,
            desk.moves,
        )
    )


def restore(state: bytes, limits: RiskLimits | None = None) -> Desk:
    """The desk of a snapshot, without quotes. Raises ValueError when the bytes are none of this version."""
    frame = load(_Frame, state)
    if frame.version != VERSION:
        raise ValueError(f"version: expected {VERSION}, was {frame.version}")
    desk = Desk(limits)
    desk.take_over(
        Store.restored(frame.symbols, {field: bytes.fromhex(text) for field, text in frame.arrays.items()}),
        frame.memory,
        frame.records,
        frame.strategies,
        frame.fills,
        frame.moves,
    )
    return desk
