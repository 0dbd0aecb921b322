"""American options with cash dividends against QuantLib's finite differences, closed limits and the continuous-yield method."""

from __future__ import annotations

import math

import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.pricing.american import american_greeks, american_implied_volatility, american_price
from gammaray.pricing.american_collocation import Accuracy
from gammaray.pricing.american_dividends import evaluate_with_dividends

TODAY = ql.Date(1, 1, 2026)
QUARTERLY = [(36, 1.0), (127, 1.0), (219, 1.1), (310, 1.1)]  # days, dollars
IN_YEARS = [(days / 365, cash) for days, cash in QUARTERLY]


def quantlib(right: str, spot: float, strike: float, days: int, rate: float, volatility: float, points: int) -> float:
    """The spot model: lognormal between ex-dates, a fall by the cash at each."""
    ql.Settings.instance().evaluationDate = TODAY
    count = ql.Actual365Fixed()
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.0, count)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, count)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), volatility, count)),
    )
    dividends = ql.DividendVector([TODAY + d for d, _ in QUARTERLY], [cash for _, cash in QUARTERLY])
    engine = ql.FdBlackScholesVanillaEngine(process, dividends, points, points, 0, ql.FdmSchemeDesc.CrankNicolson())
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if right == "C" else ql.Option.Put, strike)
    option = ql.VanillaOption(payoff, ql.AmericanExercise(TODAY, TODAY + days))
    option.setPricingEngine(engine)
    return float(option.NPV())


@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize(("days", "rate", "volatility"), [(365, 0.05, 0.25), (200, 0.02, 0.45), (90, 0.08, 0.15)])
def test_against_quantlib(right: str, days: int, rate: float, volatility: float) -> None:
    spot = np.array([85.0, 100.0, 115.0])
    expected = [quantlib(right, s, 100.0, days, rate, volatility, 800) for s in spot]
    for accuracy in ("accurate", "high"):
        values = american_price(right, spot, 100.0, days / 365, rate, volatility, dividends=IN_YEARS, accuracy=accuracy)
        assert values == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("accuracy", "error"), [("fast", 5e-3), ("accurate", 6e-4), ("high", 1e-4)])
def test_the_grid_without_dividends(accuracy: Accuracy, error: float) -> None:
    """Where no dividend falls in the life, finite differences give the price of the collocation, a wholly different method."""
    right, spot = np.repeat([-1.0, 1.0], 3), np.tile([80.0, 100.0, 125.0], 2)
    for rate, dividend in ((0.06, 0.0), (0.02, 0.07), (0.03, 0.03)):
        columns = [right, spot, *(np.full(6, x) for x in (100.0, 0.8, rate, 0.3, dividend))]
        grid = evaluate_with_dividends(columns, np.array([0.9]), np.array([5.0]), accuracy)[0]
        exact = american_price(right, spot, 100.0, 0.8, rate, 0.3, dividend, accuracy="high")
        assert grid == pytest.approx(exact, abs=error)


def test_options_that_expire_before_the_first_dividend() -> None:
    tau = np.array([0.2, 0.6, 0.5])
    later, earlier = [(0.55, 2.0)], [(0.55, 2.0), (0.5, 0.0)]
    value = american_price("P", 100.0, 105.0, tau, 0.05, 0.3, dividends=later)
    assert value[[0, 2]].tolist() == american_price("P", 100.0, 105.0, tau[[0, 2]], 0.05, 0.3).tolist()
    assert value[1] == american_price("P", 100.0, 105.0, 0.6, 0.05, 0.3, dividends=later)
    # A dividend of nothing changes the method, not the price.
    assert american_price("P", 100.0, 105.0, tau, 0.05, 0.3, dividends=earlier) == pytest.approx(value, abs=1e-3)
    mixed = american_greeks("P", 100.0, 105.0, tau, 0.05, 0.3, dividends=later)
    assert mixed.rho[0] == american_greeks("P", 100.0, 105.0, 0.2, 0.05, 0.3).rho
    assert mixed.rho[1] == american_greeks("P", 100.0, 105.0, 0.6, 0.05, 0.3, dividends=later).rho


def test_call_is_exercised_just_before_a_large_dividend() -> None:
    """With a dividend of half the stock a day before expiry, the call is worth that of the ex-date, which no dividend touches."""
    ex_date, tau = 0.5, 0.5 + 1 / 365
    before = american_price("C", 100.0, 95.0, ex_date, 0.03, 0.25)
    value = american_price("C", 100.0, 95.0, tau, 0.03, 0.25, dividends=[(ex_date, 50.0)], accuracy="high")
    assert value == pytest.approx(before, abs=1e-3)


def test_dividend_at_expiry_falls_before_the_payoff() -> None:
    """A put that is not exercised early (rate 0) is then a European put struck at K + cash, on a stock above the cash."""
    value = american_price("P", 100.0, 100.0, 0.5, 0.0, 0.2, dividends=[(0.5, 4.0)], accuracy="high")
    assert value == pytest.approx(american_price("P", 100.0, 104.0, 0.5, 0.0, 0.2), abs=2e-4)


def test_without_volatility() -> None:
    """r = 5 %, dividends of 1 at 0.1, 0.35, 0.6, 0.85 years: the call is best exercised just before the last of them, so it is worth
    120 − e^(−0.005) − e^(−0.0175) − e^(−0.03) − 100·e^(−0.0425) = 21.2128432."""
    dividends = [(0.1, 1.0), (0.35, 1.0), (0.6, 1.0), (0.85, 1.0)]
    assert american_price("C", 120.0, 100.0, 1.0, 0.05, 0.0, dividends=dividends) == pytest.approx(21.2128432, abs=1e-7)
    assert american_price("C", 120.0, 100.0, 1.0, 0.05, 1e-3, dividends=dividends) == pytest.approx(
        21.2128432, abs=1e-2
    )
    assert american_price("P", 100.0, 100.0, 0.0, 0.05, 0.2, dividends=dividends) == 0.0


def test_greeks_against_differences_of_price() -> None:
    spot, h = np.array([90.0, 100.0, 112.0]), 0.5
    for right in ("C", "P"):
        greeks = american_greeks(right, spot, 100.0, 1.0, 0.05, 0.25, dividends=IN_YEARS, accuracy="high")
        up, at, down = (
            american_price(right, spot + s, 100.0, 1.0, 0.05, 0.25, dividends=IN_YEARS, accuracy="high")
            for s in (h, 0.0, -h)
        )
        assert greeks.delta == pytest.approx((up - down) / (2 * h), abs=5e-4)
        assert greeks.gamma == pytest.approx((up - 2 * at + down) / h**2, abs=5e-4)
        for name, place in (("rho", 4), ("vega", 5), ("dividend_rho", 6)):
            ends = []
            for step in (2e-3, -2e-3):
                arguments = [right, spot, 100.0, 1.0, 0.05, 0.25, 0.0]
                arguments[place] += step
                ends.append(american_price(*arguments, dividends=IN_YEARS, accuracy="high"))
            assert getattr(greeks, name) == pytest.approx((ends[0] - ends[1]) / 4e-3, rel=1e-2), name


def test_chain_of_many_expiries_equals_its_options_alone() -> None:
    tau = np.array([0.05, 0.2, 0.2, 0.5, 0.7, 1.0, 1.0, 1.0, 0.05])
    strike = np.linspace(90, 110, 9)
    together = american_price("P", 100.0, strike, tau, 0.04, 0.3, dividends=IN_YEARS)
    alone = [american_price("P", 100.0, k, t, 0.04, 0.3, dividends=IN_YEARS) for k, t in zip(strike, tau, strict=True)]
    assert together == pytest.approx(alone, rel=1e-12)


def test_volatility_round_trip() -> None:
    value = american_price("P", 100.0, [90.0, 100.0, 110.0], 1.0, 0.05, 0.25, dividends=IN_YEARS)
    implied = american_implied_volatility(value, "P", 100.0, [90.0, 100.0, 110.0], 1.0, 0.05, dividends=IN_YEARS)
    assert implied == pytest.approx(0.25, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([-1, 1]),
    st.floats(60.0, 160.0),
    st.floats(0.02, 2.0),
    st.floats(0.0, 0.1),
    st.floats(0.08, 1.0),
    st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0.0, 5.0)), min_size=1, max_size=4),
)
def test_bounds(
    right: int, spot: float, tau: float, rate: float, volatility: float, dividends: list[tuple[float, float]]
) -> None:
    value = american_price(right, spot, 100.0, tau, rate, volatility, dividends=dividends)
    without = american_price(right, spot, 100.0, tau, rate, volatility)
    paid = sum(cash * math.exp(-rate * time) for time, cash in dividends if time <= tau)
    assert value >= max(right * (spot - 100.0), 0.0)
    # Dividends lower the stock: they cost a call at most what they pay, and give a put at most that.
    assert min(right * (value - without), 0.0) == pytest.approx(right * (value - without), abs=2e-3)
    assert abs(value - without) <= paid + 2e-3


def test_bad_dividends_are_named() -> None:
    for dividends, message in (
        ([(0.5, 1.0), (0.0, 1.0)], r"dividends\[1\]: expected a finite and positive time"),
        ([(0.5, -1.0)], r"dividends\[0\]: expected finite and not negative cash"),
        ([0.5], r"dividends\[0\]: expected \(time, cash\)"),
    ):
        with pytest.raises(ValueError, match=message):
            american_price("P", 100.0, 100.0, 1.0, 0.05, 0.2, dividends=dividends)  # type: ignore[arg-type]
