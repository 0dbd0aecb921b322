"""The universal spread rule: Alpaca's worked numbers, and a brute-force f(p) on a grid for random books."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gammaray.desk import events
from gammaray.desk.core.margin import package_requirement
from gammaray.desk.desk import Desk
from gammaray.types.account import ActivityKind
from gammaray.types.instruments import parse_occ
from gammaray.types.money import MICROS
from tests.desk.helpers import DOLLAR, NOW, activity

EXPIRY, LATER = "260309", "260417"


def held(**positions: int) -> Desk:
    """A desk with positions in C/P strikes of XYZ, bought or sold at 1.00: C190=-1, or C190_later=1 for the later expiration."""
    desk = Desk()
    desk.handle(events.DeskOpened(NOW, "T1", "t", 10**12, (), ""))
    for number, (name, qty) in enumerate(positions.items()):
        if name == "XYZ":
            what = name
        else:
            base, _, later = name.partition("_")
            what = f"XYZ{LATER if later else EXPIRY}{base[0]}{int(base[1:]) * 1000:08d}"
        desk.handle(activity(ActivityKind.FILL, number + 1, symbol=what, signed_qty=qty, price=DOLLAR))
    desk.books.refresh()
    return desk


def requirement(desk: Desk) -> int:
    """Dollars."""
    return int(desk.store.book.valuation[0]["option_requirement"]) // DOLLAR


def uncovered(desk: Desk) -> tuple[int, int]:
    groups = desk.store.book.groups
    return int(groups["short_calls"].sum()), int(groups["short_puts"].sum())


def test_worked_numbers_of_alpacas_documentation() -> None:
    """wire.md 2.11: short 190C / long 200C needs 1000; adding long 100C / short 110C takes it to 0."""
    assert requirement(held(C190=-1, C200=1)) == 1_000
    assert requirement(held(C190=-1, C200=1, C100=1, C110=-1)) == 0


def test_the_largest_expiration_counts_not_the_sum() -> None:
    assert requirement(held(C190=-1, C200=1, C190_later=-1, C195_later=1)) == 1_000


def test_a_cash_secured_put_needs_its_strike_and_is_not_covered() -> None:
    desk = held(P100=-2)
    assert requirement(desk) == 20_000
    assert uncovered(desk) == (0, 200)


def test_a_naked_call_is_uncovered_and_shares_cover_it() -> None:
    assert uncovered(held(C190=-1)) == (100, 0)
    # The group is uncovered by options; the shares are weighed by whoever asks for the underlying.
    assert uncovered(held(C190=-1, C200=1)) == (0, 0)


def test_a_calendar_is_covered_by_the_later_long_and_not_by_an_earlier_one() -> None:
    assert uncovered(held(C190=-1, C190_later=1)) == (0, 0)
    assert requirement(held(C190=-1, C190_later=1)) == 0
    assert uncovered(held(C190=1, C190_later=-1)) == (100, 0)
    # The later long is bought before or after: the order of events does not matter.
    assert uncovered(held(C190_later=1, C190=-1)) == (0, 0)


def test_an_iron_condor_needs_its_wider_wing() -> None:
    assert requirement(held(P90=2, P95=-2, C105=-2, C115=2)) == 2_000


@given(st.dictionaries(st.sampled_from([f"{r}{k}" for r in "CP" for k in (90, 95, 100, 105, 110)]), st.integers(-3, 3)))
@settings(max_examples=200, deadline=None)
def test_the_walk_over_strikes_finds_the_lowest_value(book: dict[str, int]) -> None:
    desk = held(**{name: qty for name, qty in book.items() if qty})
    contracts = [(parse_occ(what), qty) for what, qty in _quantities(desk).items()]

    def value(price: int) -> int:
        return sum(
            qty * 100 * max(0, (price - c.strike_micros) if c.is_call else (c.strike_micros - price))
            for c, qty in contracts
        )

    # Payoffs are linear between strikes, so a grid that holds them all finds the minimum.
    lowest = min(value(p * MICROS) for p in range(401))
    calls = sum(qty for c, qty in contracts if c.is_call)
    puts = sum(qty for c, qty in contracts if not c.is_call)
    if calls >= 0:
        assert requirement(desk) * DOLLAR == max(0, -lowest)
    assert uncovered(desk) == (max(0, -calls) * 100, max(0, -puts) * 100)


@given(
    st.dictionaries(
        st.sampled_from([f"{r}{k}{e}" for r in "CP" for k in (90, 100, 110) for e in ("", "_later")]),
        st.integers(-3, 3).filter(bool),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=200, deadline=None)
def test_a_package_alone_needs_what_an_account_that_holds_only_it_needs(book: dict[str, int]) -> None:
    desk = held(**book)
    assume(uncovered(desk) == (0, 0))  # others are refused whatever they need
    rows = [(desk.store.find(what), qty) for what, qty in _quantities(desk).items()]
    legs = np.array(rows + [(0, 0)] * (4 - len(rows)), dtype=np.int64)
    assert package_requirement(desk.store.book, legs, len(rows)) == requirement(desk) * DOLLAR


def _quantities(desk: Desk) -> dict[str, int]:
    rows = desk.store.book.positions
    return {what: int(rows[k]["qty"]) for k, what in enumerate(desk.store.symbols) if rows[k]["qty"]}
