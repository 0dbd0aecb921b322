"""Greeks of all orders against differentiation of the exact price in 60 digits, and against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray import pricing

# What each greek is a derivative by (S spot, K strike, T tau, r rate, v volatility, q yield), and its sign: theta, charm and
# color are by calendar time.
DERIVATIVES = {
    "delta": ("S", 1),
    "gamma": ("SS", 1),
    "vega": ("v", 1),
    "theta": ("T", -1),
    "rho": ("r", 1),
    "dividend_rho": ("q", 1),
    "vanna": ("Sv", 1),
    "volga": ("vv", 1),
    "charm": ("ST", -1),
    "veta": ("Tv", 1),
    "dual_delta": ("K", 1),
    "dual_gamma": ("KK", 1),
    "speed": ("SSS", 1),
    "zomma": ("SSv", 1),
    "color": ("SST", -1),
    "ultima": ("vvv", 1),
}


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


def exact_greek(exact_price: Callable[..., mp.mpf], name: str, sign: float, arguments: Sequence[float]) -> mp.mpf:
    """A greek by numerical differentiation of the price: at 60 digits it is exact to 20 or more."""
    letters, calendar = DERIVATIVES[name]
    orders = [letters.count(letter) for letter in "SKTrvq"]
    moving = [k for k, order in enumerate(orders) if order]

    def along(*values: mp.mpf) -> mp.mpf:
        point = [mp.mpf(a) for a in arguments]
        for k, value in zip(moving, values, strict=True):
            point[k] = value
        return exact_price(sign, *point)

    at = tuple(mp.mpf(arguments[k]) for k in moving)
    by = tuple(orders[k] for k in moving)
    return calendar * (mp.diff(along, at[0], by[0]) if len(at) == 1 else mp.diff(along, at, by))


@pytest.mark.parametrize("name", DERIVATIVES)
def test_greeks_are_the_derivatives_of_the_price(exact_price: Callable[..., mp.mpf], name: str) -> None:
    arguments = chain(seed=4, n=60, widest=2.5)
    values = getattr(pricing.greeks(**arguments, order=3), name)
    with mp.workdps(60):
        for value, (sign, *row) in zip(values, rows(arguments), strict=True):
            expected = exact_greek(exact_price, name, sign, row)
            assert abs(value / expected - 1) < 1e-11, row


def test_one_pass_gives_what_the_separate_calls_give() -> None:
    arguments = chain(seed=5, n=1000, widest=3.0)
    third = pricing.greeks(**arguments, order=3)
    assert len(fields(third)) == 17
    np.testing.assert_array_equal(third.price, pricing.price(**arguments))
    for order, count in ((1, 6), (2, 13)):
        lower = pricing.greeks(**arguments, order=order)  # type: ignore[call-overload]
        names = [field.name for field in fields(lower)]
        assert len(names) == count
        for name in names:
            np.testing.assert_array_equal(getattr(lower, name), getattr(third, name))


@settings(max_examples=150, deadline=None)
@given(
    spot=st.floats(50, 200),
    strike=st.floats(50, 200),
    tau=st.floats(0.1, 3.0),
    rate=st.floats(-0.05, 0.2),
    volatility=st.floats(0.1, 1.0),
    q=st.floats(-0.02, 0.1),
    right=st.sampled_from(["C", "P"]),
)
def test_greeks_against_finite_differences(
    spot: float, strike: float, tau: float, rate: float, volatility: float, q: float, right: str
) -> None:
    point = {"spot": spot, "strike": strike, "tau": tau, "rate": rate, "volatility": volatility, "dividend_yield": q}
    here = pricing.greeks(right, **point, order=3)

    def slope(name: str, by: str, width: float) -> float:
        """Central difference of fourth order."""
        at = [
            getattr(pricing.greeks(right, **{**point, by: point[by] + k * width}, order=3), name)
            for k in (-2, -1, 1, 2)
        ]
        return float((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * width))

    for name, of, by, width, sign in [
        ("delta", "price", "spot", 1e-2 * spot * volatility * math.sqrt(tau), 1),
        ("gamma", "delta", "spot", 1e-2 * spot * volatility * math.sqrt(tau), 1),
        ("speed", "gamma", "spot", 1e-2 * spot * volatility * math.sqrt(tau), 1),
        ("vega", "price", "volatility", 1e-2 * volatility, 1),
        ("vanna", "delta", "volatility", 1e-2 * volatility, 1),
        ("volga", "vega", "volatility", 1e-2 * volatility, 1),
        ("zomma", "gamma", "volatility", 1e-2 * volatility, 1),
        ("ultima", "volga", "volatility", 1e-2 * volatility, 1),
        ("theta", "price", "tau", 1e-2 * tau, -1),
        ("charm", "delta", "tau", 1e-2 * tau, -1),
        ("veta", "vega", "tau", 1e-2 * tau, 1),
        ("color", "gamma", "tau", 1e-2 * tau, -1),
        ("rho", "price", "rate", 1e-3, 1),
        ("dividend_rho", "price", "dividend_yield", 1e-3, 1),
        ("dual_delta", "price", "strike", 1e-2 * strike * volatility * math.sqrt(tau), 1),
        ("dual_gamma", "dual_delta", "strike", 1e-2 * strike * volatility * math.sqrt(tau), 1),
    ]:
        difference = sign * slope(of, by, width)
        # Truncation is of the fourth power of the relative width, 1e-8, times the size of what is differenced over the width.
        scale = abs(getattr(here, of)) / width * 1e-5 + 1e-9 * spot / width + abs(difference) * 1e-5
        assert getattr(here, name) == pytest.approx(difference, abs=scale), name
