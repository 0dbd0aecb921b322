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
    positions: bool,
    adverse: bool,
    legs: NDArray[np.int64],
    count: int,
) -> tuple[int, int, int]:
    """Walk the strikes of one expiration (`later`: and of all later ones) upwards.

    Returns the lowest value of f at 0 and the strikes (at most 0), the shares by which calls are short, those by which puts are.
    `positions`: count what is held; `adverse`: without the longs that working orders may sell.
    """
    expiration = book.groups[group]["expiration"]
    first = book.exposures[underlying]["first_option"] if later else book.groups[group]["first_option"]
    value = 0
    slope = 0
    puts = 0
    calls = 0
    row = first
    # f(0) and the slope above it come from the puts alone.
    while row >= 0:
        option = book.instruments[row]
        if option["kind"] == PUT and option["expiration"] >= expiration:
            shares = _held(book, row, positions, adverse, legs, count) * option["multiplier"]
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
            shares = _held(book, row, positions, adverse, legs, count) * option["multiplier"]
            if shares != 0:
                value += slope * (option["strike"] - at)
                at = option["strike"]
                slope += shares
                if option["kind"] == CALL:
                    calls += shares
                lowest = min(lowest, value)
        row = option["next_in_underlying"] if later else option["next_in_group"]
    return lowest, max(0, -calls), max(0, -puts)


@kernel
def _held(book: Book, row: int, positions: bool, adverse: bool, legs: NDArray[np.int64], count: int) -> int:
    qty = leg_qty(legs, count, row)
    if positions:
        held = book.positions[row]["qty"]
        if adverse and held > 0:
            held -= min(held, book.positions[row]["working_sell"])
        qty += held
    return qty


@kernel
def group_requirement(
    book: Book, underlying: int, group: int, positions: bool, adverse: bool, legs: NDArray[np.int64], count: int
) -> tuple[int, int, int, bool]:
    """Requirement of one expiration in micro-dollars, shares of calls and of puts left uncovered, whether later expirations cover."""
    lowest, calls, puts = expiry_floor(book, underlying, group, False, positions, adverse, legs, count)
    if calls == 0 and puts == 0:
        return -lowest, 0, 0, False
    lowest_later, calls_later, puts_later = expiry_floor(book, underlying, group, True, positions, adverse, legs, count)
    if calls_later < calls or (calls_later == calls and puts_later < puts):
        return -lowest_later, calls_later, puts_later, True
    return -lowest, calls, puts, False


@kernel
def _unsettled(book: Book, group: int) -> bool:
    row = book.groups[group]
    return bool(row["dirty"] == 1 or row["leans"] == 1 or row["short_calls"] > 0 or row["short_puts"] > 0)


@kernel
def underlying_requirement(
    book: Book, underlying: int, positions: bool, adverse: bool, legs: NDArray[np.int64], count: int
) -> tuple[int, int, int]:
    """Requirement of one underlying in micro-dollars, and the shares of calls and puts that stay uncovered.

    With `positions`, only the expirations that the legs touch are walked; the others keep their figures. Shares cover the calls of
    all expirations together.
    """
    largest = 0
    calls = 0
    puts = 0
    group = book.exposures[underlying]["first_group"]
    while group >= 0:
        touched = not positions or _unsettled(book, group)
        for k in range(count):
            touched = touched or book.instruments[legs[k, 0]]["group"] == group
        if touched:
            need, short_calls, short_puts, _ = group_requirement(
                book, underlying, group, positions, adverse, legs, count
            )
        else:
            need = book.groups[group]["requirement"]
            short_calls = book.groups[group]["short_calls"]
            short_puts = book.groups[group]["short_puts"]
        calls += short_calls
        puts += short_puts
        largest = max(largest, need)
        group = book.groups[group]["next"]
    share = book.exposures[underlying]["share"]
    if calls > 0 and positions and share >= 0:
        held = book.positions[share]["qty"]
        if adverse and held > 0:
            held -= min(held, book.positions[share]["working_sell"])
        held += leg_qty(legs, count, share)
        calls = max(0, calls - max(0, held))
    return largest, calls, puts


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
                    need, calls, puts, leans = group_requirement(book, u, group, True, False, none, 0)
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
