"""European prices: against 40-digit arithmetic, published tables, and the laws that every price obeys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray import pricing


def chain(seed: int, n: int, widest: float) -> dict[str, np.ndarray]:
    """An ordinary chain: 4 days to 2 years, 8 to 80 %, strikes within `widest` standard deviations."""
    rng = np.random.default_rng(seed)
    spot = rng.uniform(50, 150, n)
    tau = rng.uniform(4 / 365, 2, n)
    volatility = rng.uniform(0.08, 0.8, n)
    return {
        "right": np.where(rng.random(n) < 0.5, 1, -1),
        "spot": spot,
        "strike": spot * np.exp(rng.uniform(-widest, widest, n) * volatility * np.sqrt(tau)),
        "tau": tau,
        "rate": rng.uniform(-0.02, 0.08, n),
        "volatility": volatility,
        "dividend_yield": rng.uniform(0, 0.05, n),
    }


def rows(arguments: dict[str, np.ndarray]) -> list[tuple[float, ...]]:
    return list(zip(*(column.tolist() for column in arguments.values()), strict=True))


def test_prices_of_an_ordinary_chain(exact_price: Callable[..., mp.mpf]) -> None:
    arguments = chain(seed=1, n=1500, widest=1.0)
    values = pricing.price(**arguments)
    with mp.workdps(40):
        exactly = [exact_price(*row) for row in rows(arguments)]
        absolute = np.array([float(abs(v - e)) for v, e in zip(values, exactly, strict=True)])
        relative = np.array([float(abs(v / e - 1)) for v, e in zip(values, exactly, strict=True)])
    ordinary = arguments["strike"] < 1.5 * arguments["spot"]
    assert ordinary.mean() > 0.8
    assert np.max((absolute / arguments["spot"])[ordinary]) < 1e-15
    assert np.max(absolute / np.maximum(arguments["spot"], arguments["strike"])) < 1e-15
    assert np.max(relative) < 1e-12


def test_out_of_the_money_prices_keep_their_digits_down_to_1e_280(exact_price: Callable[..., mp.mpf]) -> None:
    arguments = chain(seed=2, n=3000, widest=34.0)
    forward = arguments["spot"] * np.exp((arguments["rate"] - arguments["dividend_yield"]) * arguments["tau"])
    arguments["right"] = np.where(arguments["strike"] > forward, 1, -1)
    values = pricing.price(**arguments)
    with mp.workdps(40):
        exactly = [exact_price(*row) for row in rows(arguments)]
        relative = np.array([float(abs(v / e - 1)) for v, e in zip(values, exactly, strict=True)])
    tiny = values < 1e-100
    assert tiny.sum() > 500
    assert np.max(relative[values > 1e-280]) < 1e-10


def test_prices_at_tiny_total_volatility_keep_their_digits(exact_price: Callable[..., mp.mpf]) -> None:
    # σ√τ from 1e-6 to 3e-3, where the two terms of the formula agree in almost all digits.
    rng = np.random.default_rng(3)
    for _ in range(300):
        volatility = 10 ** rng.uniform(-4, -1.5)
        tau = 10 ** rng.uniform(-4, -2)
        strike = 100 * math.exp(rng.uniform(0, 8) * volatility * math.sqrt(tau))
        with mp.workdps(40):
            expected = exact_price(1, 100.0, strike, tau, 0.0, volatility, 0.0)
        assert pricing.price("C", 100.0, strike, tau, 0.0, volatility) == pytest.approx(float(expected), rel=1e-11)


# Haug, The Complete Guide to Option Pricing Formulas (1998), pp. 2-8, 24, 27 and 11-16, as in QuantLib's test suite
# (europeanoption.cpp, testValues and testGreekValues): right, strike, spot, yield, rate, years, volatility, value.
HAUG_PRICES = [
    ("C", 65.00, 60.00, 0.00, 0.08, 0.25, 0.30, 2.1334),
    ("P", 95.00, 100.00, 0.05, 0.10, 0.50, 0.20, 2.4648),
    ("P", 19.00, 19.00, 0.10, 0.10, 0.75, 0.28, 1.7011),
    ("C", 1.60, 1.56, 0.08, 0.06, 0.50, 0.12, 0.0291),
    ("P", 70.00, 75.00, 0.05, 0.10, 0.50, 0.35, 4.0870),
    ("C", 100.00, 90.00, 0.10, 0.10, 0.10, 0.15, 0.0205),
    ("C", 100.00, 110.00, 0.10, 0.10, 0.50, 0.35, 15.3086),
    ("P", 100.00, 110.00, 0.10, 0.10, 0.10, 0.15, 0.0408),
    ("P", 100.00, 90.00, 0.10, 0.10, 0.50, 0.35, 14.4452),
    ("C", 40.00, 42.00, 0.08, 0.04, 0.75, 0.35, 5.0975),
]
HAUG_GREEKS = [
    ("delta", "C", 100.00, 105.00, 0.10, 0.10, 0.5, 0.36, 0.5946),
    ("delta", "P", 100.00, 105.00, 0.10, 0.10, 0.5, 0.36, -0.3566),
    ("gamma", "C", 60.00, 55.00, 0.00, 0.10, 0.75, 0.30, 0.0278),
    ("gamma", "P", 60.00, 55.00, 0.00, 0.10, 0.75, 0.30, 0.0278),
    ("vega", "C", 60.00, 55.00, 0.00, 0.10, 0.75, 0.30, 18.9358),
    ("vega", "P", 60.00, 55.00, 0.00, 0.10, 0.75, 0.30, 18.9358),
    ("theta", "P", 405.00, 430.00, 0.05, 0.07, 1 / 12, 0.20, -31.1924),
    ("rho", "C", 75.00, 72.00, 0.00, 0.09, 1.0, 0.19, 38.7325),
    ("dividend_rho", "P", 490.00, 500.00, 0.05, 0.08, 0.25, 0.15, 42.2254),
]


@pytest.mark.parametrize(("right", "strike", "spot", "q", "r", "tau", "volatility", "value"), HAUG_PRICES)
def test_haug_prices(
    right: str, strike: float, spot: float, q: float, r: float, tau: float, volatility: float, value: float
) -> None:
    assert pricing.price(right, spot, strike, tau, r, volatility, q) == pytest.approx(value, abs=5.1e-5)


@pytest.mark.parametrize(("name", "right", "strike", "spot", "q", "r", "tau", "volatility", "value"), HAUG_GREEKS)
def test_haug_greeks(
    name: str, right: str, strike: float, spot: float, q: float, r: float, tau: float, volatility: float, value: float
) -> None:
    result = pricing.greeks(right, spot, strike, tau, r, volatility, q, order=2)
    assert getattr(result, name) == pytest.approx(value, abs=5.1e-5)


@pytest.mark.shared
def test_every_row_of_the_reference_table(shared_dir: Path) -> None:
    lines = (shared_dir / "refs" / "haug_bsm_prices.csv").read_text().splitlines()
    table = [line.split(",") for line in lines if not line.startswith("#")][1:]
    assert len(table) == 43
    for kind, *numbers in table:
        strike, spot, q, r, tau, volatility, value, tolerance = map(float, numbers)
        result = pricing.price(kind == "call", spot, strike, tau, r, volatility, q)
        assert result == pytest.approx(value, abs=tolerance)


# Hull, Options, Futures and Other Derivatives: a call on a stock that pays 0.50 in two and in five months, priced on the spot
# without the present value of the dividends (40 − 0.9741) at 9 % and 30 %, is worth 3.67.
def test_hull_escrowed_dividends() -> None:
    escrowed = 40 - 0.5 * math.exp(-0.09 * 2 / 12) - 0.5 * math.exp(-0.09 * 5 / 12)
    assert pricing.price("C", escrowed, 40, 0.5, 0.09, 0.3) == pytest.approx(3.67, abs=5e-3)


def test_black_76_is_the_price_on_the_forward() -> None:
    arguments = chain(seed=6, n=500, widest=3.0)
    discount = np.exp(-arguments["rate"] * arguments["tau"])
    forward = arguments["spot"] * np.exp((arguments["rate"] - arguments["dividend_yield"]) * arguments["tau"])
    values = pricing.price_forward(
        arguments["right"], forward, arguments["strike"], arguments["tau"], discount, arguments["volatility"]
    )
    np.testing.assert_allclose(values, pricing.price(**arguments), rtol=1e-12, atol=1e-13)


def test_limits_at_no_volatility_and_no_time() -> None:
    # The forward is 100·e^0.02 = 102.0201; discounted intrinsic values against 100·e^(−0.01) and K·e^(−0.03).
    a, b = 100 * math.exp(-0.01), math.exp(-0.03)
    assert pricing.price("C", 100, 90, 1, 0.03, 0.0, 0.01) == pytest.approx(a - 90 * b, rel=1e-15)
    assert pricing.price("P", 100, 90, 1, 0.03, 0.0, 0.01) == 0.0
    assert pricing.price("P", 100, 110, 0, 0.03, 0.2, 0.01) == 10.0
    assert pricing.price("C", 0.0, 110, 1, 0.03, 0.2, 0.01) == 0.0
    assert pricing.price("P", 0.0, 110, 1, 0.03, 0.2, 0.01) == pytest.approx(110 * b, rel=1e-15)
    assert pricing.price("C", 100, 0.0, 1, 0.03, 0.2, 0.01) == pytest.approx(a, rel=1e-15)
    at_expiry = pricing.greeks(["C", "P", "C", "C"], 100, [90, 110, 110, 100], 0, 0.03, 0.2, 0.01, order=3)
    assert at_expiry.price.tolist() == [10.0, 10.0, 0.0, 0.0]
    assert at_expiry.delta.tolist() == [1.0, -1.0, 0.0, 0.5]
    assert at_expiry.gamma.tolist() == [0.0, 0.0, 0.0, math.inf]
    assert at_expiry.vega.tolist() == [0.0] * 4
    # In the money, a day costs the interest on the strike less the dividends on the spot: 0.01·100 − 0.03·90.
    assert at_expiry.theta[0] == pytest.approx(-1.7)
    assert at_expiry.theta[3] == -math.inf


def test_limits_are_approached() -> None:
    for right in ("C", "P"):
        for strike in (90.0, 110.0):
            limit = pricing.greeks(right, 100, strike, 1, 0.03, 0.0, 0.01, order=3)
            near = pricing.greeks(right, 100, strike, 1, 0.03, 1e-4, 0.01, order=3)
            for field in fields(limit):
                expected = getattr(limit, field.name)
                assert getattr(near, field.name) == pytest.approx(expected, rel=1e-13, abs=1e-13), field.name


def test_scalars_give_floats_and_arrays_their_shape() -> None:
    assert isinstance(pricing.price("C", 100, 100, 1, 0.03, 0.2), float)
    assert isinstance(pricing.greeks("C", 100, 100, 1, 0.03, 0.2).gamma, float)
    surface = pricing.greeks(["C", "P"], 100, np.linspace(80, 120, 5)[:, None], 1, 0.03, 0.2)
    assert surface.price.shape == (5, 2)
    # A block is 128 rows: rows on both sides of its edge equal the same rows alone.
    strikes = np.linspace(60, 140, 300)
    values = pricing.price("P", 100, strikes, 1, 0.03, 0.2)
    assert [values[i] for i in (0, 127, 128, 255, 256, 299)] == [
        pricing.price("P", 100, strikes[i], 1, 0.03, 0.2) for i in (0, 127, 128, 255, 256, 299)
    ]
    assert pricing.price("C", np.empty(0), 100, 1, 0.03, 0.2).shape == (0,)


def test_given_buffers_are_written_to() -> None:
    arguments = chain(seed=7, n=200, widest=2.0)
    out = np.empty(200)
    assert pricing.price(**arguments, out=out) is out
    np.testing.assert_array_equal(out, pricing.price(**arguments))
    planes = np.empty((6, 200))
    result = pricing.greeks(**arguments, out=planes)
    assert np.shares_memory(result.vega, planes)
    np.testing.assert_array_equal(planes[3], pricing.greeks(**arguments).vega)
    with pytest.raises(ValueError, match=r"out: expected shape \(13, 200\), was \(6, 200\)"):
        pricing.greeks(**arguments, order=2, out=planes)


def test_threads_give_the_same_bits() -> None:
    arguments = chain(seed=8, n=50_001, widest=2.0)
    np.testing.assert_array_equal(pricing.price(**arguments, threads=2), pricing.price(**arguments))
    with pytest.raises(ValueError, match="threads: expected at least 1, was 0"):
        pricing.price(**arguments, threads=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volatility": [0.2, -0.1]}, r"volatility\[1\]: expected finite and not negative, was -0.1"),
        ({"tau": [1.0, 0.5, -0.1]}, r"tau\[2\]: expected finite and not negative"),
        ({"spot": math.nan}, "spot: expected finite and not negative, was nan"),
        ({"strike": [[100.0], [math.inf]]}, r"strike\[1, 0\]: .* was inf"),
        ({"rate": [0.01, math.inf]}, r"rate\[1\]: expected a finite number, was inf"),
        ({"dividend_yield": -math.inf}, "dividend_yield: expected a finite number, was -inf"),
        ({"right": ["C", "Q"]}, r"right\[1\]: .* was 'Q'"),
        ({"rate": [0.01, -1e5]}, r"beyond float64 at index \(1,\)"),
        ({"strike": [90, 100], "tau": [1, 2, 3]}, "do not broadcast"),
    ],
)
def test_errors_name_the_argument_and_the_index(change: dict[str, Any], message: str) -> None:
    arguments = {"right": "C", "spot": 100, "strike": 100, "tau": 1, "rate": 0.03, "volatility": 0.2, **change}
    with pytest.raises(ValueError, match=message):
        pricing.price(**arguments)
    with pytest.raises(ValueError, match=message):
        pricing.greeks(**arguments, order=3)


def test_order_is_checked() -> None:
    with pytest.raises(ValueError, match="order: expected 1, 2 or 3, was 4"):
        pricing.greeks("C", 100, 100, 1, 0.03, 0.2, order=4)  # type: ignore[call-overload]


PRICES = st.floats(1.0, 1e4)
TAUS = st.floats(1e-3, 10.0)
RATES = st.floats(-0.05, 0.2)
VOLATILITIES = st.floats(0.01, 3.0)


@settings(max_examples=200, deadline=None)
@given(spot=PRICES, strike=PRICES, tau=TAUS, rate=RATES, volatility=VOLATILITIES, q=RATES)
def test_parity_bounds_and_symmetry(
    spot: float, strike: float, tau: float, rate: float, volatility: float, q: float
) -> None:
    call, put = pricing.price(["C", "P"], spot, strike, tau, rate, volatility, q)
    spot_pv, strike_pv = spot * math.exp(-q * tau), strike * math.exp(-rate * tau)
    tolerance = 4e-15 * (spot_pv + strike_pv)
    assert call - put == pytest.approx(spot_pv - strike_pv, abs=tolerance)
    assert max(spot_pv - strike_pv, 0) - tolerance <= call <= spot_pv + tolerance
    assert max(strike_pv - spot_pv, 0) - tolerance <= put <= strike_pv + tolerance
    # A call is a put with spot and strike, rate and yield exchanged; and prices scale with the unit of money.
    assert pricing.price("P", strike, spot, tau, q, volatility, rate) == pytest.approx(call, rel=1e-11, abs=tolerance)
    assert pricing.price("C", 4 * spot, 4 * strike, tau, rate, volatility, q) == pytest.approx(4 * call, rel=1e-14)


@settings(max_examples=100, deadline=None)
@given(spot=PRICES, tau=TAUS, rate=RATES, volatility=VOLATILITIES, q=RATES, right=st.sampled_from(["C", "P"]))
def test_monotone_and_convex_in_strike_monotone_in_volatility(
    spot: float, tau: float, rate: float, volatility: float, q: float, right: str
) -> None:
    strikes = spot * np.linspace(0.2, 3.0, 57)
    values = pricing.price(right, spot, strikes, tau, rate, volatility, q)
    tolerance = 1e-14 * spot * math.exp(0.2 * tau)
    steps = np.diff(values) * (-1 if right == "C" else 1)
    assert np.all(steps >= -tolerance)
    assert np.all(np.diff(values, 2) >= -tolerance)
    rising = pricing.price(right, spot, strikes, tau, rate, volatility * 1.01, q)
    assert np.all(rising >= values - tolerance)


EXTREME = st.one_of(st.just(0.0), st.floats(1e-250, 1e250), st.floats(1e-5, 1e5))


@settings(max_examples=400, deadline=None)
@given(
    spot=EXTREME,
    strike=EXTREME,
    tau=st.one_of(st.just(0.0), st.floats(0, 100), st.floats(0, 1e-300)),
    rate=st.floats(-1, 1),
    volatility=EXTREME,
    q=st.floats(-1, 1),
    right=st.sampled_from(["C", "P"]),
)
def test_no_nan_for_any_valid_input(
    spot: float, strike: float, tau: float, rate: float, volatility: float, q: float, right: str
) -> None:
    result = pricing.greeks(right, spot, strike, tau, rate, volatility, q, order=3)
    assert not any(math.isnan(getattr(result, field.name)) for field in fields(result)), result
    spot_pv, strike_pv = spot * math.exp(-q * tau), strike * math.exp(-rate * tau)
    assert 0.0 <= result.price <= (spot_pv if right == "C" else strike_pv) * (1 + 1e-14)
