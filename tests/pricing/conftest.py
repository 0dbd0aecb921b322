"""What the tests of prices share: the Black–Scholes–Merton formula in as many digits as mpmath is set to."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import pytest

ExactPrice = Callable[..., mp.mpf]


@pytest.fixture(scope="session")
def exact_price() -> ExactPrice:
    """θ·(S·e^(−qτ)·N(θd₁) − K·e^(−rτ)·N(θd₂)) of (θ, spot, strike, tau, rate, volatility, dividend_yield)."""

    def price(sign: float, *arguments: float | mp.mpf) -> mp.mpf:
        spot, strike, tau, rate, volatility, dividend_yield = (mp.mpf(a) for a in arguments)
        s = volatility * mp.sqrt(tau)
        d1 = (mp.log(spot / strike) + (rate - dividend_yield) * tau) / s + s / 2

        def cdf(x: mp.mpf) -> mp.mpf:
            return mp.erfc(-x / mp.sqrt(2)) / 2

        first = spot * mp.exp(-dividend_yield * tau) * cdf(sign * d1)
        return sign * (first - strike * mp.exp(-rate * tau) * cdf(sign * (d1 - s)))

    return price
