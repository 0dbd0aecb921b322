"""The variance of a strip and the index of two: by hand, in the limit of many strikes, and on the published example."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gammaray import pricing
from gammaray.pricing.variance_strip import OptionStrip, strip_variance


def quotes(sigma: float, minutes: float, rate: float, strikes: np.ndarray) -> OptionStrip:
    """A strip priced at one volatility on a spot of 100, without spread."""
    tau = minutes / 525_600
    call, put = (pricing.price(right, 100.0, strikes, tau, rate, sigma) for right in "CP")
    return OptionStrip.of(strikes, call, call, put, put, minutes=minutes, rate=rate)


def test_strip_by_hand() -> None:
    # One year, no interest. Call and put are nearest at 100: F = 100 + (6 − 5) = 101, so K₀ = 100, where Q = 5.5. Puts 90 (2) and 80 (1)
    # below; call 110 (3) above, 120 has no bid. ΔK: 10 at every strike.
    strip = OptionStrip.of(
        strike=[120, 110, 100, 90, 80],
        call_bid=[0.0, 2.9, 5.9, 11.0, 20.0],
        call_ask=[0.2, 3.1, 6.1, 13.0, 22.0],
        put_bid=[18.0, 11.0, 4.9, 1.9, 0.9],
        put_ask=[21.0, 13.0, 5.1, 2.1, 1.1],
        minutes=525_600,
        rate=0.0,
    )
    result = strip_variance(strip)
    assert result.forward == pytest.approx(101.0)
    assert result.central_strike == 100.0
    assert (result.puts, result.calls) == (2, 1)
    expected = 2 * 10 * (1 / 80**2 + 2 / 90**2 + 5.5 / 100**2 + 3 / 110**2) - 0.01**2
    assert result.variance == pytest.approx(expected, rel=1e-12)


def test_two_zero_bids_in_a_row_end_the_strip() -> None:
    strikes = np.arange(60.0, 141.0, 5.0)
    full = quotes(0.4, 250_000, 0.0, strikes)
    assert (strip_variance(full).puts, strip_variance(full).calls) == (8, 8)  # 60 … 95 and 105 … 140
    one_zero = replace(full, put_bid=np.where(strikes == 80, 0.0, full.put_bid))
    assert strip_variance(one_zero).puts == 7
    two_zeros = replace(full, put_bid=np.where((strikes == 80) | (strikes == 75), 0.0, full.put_bid))
    assert strip_variance(two_zeros).puts == 3  # 95, 90, 85: what lies beyond is left out, bid or not


def test_a_dense_strip_gives_back_the_volatility() -> None:
    strikes = np.arange(20.0, 400.0, 0.25)
    near, far = quotes(0.25, 25 * 1440, 0.0, strikes), quotes(0.25, 39 * 1440, 0.0, strikes)
    # The slope of Q falls by 1 at K₀ = 100, which the trapezoids of width ΔK overstate by ΔK²/12: 2/T·ΔK²/(12·K₀²) in the variance.
    excess = 0.25**2 / (6 * 100**2 * (25 / 365))
    assert strip_variance(near).variance == pytest.approx(0.25**2 + excess, rel=1e-6)
    assert pricing.variance_index(near, far).value == pytest.approx(25.0, rel=2e-4)


def test_index_interpolates_total_variance() -> None:
    strikes = np.arange(20.0, 400.0, 0.1)
    near, far = quotes(0.2, 20 * 1440, 0.0, strikes), quotes(0.3, 40 * 1440, 0.0, strikes)
    result = pricing.variance_index(near, far)
    # Half way in time: (20·0.04 + 40·0.09)/2 = 2.2 days of variance over 30.
    assert result.value == pytest.approx(100 * math.sqrt(2.2 / 30), rel=1e-4)
    assert result.near.variance < result.far.variance


def test_value_does_not_depend_on_the_unit_of_money() -> None:
    strikes = np.arange(60.0, 140.0, 5.0)
    strip = quotes(0.3, 30_000, 0.02, strikes)
    scaled = OptionStrip.of(
        *(7 * getattr(strip, name) for name in ("strike", "call_bid", "call_ask", "put_bid", "put_ask")),
        minutes=30_000,
        rate=0.02,
    )
    assert strip_variance(scaled).variance == pytest.approx(strip_variance(strip).variance, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strike": [90, 100, 100]}, "strike: 100.0 is quoted twice"),
        ({"strike": [0, 100, 110]}, r"strike\[0\]: expected a positive strike"),
        ({"put_bid": [1, math.nan, 3]}, r"put_bid\[1\]: .* was nan"),
        ({"minutes": 0}, "minutes: expected a finite positive number"),
        ({"strike": [90, 100]}, "do not broadcast"),
    ],
)
def test_bad_strips_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "strike": [90, 100, 110],
        "call_bid": [11, 5, 1],
        "call_ask": [12, 6, 2],
        "put_bid": [1, 4, 10],
        "put_ask": [2, 5, 11],
        "minutes": 1000,
        "rate": 0.0,
    }
    with pytest.raises(ValueError, match=message):
        OptionStrip.of(**(good | change))


def test_strips_without_a_market_are_refused() -> None:
    strikes = np.array([90.0, 100.0, 110.0])
    empty = OptionStrip.of(strikes, 0.0, 1.0, 0.0, 1.0, minutes=1000, rate=0.0)
    with pytest.raises(ValueError, match="no strike has a bid for both"):
        strip_variance(empty)
    strip = quotes(0.2, 20_000, 0.0, np.arange(50.0, 150.0, 1.0))
    with pytest.raises(ValueError, match="far: expected an expiry after"):
        pricing.variance_index(strip, strip)


@pytest.mark.shared
def test_white_paper_example(shared_dir: Path) -> None:
    # Cboe VIX white paper (2009), appendix 1: σ₁² = 0.4727679, σ₂² = 0.3668180, index 61.22; 9 and 37 days, 0.38 %, from 8:30 in the morning:
    # 930 minutes to midnight, 510 on the day of settlement. The paper rounds on the way: the same quotes unrounded give 61.218.
    lines = (shared_dir / "refs" / "vix2009_quotes.csv").read_text().splitlines()
    table = np.array([line.split(",") for line in lines if not line.startswith("#")][1:], dtype=float)
    near, far = (
        OptionStrip.of(*table[table[:, 1] == days, 2:].T, minutes=930 + 510 + (days - 1) * 1440, rate=0.0038)
        for days in (9, 37)
    )
    result = pricing.variance_index(near, far)
    assert result.near.variance == pytest.approx(0.4727679, abs=1e-6)
    assert result.far.variance == pytest.approx(0.3668180, abs=1e-6)
    assert result.value == pytest.approx(61.22, abs=0.005)


def test_derman_variance_swap() -> None:
    # Derman, Kamal and Zou, "A guide to volatility and variance swaps" (1999), as in QuantLib's varianceswaps.cpp: spot 100, 5 %, three months,
    # strikes 50, 55, …, 135 at volatilities falling from 30 % by a point each: fair variance 0.04189, given to 1e-4. Their weights are
    # those of a piecewise linear payoff, these of the sum; at this spacing the two agree to less than that.
    strikes = np.arange(50.0, 136.0, 5.0)
    volatilities = 0.30 - 0.01 * np.arange(strikes.size)
    tau = 0.246575
    call, put = (pricing.price(right, 100.0, strikes, tau, 0.05, volatilities) for right in "CP")
    strip = OptionStrip.of(strikes, call, call, put, put, minutes=tau * 525_600, rate=0.05)
    assert strip_variance(strip).variance == pytest.approx(0.04189, abs=1e-4)
