"""What a multi-leg package is worth and risks: the analysis behind `analyze_option_strategy`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gammaray.market.snapshot import ChainSnapshot
from gammaray.pricing.european import price
from gammaray.strategies.distribution import ExpiryDistribution, break_evens, probability_of_profit
from gammaray.strategies.legs import Leg, carry, extremes, package_quote, payoff, row_of

FloatArray = NDArray[np.float64]

_GRID_DEVIATIONS = 6.0
_GRID_POINTS = 1201


@dataclass(frozen=True, slots=True)
class StrategyAnalysis:
    """Of one unit of a package. Dollars with the multiplier applied; infinite where unbounded.

    cost: paid at the mid for the options (negative: received) and the shares. spread_cost: what crossing to the far side adds.
    max_profit, max_loss (positive), break_evens, payoff: at the first expiry; legs that live longer are valued there at their
    present implied volatility, and the extremes are then over the grid. probability_of_profit, expected_profit: under the
    distribution that the smile of that expiry implies, before costs beyond the mid. Greeks per unit: delta and gamma in shares,
    vega per 1.00 of volatility, theta per calendar day. margin: what a margin account must hold against it (`margin`).
    """

    cost: float
    spread_cost: float
    max_profit: float
    max_loss: float
    break_evens: tuple[float, ...]
    probability_of_profit: float
    expected_profit: float
    delta: float
    gamma: float
    vega: float
    theta: float
    margin: float
    spots: FloatArray
    payoff: FloatArray
    """Profit at the first expiry at `spots`, cost taken off."""


def analyze(
    snapshot: ChainSnapshot, legs: Sequence[Leg], volatility_scale: float = 1.0, drift: float = 0.0
) -> StrategyAnalysis:
    """Analyse a package on good quotes of a snapshot.

    volatility_scale, drift: a view other than the market's behind the probability and the expectation (`ExpiryDistribution`).
    Raises ValueError for no option legs, a leg that is not listed, not well quoted or without greeks.
    """
    options = [leg for leg in legs if leg.contract is not None]
    if not options:
        raise ValueError("legs: expected at least one option")
    rows = np.array([row_of(snapshot, leg.contract) for leg in options if leg.contract is not None], dtype=np.int64)
    bad = [
        snapshot.table.symbols[row]
        for row in rows
        if snapshot.quality[row] != 0 or not np.isfinite(snapshot.delta[row])
    ]
    quote = package_quote(snapshot, legs)
    if bad or quote is None:
        raise ValueError(f"legs: no good quote for {', '.join(bad)}")
    multiplier = _multiplier(options)
    shares = sum(leg.ratio for leg in legs if leg.contract is None)
    cost = quote.mid * multiplier + shares * snapshot.spot
    signed = np.array([leg.shares for leg in options], dtype=np.float64)
    first = int(snapshot.table.expiration[rows].min())
    distribution = ExpiryDistribution(snapshot, first, volatility_scale, drift)
    spots = _grid(distribution, [leg.contract.strike for leg in options if leg.contract is not None])
    is_single = bool((snapshot.table.expiration[rows] == first).all())
    if is_single:
        value = payoff(legs, spots)
        bounds = extremes(legs)
        best, worst = bounds.best - cost, bounds.worst - cost
        points = break_evens(legs, cost)
        probability = probability_of_profit(distribution, legs, cost)
    else:
        value = _value_at(snapshot, legs, options, rows, distribution.tau, spots)
        best, worst = float(value.max()) - cost, float(value.min()) - cost
        points = _crossings(spots, value - cost)
        probability = _probability_on(distribution, spots, value > cost)
    return StrategyAnalysis(
        cost=cost,
        spread_cost=quote.half_spread * multiplier,
        max_profit=best,
        max_loss=-worst,
        break_evens=points,
        probability_of_profit=probability,
        expected_profit=_expectation(distribution, spots, value) * distribution.discount - cost,
        delta=float(signed @ snapshot.delta[rows]) + shares,
        gamma=float(signed @ snapshot.gamma[rows]),
        vega=float(signed @ snapshot.vega[rows]),
        theta=float(signed @ snapshot.theta[rows]) / 365.0,
        margin=margin(snapshot, legs, cost),
        spots=spots,
        payoff=value - cost,
    )


def margin(snapshot: ChainSnapshot, legs: Sequence[Leg], cost: float) -> float:
    """Margin of one unit in dollars: the largest loss where it is bounded and every short leg ends no later than a long one.

    Otherwise each uncovered short option takes its price plus the larger of 20 % of the spot less what it is out of the money and
    10 % of the spot (of the strike for puts), and shares half their value (Cboe margin manual, Regulation T).
    """
    options = [leg for leg in legs if leg.contract is not None]
    shares = sum(leg.ratio for leg in legs if leg.contract is None)
    last_long = max((leg.contract.expiration for leg in options if leg.contract and leg.ratio > 0), default=None)
    bounded = extremes(legs).worst > -math.inf
    if bounded and all(
        leg.ratio > 0
        or shares > 0
        or (last_long is not None and leg.contract is not None and leg.contract.expiration <= last_long)
        for leg in options
    ):
        if shares:
            return 0.5 * abs(shares) * snapshot.spot + max(0.0, cost - shares * snapshot.spot)
        # At one expiry the payoff decides; a calendar's short leg is covered by the long one, so it costs its debit.
        return max(0.0, cost - extremes(legs).worst)
    total = 0.5 * abs(shares) * snapshot.spot
    long_calls = sum(leg.ratio for leg in options if leg.ratio > 0 and leg.contract and leg.contract.is_call)
    long_puts = sum(leg.ratio for leg in options if leg.ratio > 0 and leg.contract and not leg.contract.is_call)
    for leg in options:
        if leg.ratio > 0 or leg.contract is None:
            continue
        contract, row = leg.contract, row_of(snapshot, leg.contract)
        cover = long_calls if contract.is_call else long_puts
        naked = max(0, -leg.ratio - cover)
        if contract.is_call:
            long_calls = max(0, cover + leg.ratio)
            out, floor = max(0.0, contract.strike - snapshot.spot), 0.1 * snapshot.spot
        else:
            long_puts = max(0, cover + leg.ratio)
            out, floor = max(0.0, snapshot.spot - contract.strike), 0.1 * contract.strike
        requirement = float(snapshot.mid[row]) + max(0.2 * snapshot.spot - out, floor)
        total += naked * contract.multiplier * requirement
    return total + max(0.0, cost - shares * snapshot.spot)


def _multiplier(options: Sequence[Leg]) -> int:
    multipliers = {leg.contract.multiplier for leg in options if leg.contract is not None}
    if len(multipliers) != 1:
        raise ValueError(f"legs: multipliers differ: {sorted(multipliers)}")
    return multipliers.pop()


def _grid(distribution: ExpiryDistribution, strikes: Sequence[float]) -> FloatArray:
    """Spots over six standard deviations around the forward, and every strike."""
    reach = _GRID_DEVIATIONS * distribution.deviation
    grid = distribution.forward * np.exp(np.linspace(-reach, reach, _GRID_POINTS))
    return np.unique(np.concatenate((grid, strikes)))


def _value_at(
    snapshot: ChainSnapshot,
    legs: Sequence[Leg],
    options: Sequence[Leg],
    rows: NDArray[np.int64],
    tau: float,
    spots: FloatArray,
) -> FloatArray:
    """Value of a package of several expiries in dollars when the first expires: intrinsic, or Black–Scholes for what is left."""
    total = np.zeros(spots.shape) + sum(leg.ratio for leg in legs if leg.contract is None) * spots
    rate, dividend_yield = carry(snapshot, rows)
    for i, leg in enumerate(options):
        row = rows[i]
        total += leg.shares * price(
            bool(snapshot.table.is_call[row]),
            spots,
            snapshot.table.strike[row],
            max(0.0, float(snapshot.tau[row]) - tau),
            rate[i],
            float(snapshot.implied_volatility[row]),
            dividend_yield[i],
        )
    return total


def _crossings(spots: FloatArray, profit: FloatArray) -> tuple[float, ...]:
    at = np.flatnonzero(np.sign(profit[:-1]) * np.sign(profit[1:]) < 0)
    weight = profit[at] / (profit[at] - profit[at + 1])
    return tuple((spots[at] + weight * (spots[at + 1] - spots[at])).tolist())


def _mass(distribution: ExpiryDistribution, spots: FloatArray) -> FloatArray:
    """Probability of each cell around a grid point."""
    edges = np.concatenate(([0.0], 0.5 * (spots[1:] + spots[:-1]), [math.inf]))
    return -np.diff(distribution.probability_above(edges))


def _probability_on(distribution: ExpiryDistribution, spots: FloatArray, inside: NDArray[np.bool_]) -> float:
    return float(_mass(distribution, spots)[inside].sum())


def _expectation(distribution: ExpiryDistribution, spots: FloatArray, value: FloatArray) -> float:
    return float(_mass(distribution, spots) @ value)
