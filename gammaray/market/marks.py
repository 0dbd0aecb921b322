"""Mark prices of positions: the middle of a good quote, else the surface's price, else the last known mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gammaray.market.snapshot import ChainSnapshot
from gammaray.types.money import price_to_micros

_HALF_CENT = 5_000


class MarkSource(StrEnum):
    """Where a mark comes from."""

    QUOTE = "quote"
    MODEL = "model"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Mark:
    """A price in micro-dollars per share and where it comes from. Middles are kept to the half cent."""

    price: int
    source: MarkSource


def mark_prices(
    snapshot: ChainSnapshot, symbols: Iterable[str], last: Mapping[str, int] | None = None
) -> dict[str, Mark]:
    """Marks of the underlying and its options among `symbols`; what cannot be marked, or is of another underlying, is left out.

    last: earlier marks in micro-dollars by symbol, used when there is neither a good quote nor a model price.
    """
    last = last or {}
    mid = snapshot.mid
    marks = {}
    for symbol in symbols:
        if symbol == snapshot.underlying:
            if np.isfinite(snapshot.spot):
                marks[symbol] = Mark(price_to_micros(snapshot.spot, _HALF_CENT), MarkSource.QUOTE)
            elif symbol in last:
                marks[symbol] = Mark(last[symbol], MarkSource.LAST)
            continue
        row = snapshot.table.index.get(symbol)
        if row is not None and snapshot.quality[row] == 0:
            marks[symbol] = Mark(price_to_micros(float(mid[row]), _HALF_CENT), MarkSource.QUOTE)
        elif row is not None and snapshot.model_price is not None and np.isfinite(snapshot.model_price[row]):
            marks[symbol] = Mark(price_to_micros(float(snapshot.model_price[row]), _HALF_CENT), MarkSource.MODEL)
        elif symbol in last:
            marks[symbol] = Mark(last[symbol], MarkSource.LAST)
    return marks
