"""Quotes that contradict each other: pairs of contracts that could be traded against one another at a sure profit.

Verticals: of two calls the one with the lower strike is worth at least as much, and at most the difference of strikes more; puts the
other way round. Parity: call minus put is the discounted forward less the strike for European contracts, and within Merton's (1973)
bounds for American ones. A quote that takes part in two or more violations is to blame; of a pair that is in one only, both are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gammaray.market.snapshot import ContractTable, Quality
from gammaray.types.instruments import ExerciseStyle

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ChainPairs:
    """Which rows of a table are to be compared.

    partner: row of the put with the strike, expiry and root of each call, and of the call of each put; -1 without one; shape (n,).
    lower, higher: rows of neighbouring strikes of one expiry, root and right. calls, puts: rows of the parity pairs.
    """

    def __init__(self, table: ContractTable) -> None:
        contracts = table.contracts
        rows = {(c.root, c.expiration, c.strike_milli, c.is_call): row for row, c in enumerate(contracts)}
        self.partner = np.array(
            [rows.get((c.root, c.expiration, c.strike_milli, not c.is_call), -1) for c in contracts], dtype=np.int64
        )
        lower, higher = [], []
        last: dict[tuple[object, ...], int] = {}
        for row, contract in enumerate(contracts):  # strikes increase within an expiry
            key = (contract.root, contract.expiration, contract.is_call)
            if key in last:
                lower.append(last[key])
                higher.append(row)
            last[key] = row
        self.lower: IntArray = np.array(lower, dtype=np.int64)
        self.higher: IntArray = np.array(higher, dtype=np.int64)
        self.calls: IntArray = np.flatnonzero(table.is_call & (self.partner >= 0))
        self.puts: IntArray = self.partner[self.calls]
        self.is_european = np.array([c.exercise_style is ExerciseStyle.EUROPEAN for c in contracts], dtype=np.bool_)


def arbitrage_flags(
    bid: FloatArray,
    ask: FloatArray,
    usable: NDArray[np.bool_],
    table: ContractTable,
    pairs: ChainPairs,
    spot: float,
    discount: FloatArray,
    forward: FloatArray,
    tolerance: float,
) -> NDArray[np.uint8]:
    """OUT_OF_BOUNDS for rows to blame, 0 for the others, shape (n,). Only `usable` rows are compared; prices in dollars."""
    low, high = pairs.lower, pairs.higher
    is_call = table.is_call[low]
    # The row that is worth more: the lower strike for calls, the higher one for puts.
    dear, cheap = np.where(is_call, low, high), np.where(is_call, high, low)
    width = table.strike[high] - table.strike[low]
    vertical = (ask[dear] < bid[cheap] - tolerance) | (bid[dear] - ask[cheap] > width + tolerance)
    vertical &= usable[low] & usable[high]

    calls, puts = pairs.calls, pairs.puts
    strike, exact = table.strike[calls], discount[calls] * (forward[calls] - table.strike[calls])
    european = pairs.is_european[calls]
    least = np.where(european, exact, np.minimum(exact, discount[calls] * forward[calls] - strike))
    most = np.where(european, exact, np.maximum(exact, spot - discount[calls] * strike))
    parity = (ask[calls] - bid[puts] < least - tolerance) | (bid[calls] - ask[puts] > most + tolerance)
    parity &= usable[calls] & usable[puts]

    first = np.concatenate((low[vertical], calls[parity]))
    second = np.concatenate((high[vertical], puts[parity]))
    flags = np.zeros(len(table), np.uint8)
    if first.size:
        to_blame = np.bincount(np.concatenate((first, second)), minlength=len(table)) >= 2
        unexplained = ~(to_blame[first] | to_blame[second])
        to_blame[first[unexplained]] = True
        to_blame[second[unexplained]] = True
        flags[to_blame] = np.uint8(Quality.OUT_OF_BOUNDS)
    return flags
