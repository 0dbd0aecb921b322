"""The default surface: the smoothest call prices inside the bid and ask that admit no arbitrage.

After Fengler (2009, Arbitrage-free smoothing of the implied volatility surface, Quantitative Finance 9), with these differences. Prices are
cubic splines in B-spline form on knots common to all expiries (`splines`), so that convexity and the order in time hold everywhere, not only at
knots. An eSSVI surface is the prior: what is made smooth is the logarithm of the density over the prior's density, and beyond the quotes each
tail is the prior's tail times a constant. Quotes bound the price by bid and ask instead of pulling it to the mid; a bound is given up, at a
cost proportional to the excess, where no surface without arbitrage satisfies it.

Expiry after expiry the programme of `programme` is solved, bounded below by the expiry before.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.black import otm_price, otm_prices
from gammaray.pricing.surface.essvi import essvi_variance
from gammaray.pricing.surface.essvi import fit_slices as fit_essvi_slices
from gammaray.pricing.surface.nonparametric import SplineSlices
from gammaray.pricing.surface.preparation import PreparedChain
from gammaray.pricing.surface.programme import fit_expiry
from gammaray.pricing.surface.quotes import BoolArray, FloatArray, IntArray
from gammaray.pricing.surface.splines import greville, make_knots

_PASSES_COLD = 2
_PASSES_WARM = 1
_WEIGHT_NOT_TRADED = 0.2
_PRIOR_TOLERANCE = 0.02  # relative error of total variance below which the prior need not fit a quote

_NO_VALUE = 1e-7  # of an option, per unit of forward
_FLOOR_WEIGHT = 1e-9
_FLOOR_DEVIATION = 1.0

_WIDEST_SPACING = 0.02
_CLOSEST_SPACING = 5e-4
_GROWTH = 0.06  # of the distance between knots, from one to the next, away from the money
_WORTHLESS = 1e-15
_NEAREST_END = 1.0
_FARTHEST_END = 40.0
_ENDS_TRIED = 38
_BEYOND_QUOTES = 0.5
_STRIKES_NEAR_MONEY = 6

_SAME_EXPIRY = 0.1  # relative difference of tau up to which an expiry of the earlier fit is taken for the same


def fit_slices(chain: PreparedChain, weights: FloatArray, warm: SplineSlices | None) -> SplineSlices:
    """Fit every expiry of a chain.

    Args:
        chain: quotes by expiry.
        weights: of the squared errors of total variance in the fit of the prior.
        warm: slices of an earlier fit to start from.
    """
    prior, _ = fit_essvi_slices(
        chain.k,
        chain.mid_variance,
        1.0 / np.maximum(1.0 / weights, (_PRIOR_TOLERANCE * chain.mid_variance) ** 2),
        chain.offsets,
        warm.prior if warm is not None and warm.prior.shape[0] == chain.tau.shape[0] else np.empty((0, 3)),
    )
    spacing = _strike_spacing(chain)
    lowest, highest = _reach(chain, prior[-1])
    match = np.full(chain.tau.shape, -1)
    # The knots of the earlier fit are kept while the strikes are about as dense and as far apart.
    if warm is not None and _serve(warm.knots, spacing, lowest, highest):
        knots, start = warm.knots, warm.coefficients
        nearest = np.argmin(np.abs(warm.tau[None, :] - chain.tau[:, None]), axis=1)
        match = np.where(np.abs(warm.tau[nearest] - chain.tau) < _SAME_EXPIRY * chain.tau, nearest, -1)
    else:
        knots = make_knots(spacing, _GROWTH, lowest, highest)
        start = np.empty((0, knots.shape[0]))
    fitted = _fit_expiries(
        knots, greville(knots), prior, chain.offsets, chain.k, chain.bid, chain.ask, chain.liquid, start, match
    )
    return SplineSlices(chain.tau, knots, fitted, prior)


def _strike_spacing(chain: PreparedChain) -> float:
    """Distance in log-moneyness of neighbouring strikes at the money, in the expiry where they are closest."""
    spacing = _WIDEST_SPACING
    for i in range(chain.tau.shape[0]):
        k = chain.k[chain.expiry(i)]
        money = int(np.searchsorted(k, 0.0))
        near = np.diff(k[max(money - _STRIKES_NEAR_MONEY, 0) : money + _STRIKES_NEAR_MONEY])
        if near.shape[0] > 1:
            spacing = min(spacing, float(np.sort(near)[near.shape[0] // 2]))
    return max(spacing, _CLOSEST_SPACING)


def _reach(chain: PreparedChain, last: FloatArray) -> tuple[float, float]:
    """Log-moneyness beyond which no option of the prior's last expiry, the dearest, has any value; beyond all quotes too."""
    distance = np.geomspace(_NEAREST_END, _FARTHEST_END, _ENDS_TRIED)
    ends = []
    for sign, quoted in ((-1.0, -float(chain.k.min())), (1.0, float(chain.k.max()))):
        k = sign * distance
        z = last[2] / last[0] * k
        variance = 0.5 * last[0] * (1.0 + last[1] * z + np.sqrt(z * z + 2.0 * last[1] * z + 1.0))
        worthless = np.flatnonzero(otm_prices(k, np.sqrt(variance)) < _WORTHLESS)
        end = float(distance[worthless[0]]) if worthless.size else _FARTHEST_END
        ends.append(sign * max(end, quoted + _BEYOND_QUOTES))
    return ends[0], ends[1]


def _serve(knots: FloatArray, spacing: float, lowest: float, highest: float) -> bool:
    """Whether knots of an earlier fit are dense and wide enough, and not far too dense."""
    wide = knots[0] < math.exp(lowest) and knots[-1] > math.exp(highest)
    return bool(wide and 0.67 < np.diff(np.log(knots)).min() / spacing < 1.5)


def _fit_expiries(
    knots: FloatArray,
    xi: FloatArray,
    prior: FloatArray,
    offsets: IntArray,
    k: FloatArray,
    bid: FloatArray,
    ask: FloatArray,
    liquid: BoolArray,
    start: FloatArray,
    match: IntArray,
) -> FloatArray:
    n = offsets.shape[0] - 1
    out = np.empty((n, knots.shape[0]))
    floor = _floor_coefficients(xi)
    before = np.zeros(knots.shape[0])
    x = np.exp(k)
    x_low, x_high = 1.0, 1.0
    for i in range(n):
        a, b = offsets[i], offsets[i + 1]
        coefficients = _prior_coefficients(xi, prior[i])
        # The window reaches over the quotes and on to where the prior has no value, and contains those of the expiries before: beyond it all
        # tails are tails of the prior, whose order is known.
        x_low, x_high = min(x_low, x[a]), max(x_high, x[b - 1])
        valued = xi[coefficients > _NO_VALUE]
        if valued.shape[0]:
            x_low, x_high = min(x_low, valued[0]), max(x_high, valued[-1])
        out[i] = fit_expiry(
            knots,
            xi,
            coefficients,
            floor,
            before,
            math.sqrt(prior[i, 0]),
            x_low,
            x_high,
            x[a:b],
            bid[a:b],
            ask[a:b],
            np.where(liquid[a:b], 1.0, _WEIGHT_NOT_TRADED),
            start[match[i]] if match[i] >= 0 else np.empty(0),
            _PASSES_WARM if match[i] >= 0 else _PASSES_COLD,
        )
        before = out[i]
    return out


@kernel
def _prior_coefficients(xi: FloatArray, essvi: FloatArray) -> FloatArray:
    """Out-of-the-money coefficients of an eSSVI slice: its values at the Greville points (Schoenberg), which keeps convexity and order."""
    out = np.zeros(xi.shape[0])
    for j in range(1, xi.shape[0] - 1):
        k = math.log(xi[j])
        out[j] = otm_price(k, math.sqrt(essvi_variance(essvi[0], essvi[1], essvi[2], k)))
    return out


@kernel
def _floor_coefficients(xi: FloatArray) -> FloatArray:
    """A trace of a wide lognormal, added to every slice so that no price underflows; about a millionth of a dollar for a forward of 3,000."""
    out = np.zeros(xi.shape[0])
    for j in range(1, xi.shape[0] - 1):
        out[j] = _FLOOR_WEIGHT * otm_price(math.log(xi[j]), _FLOOR_DEVIATION)
    return out
