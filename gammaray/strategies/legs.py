"""Legs of a package against a snapshot: mids, half spreads, fair values, payoff at expiry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gammaray.market.snapshot import ChainSnapshot
from gammaray.pricing.european import price
from gammaray.types.instruments import OptionContract
from gammaray.types.orders import OrderLeg, PositionIntent, Side

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Leg:
    """`ratio` contracts per unit of the package, positive bought, negative sold; or that many shares where `contract` is None."""

    contract: OptionContract | None
    ratio: int

    def __post_init__(self) -> None:
        if self.ratio == 0:
            raise ValueError("ratio: must not be zero")

    @property
    def shares(self) -> int:
        """Signed shares that one unit stands for."""
        return self.ratio * (self.contract.multiplier if self.contract else 1)


@dataclass(frozen=True, slots=True)
class PackageQuote:
    """A package's signed net per unit and share in dollars: positive is paid by who buys the legs as they are stated."""

    mid: float
    half_spread: float
    """Half the sum of the legs' spreads: buying at the market costs mid + half_spread."""


def row_of(snapshot: ChainSnapshot, contract: OptionContract) -> int:
    """Row of a contract. Raises ValueError when the snapshot does not list it."""
    row = snapshot.table.index.get(contract.symbol)
    if row is None:
        raise ValueError(f"legs: {contract.symbol} is not listed in the snapshot of {snapshot.underlying}")
    return row


def package_quote(snapshot: ChainSnapshot, legs: Sequence[Leg]) -> PackageQuote | None:
    """Net of the option legs from good quotes; None when a leg has none. Share legs are left out."""
    mid = half = 0.0
    for leg in legs:
        if leg.contract is None:
            continue
        row = snapshot.table.index.get(leg.contract.symbol)
        if row is None or snapshot.quality[row] != 0:
            return None
        bid, ask = float(snapshot.bid[row]), float(snapshot.ask[row])
        mid += leg.ratio * 0.5 * (bid + ask)
        half += abs(leg.ratio) * 0.5 * (ask - bid)
    return PackageQuote(mid, half)


def fair_value(snapshot: ChainSnapshot, legs: Sequence[Leg], volatility_scale: float) -> float:
    """Net value per unit and share in dollars when every implied volatility is multiplied by `volatility_scale`; NaN where one is unknown.

    Each leg is repriced on its expiry's forward and its own volatility; the change is added to its mid, so that at a scale of one
    the value is the mid.
    """
    rows = np.array([row_of(snapshot, leg.contract) for leg in legs if leg.contract is not None], dtype=np.int64)
    ratios = np.array([leg.ratio for leg in legs if leg.contract is not None], dtype=np.float64)
    volatility = snapshot.implied_volatility[rows]
    if rows.size == 0 or not np.isfinite(volatility).all():
        return math.nan
    rate, dividend_yield = carry(snapshot, rows)
    table = snapshot.table
    change = np.array(
        [
            price(
                table.is_call[rows], snapshot.spot, table.strike[rows], snapshot.tau[rows], rate, scaled, dividend_yield
            )
            for scaled in (volatility * volatility_scale, volatility)
        ]
    )
    return float(ratios @ (snapshot.mid[rows] + change[0] - change[1]))


def carry(snapshot: ChainSnapshot, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Continuous rate and dividend yield of rows: those of the fitted slice of their expiry, else the snapshot's."""
    rate = np.full(rows.shape, snapshot.rate)
    dividend_yield = np.full(rows.shape, snapshot.dividend_yield)
    slices = {piece.expiration: piece for piece in snapshot.surface}
    for i, row in enumerate(rows.tolist()):
        piece = slices.get(int(snapshot.table.expiration[row]))
        if piece is not None:
            rate[i] = -math.log(piece.discount) / piece.tau
            dividend_yield[i] = rate[i] - math.log(piece.forward / snapshot.spot) / piece.tau
    return rate, dividend_yield


def payoff(legs: Sequence[Leg], spot: FloatArray, entry_spot: float = 0.0) -> FloatArray:
    """Value at expiry in dollars per unit, multiplier included, at spots of shape (n,); share legs count from `entry_spot`.

    Legs are taken to expire together.
    """
    total = np.zeros(spot.shape)
    for leg in legs:
        if leg.contract is None:
            total += leg.ratio * (spot - entry_spot)
            continue
        sign = 1.0 if leg.contract.is_call else -1.0
        total += leg.shares * np.maximum(sign * (spot - leg.contract.strike), 0.0)
    return total


@dataclass(frozen=True, slots=True)
class Extremes:
    """Largest and smallest value at expiry in dollars per unit, multiplier included; infinite where unbounded."""

    best: float
    worst: float


def extremes(legs: Sequence[Leg], entry_spot: float = 0.0) -> Extremes:
    """Extremes of `payoff` over all spots ≥ 0: at a strike, at zero, or at infinity (piecewise linear)."""
    strikes = sorted({leg.contract.strike for leg in legs if leg.contract is not None})
    kinks = np.array([0.0, *strikes, entry_spot])
    values = payoff(legs, kinks, entry_spot)
    slope = sum(leg.shares for leg in legs if leg.contract is None or leg.contract.is_call)
    best = math.inf if slope > 0 else float(values.max())
    worst = -math.inf if slope < 0 else float(values.min())
    return Extremes(best, worst)


def order_legs(legs: Sequence[Leg], *, opening: bool) -> tuple[OrderLeg, ...]:
    """Order legs with position intents, all opening or all closing. Raises ValueError for a share leg."""
    result = []
    for leg in legs:
        if leg.contract is None:
            raise ValueError("legs: shares cannot be part of an option package")
        side = Side.BUY if leg.ratio > 0 else Side.SELL
        intent = PositionIntent(f"{side.value}_to_{'open' if opening else 'close'}")
        result.append(OrderLeg(leg.contract.symbol, side, abs(leg.ratio), intent))
    return tuple(result)


def held_legs(signed_qty: Mapping[str, int], snapshot: ChainSnapshot) -> tuple[tuple[Leg, ...], int]:
    """Legs and units of a held package: quantities over their greatest common divisor.

    Symbols that the snapshot does not list (expired ones) are left out; no legs and zero units when none is left.
    """
    listed = {symbol: qty for symbol, qty in signed_qty.items() if qty != 0 and symbol in snapshot.table.index}
    if not listed:
        return (), 0
    units = math.gcd(*listed.values())
    contracts = snapshot.table.contracts
    legs = tuple(Leg(contracts[snapshot.table.index[symbol]], qty // units) for symbol, qty in sorted(listed.items()))
    return legs, units
