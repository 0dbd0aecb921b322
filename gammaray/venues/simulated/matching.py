"""How a simple order meets the market: what fills, at which prices. Pure decisions over a board and a book; the exchange books the fills.

Fill rules, stated:
1. An arriving order takes the market makers' ladder level by level, best first, down to its limit; what is left rests (or waits, a market order).
2. A resting order at the touch has the market makers' quantity that was there before it ahead of it; one inside the spread has nobody.
3. When the market makers' new quotes reach a resting order's price, it trades at the resting price, up to what they show within its limit.
4. The flow of others takes the best price first: inside orders, then at one price the quantity ahead, then ours by time of entry.
5. For an underlying the path between two steps counts: it fills what it went through, and not what it only touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.venues.simulated.board import Board
from gammaray.venues.simulated.books import InstrumentBook, RestingOrder


@dataclass(frozen=True, slots=True)
class Match:
    """A fill of a simple order that has been decided."""

    resting: RestingOrder
    cents: int
    qty: int


def is_marketable(resting: RestingOrder, cents: int) -> bool:
    """Whether a price on the other side is within the order's limit."""
    if resting.cents is None:
        return True
    return cents <= resting.cents if resting.is_buy else cents >= resting.cents


def match_arrival(board: Board, resting: RestingOrder) -> list[Match]:
    """Rule 1. Takes from the board what it matches."""
    matches: list[Match] = []
    left = resting.order.leaves_qty
    for cents, size in board.ladder(resting.row, is_buy=resting.is_buy):
        if left == 0 or not is_marketable(resting, cents):
            break
        qty = min(left, size)
        matches.append(Match(resting, cents, qty))
        left -= qty
    taken = resting.order.leaves_qty - left
    if taken:
        board.take(resting.row, is_buy=resting.is_buy, qty=taken)
    return matches


def queue_position(board: Board, resting: RestingOrder) -> int:
    """Rule 2: the market makers' quantity at the order's own price."""
    best, size = board.best(resting.row, is_buy=not resting.is_buy)
    return size if resting.cents == best else 0


def match_requote(board: Board, book: InstrumentBook) -> list[Match]:
    """Rule 3, and market orders that wait. Queue positions are brought up to date."""
    matches: list[Match] = []
    for is_buy in (True, False):
        for resting in book.side(is_buy=is_buy):
            if resting.cents is None:
                matches.extend(match_arrival(board, resting))
                continue
            ladder = board.ladder(resting.row, is_buy=is_buy)
            size = sum(size for cents, size in ladder if is_marketable(resting, cents))
            if size:
                qty = min(size, resting.order.leaves_qty)
                board.take(resting.row, is_buy=is_buy, qty=qty)
                matches.append(Match(resting, resting.cents, qty))
            else:
                resting.ahead = min(resting.ahead, queue_position(board, resting))
    return matches


def match_flow(board: Board, book: InstrumentBook, row: int, *, is_buy: bool, qty: int) -> tuple[list[Match], int, int]:
    """Rule 4: an order of others buys (or sells) `qty` at the best price on the other side, ours or the market makers'.

    Returns our matches, then the price and quantity that the market makers traded (0, 0 for none).
    """
    matches: list[Match] = []
    best, size = board.best(row, is_buy=is_buy)
    left = qty
    for resting in book.side(is_buy=not is_buy):
        if left == 0 or resting.cents is None:
            continue
        worse = size > 0 and (resting.cents > best if is_buy else resting.cents < best)
        if worse:
            break
        if resting.cents == best and resting.ahead:
            passed = min(left, resting.ahead, size)
            board.take(row, is_buy=is_buy, qty=passed)
            left -= passed
            size -= passed
            _advance_queue(book, is_buy=not is_buy, cents=best, passed=passed)
        fill = min(left, resting.order.leaves_qty)
        if fill:
            matches.append(Match(resting, resting.cents, fill))
            left -= fill
    by_makers = min(left, size)
    if by_makers:
        board.take(row, is_buy=is_buy, qty=by_makers)
    return matches, best if by_makers else 0, by_makers


def _advance_queue(book: InstrumentBook, *, is_buy: bool, cents: int, passed: int) -> None:
    """Everyone at a price has that much less ahead."""
    for resting in book.side(is_buy=is_buy):
        if resting.cents == cents:
            resting.ahead = max(resting.ahead - passed, 0)


def match_range(book: InstrumentBook, *, low: int, high: int) -> list[Match]:
    """Rule 5 for an underlying that traded from `low` to `high`."""
    through_bids = [r for r in book.bids if r.cents is not None and low < r.cents]
    through_asks = [r for r in book.asks if r.cents is not None and high > r.cents]
    return [Match(r, r.cents, r.order.leaves_qty) for r in through_bids + through_asks if r.cents is not None]
