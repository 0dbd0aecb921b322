"""The rules of the variance-premium strategy, and how a forecast compares with what options imply."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gammaray.market.snapshot import ChainSnapshot
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import to_datetime
from gammaray.types.signals import Forecast

YEAR_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class VariancePremiumSettings:
    """Rules of the strategy.

    risk_share: maximum loss of a position as a share of equity. gamma_share: most that its dollar delta may change for a spot move of
    1 %, as a share of equity. max_positions: per underlying. spacing_days: between two openings.
    target_days, min_days, max_days: to expiry at the opening; where no expiry is in the window the nearest to the target is used.
    sell_below, buy_above: forecast over implied volatility to expiry at which it sells or buys. reversion_days: in which the forecast's
    distance from the implied level falls by a factor e. max_iv_rise: no sale when the model expects implied volatility to rise by more
    overnight. sell_inner_delta, …: strikes. min_edge_share: least expected edge as a share of the maximum loss.
    open_concession, close_concession: limit beyond the mid, in half spreads of the package; a stop pays stop_concession.
    fee: dollars a contract. profit_share: of the maximum profit at which it closes. loss_multiple: of the credit, or share of the
    debit, lost at which it closes. exit_days: closes then, unless every leg's delta is below hold_delta: such a position is held
    into expiry. quiet_s: no opening so close to the session's end. max_forecast_age_days: older forecasts are not used, nor are those
    whose volatility is not within a factor max_forecast_ratio of the implied level: such a model is broken, not clever.
    """

    risk_share: float = 0.02
    gamma_share: float = 0.08
    max_positions: int = 2
    max_units: int = 50
    spacing_days: float = 2.0
    target_days: int = 14
    min_days: int = 2
    max_days: int = 60
    sell_below: float = 0.92
    buy_above: float = 1.10
    reversion_days: float = 21.0
    max_iv_rise: float = 0.02
    sell_inner_delta: float = 0.22
    sell_outer_delta: float = 0.08
    buy_inner_delta: float = 0.40
    buy_outer_delta: float = 0.12
    min_edge_share: float = 0.01
    open_concession: float = 0.5
    close_concession: float = 0.75
    stop_concession: float = 1.1
    fee: float = 0.05
    profit_share: float = 0.6
    loss_multiple: float = 2.0
    debit_loss_share: float = 0.6
    exit_days: int = 3
    hold_delta: float = 0.10
    quiet_s: float = 900.0
    max_forecast_age_days: float = 5.0
    max_forecast_ratio: float = 8.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: must not be negative, was {getattr(self, name)}")
        if not 0.0 < self.risk_share <= 1.0:
            raise ValueError(f"risk_share: expected a share in (0, 1], was {self.risk_share}")
        if self.sell_below >= self.buy_above:
            raise ValueError(f"sell_below: must be less than buy_above {self.buy_above}, was {self.sell_below}")
        if not 1 <= self.min_days <= self.max_days:
            raise ValueError(f"min_days: expected 1 to max_days {self.max_days}, was {self.min_days}")


def volatility_ratio(snapshot: ChainSnapshot, forecast: Forecast, tau: float, reversion_days: float) -> float:
    """Volatility expected over `tau` years by the forecast, over the at-the-money implied volatility of that time.

    The forecast is for the next sessions; its distance from the implied variance is taken to decay exponentially, so that over τ the
    mean share (1 − e^(−κτ)) / (κτ) of it remains, κ being 252 / reversion_days. NaN without a surface.
    """
    implied = snapshot.atm_volatility(tau)
    decay = tau * 252.0 / max(reversion_days, 1e-9)
    remaining = -math.expm1(-decay) / decay if decay > 0.0 else 1.0
    variance = implied**2 + (forecast.realized_volatility**2 - implied**2) * remaining
    return math.sqrt(variance) / implied


def market_day_number(ts_ns: int) -> int:
    """The New York date as days since 1970-01-01."""
    return to_datetime(ts_ns).astimezone(NEW_YORK).date().toordinal() - 719_163
