"""The vectorised quote encoder writes what msgpack would."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.venues.simulated.wire.frames import QUOTES_PER_FRAME, OptionQuoteEncoder, QuoteColumns

TS = 1_517_841_000_123_456_789


def columns(encoder: OptionQuoteEncoder, symbols: list[str], prices: list[int]) -> QuoteColumns:
    values = np.array(prices, np.int64)
    ids = np.array([encoder.identify(s) for s in symbols], np.int64)
    return QuoteColumns(TS, ids, values, values + 5, values % 90 + 1, values % 70)


def test_a_frame_is_what_msgpack_packs() -> None:
    encoder = OptionQuoteEncoder()
    frames = encoder.encode(columns(encoder, ["AAPL261218C00250000"], [600]))
    expected = msgpack.packb(
        [
            {
                "T": "q",
                "S": "AAPL261218C00250000",
                "t": msgpack.Timestamp(TS // 10**9, TS % 10**9),
                "bx": "C",
                "bp": 6.0,
                "bs": 61,
                "ax": "B",
                "ap": 6.05,
                "as": 40,
                "c": "A",
            }
        ]
    )
    # Sizes are written as fixed-width integers, so the bytes differ; the content does not.
    assert [(msgpack.unpackb(frame), n) for frame, n in frames] == [(msgpack.unpackb(expected), 1)]


@given(
    st.lists(st.tuples(st.sampled_from(["SPY", "A", "GOOGL", "BRK"]), st.integers(0, 10**7)), min_size=1, max_size=40)
)
def test_every_quote_arrives_once_with_its_values(quotes: list[tuple[str, int]]) -> None:
    encoder = OptionQuoteEncoder()
    symbols = [f"{root}180216C{i:08d}" for i, (root, _) in enumerate(quotes, start=1)]
    prices = [price for _, price in quotes]
    frames = encoder.encode(columns(encoder, symbols, prices))
    got = {m["S"]: (m["bp"], m["ap"], m["bs"], m["as"]) for frame, _ in frames for m in msgpack.unpackb(frame)}
    assert got == {s: (p / 100, (p + 5) / 100, p % 90 + 1, p % 70) for s, p in zip(symbols, prices, strict=True)}
    assert sum(n for _, n in frames) == len(quotes)


def test_frames_are_cut_far_below_the_limit_of_the_client() -> None:
    encoder = OptionQuoteEncoder()
    symbols = [f"SPY180216C{i:08d}" for i in range(1, 1201)]
    frames = encoder.encode(columns(encoder, symbols, list(range(1200))))
    assert [n for _, n in frames] == [QUOTES_PER_FRAME, QUOTES_PER_FRAME, 200]
    assert max(len(frame) for frame, _ in frames) < 256 * 1024
    assert [m["S"] for frame, _ in frames for m in msgpack.unpackb(frame)] == symbols


def test_symbols_too_long_for_the_layout_are_refused() -> None:
    with pytest.raises(ValueError, match="symbol"):
        OptionQuoteEncoder().identify("X" * 32)
