"""The arrays that hold one account.

Money is integer micro-dollars, prices micro-dollars per share, quantities signed contracts or shares. Greeks are micro-dollars per
contract: delta for a move of the whole spot (delta × spot × multiplier), gamma as the change of that delta for a move of 1 %, vega
for one volatility point. Links between rows are row numbers, -1 for none.

`Book` has a durable part, which only journaled events change, and a part that follows the market and is rebuilt from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_LEGS = 4

SHARE, CALL, PUT = 0, 1, 2

INSTRUMENT = np.dtype(
    [
        ("underlying", "i8"),
        ("group", "i8"),
        ("kind", "i8"),
        ("strike", "i8"),
        ("multiplier", "i8"),
        ("expiration", "i8"),
        # The options of a group, and those of an underlying, in order of strike.
        ("next_in_group", "i8"),
        ("next_in_underlying", "i8"),
    ],
    align=True,
)
"""Static columns of an instrument. `expiration` is days since 1970-01-01, 0 for shares, whose group is -1."""

POSITION = np.dtype(
    [
        ("qty", "i8"),
        ("first_lot", "i8"),
        ("last_lot", "i8"),
        ("realized", "i8"),
        # Contracts in working orders: what they may still buy and sell, and how much of both closes.
        ("working_buy", "i8"),
        ("working_sell", "i8"),
        ("working_close", "i8"),
    ],
    align=True,
)
"""Durable, one row an instrument."""

LOT = np.dtype([("qty", "i8"), ("price", "i8"), ("next", "i8")], align=True)
"""Durable. Lots of one position form a list, oldest first; unused rows form the free list."""

QUOTE = np.dtype(
    [
        ("bid", "i8"),
        ("ask", "i8"),
        ("mark", "i8"),
        ("ts_ns", "i8"),
        ("quality", "i8"),
        ("delta", "i8"),
        ("gamma", "i8"),
        ("vega", "i8"),
    ],
    align=True,
)
"""Market part, one row an instrument. `quality` holds the bits of `gammaray.market.snapshot.Quality`; -1 while never quoted."""

UNDERLYING = np.dtype(
    [
        # Reserved by working orders, those that raise the figure and those that lower it apart.
        ("delta_up", "i8"),
        ("delta_down", "i8"),
        ("gamma_up", "i8"),
        ("gamma_down", "i8"),
        ("vega_up", "i8"),
        ("vega_down", "i8"),
        ("loss", "i8"),
    ],
    align=True,
)
"""Durable, one row an underlying: what the working orders reserve."""

EXPOSURE = np.dtype(
    [
        ("share", "i8"),
        ("first_group", "i8"),
        ("first_option", "i8"),
        ("delta", "i8"),
        ("gamma", "i8"),
        ("vega", "i8"),
        ("requirement", "i8"),
    ],
    align=True,
)
"""Market part, one row an underlying: links to its instruments, and what its positions amount to."""

GROUP = np.dtype(
    [
        ("underlying", "i8"),
        ("expiration", "i8"),
        ("first_option", "i8"),
        ("next", "i8"),
        ("requirement", "i8"),
        ("dirty", "i8"),
        ("short_calls", "i8"),
        ("short_puts", "i8"),
        ("leans", "i8"),
    ],
    align=True,
)
"""Options of one underlying and expiration. `short_calls`, `short_puts`: shares left uncovered. `leans`: later expirations cover."""

ACCOUNT = np.dtype(
    [
        ("cash", "i8"),
        ("realized", "i8"),
        ("fees", "i8"),
        ("income", "i8"),
        ("trading_state", "i8"),
        ("start_of_day_equity", "i8"),
        ("reserved_funds", "i8"),
        ("delta_up", "i8"),
        ("delta_down", "i8"),
        ("gamma_up", "i8"),
        ("gamma_down", "i8"),
        ("vega_up", "i8"),
        ("vega_down", "i8"),
        ("delta_gross", "i8"),
        ("rate_level_ns", "i8"),
        ("rate_ts_ns", "i8"),
        ("free_lot", "i8"),
        ("lots", "i8"),
        ("executions", "i8"),
    ],
    align=True,
)
"""Durable, one row. `income`: dividends, interest, deposits. `lots`: rows of the lot pool ever used."""

VALUATION = np.dtype(
    [
        ("long_value", "i8"),
        ("short_value", "i8"),
        ("share_value", "i8"),
        ("share_requirement", "i8"),
        ("option_requirement", "i8"),
        ("equity", "i8"),
        ("unrealized", "i8"),
        ("delta", "i8"),
        ("gamma", "i8"),
        ("vega", "i8"),
        ("gross_delta", "i8"),
        ("unmarked", "i8"),
    ],
    align=True,
)
"""Market part, one row: the sums over positions. `unmarked` counts open positions that have no mark."""

RESERVATION = ("funds", "loss", "delta", "gamma", "vega")
"""What a working order reserves, micro-dollars for the whole order; the columns of `ORDER.reserved`."""

ORDER = np.dtype(
    [
        ("state", "i8"),
        ("qty", "i8"),
        ("filled_qty", "i8"),
        ("intended_ns", "i8"),
        ("updated_ns", "i8"),
        ("underlying", "i8"),
        ("legs", "i8"),
        ("leg_instrument", "i8", (MAX_LEGS,)),
        ("leg_ratio", "i8", (MAX_LEGS,)),
        ("leg_filled", "i8", (MAX_LEGS,)),
        ("leg_closes", "i8", (MAX_LEGS,)),
        ("reserved", "i8", (len(RESERVATION),)),
        ("holds", "i8"),
    ],
    align=True,
)
"""Durable, one row an order of ours. Ratios are signed (sold legs negative), `leg_filled` counts contracts, unsigned.

`leg_closes`: 1 where the leg reduces a position. `holds`: 1 while the order's reservations are in the sums.
"""

LIMIT = np.dtype(
    [
        ("order_contracts", "i8"),
        ("order_shares", "i8"),
        ("contracts_per_symbol", "i8"),
        ("shares_per_symbol", "i8"),
        ("position_loss", "i8"),
        ("underlying_loss", "i8"),
        ("gross_delta", "i8"),
        ("delta_underlying", "i8"),
        ("delta_total", "i8"),
        ("gamma_underlying", "i8"),
        ("gamma_total", "i8"),
        ("vega_underlying", "i8"),
        ("vega_total", "i8"),
        ("daily_loss", "i8"),
        ("collar_ppm", "i8"),
        ("collar_floor", "i8"),
        ("spread_ppm", "i8"),
        ("quote_age_ns", "i8"),
        ("orders_per_minute", "i8"),
        ("defined_risk", "i8"),
        ("market_orders", "i8"),
    ],
    align=True,
)
"""The limits in force, in the units of the arrays: fractions of equity already multiplied out."""


class Book(NamedTuple):
    """Every array of one account, as the compiled functions take them."""

    instruments: NDArray[Any]
    positions: NDArray[Any]
    lots: NDArray[Any]
    quotes: NDArray[Any]
    underlyings: NDArray[Any]
    exposures: NDArray[Any]
    groups: NDArray[Any]
    account: NDArray[Any]
    valuation: NDArray[Any]
    orders: NDArray[Any]


_DTYPES = Book(INSTRUMENT, POSITION, LOT, QUOTE, UNDERLYING, EXPOSURE, GROUP, ACCOUNT, VALUATION, ORDER)  # type: ignore[arg-type]


def blank(field: str, rows: int) -> NDArray[Any]:
    """Fresh rows of one of Book's arrays: zeros, links at -1, quotes marked as never seen."""
    array = np.zeros(rows, dtype=getattr(_DTYPES, field))
    for name in ("next_in_group", "next_in_underlying", "first_lot", "last_lot", "next", "share", "first_group",
                 "first_option", "quality", "group", "free_lot"):  # fmt: skip
        if name in (array.dtype.names or ()):
            array[name] = -1
    return array


def new_book(rows: int = 64) -> Book:
    """An empty book with room for `rows` of everything; the shell grows the arrays as they fill."""
    return Book(*(blank(field, 1 if field in ("account", "valuation") else rows) for field in Book._fields))
