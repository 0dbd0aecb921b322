"""Black's formula in normalised form: price over discounted forward, of the out-of-the-money option, as a function of log-moneyness.

k = ln(K / F), s = σ√τ (total standard deviation). The call is taken for k > 0 and the put for k ≤ 0, so small prices keep their relative accuracy.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray

_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)


@kernel
def otm_price(k: float, s: float) -> float:
    """Out-of-the-money price over D·F; 0 for s = 0."""
    if s <= 0.0:
        return 0.0
    magnitude = abs(k)
    d1 = -magnitude / s + 0.5 * s
    d2 = d1 - s
    # By put-call symmetry the put at -k is e^-k times the call at k.
    call = 0.5 * (math.erfc(-d1 * _SQRT_HALF) - math.exp(magnitude) * math.erfc(-d2 * _SQRT_HALF))
    if call < 0.0:
        call = 0.0
    return call if k > 0.0 else math.exp(k) * call


@kernel
def otm_vega(k: float, s: float) -> float:
    """Derivative of `otm_price` by s."""
    if s <= 0.0:
        return 0.0
    d1 = -k / s + 0.5 * s
    return _INV_SQRT_TWO_PI * math.exp(-0.5 * d1 * d1)


@kernel
def implied_deviation(price: float, k: float) -> float:
    """s for a normalised out-of-the-money price; NaN where the price is not inside (0, min(1, e^k))."""
    top = math.exp(k) if k < 0.0 else 1.0
    if not (0.0 < price < top):
        return math.nan
    low, high = 0.0, 1.0
    while otm_price(k, high) < price:
        low = high
        high *= 2.0
        if high > 64.0:
            return math.nan
    # The price has its inflection at s = sqrt(2|k|); Newton on its logarithm converges from there monotonically for small prices.
    s = math.sqrt(2.0 * abs(k))
    if not (low < s < high):
        s = 0.5 * (low + high)
    if abs(k) < 0.25 * price:
        s = price / _INV_SQRT_TWO_PI
    target = math.log(price)
    for _ in range(64):
        value = otm_price(k, s)
        if value > price:
            high = min(high, s)
        else:
            low = max(low, s)
        slope = otm_vega(k, s)
        step = math.nan
        if value > 0.0 and slope > 0.0:
            step = (target - math.log(value)) * value / slope
        candidate = s + step
        if not (low < candidate < high):
            candidate = 0.5 * (low + high)
        if abs(candidate - s) <= 1e-15 * s:
            return candidate
        s = candidate
    return s


@kernel
def otm_prices(k: FloatArray, s: FloatArray) -> FloatArray:
    """`otm_price` of each pair."""
    out = np.empty(k.shape[0])
    for i in range(k.shape[0]):
        out[i] = otm_price(k[i], s[i])
    return out


@kernel
def implied_deviations(price: FloatArray, k: FloatArray) -> FloatArray:
    """`implied_deviation` of each pair."""
    out = np.empty(k.shape[0])
    for i in range(k.shape[0]):
        out[i] = implied_deviation(price[i], k[i])
    return out
