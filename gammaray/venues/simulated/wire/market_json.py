"""Quotes, trades, bars and snapshots as Alpaca's market-data JSON: numbers, RFC 3339 times (wire.md 3)."""

from __future__ import annotations

from typing import Any

from gammaray.types.clock import format_ns
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.api import Quote


def option_quote_json(quote: Quote) -> dict[str, Any]:
    """An option quote; a missing side is price 0 and size 0, as Alpaca sends it."""
    return {
        "t": format_ns(quote.ts_ns),
        "bx": "C",
        "bp": quote.bid_cents / 100,
        "bs": quote.bid_size,
        "ax": "B",
        "ap": quote.ask_cents / 100,
        "as": quote.ask_size,
        "c": "A",
    }


def stock_quote_json(quote: Quote) -> dict[str, Any]:
    """A stock quote; sizes in shares."""
    return {**option_quote_json(quote), "bx": "V", "ax": "V", "c": ["R"], "z": "C"}


def option_trade_json(ts_ns: int, cents: int) -> dict[str, Any]:
    """An option trade."""
    return {"t": format_ns(ts_ns), "x": "C", "p": cents / 100, "s": 1, "c": "I"}


def stock_trade_json(ts_ns: int, cents: int) -> dict[str, Any]:
    """A stock trade; its id follows from its time."""
    return {"t": format_ns(ts_ns), "i": ts_ns % 2**53, "x": "V", "p": cents / 100, "s": 100, "c": ["@"], "z": "C"}


def bar_json(bar: Bar) -> dict[str, Any]:
    """A bar stamped with its left edge; trade count and weighted price are not kept, so null."""
    return {
        "t": format_ns(bar.ts_ns),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": None,
        "vw": None,
    }
