"""Quotes as msgpack frames, encoded in one vectorised pass.

A frame is an array of maps (wire.md 4.2). Every option quote of symbols of one length has the same msgpack layout, so a frame is a
block of fixed-size records: constant bytes and the symbol come from a template per symbol, prices, sizes and the time stamp are
written into their places as columns. Nothing is encoded quote by quote.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgpack
import numpy as np
from numpy.typing import NDArray

from gammaray.types.clock import NANOS

QUOTES_PER_FRAME = 500
"""About 45 KiB a frame: far below the client's limit of 1 MiB, few enough frames to be cheap."""


def timestamp_bits(ts_ns: int) -> int:
    """The eight bytes of a msgpack timestamp 64 (nanoseconds in the upper 30 bits, seconds in the lower 34)."""
    seconds, nanos = divmod(ts_ns, NANOS)
    return (nanos << 34) | seconds


def _layout(length: int) -> tuple[bytes, np.dtype[np.void], int]:
    """Template bytes, record type and offset of the symbol, for symbols of `length` characters (at most 31)."""
    parts: list[bytes] = []
    offsets: dict[str, int] = {}

    def constant(content: bytes) -> None:
        parts.append(content)

    def slot(name: str, size: int) -> None:
        offsets[name] = sum(map(len, parts))
        parts.append(bytes(size))

    constant(b"\x8a\xa1T\xa1q\xa1S" + bytes([0xA0 | length]))
    slot("S", length)
    constant(b"\xa1t\xd7\xff")
    slot("t", 8)
    constant(b"\xa2bx\xa1C\xa2bp\xcb")
    slot("bp", 8)
    constant(b"\xa2bs\xce")
    slot("bs", 4)
    constant(b"\xa2ax\xa1B\xa2ap\xcb")
    slot("ap", 8)
    constant(b"\xa2as\xce")
    slot("as", 4)
    constant(b"\xa1c\xa1A")
    template = b"".join(parts)
    columns = {"t": ">u8", "bp": ">f8", "bs": ">u4", "ap": ">f8", "as": ">u4"}
    record = np.dtype(
        {
            "names": list(columns),
            "formats": list(columns.values()),
            "offsets": [offsets[name] for name in columns],
            "itemsize": len(template),
        }
    )
    return template, record, offsets["S"]


@dataclass(slots=True)
class _Group:
    """Symbols of one length: a matrix of templates, one row a symbol."""

    template: bytes
    record: np.dtype[np.void]
    symbol_offset: int
    rows: NDArray[np.uint8]
    used: int = 0


@dataclass(frozen=True, slots=True)
class QuoteColumns:
    """Quotes of one time stamp: `ids` from OptionQuoteEncoder.identify, prices in integer cents, sizes in contracts."""

    ts_ns: int
    ids: NDArray[np.int64]
    bid_cents: NDArray[np.int64]
    ask_cents: NDArray[np.int64]
    bid_size: NDArray[np.int64]
    ask_size: NDArray[np.int64]


@dataclass(slots=True)
class OptionQuoteEncoder:
    """Encodes option quotes; keeps a template per symbol it has met."""

    _groups: dict[int, _Group] = field(default_factory=dict)
    _ids: dict[str, int] = field(default_factory=dict)
    _symbols: list[str] = field(default_factory=list)
    _length: list[int] = field(default_factory=list)
    _row: list[int] = field(default_factory=list)
    _length_of: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _row_of: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def identify(self, symbol: str) -> int:
        """The id of a symbol, new ones numbered upwards. Raises ValueError for more than 31 characters."""
        known = self._ids.get(symbol)
        if known is not None:
            return known
        text = symbol.encode("ascii")
        if not 1 <= len(text) <= 31:
            raise ValueError(f"symbol: expected 1 to 31 characters, was {symbol!r}")
        group = self._groups.get(len(text))
        if group is None:
            template, record, offset = _layout(len(text))
            group = _Group(template, record, offset, np.empty((64, len(template)), np.uint8))
            self._groups[len(text)] = group
        if group.used == len(group.rows):
            group.rows = np.concatenate([group.rows, np.empty_like(group.rows)])
        row = group.rows[group.used]
        row[:] = np.frombuffer(group.template, np.uint8)
        row[group.symbol_offset : group.symbol_offset + len(text)] = np.frombuffer(text, np.uint8)
        number = len(self._ids)
        self._ids[symbol] = number
        self._symbols.append(symbol)
        self._length.append(len(text))
        self._row.append(group.used)
        group.used += 1
        return number

    def identify_all(self, symbols: Sequence[str]) -> NDArray[np.int64]:
        """The ids of many symbols."""
        try:
            known = [self._ids[symbol] for symbol in symbols]
        except KeyError:
            known = [self.identify(symbol) for symbol in symbols]
        return np.array(known, np.int64)

    def symbols(self, first: int, last: int) -> list[str]:
        """The symbols with ids from `first` to before `last`."""
        return self._symbols[first:last]

    def encode(self, quotes: QuoteColumns) -> list[tuple[bytes, int]]:
        """Frames with the number of quotes in each, in the order given (grouped by symbol length where lengths differ)."""
        if len(self._length_of) != len(self._length):
            self._length_of = np.array(self._length, np.int64)
            self._row_of = np.array(self._row, np.int64)
        lengths = self._length_of[quotes.ids]
        frames: list[tuple[bytes, int]] = []
        for length in np.unique(lengths):
            group = self._groups[int(length)]
            chosen = np.flatnonzero(lengths == length)
            block = group.rows[self._row_of[quotes.ids[chosen]]]
            records = block.view(group.record)[:, 0]
            records["t"] = timestamp_bits(quotes.ts_ns)
            records["bp"] = quotes.bid_cents[chosen] / 100.0
            records["ap"] = quotes.ask_cents[chosen] / 100.0
            records["bs"] = quotes.bid_size[chosen]
            records["as"] = quotes.ask_size[chosen]
            for first in range(0, len(block), QUOTES_PER_FRAME):
                part = block[first : first + QUOTES_PER_FRAME]
                frames.append((_array_header(len(part)) + part.tobytes(), len(part)))
        return frames


def _array_header(count: int) -> bytes:
    return bytes([0x90 | count]) if count < 16 else struct.pack(">BH", 0xDC, count)


def timestamp(ts_ns: int) -> msgpack.Timestamp:
    """The msgpack extension value that every time field of a data stream must have (wire.md rule 12)."""
    return msgpack.Timestamp(*divmod(ts_ns, NANOS))
