"""Alpaca's universal spread rule: what the options of an account must be able to lose at expiry.

For the options of one underlying and expiration, f(p) = Σ qty × multiplier × intrinsic(p); the requirement is max(0, -min f) over
p = 0, the strikes and infinity; an underlying needs its largest expiration, the account the sum over underlyings. Premiums are
ignored. A short that its own expiration does not cover may be covered by a later one (calendars), never by an earlier one, and a
short call by shares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.core.layout import CALL, PUT, Book
from gammaray.pricing.jit import kernel


@kernel
def leg_qty(legs: NDArray[np.int64], count: int, instrument: int) -> int:
    """Contracts that the legs (rows: instrument, signed qty) add to an instrument."""
    for k in range(count):
        if legs[k, 0] == instrument:
            return legs[k, 1]  # type: ignore[no-any-return]
    return 0


@kernel
def expiry_floor(
    book: Book,
    underlying: int,
    group: int,
    later: bool,
    adverse: bool,
    legs: NDArray[np.int64],
    count: int,
) -> tuple[int, int, int, bool]:
    """Walk the strikes of one expiration (`later`: and of all later ones) upwards.

    Returns the lowest value of f at 0 and the strikes (at most 0), the shares by which calls are short, those by which puts are, and
    whether `adverse` made a difference.
    `adverse`: without the longs that working orders may sell.
    """
    expiration = book.groups[group]["expiration"]
    first = book.exposures[underlying]["first_option"] if later else book.groups[group]["first_option"]
    value = 0
    slope = 0
    puts = 0
    calls = 0
    reduced = False
    row = first
    # f(0) and the slope above it come from the puts alone.
    while row >= 0:
        option = book.instruments[row]
        position = book.positions[row]
        reduced = reduced or (adverse and position["qty"] > 0 and position["working_sell"] > 0)
        if option["kind"] == PUT and option["expiration"] >= expiration:
            shares = _held(book, row, adverse, legs, count) * option["multiplier"]
            value += shares * option["strike"]
            slope -= shares
            puts += shares
        row = option["next_in_underlying"] if later else option["next_in_group"]
    lowest = min(0, value)
    at = 0
    row = first
    while row >= 0:
        option = book.instruments[row]
        if option["expiration"] >= expiration:
            shares = _held(book, row, adverse, legs, count) * option["multiplier"]
            if shares != 0:
                value += slope * (option["strike"] - at)
                at = option["strike"]
                slope += shares
                if option["kind"] == CALL:
                    calls += shares
                lowest = min(lowest, value)
        row = option["next_in_underlying"] if later else option["next_in_group"]
    return lowest, max(0, -calls), max(0, -puts), reduced


@kernel
def _held(book: Book, row: int, adverse: bool, legs: NDArray[np.int64], count: int) -> int:
    position = book.positions[row]
    held = position["qty"]
    if adverse and held > 0:
        held -= min(held, position["working_sell"])
    return held + leg_qty(legs, count, row)  # type: ignore[no-any-return]


@kernel
def group_requirement(
    book: Book, underlying: int, group: int, adverse: bool, legs: NDArray[np.int64], count: int
) -> tuple[int, int, int, bool, bool]:
    """One expiration: requirement in micro-dollars, shares of calls and of puts left uncovered, whether later expirations cover, and
    whether `adverse` made a difference."""
    lowest, calls, puts, reduced = expiry_floor(book, underlying, group, False, adverse, legs, count)
    if calls == 0 and puts == 0:
        return -lowest, 0, 0, False, reduced
    lowest_later, calls_later, puts_later, reduced_later = expiry_floor(
        book, underlying, group, True, adverse, legs, count
    )
    if calls_later < calls or (calls_later == calls and puts_later < puts):
        return -lowest_later, calls_later, puts_later, True, reduced or reduced_later
    return -lowest, calls, puts, False, reduced or reduced_later


@kernel
def _unsettled(book: Book, group: int) -> bool:
    row = book.groups[group]
    return bool(row["dirty"] == 1 or row["leans"] == 1 or row["short_calls"] > 0 or row["short_puts"] > 0)


@kernel
def underlying_requirement(
    book: Book, underlying: int, adverse: bool, legs: NDArray[np.int64], count: int
) -> tuple[int, int, int, bool]:
    """One underlying: requirement in micro-dollars, shares of calls and of puts that stay uncovered, and whether `adverse` made a difference.

    Only the expirations that the legs touch are walked; the others keep their figures. Shares cover the calls of all together.
    """
    largest = 0
    calls = 0
    puts = 0
    reduced = False
    group = book.exposures[underlying]["first_group"]
    while group >= 0:
        touched = _unsettled(book, group)
        for k in range(count):
            touched = touched or book.instruments[legs[k, 0]]["group"] == group
        if touched:
            need, short_calls, short_puts, _, changed = group_requirement(book, underlying, group, adverse, legs, count)
            reduced = reduced or changed
        else:
            need = book.groups[group]["requirement"]
            short_calls = book.groups[group]["short_calls"]
            short_puts = book.groups[group]["short_puts"]
        calls += short_calls
        puts += short_puts
        largest = max(largest, need)
        group = book.groups[group]["next"]
    share = book.exposures[underlying]["share"]
    if calls > 0 and share >= 0:
        held = book.positions[share]["qty"]
        if adverse and held > 0:
            held -= min(held, book.positions[share]["working_sell"])
            reduced = reduced or book.positions[share]["working_sell"] > 0
        held += leg_qty(legs, count, share)
        calls = max(0, calls - max(0, held))
    return largest, calls, puts, reduced


@kernel
def package_requirement(book: Book, legs: NDArray[np.int64], count: int) -> int:
    """What the options of a package alone must be able to lose, micro-dollars: the rule of this module on at most four contracts."""
    largest = 0
    for k in range(count):
        expiration = book.instruments[legs[k, 0]]["expiration"]
        lowest, covered = _package_floor(book, legs, count, expiration, False)
        if not covered:
            lowest, _ = _package_floor(book, legs, count, expiration, True)
        largest = max(largest, -lowest)
    return largest


@kernel
def _package_floor(book: Book, legs: NDArray[np.int64], count: int, expiration: int, later: bool) -> tuple[int, bool]:
    """Lowest value at 0 and the strikes of the legs of one expiration (`later`: and of later ones), and whether no short stands alone."""
    lowest = 0
    calls = 0
    puts = 0
    for point in range(-1, count):
        price = 0 if point < 0 else book.instruments[legs[point, 0]]["strike"]
        value = 0
        calls = 0
        puts = 0
        for k in range(count):
            option = book.instruments[legs[k, 0]]
            if option["expiration"] != expiration and not (later and option["expiration"] > expiration):
                continue
            shares = legs[k, 1] * option["multiplier"]
            if option["kind"] == CALL:
                calls += shares
                value += shares * max(0, price - option["strike"])
            elif option["kind"] == PUT:
                puts += shares
                value += shares * max(0, option["strike"] - price)
        lowest = min(lowest, value)
    return lowest, calls >= 0 and puts >= 0


@kernel
def refresh_requirements(book: Book, underlyings: int) -> int:
    """Bring the stored figure of every expiration and underlying up to date; returns the account's sum in micro-dollars."""
    none = np.zeros((1, 2), dtype=np.int64)
    total = 0
    for u in range(underlyings):
        changed = False
        group = book.exposures[u]["first_group"]
        while group >= 0:
            changed = changed or book.groups[group]["dirty"] == 1
            group = book.groups[group]["next"]
        if changed:
            largest = 0
            group = book.exposures[u]["first_group"]
            while group >= 0:
                if _unsettled(book, group):
                    need, calls, puts, leans, _ = group_requirement(book, u, group, False, none, 0)
                    book.groups[group]["requirement"] = need
                    book.groups[group]["short_calls"] = calls
                    book.groups[group]["short_puts"] = puts
                    book.groups[group]["leans"] = 1 if leans else 0
                    book.groups[group]["dirty"] = 0
                largest = max(largest, book.groups[group]["requirement"])
                group = book.groups[group]["next"]
            book.exposures[u]["requirement"] = largest
        total += book.exposures[u]["requirement"]
    return total
