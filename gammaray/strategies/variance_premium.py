"""Trades the difference between forecast and implied volatility with defined-risk packages.

When the forecast lies well below what options imply, the strategy sells an iron condor (or a vertical where only one side is quoted);
when it lies well above, it buys one. Everything that it needs to manage a position is in the book: it keeps no state.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.desk.view import BookView, StrategyPosition
from gammaray.market.daily import MONTH
from gammaray.market.snapshot import ChainSnapshot
from gammaray.strategies.condors import Candidate, candidates, expirations_by_fit
from gammaray.strategies.distribution import ExpiryDistribution, probability_of_profit
from gammaray.strategies.legs import extremes, fair_value, order_legs, package_quote, row_of
from gammaray.strategies.premium_exits import PremiumExits
from gammaray.strategies.premium_rules import (
    YEAR_DAYS,
    VariancePremiumSettings,
    market_day_number,
    volatility_ratio,
)
from gammaray.strategies.protocol import MarketView
from gammaray.types.clock import NANOS
from gammaray.types.money import MICROS, price_to_micros
from gammaray.types.signals import Forecast, Purpose, Signal, TradingState

__all__ = ["VariancePremium", "VariancePremiumSettings"]

_DAY_NS = 86_400 * NANOS


class VariancePremium:
    """The strategy; see the module, `VariancePremiumSettings` and `PremiumExits`."""

    name = "variance_premium"

    def __init__(self, settings: VariancePremiumSettings | None = None) -> None:
        self.settings = settings or VariancePremiumSettings()
        self._exits = PremiumExits(self.name, self.settings)

    def decide(self, market: MarketView, book: BookView) -> list[Signal]:
        """Closing signals of every underlying, then at most one opening signal each. Nothing while a session is closed."""
        signals: list[Signal] = []
        for _, snapshot in sorted(market.snapshots.items()):
            if not snapshot.session_open or not math.isfinite(snapshot.spot):
                continue
            forecast = self._usable_forecast(market, snapshot)
            signals += self._exits.signals(snapshot, forecast, book)
            if (
                forecast is not None
                and book.trading_state is TradingState.ACTIVE
                and market.session_close_ns - market.ts_ns > self.settings.quiet_s * NANOS
                and self._may_open(snapshot, book)
            ):
                opening = self._opening(snapshot, forecast, book)
                if opening is not None:
                    signals.append(opening)
        return signals

    def _usable_forecast(self, market: MarketView, snapshot: ChainSnapshot) -> Forecast | None:
        forecast = market.forecasts.get(snapshot.underlying)
        if forecast is None or not math.isfinite(forecast.iv_change):
            return None
        ratio = forecast.realized_volatility / snapshot.atm_volatility(MONTH)
        most = self.settings.max_forecast_ratio
        is_sane = 1.0 / most <= ratio <= most  # False for NaN too
        age = market.ts_ns - forecast.ts_ns
        return forecast if is_sane and 0 <= age <= self.settings.max_forecast_age_days * _DAY_NS else None

    def _may_open(self, snapshot: ChainSnapshot, book: BookView) -> bool:
        """Whether there is room for one more position. One without a short leg is a remainder that nobody would buy, and takes none."""
        rules, underlying, listed = self.settings, snapshot.underlying, snapshot.table.index
        positions = [
            position
            for position in book.of_strategy(self.name)
            if position.underlying == underlying
            and any(qty < 0 and symbol in listed for symbol, qty in position.signed_qty.items())
        ]
        if len(positions) >= rules.max_positions:
            return False
        if any(snapshot.ts_ns - position.opened_ns < rules.spacing_days * _DAY_NS for position in positions):
            return False
        prefix = f"{self.name}-{underlying}-"
        return not any(
            order.purpose is Purpose.OPEN and order.position_id.startswith(prefix) for order in book.working(self.name)
        )

    def _opening(self, snapshot: ChainSnapshot, forecast: Forecast, book: BookView) -> Signal | None:
        rules, today = self.settings, market_day_number(snapshot.ts_ns)
        held = {symbol: position.signed_qty for symbol, position in book.positions.items()}
        taken = _expirations_of(book.of_strategy(self.name), snapshot)
        for expiration in expirations_by_fit(
            snapshot, today, target_days=rules.target_days, min_days=rules.min_days, max_days=rules.max_days
        ):
            if expiration in taken:
                continue
            ratio = volatility_ratio(snapshot, forecast, (expiration - today) / YEAR_DAYS, rules.reversion_days)
            if ratio <= rules.sell_below and forecast.iv_change <= rules.max_iv_rise:
                sell = True
            elif ratio >= rules.buy_above:
                sell = False
            else:
                continue
            inner, outer = (
                (rules.sell_inner_delta, rules.sell_outer_delta)
                if sell
                else (rules.buy_inner_delta, rules.buy_outer_delta)
            )
            found = [
                signal
                for candidate in candidates(
                    snapshot, expiration, inner_delta=inner, outer_delta=outer, sell=sell, held=held
                )
                if (signal := self._priced(snapshot, forecast, book, candidate, ratio, sell)) is not None
            ]
            if found:
                return max(found, key=lambda pair: pair[0])[1]
        return None

    def _priced(
        self,
        snapshot: ChainSnapshot,
        forecast: Forecast,
        book: BookView,
        candidate: Candidate,
        ratio: float,
        sell: bool,
    ) -> tuple[float, Signal] | None:
        """Expected edge over maximum loss, and the signal; None where the edge or the size is too small."""
        rules = self.settings
        quote = package_quote(snapshot, candidate.legs)
        fair = fair_value(snapshot, candidate.legs, ratio)
        if quote is None or not math.isfinite(fair):
            return None
        limit = price_to_micros(quote.mid + rules.open_concession * quote.half_spread)
        contracts = sum(abs(leg.ratio) for leg in candidate.legs)
        multiplier = candidate.legs[0].contract.multiplier if candidate.legs[0].contract else 100
        cost = limit / MICROS * multiplier + rules.fee * contracts
        risk = cost - extremes(candidate.legs).worst
        # Getting out costs again; what is held into expiry saves that.
        edge = (
            fair * multiplier - cost - rules.close_concession * quote.half_spread * multiplier - rules.fee * contracts
        )
        # A sale must bring a credit, a purchase cost a debit, and neither may be better than the structure can pay.
        if (limit >= 0) == sell or risk <= 0.0 or edge < rules.min_edge_share * risk:
            return None
        equity = book.equity / MICROS
        rows = [row_of(snapshot, leg.contract) for leg in candidate.legs if leg.contract is not None]
        gamma = (
            abs(float(np.array([leg.shares for leg in candidate.legs]) @ snapshot.gamma[rows]))
            * 0.01
            * snapshot.spot**2
        )
        room = rules.gamma_share * equity / gamma if gamma > 0.0 else math.inf
        qty = math.floor(min(rules.max_units, rules.risk_share * equity / risk, room))
        if qty < 1:
            return None
        day = candidate.expiration
        distribution = ExpiryDistribution(snapshot, day, ratio)
        left = day - market_day_number(snapshot.ts_ns)
        implied = snapshot.atm_volatility(left / YEAR_DAYS)
        expiry = _date_text(day)
        return edge / risk, Signal(
            strategy=self.name,
            underlying=snapshot.underlying,
            ts_ns=snapshot.ts_ns,
            purpose=Purpose.OPEN,
            legs=order_legs(candidate.legs, opening=True),
            qty=qty,
            limit_price=limit,
            position_id=f"{self.name}-{snapshot.underlying}-{snapshot.ts_ns // NANOS}-{expiry}",
            probability=probability_of_profit(distribution, candidate.legs, cost),
            expected_edge=round(edge * MICROS),
            horizon_days=left,
            model=forecast.model,
            model_version=forecast.version,
            explanation=(
                f"{'sells' if sell else 'buys'} {candidate.structure} {expiry} {candidate.strikes}: expected volatility "
                f"{ratio * implied:.1%} to expiry (forecast {forecast.realized_volatility:.1%}) against {implied:.1%} implied; "
                f"limit {limit / MICROS:+.2f}, mid {quote.mid:+.2f}, fair {fair:+.2f}, maximum loss {risk:.0f} a unit"
            ),
        )


def _date_text(day: int) -> str:
    return str(np.datetime64(day, "D")).replace("-", "")


def _expirations_of(positions: tuple[StrategyPosition, ...], snapshot: ChainSnapshot) -> set[int]:
    index = snapshot.table.index
    return {
        int(snapshot.table.expiration[index[symbol]])
        for position in positions
        for symbol, qty in position.signed_qty.items()
        if qty != 0 and symbol in index
    }
