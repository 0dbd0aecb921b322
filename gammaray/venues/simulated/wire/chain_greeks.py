"""Implied volatility and greeks of snapshots, from the mid quotes.

The forward of an expiry is the one that put–call parity implies where the call's and the put's mid are closest, at a rate of zero
(a snapshot carries no rate). Units are Alpaca's: vega and rho per percentage point, theta per calendar day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np

from gammaray.types.clock import NANOS
from gammaray.venues.simulated.api import ExchangeApi, ListedContract
from gammaray.venues.simulated.wire.sessions import close_of

YEAR_NS = 365 * 86_400 * NANOS


def chain_greeks(exchange: ExchangeApi, listed: Iterable[ListedContract]) -> dict[str, dict[str, Any]]:
    """`impliedVolatility` and `greeks` by symbol; symbols for which they cannot be computed are absent."""
    # Compiled kernels: loaded when a snapshot is first asked for.
    from gammaray.pricing import greeks, implied_volatility

    now_ns = exchange.clock_ns()
    by_expiry: dict[tuple[str, date], list[ListedContract]] = defaultdict(list)
    for row in listed:
        by_expiry[row.contract.underlying, row.contract.expiration].append(row)
    forwards: dict[tuple[str, date], float] = {}
    for underlying in {key[0] for key in by_expiry}:
        forwards |= implied_forwards(exchange, underlying)
    symbols: list[str] = []
    columns: list[tuple[float, float, float, float, float]] = []
    for (underlying, expiration), rows in by_expiry.items():
        tau = (close_of(exchange, expiration) - now_ns) / YEAR_NS
        forward = forwards.get((underlying, expiration))
        if tau <= 0 or forward is None:
            continue
        for row in rows:
            mid = _mid(exchange, row.contract.symbol)
            if mid is not None:
                symbols.append(row.contract.symbol)
                columns.append((1.0 if row.contract.is_call else -1.0, row.contract.strike, mid, tau, forward))
    if not symbols:
        return {}
    right, strike, mid_price, years, spot = np.array(columns).T
    volatility = np.asarray(implied_volatility(mid_price, right, spot, strike, years, 0.0))
    solved = np.isfinite(volatility) & (volatility > 0)
    result = greeks(right, spot, strike, years, 0.0, np.where(solved, volatility, 1.0), order=1)
    answer: dict[str, dict[str, Any]] = {}
    for i in np.flatnonzero(solved):
        values = {
            "delta": float(result.delta[i]),
            "gamma": float(result.gamma[i]),
            "theta": float(result.theta[i]) / 365,
            "vega": float(result.vega[i]) / 100,
            "rho": float(result.rho[i]) / 100,
        }
        if all(np.isfinite(list(values.values()))):
            answer[symbols[i]] = {"impliedVolatility": float(volatility[i]), "greeks": values}
    return answer


def load_kernels() -> None:
    """Load (on a fresh machine: compile) what `chain_greeks` calls."""
    from gammaray.pricing import greeks, implied_volatility

    ones = np.ones(1)
    implied_volatility(0.4 * ones, ones, ones, ones, ones, 0.0)
    greeks(ones, ones, ones, ones, 0.0, ones, order=1)


def implied_forwards(exchange: ExchangeApi, underlying: str) -> dict[tuple[str, date], float]:
    """By (underlying, expiration): strike + call − put at the strike where they are closest; absent without a quoted pair."""
    mids: dict[date, dict[float, dict[bool, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in exchange.listed(underlying):
        mid = _mid(exchange, row.contract.symbol)
        if mid is not None:
            mids[row.contract.expiration][row.contract.strike][row.contract.is_call] = mid
    forwards: dict[tuple[str, date], float] = {}
    for expiration, strikes in mids.items():
        pairs = [(abs(sides[True] - sides[False]), strike) for strike, sides in strikes.items() if len(sides) == 2]
        if pairs:
            _, strike = min(pairs)
            forwards[underlying, expiration] = strike + strikes[strike][True] - strikes[strike][False]
    return forwards


def _mid(exchange: ExchangeApi, symbol: str) -> float | None:
    quote = exchange.quote(symbol)
    if quote is None or quote.bid_size <= 0 or quote.ask_size <= 0 or not 0 < quote.bid_cents <= quote.ask_cents:
        return None
    return (quote.bid_cents + quote.ask_cents) / 200
