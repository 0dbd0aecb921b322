"""Option margin by Alpaca's universal spread rule (shared/alpaca/wire.md 2.11), and which short contracts nothing covers.

Per underlying and expiration, premiums ignored, the requirement is the largest loss of the payoff over the prices 0, every strike and beyond:
max(0, −min_p Σ q · multiplier · intrinsic(p)). Over the expirations of an underlying the largest counts, over underlyings the sum.
A long contract of a later expiration covers a short one of the same right where its own expiration does not need it, and counts there at its
intrinsic value. Shares cover what short calls are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from gammaray.types.instruments import OptionContract

Holding = tuple[OptionContract, int]
"""A contract and its signed quantity."""


@dataclass(frozen=True, slots=True)
class OptionMargin:
    """requirement: micro-dollars, without the uncovered contracts. uncovered: short contracts that nothing covers, with positive quantities.

    shares_used: shares of each underlying that cover short calls.
    """

    requirement: int
    uncovered: tuple[Holding, ...]
    shares_used: Mapping[str, int]


def option_margin(holdings: Iterable[Holding], shares: Mapping[str, int] | None = None) -> OptionMargin:
    """The margin of option positions beside long `shares` by underlying. Short puts count as cash-secured, so only calls can be uncovered."""
    by_underlying: dict[str, list[Holding]] = defaultdict(list)
    for contract, qty in holdings:
        if qty:
            by_underlying[contract.underlying].append((contract, qty))
    total = 0
    uncovered: list[Holding] = []
    used: dict[str, int] = {}
    for underlying in sorted(by_underlying):
        free = max((shares or {}).get(underlying, 0), 0)
        groups, naked, taken = _cover(by_underlying[underlying], free)
        total += max((_worst_loss(group) for group in groups.values() if group), default=0)
        uncovered.extend(naked)
        if taken:
            used[underlying] = taken
    return OptionMargin(total, tuple(uncovered), used)


def _cover(holdings: list[Holding], shares: int) -> tuple[dict[date, list[Holding]], list[Holding], int]:
    """Holdings by the expiration they count in, short calls that nothing covers, and shares used."""
    groups: dict[date, list[Holding]] = defaultdict(list)
    naked: list[Holding] = []
    taken = 0
    for is_call in (True, False):
        mine = [(contract, qty) for contract, qty in holdings if contract.is_call == is_call]
        spare, missing = _pair_within_expirations(mine, groups)
        for contract, qty in missing:
            left = _borrow_later(spare, groups, contract.expiration, qty)
            if not (left and is_call):
                continue
            _release(groups[contract.expiration], left)
            by_shares = min(left, (shares - taken) // contract.multiplier)
            taken += by_shares * contract.multiplier
            if left > by_shares:
                naked.append((contract, left - by_shares))
        for contract, qty in spare:
            groups[contract.expiration].append((contract, qty))
    return groups, naked, taken


def _pair_within_expirations(
    holdings: list[Holding], groups: dict[date, list[Holding]]
) -> tuple[list[Holding], list[Holding]]:
    """Put shorts, and as many longs as pair with them, of one right into their own expirations.

    Returns the longs to spare and, by expiration, one of the shorts with the number that lack a long; both in order of expiration.
    """
    spare: list[Holding] = []
    missing: list[Holding] = []
    ordered = sorted(holdings, key=lambda holding: (holding[0].expiration, holding[0].strike_milli))
    for expiration, each in groupby(ordered, key=lambda holding: holding[0].expiration):
        here = list(each)
        need = sum(-qty for _, qty in here if qty < 0)
        for contract, qty in here:
            use = qty if qty < 0 else min(qty, need)
            if qty > 0:
                need -= use
                if qty > use:
                    spare.append((contract, qty - use))
            if use:
                groups[expiration].append((contract, use))
        if need:
            missing.append((next(contract for contract, qty in here if qty < 0), need))
    return spare, missing


def _borrow_later(spare: list[Holding], groups: dict[date, list[Holding]], expiration: date, qty: int) -> int:
    """Let longs to spare of later expirations, the earliest first, count in `expiration`; returns how many shorts stay without one."""
    for i, (contract, free) in enumerate(spare):
        use = min(free, qty) if contract.expiration > expiration else 0
        if use:
            groups[expiration].append((contract, use))
            spare[i] = (contract, free - use)
            qty -= use
    return qty


def _release(group: list[Holding], qty: int) -> None:
    """Take `qty` short calls out of an expiration, highest strikes first: shares (or nothing) stand behind them, not the spread rule."""
    order = sorted(
        (i for i, (contract, q) in enumerate(group) if contract.is_call and q < 0),
        key=lambda i: -group[i][0].strike_milli,
    )
    for i in order:
        contract, held = group[i]
        out = min(qty, -held)
        group[i] = (contract, held + out)
        qty -= out


def _worst_loss(group: list[Holding]) -> int:
    """Largest loss of a payoff at expiry in micro-dollars; the slope beyond the highest strike is not negative here."""
    prices = {0, *(contract.strike_micros for contract, _ in group)}
    return max(0, -min(sum(q * c.multiplier * intrinsic_micros(c, p) for c, q in group) for p in prices))


def intrinsic_micros(contract: OptionContract, price: int) -> int:
    """Exercise value per share at a price of the underlying, both in micro-dollars."""
    gain = price - contract.strike_micros if contract.is_call else contract.strike_micros - price
    return max(gain, 0)


def uncovered_legs(legs: Iterable[Holding]) -> tuple[Holding, ...]:
    """Short legs of one order that no long leg of the same right, expiring no earlier, covers (a put as much as a call).

    The shorts that expire last choose first, and take the longs that expire last.
    """
    held = list(legs)
    naked: list[Holding] = []
    for is_call in (True, False):
        mine = sorted((h for h in held if h[0].is_call == is_call), key=lambda h: h[0].expiration, reverse=True)
        longs = [(contract.expiration, qty) for contract, qty in mine if qty > 0]
        for contract, qty in mine:
            need = max(-qty, 0)
            for i, (expiration, free) in enumerate(longs):
                use = min(need, free) if expiration >= contract.expiration else 0
                longs[i] = (expiration, free - use)
                need -= use
            if need:
                naked.append((contract, need))
    return tuple(naked)
