"""Rules that restrict trading. They only ever tighten: a person loosens."""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.types.signals import TradingState

_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule broken: its name, the limit, the value, and the state it asks for."""

    rule: str
    limit: float
    value: float
    state: TradingState

    def __str__(self) -> str:
        return f"{self.rule}: {self.value:.4g} beyond the limit {self.limit:.4g}"


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Fractions of equity. `warning_share` of a limit asks for REDUCING, the limit itself for HALTED where it is a loss."""

    max_daily_loss: float
    max_leverage: float
    warning_share: float = 0.8


def check_account(
    limits: AccountLimits, *, equity: float, start_of_day_equity: float, delta_dollars: float, unpriced: int
) -> list[Breach]:
    """Breaches of the account's rules, the strictest first. Amounts are dollars.

    Equity that is not positive halts; positions that cannot be priced forbid new risk (stale data fails closed).
    """
    breaches: list[Breach] = []
    if not equity > 0 or not start_of_day_equity > 0:
        return [Breach("equity", 0.0, equity, TradingState.HALTED)]
    loss = 1.0 - equity / start_of_day_equity
    if loss >= limits.max_daily_loss:
        breaches.append(Breach("max_daily_loss", limits.max_daily_loss, loss, TradingState.HALTED))
    elif loss >= limits.warning_share * limits.max_daily_loss:
        breaches.append(
            Breach("max_daily_loss", limits.warning_share * limits.max_daily_loss, loss, TradingState.REDUCING)
        )
    leverage = abs(delta_dollars) / equity
    if leverage > limits.max_leverage:
        breaches.append(Breach("max_leverage", limits.max_leverage, leverage, TradingState.REDUCING))
    if unpriced:
        breaches.append(Breach("unpriced_positions", 0, unpriced, TradingState.REDUCING))
    return sorted(breaches, key=lambda breach: -_SEVERITY[breach.state])


def stricter(state: TradingState, other: TradingState) -> TradingState:
    """The stricter of two states."""
    return max(state, other, key=_SEVERITY.__getitem__)
