"""Implied volatility: against 40-digit prices, round trips, extreme quotes, and rows without a solution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray import pricing
from gammaray.pricing import ImpliedVolatilityStatus as Status

ExactPrice = Callable[..., mp.mpf]


def quotes(
    exact_price: ExactPrice, seed: int, n: int, *, widest: float, volatility: tuple[float, float]
) -> dict[str, np.ndarray]:
    """Out-of-the-money options of known volatility (drawn log-uniformly), their prices rounded from 40 digits."""
    rng = np.random.default_rng(seed)
    spot = rng.uniform(50, 150, n)
    tau = 10 ** rng.uniform(-2.5, 0.3, n)
    rate, dividend_yield = rng.uniform(0, 0.06, n), rng.uniform(0, 0.04, n)
    sigma = np.exp(rng.uniform(*np.log(volatility), n))
    strike = spot * np.exp(rng.uniform(-widest, widest, n) * sigma * np.sqrt(tau))
    right = np.where(strike > spot * np.exp((rate - dividend_yield) * tau), 1.0, -1.0)
    with mp.workdps(40):
        columns = zip(right, spot, strike, tau, rate, sigma, dividend_yield, strict=True)
        price = np.array([float(exact_price(*map(float, row))) for row in columns])
    return {
        "price": price,
        "right": right,
        "spot": spot,
        "strike": strike,
        "tau": tau,
        "rate": rate,
        "dividend_yield": dividend_yield,
        "volatility": sigma,
    }


@pytest.mark.parametrize(
    ("widest", "volatility", "tolerance"),
    [
        pytest.param(2.5, (0.05, 1.0), 1e-12, id="an ordinary chain"),
        pytest.param(34.0, (0.05, 1.0), 1e-12, id="prices down to 1e-280"),
        pytest.param(6.0, (1e-4, 0.05), 1e-12, id="volatility near zero"),
        # Near the upper bound the price itself determines fewer digits: 1e-16·price/(vega·σ).
        pytest.param(2.0, (1.0, 4.0), 1e-12, id="volatility of hundreds of per cent"),
    ],
)
def test_volatility_of_exact_prices(
    exact_price: ExactPrice, widest: float, volatility: tuple[float, float], tolerance: float
) -> None:
    options = quotes(exact_price, seed=1, n=1500, widest=widest, volatility=volatility)
    expected = options.pop("volatility")
    values, status = pricing.implied_volatility(**options, return_status=True)
    normal = options["price"] > 1e-280
    assert normal.mean() > 0.8
    assert np.all(status[normal] == Status.OK)
    assert np.max(np.abs(values / expected - 1)[normal]) < tolerance


def test_in_the_money_prices_are_reproduced() -> None:
    rng = np.random.default_rng(2)
    n = 20_000
    spot, tau, sigma = rng.uniform(50, 150, n), rng.uniform(0.003, 3, n), rng.uniform(0.03, 1.5, n)
    strike = spot * np.exp(rng.uniform(-4, 4, n) * sigma * np.sqrt(tau))
    right = rng.random(n) < 0.5
    price = pricing.price(right, spot, strike, tau, 0.03, sigma, 0.01)
    values, status = pricing.implied_volatility(price, right, spot, strike, tau, 0.03, 0.01, return_status=True)
    assert set(np.unique(status)) <= {Status.OK, Status.AT_INTRINSIC, Status.ABOVE_BOUND}
    found = status != Status.ABOVE_BOUND
    assert found.mean() > 0.999
    again = pricing.price(right[found], spot[found], strike[found], tau[found], 0.03, values[found], 0.01)
    # No volatility gives the price more closely than rounding of the price: 1e-15 of the larger present value.
    assert np.max(np.abs(again - price[found]) / np.maximum(spot, strike)[found]) < 2e-15


def test_extreme_quotes_never_give_a_wrong_number() -> None:
    rng = np.random.default_rng(3)
    n = 40_000
    spot, tau, sigma = rng.uniform(1, 1000, n), 10 ** rng.uniform(-5, 2, n), 10 ** rng.uniform(-8, 1.5, n)
    strike = spot * np.exp(np.clip(rng.normal(0, 8, n) * sigma * np.sqrt(tau), -300, 300))
    right = rng.random(n) < 0.5
    price = pricing.price(right, spot, strike, tau, 0.01, sigma)
    values, status = pricing.implied_volatility(price, right, spot, strike, tau, 0.01, return_status=True)
    solved = status == Status.OK
    assert solved.sum() > n / 4
    again = pricing.price(right[solved], spot[solved], strike[solved], tau[solved], 0.01, values[solved])
    relative = np.abs(again - price[solved]) / price[solved]
    bound = np.where(right, spot, strike * np.exp(-0.01 * tau))[solved]
    # Tiny prices to ten digits, the others to the rounding of the bound that they are measured from.
    out_of_the_money = np.where(right, strike * np.exp(-0.01 * tau) > spot, spot > strike * np.exp(-0.01 * tau))[solved]
    checked = price[solved] > 1e-280
    wrong = checked & (relative > 1e-10) & (np.abs(again - price[solved]) > 4e-15 * np.maximum(bound, spot[solved]))
    assert not wrong.any()
    tails = checked & out_of_the_money & (price[solved] < 1e-8 * spot[solved])
    assert tails.sum() > 500
    assert np.max(relative[tails]) < 1e-9
    # What has no solution is at a bound, where the float price has reached it.
    assert np.all(np.isnan(values[status == Status.ABOVE_BOUND]))
    assert np.all(values[status == Status.AT_INTRINSIC] == 0.0)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, Status.OK),
        ({"price": 100.0}, Status.ABOVE_BOUND),
        ({"price": 250.0}, Status.ABOVE_BOUND),
        ({"price": 9.0}, Status.BELOW_INTRINSIC),  # 100 − 90·e^(−0.03) = 12.66
        ({"price": -1.0, "strike": 200.0}, Status.BELOW_INTRINSIC),
        ({"price": 0.0, "strike": 200.0}, Status.AT_INTRINSIC),
        ({"price": math.nan}, Status.NOT_FINITE),
        ({"rate": math.inf}, Status.NOT_FINITE),
        ({"spot": 0.0}, Status.OUT_OF_DOMAIN),
        ({"strike": -90.0}, Status.OUT_OF_DOMAIN),
        ({"tau": 0.0}, Status.OUT_OF_DOMAIN),
        ({"rate": -1e6}, Status.OUT_OF_DOMAIN),
    ],
)
def test_reasons(change: dict[str, float], status: Status) -> None:
    arguments: dict[str, Any] = {
        "price": 15.0,
        "right": "C",
        "spot": 100.0,
        "strike": 90.0,
        "tau": 1.0,
        "rate": 0.03,
        **change,
    }
    value, code = pricing.implied_volatility(**arguments, return_status=True)
    assert code is status
    assert math.isnan(value) == (status not in (Status.OK, Status.AT_INTRINSIC))


def test_bad_rows_leave_the_good_ones_alone() -> None:
    n = 500
    strike = np.linspace(60, 140, n)
    price = pricing.price("C", 100, strike, 0.5, 0.03, 0.25)
    price[::7] = np.nan
    price[3::11] = 1e6
    values, status = pricing.implied_volatility(price, "C", 100, strike, 0.5, 0.03, return_status=True)
    bad = np.isnan(price) | (price == 1e6)
    assert np.array_equal(np.isnan(values), bad)
    assert np.array_equal(status != Status.OK, bad)
    np.testing.assert_allclose(values[~bad], 0.25, rtol=1e-11)
    assert status.dtype == np.int8


def test_shapes_buffers_and_threads() -> None:
    strike = np.linspace(80, 120, 40_000).reshape(200, 200)
    price = pricing.price("P", 100, strike, 0.5, 0.03, 0.25)
    values = pricing.implied_volatility(price, "P", 100, strike, 0.5, 0.03)
    assert values.shape == (200, 200)
    out = np.empty((200, 200))
    assert pricing.implied_volatility(price, "P", 100, strike, 0.5, 0.03, out=out, threads=2) is out
    np.testing.assert_array_equal(out, values)
    assert isinstance(pricing.implied_volatility(10.0, "C", 100, 100, 1, 0.03), float)
    with pytest.raises(ValueError, match="do not broadcast"):
        pricing.implied_volatility([1.0, 2.0], "C", 100, [90, 100, 110], 1, 0.03)
    with pytest.raises(ValueError, match=r"right\[1\]"):
        pricing.implied_volatility(1.0, ["C", "X"], 100, 100, 1, 0.03)


@settings(max_examples=400, deadline=None)
@given(
    spot=st.floats(1, 1e4),
    deviations=st.floats(-8, 8),
    tau=st.floats(1e-4, 10),
    rate=st.floats(-0.05, 0.2),
    volatility=st.floats(1e-3, 2),
    q=st.floats(-0.05, 0.2),
)
def test_price_to_volatility_to_price(
    spot: float, deviations: float, tau: float, rate: float, volatility: float, q: float
) -> None:
    forward = spot * math.exp((rate - q) * tau)
    strike = forward * math.exp(deviations * volatility * math.sqrt(tau))
    right = "C" if strike > forward else "P"
    price = pricing.price(right, spot, strike, tau, rate, volatility, q)
    value, status = pricing.implied_volatility(price, right, spot, strike, tau, rate, q, return_status=True)
    if status is Status.AT_INTRINSIC:  # σ√τ below what a price near the money resolves
        assert price <= 1e-15 * spot * math.exp(0.05 * tau)
        return
    assert status is Status.OK
    assert pricing.price(right, spot, strike, tau, rate, value, q) == pytest.approx(price, rel=1e-11, abs=4e-15 * spot)
    vega = pricing.greeks(right, spot, strike, tau, rate, volatility, q).vega
    # The price determines the volatility to its own rounding over vega.
    assert value == pytest.approx(volatility, rel=1e-11, abs=1e-14 * max(spot, strike) / max(vega, 1e-300))


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    rng = np.random.default_rng(4)
    n = 400
    sigma, tau = 10 ** rng.uniform(-3, 0.5, n), 10 ** rng.uniform(-3, 1, n)
    strike = 100 * np.exp(rng.normal(0, 3, n) * sigma * np.sqrt(tau))
    price = pricing.price("C", 100, strike, tau, 0.02, sigma)
    price[::50] = np.nan
    together = pricing.implied_volatility(price, "C", 100, strike, tau, 0.02)
    alone = [pricing.implied_volatility(p, "C", 100, k, t, 0.02) for p, k, t in zip(price, strike, tau, strict=True)]
    np.testing.assert_array_equal(together, alone)
