"""Greeks of the book by underlying and in total, from positions and the newest snapshots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gammaray.market.snapshot import ChainSnapshot
from gammaray.types.instruments import is_occ, parse_occ

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """Sums over positions, multiplier included.

    delta: shares-equivalent; delta_dollars: dollars per +100 % of spot; gamma: change of delta per $1 of spot; vega: dollars per
    1.00 of volatility; theta_per_day: dollars per calendar day; gross: dollars of absolute market value.
    """

    delta: float = 0.0
    delta_dollars: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta_per_day: float = 0.0
    gross: float = 0.0

    def __add__(self, other: Exposure) -> Exposure:
        return Exposure(
            self.delta + other.delta,
            self.delta_dollars + other.delta_dollars,
            self.gamma + other.gamma,
            self.vega + other.vega,
            self.theta_per_day + other.theta_per_day,
            self.gross + other.gross,
        )


@dataclass(frozen=True, slots=True)
class BookExposure:
    """Exposure by underlying and in total. `unpriced` names positions whose greeks are unknown now: they are in no sum."""

    ts_ns: int
    by_underlying: Mapping[str, Exposure]
    total: Exposure
    unpriced: tuple[str, ...]


def book_exposure(ts_ns: int, positions: Mapping[str, int], snapshots: Mapping[str, ChainSnapshot]) -> BookExposure:
    """Exposure of signed quantities by symbol (OCC symbols and tickers).

    A position is unpriced when its underlying has no snapshot, its contract no row, or its row no finite greeks.
    """
    by_underlying: dict[str, Exposure] = {}
    unpriced: list[str] = []
    for symbol, quantity in sorted(positions.items()):
        if quantity == 0:
            continue
        underlying = parse_occ(symbol).underlying if is_occ(symbol) else symbol
        exposure = _position_exposure(symbol, quantity, underlying, snapshots.get(underlying))
        if exposure is None:
            unpriced.append(symbol)
            continue
        by_underlying[underlying] = by_underlying.get(underlying, Exposure()) + exposure
    return BookExposure(ts_ns, by_underlying, sum(by_underlying.values(), Exposure()), tuple(unpriced))


def _position_exposure(symbol: str, quantity: int, underlying: str, snapshot: ChainSnapshot | None) -> Exposure | None:
    if snapshot is None or not snapshot.spot > 0:
        return None
    spot = snapshot.spot
    if symbol == underlying:
        return Exposure(delta=quantity, delta_dollars=quantity * spot, gross=abs(quantity) * spot)
    row = snapshot.table.index.get(symbol)
    if row is None:
        return None
    units = quantity * snapshot.table.contracts[row].multiplier
    exposure = Exposure(
        delta=units * float(snapshot.delta[row]),
        delta_dollars=units * float(snapshot.delta[row]) * spot,
        gamma=units * float(snapshot.gamma[row]),
        vega=units * float(snapshot.vega[row]),
        theta_per_day=units * float(snapshot.theta[row]) / DAYS_PER_YEAR,
        gross=abs(units) * _value(snapshot, row),
    )
    known = (exposure.delta, exposure.gamma, exposure.vega, exposure.theta_per_day)
    return exposure if all(math.isfinite(value) for value in known) else None


def _value(snapshot: ChainSnapshot, row: int) -> float:
    """Middle of the quotes; a missing bid counts as zero, as for an option that nobody wants."""
    bid, ask = float(snapshot.bid[row]), float(snapshot.ask[row])
    return 0.5 * ((bid if math.isfinite(bid) else 0.0) + (ask if math.isfinite(ask) else 0.0))
