"""What market makers quote on a chain: Black prices on the level surface, with spreads, sizes and small disagreements as index options show them.

The prices are worked out here and not by gammaray.pricing, so that an error of the pricing core shows as a difference from the market.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from gammaray.market.level_surface import LevelSurface

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QuotingStyle:
    """Widths of the quotes. A spread in dollars is `base` + `vega_points` of volatility (per 0.01) × vega + `delta_width` × |delta|³,

    all times (level / 0.12)^`stress`. stray: standard deviation of a contract's mid from the surface, in half spreads: a part that lasts the session
    and a part of each step. depth: contracts quoted at the money.
    """

    base: float = 0.008
    vega_points: float = 0.06
    delta_width: float = 0.10
    stress: float = 0.8
    session_stray: float = 0.18
    step_stray: float = 0.12
    depth: float = 160.0


@dataclass(frozen=True, slots=True)
class ChainQuotes:
    """Prices in cents and sizes in contracts, shape (n,); size 0 is no quote. weight: share of the flow that goes to each contract (sums to 1)."""

    bid: IntArray
    ask: IntArray
    bid_size: IntArray
    ask_size: IntArray
    weight: FloatArray


def quote_chain(
    *,
    spot: float,
    surface: LevelSurface,
    strike: FloatArray,
    tau: FloatArray,
    is_call: NDArray[np.bool_],
    session_noise: FloatArray,
    rng: np.random.Generator,
    style: QuotingStyle,
    coarse_ticks: bool,
) -> ChainQuotes:
    """Quotes of one underlying's contracts at one time.

    spot: dollars; interest and dividends are nil in a generated market, so it is the forward of every expiry and European prices are the American
    ones. tau: years. session_noise: standard normal draws that last the session, shape (n,). coarse_ticks: 5 cents from $3 on.
    """
    k = np.log(strike / spot)
    years = np.maximum(tau, 1e-7)
    root = np.sqrt(surface.total_variance(k, years))
    d1 = -k / root + 0.5 * root
    cumulative = ndtr(d1)
    call = spot * cumulative - strike * ndtr(d1 - root)
    value = np.where(is_call, call, call - spot + strike)
    value = np.maximum(value, np.maximum(np.where(is_call, spot - strike, strike - spot), 0.0))
    vega = spot * np.exp(-0.5 * d1 * d1) * np.sqrt(years) * (0.01 / np.sqrt(2 * np.pi))
    delta = np.where(is_call, cumulative, 1.0 - cumulative)

    level = surface.level / 0.12
    spread = (style.base + style.vega_points * vega + style.delta_width * delta**3) * max(level, 0.5) ** style.stress
    draws = rng.standard_normal((3, len(strike)))
    mid = value + 0.5 * spread * (style.session_stray * session_noise + style.step_stray * draws[0])

    low, high = 100.0 * (mid - 0.5 * spread), 100.0 * (mid + 0.5 * spread)
    low_tick = np.where(coarse_ticks & (low >= 300.0), 5.0, 1.0)
    high_tick = np.where(coarse_ticks & (high >= 300.0), 5.0, 1.0)
    bid = np.maximum(np.floor(low / low_tick + 0.25) * low_tick, 0.0).astype(np.int64)
    ask = np.maximum(np.ceil(high / high_tick - 0.25) * high_tick, 1.0).astype(np.int64)
    ask = np.maximum(ask, bid + np.where(coarse_ticks & (bid >= 300), 5, 1))

    interest = np.exp(-0.5 * (k / np.maximum(root, 0.01)) ** 2)
    base = style.depth * (0.15 + interest) / max(level, 0.6)
    sizes = np.maximum(np.floor(base * np.exp(0.6 * draws[1:] - 0.18)), 1.0).astype(np.int64)
    weight = (0.02 + interest * np.where(delta < 0.6, 1.0, 0.25)) / (1.0 + 8.0 * years)
    return ChainQuotes(bid, ask, np.where(bid > 0, sizes[0], 0), sizes[1], weight / weight.sum())
