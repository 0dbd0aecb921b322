"""How a multi-leg package meets the market: all legs together at a signed net price, or not at all.

Fill rules, stated:
1. A package whose limit reaches the natural price (every leg at the other side's best level with room for its ratio) takes those levels, again
   and again while the net stays within the limit; it gets the market's price when that is better than its own.
2. One that bids between the middle and the natural price may be met by a package market maker in a step: with probability
   0.5 · f² where f is how far the limit has gone from the middle (0) to the natural price (1), for a geometric number of units, at the limit
   exactly. Leg prices are whole cents inside each leg's bid and ask that sum to the net.
3. A leg to sell that nobody bids for, but somebody offers, is worth one cent to whoever takes the whole package, up to the size offered: else a
   spread with a worthless wing could never be closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gammaray.venues.simulated.board import Board

_MEETING_RATE = 0.5
_MEAN_UNITS = 8.0


@dataclass(frozen=True, slots=True)
class PackageLeg:
    """A leg by row: `sign` +1 buys, -1 sells, `ratio` contracts a unit."""

    row: int
    sign: int
    ratio: int

    @property
    def is_buy(self) -> bool:
        """Whether the leg buys."""
        return self.sign > 0


@dataclass(frozen=True, slots=True)
class PackageMatch:
    """Units filled at one price a leg (cents, in the order of the legs)."""

    units: int
    prices: tuple[int, ...]


def net_cents(legs: Sequence[PackageLeg], prices: Sequence[int]) -> int:
    """Signed net price of a unit in cents: positive is a debit."""
    return sum(leg.sign * leg.ratio * price for leg, price in zip(legs, prices, strict=True))


def package_ladder(board: Board, leg: PackageLeg) -> list[tuple[int, int]]:
    """(cents, size left) for a leg of a package: the market makers' ladder, or rule 3 where they do not bid."""
    if not leg.is_buy and board.bid_size[leg.row] == 0:
        left = int(board.ask_size[leg.row] - board.bid_taken[leg.row])
        return [(1, left)] if left > 0 else []
    return board.ladder(leg.row, is_buy=leg.is_buy)


def natural_prices(board: Board, legs: Sequence[PackageLeg]) -> tuple[tuple[int, ...], int] | None:
    """(price of each leg, units there) at the best levels with room for one unit; None when a leg has no such level."""
    prices: list[int] = []
    units = 1 << 60
    for leg in legs:
        level = next((lv for lv in package_ladder(board, leg) if lv[1] >= leg.ratio), None)
        if level is None:
            return None
        prices.append(level[0])
        units = min(units, level[1] // leg.ratio)
    return tuple(prices), units


def match_natural(board: Board, legs: Sequence[PackageLeg], units: int, limit_cents: int | None) -> list[PackageMatch]:
    """Rule 1. Takes from the board what it matches."""
    matches: list[PackageMatch] = []
    while units:
        natural = natural_prices(board, legs)
        if natural is None:
            break
        prices, available = natural
        if limit_cents is not None and net_cents(legs, prices) > limit_cents:
            break
        filled = min(units, available)
        for leg, price in zip(legs, prices, strict=True):
            _take_at(board, leg, price, filled * leg.ratio)
        matches.append(PackageMatch(filled, prices))
        units -= filled
    return matches


def _take_at(board: Board, leg: PackageLeg, price: int, qty: int) -> None:
    """Take from one level; leftovers too small for the ratio at better levels are gone with it."""
    skipped = 0
    for cents, size in package_ladder(board, leg):
        if cents == price:
            break
        skipped += size
    board.take(leg.row, is_buy=leg.is_buy, qty=skipped + qty)


def match_inside(
    board: Board, legs: Sequence[PackageLeg], units: int, limit_cents: int, rng: np.random.Generator
) -> PackageMatch | None:
    """Rule 2. The market makers' quotes of the single legs stay as they are."""
    natural = natural_prices(board, legs)
    if natural is None:
        return None
    prices, available = natural
    widths = [_width(board, leg, price) for leg, price in zip(legs, prices, strict=True)]
    worst = net_cents(legs, prices)
    room = sum(leg.ratio * width for leg, width in zip(legs, widths, strict=True))
    improvement = worst - limit_cents
    if not 0 < improvement < room / 2:
        return None
    reach = 1.0 - improvement / (room / 2)
    if rng.random() >= _MEETING_RATE * reach**2:
        return None
    shares = _share_improvement(legs, widths, improvement)
    if shares is None:
        return None
    filled = min(units, available, int(rng.geometric(1.0 / _MEAN_UNITS)))
    inside = tuple(price - leg.sign * share for leg, price, share in zip(legs, prices, shares, strict=True))
    return PackageMatch(filled, inside)


def _width(board: Board, leg: PackageLeg, price: int) -> int:
    """Cents between the natural price and the opposite touch; without an opposite quote a seller's leg may not go below one cent."""
    opposite, size = board.best(leg.row, is_buy=not leg.is_buy)
    if size == 0:
        return max(price - 1, 0) if leg.is_buy else 0
    return max(price - opposite if leg.is_buy else opposite - price, 0)


def _share_improvement(legs: Sequence[PackageLeg], widths: Sequence[int], improvement: int) -> list[int] | None:
    """Cents by which each leg is better than natural so that the net is better by `improvement`; None when whole cents cannot do it."""
    room = sum(leg.ratio * width for leg, width in zip(legs, widths, strict=True))
    shares = [improvement * width // room for width in widths]
    left = improvement - sum(leg.ratio * share for leg, share in zip(legs, shares, strict=True))
    by_ratio = sorted(range(len(legs)), key=lambda i: -legs[i].ratio)
    for i in by_ratio:
        more = min(left // legs[i].ratio, widths[i] - shares[i])
        shares[i] += more
        left -= more * legs[i].ratio
    return shares if left == 0 else None
