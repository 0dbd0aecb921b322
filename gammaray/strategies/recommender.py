"""Suggests packages for an outlook: instantiates the catalogue on a chain and ranks by expected value after costs per unit of risk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from gammaray.market.snapshot import ChainSnapshot
from gammaray.strategies.analyser import StrategyAnalysis, analyze
from gammaray.strategies.catalogue import CATALOGUE, Anchor, Outlook, Template
from gammaray.strategies.legs import Leg
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import to_datetime
from gammaray.types.instruments import Right
from gammaray.types.signals import Forecast

_EPOCH = 719_163
_DIRECTIONAL_DRIFT = 0.5
_CALM, _STORMY = 0.85, 1.15
"""Scales of volatility that a neutral and a volatile outlook stand for at least."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A package with its analysis. score: expected profit after the spread and fees over the capital at risk; best first."""

    template: str
    outlook: Outlook
    legs: tuple[Leg, ...]
    analysis: StrategyAnalysis
    expected_value: float
    """Dollars a unit after the spread and fees, under the outlook."""
    score: float
    explanation: str


def suggest_option_strategies(
    outlook: Outlook | str,
    snapshot: ChainSnapshot,
    *,
    forecast: Forecast | None = None,
    max_loss: float = math.inf,
    max_spread_share: float = 0.25,
    min_days: int = 7,
    max_days: int = 60,
    fee: float = 0.05,
    limit: int = 5,
) -> list[Suggestion]:
    """The best packages of the catalogue for an outlook, best first, each template at its best expiry.

    A bullish or bearish outlook shifts the underlying's distribution by half a standard deviation; a neutral or volatile one
    scales its volatility by the forecast over the implied level, at most 0.85 and at least 1.15. max_loss: dollars a unit;
    packages with unbounded loss only when it is infinite. max_spread_share: the package's spread over its maximum loss or margin.
    fee: dollars a contract. Raises ValueError for an unknown outlook.
    """
    try:
        view = Outlook(outlook)
    except ValueError:
        raise ValueError(f"outlook: expected one of {', '.join(Outlook)}, was {outlook!r}") from None
    today = to_datetime(snapshot.ts_ns).astimezone(NEW_YORK).date().toordinal() - _EPOCH
    found: dict[str, Suggestion] = {}
    expirations = _expirations(snapshot, today, min_days, max_days)
    for template in CATALOGUE.values():
        if view not in template.outlooks:
            continue
        for legs in _instances(template, snapshot, expirations):
            suggestion = _judge(template, view, snapshot, legs, forecast, max_loss, max_spread_share, fee)
            best = found.get(template.name)
            if suggestion is not None and (best is None or suggestion.score > best.score):
                found[template.name] = suggestion
    return sorted(found.values(), key=lambda item: (-item.score, item.template))[:limit]


def _judge(
    template: Template,
    view: Outlook,
    snapshot: ChainSnapshot,
    legs: tuple[Leg, ...],
    forecast: Forecast | None,
    max_loss: float,
    max_spread_share: float,
    fee: float,
) -> Suggestion | None:
    tau = min(
        float(snapshot.tau[snapshot.table.index[leg.contract.symbol]]) for leg in legs if leg.contract is not None
    )
    scale, drift = _view(view, snapshot, forecast, tau)
    try:
        analysis = analyze(snapshot, legs, scale, drift)
    except ValueError:  # a leg without a good quote or greeks
        return None
    risk = analysis.max_loss if math.isfinite(analysis.max_loss) else analysis.margin
    contracts = sum(abs(leg.ratio) for leg in legs if leg.contract is not None)
    expected = analysis.expected_profit - analysis.spread_cost - fee * contracts
    if not risk > 0.0 or analysis.max_loss > max_loss or analysis.spread_cost > max_spread_share * risk:
        return None
    strikes = "/".join(f"{leg.contract.strike:g}" for leg in legs if leg.contract is not None)
    ends = sorted({leg.contract.expiration for leg in legs if leg.contract is not None})
    loss = f"at most {analysis.max_loss:,.0f}" if math.isfinite(analysis.max_loss) else "unbounded"
    gain = f"at most {analysis.max_profit:,.0f}" if math.isfinite(analysis.max_profit) else "unbounded"
    return Suggestion(
        template=template.name,
        outlook=view,
        legs=legs,
        analysis=analysis,
        expected_value=expected,
        score=expected / risk,
        explanation=(
            f"{template.name} {' and '.join(day.isoformat() for day in ends)} {strikes}: {view} view (volatility × {scale:.2f}, "
            f"drift {drift:+.1f} σ) expects {expected:+,.0f} a unit after costs; profit {gain}, loss {loss}, "
            f"profitable with probability {analysis.probability_of_profit:.0%}"
        ),
    )


def _view(view: Outlook, snapshot: ChainSnapshot, forecast: Forecast | None, tau: float) -> tuple[float, float]:
    """Volatility scale and drift (standard deviations) of an outlook."""
    implied = snapshot.atm_volatility(tau)
    known = forecast is not None and math.isfinite(implied) and forecast.realized_volatility > 0.0
    scale = forecast.realized_volatility / implied if known and forecast is not None else 1.0
    match view:
        case Outlook.BULLISH:
            return 1.0, _DIRECTIONAL_DRIFT
        case Outlook.BEARISH:
            return 1.0, -_DIRECTIONAL_DRIFT
        case Outlook.NEUTRAL:
            return min(scale, _CALM) if known else _CALM, 0.0
        case Outlook.VOLATILE:
            return max(scale, _STORMY) if known else _STORMY, 0.0


def _expirations(snapshot: ChainSnapshot, today: int, min_days: int, max_days: int) -> list[int]:
    days = np.unique(snapshot.table.expiration[snapshot.good()])
    return [int(day) for day in days if min_days <= day - today <= max_days]


def _instances(template: Template, snapshot: ChainSnapshot, expirations: Sequence[int]) -> Iterator[tuple[Leg, ...]]:
    """The template at each expiry (with the next one for calendars); left out where the chain has no fitting strikes."""
    for i in range(len(expirations) - template.expiries + 1):
        days = expirations[i : i + template.expiries]
        strikes = [_strike(snapshot, days[0], anchor) for anchor in template.anchors]
        if any(math.isnan(strike) for strike in strikes) or any(b <= a for a, b in pairwise(strikes)):
            continue
        legs = template.instantiate(snapshot.underlying, strikes, [date.fromordinal(day + _EPOCH) for day in days])
        if all(leg.contract is None or leg.contract.symbol in snapshot.table.index for leg in legs):
            yield legs


def _strike(snapshot: ChainSnapshot, expiration: int, anchor: Anchor) -> float:
    """The well-quoted strike nearest to the anchor's delta; NaN without one."""
    table = snapshot.table
    is_call = anchor.right is Right.CALL
    rows = np.flatnonzero(
        snapshot.good() & (table.expiration == expiration) & (table.is_call == is_call) & np.isfinite(snapshot.delta)
    )
    if rows.size == 0:
        return math.nan
    return float(table.strike[rows[np.argmin(np.abs(np.abs(snapshot.delta[rows]) - anchor.delta))]])
