"""Black's formula in normalised form: price over discounted forward, of the out-of-the-money option, as a function of log-moneyness.

k = ln(K / F), s = σ√τ (total standard deviation). The call is taken for k > 0 and the put for k ≤ 0, so small prices keep their relative accuracy.
"""

from __future__ import annotations

import math

import numpy as np

from gammaray.pricing.european import price
from gammaray.pricing.implied import implied_volatility
from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.quotes import FloatArray

_SQRT_HALF = math.sqrt(0.5)


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


def otm_prices(k: FloatArray, s: FloatArray) -> FloatArray:
    """`otm_price` of each pair of two columns."""
    result: FloatArray = price(k > 0.0, 1.0, np.exp(k), 1.0, 0.0, s)
    return result


def implied_deviations(prices: FloatArray, k: FloatArray) -> FloatArray:
    """s for each normalised out-of-the-money price; NaN at a price outside its bounds, 0 at a price of 0."""
    result: FloatArray = implied_volatility(prices, k > 0.0, 1.0, np.exp(k), 1.0, 0.0)
    return result
