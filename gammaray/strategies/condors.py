"""Finds iron condors and verticals in a chain: which expiry, which strikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gammaray.market.snapshot import ChainSnapshot
from gammaray.strategies.legs import Leg


class Structure(StrEnum):
    """Defined-risk structures around the spot."""

    IRON_CONDOR = "iron condor"
    PUT_VERTICAL = "put vertical"
    CALL_VERTICAL = "call vertical"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A structure of one expiry with the legs of one unit; sold structures have the inner strikes short."""

    structure: Structure
    expiration: int
    legs: tuple[Leg, ...]

    @property
    def strikes(self) -> str:
        """Strikes for people: 255/260/285/290."""
        return "/".join(f"{leg.contract.strike:g}" for leg in self.legs if leg.contract is not None)


def expirations_by_fit(
    snapshot: ChainSnapshot, today: int, *, target_days: int, min_days: int, max_days: int
) -> list[int]:
    """Expirations after today (days since 1970), best first: inside the window before outside, then by distance to the target."""
    days = np.unique(snapshot.table.expiration[snapshot.good() & (snapshot.table.expiration > today)])

    def rank(day: int) -> tuple[bool, int, int]:
        left = day - today
        return not min_days <= left <= max_days, abs(left - target_days), left

    return sorted((int(day) for day in days), key=rank)


def candidates(
    snapshot: ChainSnapshot,
    expiration: int,
    *,
    inner_delta: float,
    outer_delta: float,
    sell: bool,
    held: Mapping[str, int],
) -> Iterator[Candidate]:
    """The condor and the two verticals of an expiry, as far as good quotes allow.

    Inner legs are the out-of-the-money contracts whose absolute delta is nearest to `inner_delta`, outer legs lie beyond them nearest
    to `outer_delta`. sell: inner legs short. held: signed quantities by symbol; a leg that would net against one is not used.
    """
    sign = -1 if sell else 1
    puts = _wing(snapshot, expiration, inner_delta, outer_delta, sign, held, is_call=False)
    calls = _wing(snapshot, expiration, inner_delta, outer_delta, sign, held, is_call=True)
    if puts and calls:
        yield Candidate(Structure.IRON_CONDOR, expiration, (puts[1], puts[0], calls[0], calls[1]))
    if puts:
        yield Candidate(Structure.PUT_VERTICAL, expiration, (puts[1], puts[0]))
    if calls:
        yield Candidate(Structure.CALL_VERTICAL, expiration, calls)


def _wing(
    snapshot: ChainSnapshot,
    expiration: int,
    inner_delta: float,
    outer_delta: float,
    sign: int,
    held: Mapping[str, int],
    *,
    is_call: bool,
) -> tuple[Leg, Leg] | None:
    """Inner and outer leg of one side."""
    table = snapshot.table
    outside = table.strike > snapshot.spot if is_call else table.strike < snapshot.spot
    rows = np.flatnonzero(
        snapshot.good()
        & (table.expiration == expiration)
        & (table.is_call == is_call)
        & outside
        & np.isfinite(snapshot.delta)
        & np.isfinite(snapshot.implied_volatility)
    )
    inner = _nearest(snapshot, rows, inner_delta, sign, held)
    if inner is None:
        return None
    beyond = table.strike[rows] > table.strike[inner] if is_call else table.strike[rows] < table.strike[inner]
    outer = _nearest(snapshot, rows[beyond], outer_delta, -sign, held)
    if outer is None:
        return None
    return Leg(table.contracts[inner], sign), Leg(table.contracts[outer], -sign)


def _nearest(
    snapshot: ChainSnapshot, rows: NDArray[np.int64], delta: float, sign: int, held: Mapping[str, int]
) -> int | None:
    free: list[int] = [row for row in rows.tolist() if held.get(snapshot.table.symbols[row], 0) * sign >= 0]
    if not free:
        return None
    return min(free, key=lambda row: abs(abs(float(snapshot.delta[row])) - delta))
