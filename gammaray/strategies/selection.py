"""The strategies, limits and trading rules that settings choose: one place for live runs and back-tests."""

from __future__ import annotations

from gammaray.desk.limits import RiskLimits
from gammaray.operations.settings import RiskSettings, RunSettings, Settings
from gammaray.strategies.delta_hedger import DeltaHedger
from gammaray.strategies.protocol import Strategy
from gammaray.strategies.trader import TraderSettings
from gammaray.strategies.variance_premium import VariancePremium, VariancePremiumSettings
from gammaray.types.clock import NANOS

STALE_ORDER_STEPS = 3
"""A limit order that rests for so many steps is canceled."""
SESSION_NS = int(6.5 * 3600) * NANOS


def risk_limits(risk: RiskSettings) -> RiskLimits:
    """The gate's limits from the settings' risk group."""
    return RiskLimits(
        max_position_size=risk.max_position_size,
        max_daily_loss=risk.max_daily_loss,
        halt_daily_loss=min(1.0, 2 * risk.max_daily_loss),
        max_leverage=risk.max_leverage,
        max_order_contracts=risk.max_order_contracts,
        max_order_shares=risk.max_order_shares,
        price_collar=risk.price_collar,
        max_quote_age_s=risk.max_quote_age_s,
        max_orders_per_minute=risk.max_orders_per_minute,
    )


def strategies(settings: Settings) -> list[Strategy]:
    """The strategies that are switched on, in the order in which they are asked."""
    chosen: list[Strategy] = []
    if settings.strategy.variance_premium:
        chosen.append(VariancePremium(VariancePremiumSettings(risk_share=settings.strategy.max_loss_per_position)))
    if settings.strategy.delta_hedger:
        chosen.append(DeltaHedger())
    return chosen


def trader_settings(run: RunSettings) -> TraderSettings:
    """How the strategies' orders are looked after at a run's pace."""
    return TraderSettings(stale_after_ns=STALE_ORDER_STEPS * SESSION_NS // run.steps_per_session)
