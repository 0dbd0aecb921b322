"""Pairs of quotes that contradict each other, on a chain small enough to see through."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from gammaray.market.arbitrage import ChainPairs, arbitrage_flags
from gammaray.market.snapshot import ContractTable, Quality
from gammaray.types.instruments import ExerciseStyle, OptionContract, Right

BAD = int(Quality.OUT_OF_BOUNDS)
C, P = Right.CALL, Right.PUT


def table_of(style=ExerciseStyle.AMERICAN):
    """Strikes 90, 100, 110, each with call and put (rows C90 P90 C100 P100 C110 P110)."""
    contracts = tuple(
        OptionContract("SPY", date(2018, 1, 19), 1000 * strike, right, exercise_style=style)
        for strike in (90, 100, 110)
        for right in (C, P)
    )
    return ContractTable(contracts, np.zeros(6, np.int64))


# Spot and forward 100, no rates: C − P = 100 − K exactly.
MIDS = np.array([12.0, 2.0, 5.0, 5.0, 2.0, 12.0])


def flags(mids=MIDS, *, half=0.1, usable=None, style=ExerciseStyle.AMERICAN, discount=1.0, forward=100.0):
    table = table_of(style)
    one = np.ones(6)
    return arbitrage_flags(
        mids - half, mids + half, one > 0 if usable is None else usable, table, ChainPairs(table), 100.0,
        discount * one, forward * one, 0.02,
    ).tolist()  # fmt: skip


def changed(**by_row):
    mids = MIDS.copy()
    for name, value in by_row.items():
        mids[{"C90": 0, "P90": 1, "C100": 2, "P100": 3, "C110": 4, "P110": 5}[name]] = value
    return mids


def test_pairs():
    pairs = ChainPairs(table_of())
    assert pairs.partner.tolist() == [1, 0, 3, 2, 5, 4]
    assert list(zip(pairs.lower, pairs.higher, strict=True)) == [(0, 2), (1, 3), (2, 4), (3, 5)]
    assert pairs.calls.tolist() == [0, 2, 4]
    assert pairs.puts.tolist() == [1, 3, 5]


def test_a_consistent_chain_has_no_flags():
    assert flags() == [0] * 6


def test_one_wrong_quote_is_found_among_those_it_contradicts():
    # The 110 call at 6 is dearer than the 100 call (5) and breaks parity with its put (6 − 12 against −10).
    assert flags(changed(C110=6.0)) == [0, 0, 0, 0, BAD, 0]
    # The 90 call at 20: more than 10 over the 100 call, and parity.
    assert flags(changed(C90=20.0)) == [BAD, 0, 0, 0, 0, 0]


def test_a_contradiction_of_two_blames_both():
    # Only parity is broken at 110: 2 − 11.5 is −9.5, not −10.
    assert flags(changed(P110=11.5)) == [0, 0, 0, 0, BAD, BAD]


def test_what_the_spread_covers_is_no_contradiction():
    assert flags(changed(P110=11.5), half=0.3) == [0] * 6


def test_rows_that_are_bad_already_prove_nothing():
    usable = np.array([True, True, True, True, True, False])
    assert flags(changed(P110=11.5), usable=usable) == [0] * 6


def test_american_puts_may_be_worth_more_than_parity_says():
    # Discount 0.95 (forward 100/0.95): European C − P at 110 is 100 − 104.5 = −4.5; an American pair may go down to 100 − 110 = −10.
    mids = changed(C90=16.0, P90=1.5, C100=8.0, P100=4.5, C110=2.0, P110=10.5)
    assert flags(mids, discount=0.95, forward=100 / 0.95)[4:] == [0, 0]
    assert flags(mids, discount=0.95, forward=100 / 0.95, style=ExerciseStyle.EUROPEAN)[4:] == [BAD, BAD]


@pytest.mark.parametrize("missing", [0, 1, 4])
def test_missing_quotes_are_not_compared(missing):
    mids = changed(C110=6.0)
    mids[missing] = np.nan
    assert flags(mids)[missing] == 0
