"""Each quality rule on literal rows."""

from __future__ import annotations

import numpy as np

from gammaray.market.quality import (
    QualityCounts,
    QualitySettings,
    bound_flags,
    jump_flags,
    side_flags,
    stale_flags,
)
from gammaray.market.snapshot import Quality as Q

NAN = float("nan")


def test_sides():
    bid = np.array([1.0, NAN, 0.0, 1.0, 1.0, 1.2, 1.0, -1.0, NAN])
    ask = np.array([1.1, 1.1, 1.1, NAN, 0.0, 1.1, 1.0, 1.1, NAN])
    expected = [
        0,
        Q.MISSING_BID,
        Q.MISSING_BID,
        Q.MISSING_ASK,
        Q.MISSING_ASK,
        Q.CROSSED,
        Q.LOCKED,
        Q.NEGATIVE,
        Q.MISSING_BID | Q.MISSING_ASK,
    ]
    assert side_flags(bid, ask).tolist() == expected


def test_bounds():
    # Forward 100, discount 0.99, spot 99: a call at 90 is worth at least 9.90 and at most 99; a put at 110 between 9.90 and 110.
    bid = np.array([9.5, 9.0, 98.0, 100.0, 9.5, 9.0, 111.0, NAN])
    ask = np.array([9.9, 9.8, 99.5, 101.0, 9.9, 9.8, 112.0, 50.0])
    is_call = np.array([True, True, True, True, False, False, False, True])
    strike = np.array([90.0, 90, 90, 90, 110, 110, 110, 90])
    flags = bound_flags(bid, ask, is_call, strike, 99.0, np.full(8, 0.99), np.full(8, 100.0), 0.02)
    assert (flags > 0).tolist() == [False, True, False, True, False, True, True, False]
    assert set(flags.tolist()) == {0, Q.OUT_OF_BOUNDS}


def test_staleness():
    rules = QualitySettings(stale_after_s=900.0, stale_spreads=1.0, dead_after_s=23_400.0)
    age = np.array([899.0, 901.0, 901.0, 23_399.0, 23_401.0])
    moved = np.array([5.0, 0.09, 0.11, 0.0, 0.0])
    flags = stale_flags(age, moved, np.full(5, 0.1), rules)
    assert flags.tolist() == [0, 0, Q.STALE, 0, Q.STALE]


def jumps(off, *, expired=None, share=0.2):
    """Flags of twenty rows of one expiry worth 2.00 with vega 10 and a spread of 0.02, off by so much."""
    expected = np.full(20, 2.0)
    expiration = np.zeros(20, np.int32)
    usable = np.ones(20, np.bool_)
    rules = QualitySettings(jump_share=share)
    return jump_flags(expected + off, np.full(20, 0.02), expected, np.full(20, 10.0), expiration, usable, rules)


def test_one_row_that_moves_alone_jumps():
    off = np.zeros(20)
    off[3] = 1.1  # more than half of 2.00
    assert np.flatnonzero(jumps(off)).tolist() == [3]
    off[3] = 0.9
    assert not jumps(off).any()


def test_a_common_move_is_taken_out_first():
    off = np.full(20, 3.0)
    off[3] = 0.0  # the one that did not move with the others
    assert np.flatnonzero(jumps(off)).tolist() == [3]


def test_when_many_rows_jump_it_was_the_market():
    off = np.zeros(20)
    off[:5] = 3.0
    assert not jumps(off).any()
    assert jumps(off, share=0.25).sum() == 5 * Q.JUMP


def test_rows_without_an_expectation_are_not_judged():
    off = np.zeros(20)
    off[3] = NAN
    assert not jumps(off).any()


def test_counts_by_reason():
    counts = QualityCounts()
    counts.add(np.array([0, Q.STALE, Q.STALE | Q.CROSSED], dtype=np.uint8))
    counts.add(np.array([Q.JUMP], dtype=np.uint8))
    assert counts.rows == 4
    assert counts.by_reason() == {"crossed": 1, "stale": 2, "jump": 1}
