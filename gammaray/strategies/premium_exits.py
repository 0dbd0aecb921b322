"""When the variance-premium strategy leaves a position, and the order with which it does."""

from __future__ import annotations

import math

import numpy as np

from gammaray.desk.view import BookView, StrategyPosition
from gammaray.market.snapshot import ChainSnapshot, Quality
from gammaray.strategies.legs import FloatArray, Leg, extremes, held_legs, order_legs, row_of
from gammaray.strategies.premium_rules import (
    YEAR_DAYS,
    VariancePremiumSettings,
    market_day_number,
    volatility_ratio,
)
from gammaray.types.money import CENT, MICROS, price_to_micros
from gammaray.types.orders import OrderLeg
from gammaray.types.signals import Forecast, Purpose, Signal


class PremiumExits:
    """The exits of one strategy. Reads positions from the book and keeps nothing."""

    def __init__(self, strategy: str, settings: VariancePremiumSettings) -> None:
        self.strategy = strategy
        self.settings = settings

    def signals(self, snapshot: ChainSnapshot, forecast: Forecast | None, book: BookView) -> list[Signal]:
        """Closing signals for the strategy's positions on the snapshot's underlying; none for a position with a working order."""
        busy = {order.position_id for order in book.working(self.strategy)}
        signals = []
        for position in book.of_strategy(self.strategy):
            if position.underlying != snapshot.underlying or position.position_id in busy:
                continue
            legs, units = held_legs(position.signed_qty, snapshot)
            reason = self._reason(snapshot, forecast, position, legs, units) if legs else None
            if reason is not None:
                closing = self._closing(snapshot, forecast, position, legs, units, *reason)
                if closing is not None:
                    signals.append(closing)
        return signals

    def _reason(
        self,
        snapshot: ChainSnapshot,
        forecast: Forecast | None,
        position: StrategyPosition,
        legs: tuple[Leg, ...],
        units: int,
    ) -> tuple[str, float] | None:
        """Why to close, and how many half spreads to concede; None to keep."""
        rules = self.settings
        rows = [row_of(snapshot, leg.contract) for leg in legs if leg.contract is not None]
        values = _values(snapshot, rows)
        if not np.isfinite(values).all():
            return None
        cost = position.net_open / MICROS
        pnl = units * float(np.array([leg.shares for leg in legs]) @ values) - cost
        if all(leg.ratio > 0 for leg in legs):
            worth = pnl + cost
            is_worth_it = worth > 2.0 * rules.fee * units * len(legs)
            return (f"sells what is left of it, worth {worth:,.0f}", rules.close_concession) if is_worth_it else None
        bounds = extremes(legs)
        # By what the legs pay, not by the cash so far: a part closed at a loss may have turned a credit into a debit.
        is_sold = bounds.best <= 0.0
        best = units * bounds.best - cost
        if best > 0.0 and pnl >= rules.profit_share * best:
            return f"takes {pnl:,.0f} of at most {best:,.0f} profit", rules.close_concession
        limit = rules.loss_multiple * max(0.0, -cost) if is_sold else rules.debit_loss_share * max(0.0, cost)
        if pnl < 0.0 and pnl <= -limit:
            return f"stops at a loss of {-pnl:,.0f} (limit {limit:,.0f})", rules.stop_concession
        today, last = market_day_number(snapshot.ts_ns), int(snapshot.table.expiration[rows].min())
        left = last - today
        # A position opened shortly before expiry gets a third of its life before the clock alone closes it.
        exit_days = min(rules.exit_days, (last - market_day_number(position.opened_ns)) // 3)
        if left <= exit_days:
            # Bought legs count too: exercised, they would bring shares that the account may not be able to hold.
            delta = float(np.abs(snapshot.delta[rows]).max())
            if delta < rules.hold_delta:
                return None
            return f"{left} days to expiry with a delta of {delta:.2f}", rules.close_concession
        if forecast is not None:
            ratio = volatility_ratio(snapshot, forecast, max(left, 1) / YEAR_DAYS, rules.reversion_days)
            # Vega would mislead here: it changes sign when the spot leaves the inner strikes.
            if is_sold and ratio >= rules.buy_above:
                return f"forecast turned: ratio {ratio:.2f} against volatility sold", rules.close_concession
            if not is_sold and ratio <= rules.sell_below:
                return f"forecast turned: ratio {ratio:.2f} against volatility bought", rules.close_concession
        return None

    def _closing(
        self,
        snapshot: ChainSnapshot,
        forecast: Forecast | None,
        position: StrategyPosition,
        legs: tuple[Leg, ...],
        units: int,
        reason: str,
        concession: float,
    ) -> Signal | None:
        """Closes what can be closed: long legs without a bid are worth nothing and stay; None when a short leg has no usable ask."""
        reversed_legs = []
        mid = half = 0.0
        for leg in legs:
            assert leg.contract is not None  # held legs are options
            row = row_of(snapshot, leg.contract)
            quality, bid, ask = Quality(int(snapshot.quality[row])), float(snapshot.bid[row]), float(snapshot.ask[row])
            if quality & ~Quality.MISSING_BID:
                return None
            if quality & Quality.MISSING_BID:
                if leg.ratio > 0:
                    continue
                bid = 0.0
            reversed_legs.append(Leg(leg.contract, -leg.ratio))
            mid -= leg.ratio * 0.5 * (bid + ask)
            half += abs(leg.ratio) * 0.5 * (ask - bid)
        if not reversed_legs:
            return None
        divisor = math.gcd(*(leg.ratio for leg in reversed_legs))
        reversed_legs = [Leg(leg.contract, leg.ratio // divisor) for leg in reversed_legs]
        net = (mid + concession * half) / divisor
        order = order_legs(reversed_legs, opening=False)
        return Signal(
            strategy=self.strategy,
            underlying=snapshot.underlying,
            ts_ns=snapshot.ts_ns,
            purpose=Purpose.CLOSE,
            legs=order,
            qty=units * divisor,
            limit_price=_limit(net, order),
            position_id=position.position_id,
            probability=0.0,
            expected_edge=0,
            horizon_days=0,
            model=forecast.model if forecast else "",
            model_version=forecast.version if forecast else "",
            explanation=f"closes {position.position_id}: {reason}",
        )


def _limit(net: float, legs: tuple[OrderLeg, ...]) -> int:
    """Micro-dollars: signed net of a package (a cent rather than nothing), positive price of a single leg."""
    if len(legs) == 1:
        return max(CENT, price_to_micros(abs(net)))
    return price_to_micros(net) or CENT


def _values(snapshot: ChainSnapshot, rows: list[int]) -> FloatArray:
    """Price of each row: its mid where usable (a missing bid counts as zero), else the surface's."""
    bid = np.nan_to_num(snapshot.bid[rows])
    ask = snapshot.ask[rows]
    usable = (snapshot.quality[rows] & ~np.uint8(Quality.MISSING_BID)) == 0
    model = snapshot.model_price[rows] if snapshot.model_price is not None else np.full(len(rows), np.nan)
    return np.where(usable, 0.5 * (bid + ask), model)
