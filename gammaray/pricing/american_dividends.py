"""American options on a stock that pays cash dividends.

Between ex-dates the stock is lognormal with a continuous yield; at an ex-date it falls by the cash amount, at most to zero. The price is
extrapolated from that of a grid and of one of half its resolution (Richardson).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gammaray.pricing.american_collocation import Accuracy
from gammaray.pricing.american_grid import START_STEPS, price_blocks
from gammaray.pricing.arguments import FloatArray

Dividends = Sequence[tuple[float, float]]

_GRIDS: dict[str, tuple[int, int]] = {"fast": (100, 50), "accurate": (320, 160), "high": (1200, 600)}
SMALLEST_DEVIATION = 1e-4  # of the log spot, below which an option is worth its best discounted exercise value


def dividend_columns(dividends: Dividends) -> tuple[FloatArray, FloatArray]:
    """Times and amounts in order of time, both positive; ValueError naming the first offending entry."""
    rows: list[tuple[float, float]] = []
    for index, entry in enumerate(dividends):
        try:
            time, cash = (float(x) for x in entry)
        except (TypeError, ValueError):
            raise ValueError(f"dividends[{index}]: expected (time, cash), was {entry!r}") from None
        if not 0.0 < time < math.inf:
            raise ValueError(f"dividends[{index}]: expected a finite and positive time in years, was {time}")
        if not 0.0 <= cash < math.inf:
            raise ValueError(f"dividends[{index}]: expected finite and not negative cash, was {cash}")
        rows.append((time, cash))
    rows.sort()
    return np.array([time for time, _ in rows]), np.array([cash for _, cash in rows])


def evaluate_with_dividends(
    columns: Sequence[FloatArray],
    times: FloatArray,
    amounts: FloatArray,
    accuracy: Accuracy,
    *,
    grid_columns: Sequence[FloatArray] | None = None,
) -> FloatArray:
    """Price, delta and gamma, shape (3, n), of options given as columns right, spot, strike, tau, rate, volatility, yield.

    Dividends after an option's expiry are not its own; one at expiry falls before the payoff. The grids are laid out for `grid_columns`,
    so that the errors of a price and of one at slightly other parameters are alike. Raises ValueError for an unknown accuracy.
    """
    if accuracy not in _GRIDS:
        raise ValueError(f"accuracy: expected one of {', '.join(map(repr, _GRIDS))}, was {accuracy!r}")
    sign, spot, strike, tau, rate, volatility, dividend_yield = columns
    out = np.empty((3, sign.size))
    regular = (spot > 0.0) & (strike > 0.0) & (volatility * np.sqrt(tau) > SMALLEST_DEVIATION)
    counts = np.searchsorted(times, tau, side="right")
    points, steps = _GRIDS[accuracy]
    # Options of one block share the number of steps of each interval: those of one schedule are put together.
    rows = np.flatnonzero(regular)
    schedules, group = np.unique(step_schedules(tau[rows], times, steps // 2), axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    rows, group = rows[order], group[order]
    _, _, _, _, grid_rate, grid_volatility, grid_yield = columns if grid_columns is None else grid_columns
    price_blocks(
        rows,
        group,
        schedules,
        counts,
        sign,
        spot,
        strike,
        tau,
        rate,
        volatility,
        dividend_yield,
        grid_rate,
        grid_volatility,
        grid_yield,
        times,
        amounts,
        points,
        out,
    )
    for row in np.flatnonzero(~regular):
        option = (float(c[row]) for c in (sign, spot, strike, tau, rate, dividend_yield))
        out[:, row] = deterministic(tuple(option), times[: counts[row]], amounts[: counts[row]])
    return out


def step_schedules(tau: FloatArray, times: FloatArray, steps: int) -> NDArray[np.intp]:
    """Time steps between ex-dates of the coarser grid, shape (n, ex-dates + 1), a share of `steps` by length.

    They are rounded up to quarters of an octave, so that options of nearby expiry have the same, and none where an interval is empty.
    """
    ends = np.minimum(np.append(times, np.inf), tau[:, None])
    lengths = np.diff(ends, axis=1, prepend=0.0)
    wanted = np.maximum(lengths / tau[:, None] * steps, START_STEPS)
    octave = np.exp2(np.floor(np.log2(wanted)) - 2.0)
    rounded = np.ceil(np.ceil(wanted / octave) * octave)
    return np.where(lengths > 0.0, rounded, 0.0).astype(np.intp)


def deterministic(option: tuple[float, ...], times: FloatArray, amounts: FloatArray) -> tuple[float, float, float]:
    """Value, delta and gamma without volatility: the best of exercising now, before or after an ex-date, at expiry or at a best time between.

    `option` is right, spot, strike, tau, rate, yield.
    """
    sign, spot, strike, tau, rate, dividend_yield = option
    best, delta = max(sign * (spot - strike), 0.0), sign if sign * (spot - strike) > 0.0 else 0.0
    level, begin = spot, 0.0
    for end, cash in zip((*times, tau), (*amounts, 0.0), strict=True):
        carry = rate - dividend_yield
        stops = [end]
        if carry != 0.0 and level > 0.0 and strike > 0.0 and dividend_yield * rate > 0.0:
            stops.append(begin + math.log(rate * strike / (dividend_yield * level)) / carry)
        for stop in stops:
            if begin <= stop <= end:
                value = math.exp(-rate * stop) * sign * (level * math.exp(carry * (stop - begin)) - strike)
                if value > best:
                    best, delta = value, sign * math.exp(-dividend_yield * stop)
        level = max(level * math.exp(carry * (end - begin)) - cash, 0.0)
        begin = end
        value = math.exp(-rate * end) * sign * (level - strike)
        if value > best:
            best, delta = value, sign * math.exp(-dividend_yield * end) if level > 0.0 else 0.0
    return best, delta, 0.0
