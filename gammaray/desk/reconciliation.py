"""The desk's books against the venue's: what differs, and which rule explains or repairs it. Pure functions of the two pictures.

| difference | rule |
|---|---|
| MISSING_ORDER: ours works, the venue's list lacks it | look up by our id; absent often and long enough: never arrived |
| EXTERNAL_ORDER, EXTERNAL_FILL: not sent by us | recorded; its fills are booked from the activities; nothing is sent against it |
| LIQUIDATED: an external order that reduces an option position on its expiration day | recorded like the above |
| DUPLICATE_ORDER: one of our ids twice in the venue's list | never resolved by rule: REDUCING |
| ORDER_STATE, ORDER_QUANTITY: status or fills differ | the venue's word and its activities are taken over; else REDUCING |
| ASSIGNED, EXERCISED, EXPIRED: options gone, shares and cash moved as that would move them, no row yet | presumed, booked once |
| POSITION_QUANTITY, CASH: anything else | never resolved by rule: REDUCING until a person adopts or the rows come |
| POSITION_PRICE: average prices differ by more than a cent | recorded; the venue averages, we keep lots |
| UNCOVERED_SHORT: shorts that nothing covers | REDUCING; a person or the strategy closes them |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from gammaray.desk.events import Difference, DifferenceKind
from gammaray.types.account import Activity, ActivityKind, VenuePosition
from gammaray.types.instruments import OptionContract, is_occ, parse_occ
from gammaray.types.money import CENT, format_micros

MAX_PRESUMED = 12
"""More vanished contracts than this at once are left to a person (2^n ways to explain them)."""


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """The outcome of one comparison."""

    ts_ns: int
    cause: str
    differences: tuple[Difference, ...]

    @property
    def unresolved(self) -> tuple[Difference, ...]:
        """Differences that no rule explains."""
        return tuple(difference for difference in self.differences if not difference.resolved)

    @property
    def clean(self) -> bool:
        """Whether the books agree, presumed and recorded differences aside."""
        return not self.unresolved


def quantity_gaps(ours: Mapping[str, int], theirs: Sequence[VenuePosition]) -> dict[str, tuple[int, int]]:
    """(ours, theirs) of every symbol in which the signed quantities differ, sorted by symbol."""
    venue = {position.symbol: position.signed_qty for position in theirs}
    symbols = sorted(set(ours) | set(venue))
    pairs = {symbol: (ours.get(symbol, 0), venue.get(symbol, 0)) for symbol in symbols}
    return {symbol: pair for symbol, pair in pairs.items() if pair[0] != pair[1]}


def presume_moves(gaps: Mapping[str, tuple[int, int]], cash_gap: int, ts_ns: int) -> list[Activity] | None:
    """Explain quantity and cash gaps by expiries, exercises and assignments whose rows the venue does not show yet.

    cash_gap: theirs minus ours, micro-dollars. Returns the activities that account for every gap exactly, [] when there is nothing
    to explain, None when no combination does. Of several explanations the one with the fewest exercises is taken.
    """
    vanished: list[tuple[OptionContract, int]] = []
    shares: dict[str, int] = {}
    for symbol, (ours, theirs) in gaps.items():
        if not is_occ(symbol):
            shares[symbol] = theirs - ours
        elif ours * theirs >= 0 and abs(theirs) < abs(ours):
            vanished.append((parse_occ(symbol), theirs - ours))
        else:
            return None
    if not vanished:
        return [] if not gaps and cash_gap == 0 else None
    if len(vanished) > MAX_PRESUMED:
        return None
    choices = sorted(product((False, True), repeat=len(vanished)), key=lambda choice: (sum(choice), choice))
    for choice in choices:
        moves = [
            piece
            for exercised, (contract, change) in zip(choice, vanished, strict=True)
            for piece in _pieces(contract, change, exercised, ts_ns)
        ]
        moved: dict[str, int] = {}
        for move in moves:
            if not is_occ(move.symbol):
                moved[move.symbol] = moved.get(move.symbol, 0) + move.signed_qty
        fits = {name: qty for name, qty in moved.items() if qty} == shares
        if fits and sum(move.net_amount for move in moves) == cash_gap:
            return moves
    return None


def _pieces(contract: OptionContract, change: int, exercised: bool, ts_ns: int) -> list[Activity]:
    """The rows that the venue will show for a contract that left the account."""
    if not exercised:
        return [Activity("", ActivityKind.EXPIRY, ts_ns, contract.symbol, change)]
    kind = ActivityKind.EXERCISE if change < 0 else ActivityKind.ASSIGNMENT
    shares = change * contract.multiplier * (-1 if contract.is_call else 1)
    return [
        Activity("", kind, ts_ns, contract.symbol, change),
        Activity(
            "",
            ActivityKind.OPTION_TRADE,
            ts_ns,
            contract.underlying,
            shares,
            contract.strike_micros,
            -shares * contract.strike_micros,
        ),
    ]


_PRESUMED_KIND = {
    ActivityKind.EXPIRY: DifferenceKind.EXPIRED,
    ActivityKind.EXERCISE: DifferenceKind.EXERCISED,
    ActivityKind.ASSIGNMENT: DifferenceKind.ASSIGNED,
}


def presumed_differences(moves: Sequence[Activity], gaps: Mapping[str, tuple[int, int]]) -> list[Difference]:
    """The report lines of presumed moves."""
    return [
        Difference(
            _PRESUMED_KIND[move.kind],
            move.symbol,
            str(gaps[move.symbol][0]),
            str(gaps[move.symbol][1]),
            True,
            "presumed until the venue shows the activity",
        )
        for move in moves
        if move.kind in _PRESUMED_KIND
    ]


def unexplained(gaps: Mapping[str, tuple[int, int]], cash_ours: int, cash_theirs: int) -> list[Difference]:
    """The report lines of gaps that nothing explains."""
    found = [
        Difference(
            DifferenceKind.POSITION_QUANTITY, symbol, str(ours), str(theirs), False, "reduce until a person adopts"
        )
        for symbol, (ours, theirs) in gaps.items()
    ]
    if cash_ours != cash_theirs:
        found.append(
            Difference(
                DifferenceKind.CASH,
                "cash",
                format_micros(cash_ours),
                format_micros(cash_theirs),
                False,
                "reduce until a person adopts",
            )
        )
    return found


def price_differences(ours: Mapping[str, int], theirs: Sequence[VenuePosition]) -> list[Difference]:
    """Average entry prices that differ by more than a cent: the venue averages where we keep lots, so these are only recorded."""
    return [
        Difference(
            DifferenceKind.POSITION_PRICE,
            position.symbol,
            format_micros(ours[position.symbol]),
            format_micros(position.avg_entry_price),
            True,
            "recorded",
        )
        for position in sorted(theirs, key=lambda one: one.symbol)
        if position.symbol in ours and abs(ours[position.symbol] - position.avg_entry_price) > CENT
    ]
