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
        total += max((_worst_loss(group) for group in groups.values()), default=0)
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
        mine = sorted(
            (h for h in holdings if h[0].is_call == is_call), key=lambda h: (h[0].expiration, h[0].strike_milli)
        )
        surplus: dict[date, list[list[object]]] = defaultdict(list)
        shorts: list[tuple[OptionContract, int]] = []
        for expiration in sorted({contract.expiration for contract, _ in mine}):
            here = [h for h in mine if h[0].expiration == expiration]
            short = sum(-qty for _, qty in here if qty < 0)
            for contract, qty in here:
                if qty < 0:
                    groups[expiration].append((contract, qty))
                    continue
                own = min(qty, short)
                short -= own
                if own:
                    groups[expiration].append((contract, own))
                if qty > own:
                    surplus[expiration].append([contract, qty - own])
            if short:
                shorts.append((next(c for c, q in here if q < 0), short))
        for contract, qty in shorts:
            left = _borrow(groups, surplus, contract.expiration, qty)
            if left and is_call:
                left_after = max(left - shares // contract.multiplier, 0)
                taken += (left - left_after) * contract.multiplier
                shares -= (left - left_after) * contract.multiplier
                _release(groups[contract.expiration], left)
                if left_after:
                    naked.append((contract, left_after))
        for expiration, rest in surplus.items():
            groups[expiration].extend((contract, qty) for contract, qty in rest if qty)  # type: ignore[misc]
    return groups, naked, taken


def _borrow(
    groups: dict[date, list[Holding]], surplus: dict[date, list[list[object]]], expiration: date, qty: int
) -> int:
    """Move later longs that are free to an expiration; returns how many shorts stay without one."""
    for later in sorted(surplus):
        if later <= expiration:
            continue
        for entry in surplus[later]:
            contract, free = entry
            assert isinstance(contract, OptionContract)
            assert isinstance(free, int)
            use = min(free, qty)
            if use:
                groups[expiration].append((contract, use))
                entry[1] = free - use
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
    """Short legs of one order that no long leg of the same right, expiring no earlier, covers (a put as much as a call)."""
    naked: list[Holding] = []
    held = list(legs)
    for is_call in (True, False):
        mine = [h for h in held if h[0].is_call == is_call]
        longs = [[c.expiration, q] for c, q in mine if q > 0]
        for contract, qty in sorted((h for h in mine if h[1] < 0), key=lambda h: h[0].expiration, reverse=True):
            need = -qty
            for entry in sorted(longs, key=lambda e: str(e[0]), reverse=True):
                expiration, free = entry
                if isinstance(expiration, date) and expiration >= contract.expiration and isinstance(free, int):
                    use = min(need, free)
                    entry[1] = free - use
                    need -= use
            if need:
                naked.append((contract, need))
    return tuple(naked)
