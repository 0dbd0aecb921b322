"""Keeps the delta of everything held on an underlying inside a band by trading the underlying."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gammaray.desk.view import BookView
from gammaray.market.snapshot import ChainSnapshot
from gammaray.strategies.protocol import MarketView
from gammaray.types.money import CENT, MICROS, price_to_micros
from gammaray.types.orders import OrderLeg, Side
from gammaray.types.signals import Purpose, Signal


@dataclass(frozen=True, slots=True)
class DeltaHedgerSettings:
    """band_shares: absolute delta, in shares, that is left alone. band_gamma: widens the band by that many dollars of spot move times
    the absolute gamma (shares a dollar), so that a position whose delta swings is not chased. slippage: dollars a share that the
    limit lies beyond the far side of the quote."""

    band_shares: float = 25.0
    band_gamma: float = 0.5
    slippage: float = 0.02

    def __post_init__(self) -> None:
        if not self.band_shares >= 0.5:
            raise ValueError(f"band_shares: must be at least half a share, was {self.band_shares}")
        for name in ("band_gamma", "slippage"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name}: must not be negative, was {getattr(self, name)}")


class DeltaHedger:
    """Trades shares back to a delta of zero when it leaves the band. Fails closed: it does nothing while a held contract's delta is unknown."""

    name = "delta_hedger"

    def __init__(self, settings: DeltaHedgerSettings | None = None) -> None:
        self.settings = settings or DeltaHedgerSettings()

    def decide(self, market: MarketView, book: BookView) -> list[Signal]:
        """At most one order per underlying; none while an order in it works."""
        signals = []
        for underlying, snapshot in sorted(market.snapshots.items()):
            if not snapshot.session_open or not 0.0 < snapshot.spot_bid <= snapshot.spot_ask < math.inf:
                continue
            if any(leg.symbol == underlying for order in book.working_orders for leg in order.legs):
                continue
            signal = self._hedge(snapshot, book)
            if signal is not None:
                signals.append(signal)
        return signals

    def exposure(self, snapshot: ChainSnapshot, book: BookView) -> tuple[float, float]:
        """Delta in shares and gamma in shares per dollar of all that the book holds on the underlying; NaN where a delta is unknown.

        Contracts that the snapshot no longer lists have expired and count nothing.
        """
        delta = gamma = 0.0
        for symbol, position in book.positions.items():
            if symbol == snapshot.underlying:
                delta += position.signed_qty
            elif (row := snapshot.table.index.get(symbol)) is not None and position.signed_qty:
                shares = position.signed_qty * snapshot.table.contracts[row].multiplier
                delta += shares * float(snapshot.delta[row])
                gamma += shares * float(snapshot.gamma[row])
        return delta, gamma

    def _hedge(self, snapshot: ChainSnapshot, book: BookView) -> Signal | None:
        delta, gamma = self.exposure(snapshot, book)
        band = self.settings.band_shares + self.settings.band_gamma * abs(gamma)
        if not (math.isfinite(delta) and math.isfinite(gamma)):
            return None
        held = book.positions.get(snapshot.underlying)
        has_options = any(
            position.signed_qty and symbol in snapshot.table.index for symbol, position in book.positions.items()
        )
        if abs(delta) <= (band if has_options else 0.5):
            return None
        qty = round(abs(delta))
        side = Side.SELL if delta > 0.0 else Side.BUY
        shares = held.signed_qty if held else 0
        if shares * side.sign < 0 and qty > abs(shares):
            # A venue takes an order that closes or one that opens, not one that goes through zero; the rest follows.
            qty = abs(shares)
        price = (
            snapshot.spot_ask + self.settings.slippage
            if side is Side.BUY
            else snapshot.spot_bid - self.settings.slippage
        )
        return Signal(
            strategy=self.name,
            underlying=snapshot.underlying,
            ts_ns=snapshot.ts_ns,
            purpose=Purpose.HEDGE,
            legs=(OrderLeg(snapshot.underlying, side),),
            qty=qty,
            limit_price=max(CENT, price_to_micros(price)),
            position_id=f"{self.name}-{snapshot.underlying}",
            probability=0.5,
            expected_edge=-round(abs(price - snapshot.spot) * MICROS),
            horizon_days=0,
            model="",
            model_version="",
            explanation=f"delta {delta:+.1f} shares outside ±{band:.1f}; gamma {gamma:+.2f} shares a dollar",
        )
