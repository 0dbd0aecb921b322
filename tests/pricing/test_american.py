"""American prices, boundaries, greeks and implied volatilities against published tables, QuantLib and their own properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.pricing.american import (
    american_greeks,
    american_implied_volatility,
    american_price,
    exercise_boundary,
)
from gammaray.pricing.european import price
from gammaray.pricing.implied import ImpliedVolatilityStatus

TODAY = ql.Date(1, 1, 2026)


class QuantLibPricer:
    """American options by QuantLib's own implementation of the boundary iteration, here with tanh–sinh quadrature throughout."""

    def __init__(self, scheme: ql.QdFpIterationScheme) -> None:
        ql.Settings.instance().evaluationDate = TODAY
        self._quotes = [ql.SimpleQuote(0.2) for _ in range(4)]
        spot, rate, dividend, volatility = (ql.QuoteHandle(quote) for quote in self._quotes)
        days = ql.Actual365Fixed()
        process = ql.BlackScholesMertonProcess(
            spot,
            ql.YieldTermStructureHandle(ql.FlatForward(TODAY, dividend, days)),
            ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, days)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), volatility, days)),
        )
        self._engine = ql.QdFpAmericanEngine(process, scheme)

    def __call__(self, options: np.ndarray) -> np.ndarray:
        """Prices of rows (right, spot, strike, days, rate, volatility, yield)."""
        prices = []
        for right, spot, strike, expiry, rate, volatility, dividend in options.tolist():
            for quote, value in zip(self._quotes, (spot, rate, dividend, volatility), strict=True):
                quote.setValue(value)
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike)
            option = ql.VanillaOption(payoff, ql.AmericanExercise(TODAY, TODAY + int(expiry)))
            option.setPricingEngine(self._engine)
            prices.append(option.NPV())
        return np.array(prices)


def ours(options: np.ndarray, accuracy: str) -> np.ndarray:
    right, spot, strike, days, rate, volatility, dividend = options.T
    return np.asarray(american_price(right, spot, strike, days / 365, rate, volatility, dividend, accuracy=accuracy))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values * values)))


@pytest.mark.parametrize(
    ("rate", "premium", "printed"),
    [(0.05, 0.1069527027, 3e-10), (0.075, 0.36711112, 2e-8)],
    # Andersen, Lake and Offengenden (2016), tables of the converged premium; T = 1, S = K = 100, q = 5 %, σ = 25 %.
)
def test_published_premium(rate: float, premium: float, printed: float) -> None:
    option = ("P", 100.0, 100.0, 1.0, rate, 0.25, 0.05)
    european = price(*option)
    assert american_price(*option, accuracy="high") - european == pytest.approx(premium, abs=printed + 3e-9)
    assert american_price(*option, accuracy="accurate") - european == pytest.approx(premium, abs=6e-6)
    assert american_price(*option, accuracy="fast") - european == pytest.approx(premium, abs=5e-5)


SHORT_PUTS = {
    # (σ, K): T = 0.0833, 0.3333, 0.5833 years. First the binomial values of 10,000 steps that Huang, Subrahmanyam and Yu (1996, Table 1) and
    # later papers print to four decimals; then Ju's approximation (1999, Exhibit 3), to three.
    (0.2, 35.0): ((0.0062, 0.2004, 0.4328), (0.006, 0.201, 0.433)),
    (0.2, 40.0): ((0.8522, 1.5798, 1.9904), (0.851, 1.576, 1.984)),
    (0.2, 45.0): ((5.0000, 5.0883, 5.2670), (5.000, 5.084, 5.260)),
    (0.3, 35.0): ((0.0774, 0.6975, 1.2198), (0.078, 0.697, 1.218)),
    (0.3, 40.0): ((1.3099, 2.4825, 3.1696), (1.309, 2.477, 3.161)),
    (0.3, 45.0): ((5.0597, 5.7056, 6.2436), (5.059, 5.699, 6.231)),
    (0.4, 35.0): ((0.2466, 1.3460, 2.1549), (0.247, 1.344, 2.150)),
    (0.4, 40.0): ((1.7681, 3.3874, 4.3526), (1.767, 3.381, 4.342)),
    (0.4, 45.0): ((5.2868, 6.5099, 7.3830), (5.288, 6.501, 7.367)),
}


@pytest.mark.parametrize(("volatility", "strike"), SHORT_PUTS)
def test_short_puts(volatility: float, strike: float) -> None:
    binomial, ju = SHORT_PUTS[volatility, strike]
    values = american_price("P", 40.0, strike, [0.0833, 0.3333, 0.5833], 0.0488, volatility)
    assert values == pytest.approx(binomial, abs=1.5e-4)  # the trees themselves are good to 1e-4
    assert values == pytest.approx(ju, abs=0.017)  # the error of the approximation, as its paper reports it


@pytest.mark.parametrize(
    ("rate", "volatility", "dividend", "ju"),
    # Ju (1999), Exhibit 6: calls, K = 100, T = 3, S = 80…120; values of the approximation, which is up to 7 cents off.
    [
        (0.03, 0.2, 0.07, (2.605, 5.182, 9.065, 14.430, 21.398)),
        (0.03, 0.4, 0.07, (11.336, 15.711, 20.760, 26.440, 32.709)),
        (0.00001, 0.3, 0.07, (5.552, 8.868, 13.158, 18.458, 24.786)),
        (0.07, 0.3, 0.03, (12.177, 17.411, 23.402, 30.028, 37.177)),
    ],
)
def test_long_calls(rate: float, volatility: float, dividend: float, ju: tuple[float, ...]) -> None:
    values = american_price("C", [80.0, 90.0, 100.0, 110.0, 120.0], 100.0, 3.0, rate, volatility, dividend)
    assert values == pytest.approx(ju, abs=0.08)


def paper_grid(count: int) -> np.ndarray:
    """Puts drawn from the grid of Andersen, Lake and Offengenden (2016), section 6."""
    rng = np.random.default_rng(2)
    columns = (
        [-1.0],
        [25.0, 50.0, 80.0, 90.0, 100.0, 110.0, 120.0, 150.0, 175.0, 200.0],
        [100.0],
        [30.0, 91.0, 182.0, 273.0, 365.0],
        [0.02, 0.04, 0.06, 0.08, 0.1],
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        [0.0, 0.04, 0.08, 0.12],
    )
    return np.column_stack([rng.choice(column, count) for column in columns])


def test_accuracies_on_the_grid_of_the_paper() -> None:
    options = paper_grid(150)
    converged = QuantLibPricer(ql.QdFpAmericanEngine.highPrecisionScheme())(options)
    assert rms(ours(options, "fast") - converged) <= 5e-5
    assert rms(ours(options, "accurate") - converged) <= 6e-6
    assert rms(ours(options, "high") - converged) <= 1e-7


def wide_options(count: int, lowest_rate: float) -> np.ndarray:
    """Calls and puts from one day to ten years, spot 35 to 285 % of the strike, with one exercise boundary."""
    rng = np.random.default_rng(7)
    options = np.column_stack(
        [
            rng.choice([-1.0, 1.0], count),
            100.0 * np.exp(0.35 * np.clip(rng.normal(size=count), -3, 3)),
            np.full(count, 100.0),
            rng.choice([1, 7, 30, 90, 365, 1825, 3650], count),
            rng.uniform(lowest_rate, 0.12, count),
            rng.uniform(0.1, 0.9, count),
            rng.uniform(lowest_rate, 0.12, count),
        ]
    )
    right, rate, dividend = options[:, 0], options[:, 4], options[:, 6]
    double = np.where(right < 0, (rate < 0) & (dividend < rate), (dividend < 0) & (rate < dividend))
    return options[~double]


@pytest.mark.parametrize("lowest_rate", [0.0, -0.05])
def test_wide_range_against_a_converged_engine(lowest_rate: float) -> None:
    options = wide_options(30, lowest_rate)
    # QuantLib's own high-precision scheme is off by up to 2e-5 at ten years; with 40 nodes and 20 iterations it is not.
    converged = QuantLibPricer(ql.QdFpTanhSinhIterationScheme(20, 40, 1e-10))(options)
    assert rms(ours(options, "accurate") - converged) <= 6e-6
    assert rms(ours(options, "high") - converged) <= 1e-7


def test_european_where_early_exercise_never_pays() -> None:
    spot = np.array([60.0, 100.0, 160.0])
    for right, rate, dividend in (("C", 0.05, 0.0), ("C", 0.05, -0.01), ("P", 0.0, 0.03), ("P", -0.02, -0.01)):
        american = american_price(right, spot, 100.0, 2.0, rate, 0.3, dividend)
        assert american == pytest.approx(price(right, spot, 100.0, 2.0, rate, 0.3, dividend), rel=1e-13)
        boundary = exercise_boundary(right, 100.0, 2.0, rate, 0.3, dividend)
        assert boundary == (math.inf if right == "C" else 0.0)


def test_perpetual_limit() -> None:
    """A put of very long life: K/(1 + γ)·(S·(1 + γ)/(K·γ))^(−γ) with γ = 2r/σ² (Merton, 1973)."""
    rate, volatility, spot, strike = 0.1, 0.3, 110.0, 100.0
    gamma = 2 * rate / volatility**2
    boundary = strike * gamma / (1 + gamma)
    perpetual = (strike - boundary) * (spot / boundary) ** -gamma
    assert american_price("P", spot, strike, 400.0, rate, volatility, accuracy="high") == pytest.approx(
        perpetual, rel=1e-6
    )
    assert exercise_boundary("P", strike, 400.0, rate, volatility, accuracy="high") == pytest.approx(boundary, rel=1e-6)


def test_boundary_at_expiry() -> None:
    assert exercise_boundary("P", 100.0, 0.0, 0.05, 0.2, [0.0, 0.05, 0.1]) == pytest.approx([100.0, 100.0, 50.0])
    assert exercise_boundary("C", 100.0, 0.0, 0.05, 0.2, [0.01, 0.05, 0.1]) == pytest.approx([500.0, 100.0, 100.0])


def test_value_and_slope_meet_those_of_exercise_at_the_boundary() -> None:
    boundary = exercise_boundary("P", 100.0, 1.0, 0.05, 0.25, 0.02, accuracy="high")
    at = american_greeks("P", boundary * (1 + 1e-6), 100.0, 1.0, 0.05, 0.25, 0.02, accuracy="high")
    assert at.price == pytest.approx(100.0 - boundary * (1 + 1e-6), abs=1e-8)
    assert at.delta == pytest.approx(-1.0, abs=2e-5)
    below = american_greeks("P", boundary * 0.99, 100.0, 1.0, 0.05, 0.25, 0.02)
    assert (below.delta, below.gamma, below.theta, below.vega, below.rho) == (-1.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rate", "volatility", "dividend", "tau"), [(0.05, 0.2, 0.0, 1.0), (0.05, 0.3, 0.02, 0.25), (0.03, 0.25, 0.06, 2.0)]
)
def test_gamma_next_to_the_boundary(rate: float, volatility: float, dividend: float, tau: float) -> None:
    """By the Black–Scholes equation with value −(S − K), slope −1 and no theta, gamma just above the boundary B is 2(rK − qB)/(σB)²."""
    boundary = exercise_boundary("P", 100.0, tau, rate, volatility, dividend, accuracy="high")
    limit = 2.0 * (rate * 100.0 - dividend * boundary) / (volatility * boundary) ** 2
    for accuracy in ("accurate", "high"):
        greeks = american_greeks("P", boundary * 1.001, 100.0, tau, rate, volatility, dividend, accuracy=accuracy)
        assert greeks.gamma == pytest.approx(limit, rel=1e-2)
        assert greeks.delta == pytest.approx(-1.0 + limit * 1e-3 * boundary, abs=5e-5)


def test_limits_of_time_and_volatility() -> None:
    assert american_price("P", [90.0, 110.0], 100.0, 0.0, 0.05, 0.2) == pytest.approx([10.0, 0.0])
    # Without volatility a put is exercised at once or, where the yield outruns the rate, at the best time before expiry.
    assert american_price("P", 90.0, 100.0, 1.0, 0.05, 0.0) == 10.0
    waiting = 100.0 * math.exp(-0.02) - 100.0 * math.exp(-0.2)
    assert american_price("P", 100.0, 100.0, 2.0, 0.01, 0.0, 0.1) == pytest.approx(waiting, rel=1e-14)
    assert american_price("P", 0.0, 100.0, 1.0, 0.05, 0.2) == 100.0
    for tau, volatility in ((0.0, 0.2), (1.0, 0.0)):
        kink = american_greeks("P", 100.0, 100.0, tau, 0.05, volatility)
        assert (kink.price, kink.delta, kink.theta, kink.vega) == (0.0, -0.5, 0.0, 0.0)
    assert american_price("C", 100.0, 0.0, 1.0, 0.05, 0.2, 0.02) == 100.0


def test_small_volatility_tends_to_the_limit() -> None:
    for dividend in (0.0, 0.03, 0.08):
        limit = american_price("P", [80.0, 95.0, 105.0], 100.0, 3.0, 0.05, 0.0, dividend)
        assert american_price("P", [80.0, 95.0, 105.0], 100.0, 3.0, 0.05, 2e-3, dividend) == pytest.approx(
            limit, abs=0.02
        )


@pytest.mark.parametrize(
    ("right", "rate", "dividend"),
    [
        ("P", 0.05, 0.02),
        ("P", 0.05, 0.05),
        ("P", 0.03, 0.08),
        ("C", 0.05, 0.08),
        ("C", 0.05, 0.03),
        ("P", 0.02, -0.01),
        ("C", -0.02, 0.01),
    ],
)
def test_greeks_against_differences_of_price(right: str, rate: float, dividend: float) -> None:
    spot, strike, tau, volatility = np.array([88.0, 100.0, 117.0]), 100.0, 0.7, 0.25
    greeks = american_greeks(right, spot, strike, tau, rate, volatility, dividend, accuracy="high")

    def value(s: float = 0.0, t: float = 0.0, r: float = 0.0, v: float = 0.0, q: float = 0.0) -> np.ndarray:
        return np.asarray(
            american_price(right, spot + s, strike, tau + t, rate + r, volatility + v, dividend + q, accuracy="high")
        )

    h = 5e-4
    assert greeks.price == pytest.approx(value(), abs=1e-8)
    assert greeks.delta == pytest.approx((value(s=0.02) - value(s=-0.02)) / 0.04, abs=2e-6)
    assert greeks.gamma == pytest.approx((value(s=0.2) - 2 * value() + value(s=-0.2)) / 0.04, abs=5e-6)
    assert greeks.theta == pytest.approx(-(value(t=h) - value(t=-h)) / (2 * h), abs=1e-4)
    assert greeks.vega == pytest.approx((value(v=h) - value(v=-h)) / (2 * h), abs=2e-3)
    assert greeks.rho == pytest.approx((value(r=h) - value(r=-h)) / (2 * h), abs=1.2e-2)
    assert greeks.dividend_rho == pytest.approx((value(q=h) - value(q=-h)) / (2 * h), abs=1.2e-2)


def test_greeks_next_to_a_second_boundary() -> None:
    """At rate 0 with a negative yield, a lower rate has two boundaries; the one-sided rho agrees with that of a slightly higher rate."""
    at, above = (american_greeks("P", 95.0, 100.0, 1.0, rate, 0.3, -0.02, accuracy="high") for rate in (0.0, 1e-5))
    assert at.rho == pytest.approx(above.rho, abs=5e-3)


def test_two_boundaries_are_refused_by_name_and_index() -> None:
    with pytest.raises(
        ValueError, match=r"rate\[1\]: a put with dividend_yield < rate < 0 has two exercise boundaries"
    ):
        american_price("P", 100.0, [90.0, 100.0], 1.0, [0.01, -0.01], 0.2, -0.03)
    with pytest.raises(ValueError, match=r"rate: a call with rate < dividend_yield < 0"):
        american_greeks("C", 100.0, 100.0, 1.0, -0.03, 0.2, -0.01)
    with pytest.raises(ValueError, match=r"volatility\[1\]: expected finite and not negative"):
        american_price("P", 100.0, 100.0, 1.0, 0.05, [0.2, -0.2])
    with pytest.raises(ValueError, match="accuracy: expected one of 'fast', 'accurate', 'high', was 'exact'"):
        american_price("P", 100.0, 100.0, 1.0, 0.05, 0.2, accuracy="exact")  # type: ignore[arg-type]


def test_shapes_and_buffers() -> None:
    spot = np.linspace(80, 120, 6).reshape(2, 3)
    out = np.empty((2, 3))
    assert american_price("P", spot, 100.0, 1.0, 0.05, 0.2, out=out) is out
    assert out[1, 2] == american_price("P", 120.0, 100.0, 1.0, 0.05, 0.2)
    assert isinstance(american_price("P", 100.0, 100.0, 1.0, 0.05, 0.2), float)
    assert american_price("P", np.empty(0), 100.0, 1.0, 0.05, 0.2).shape == (0,)


RATES = st.floats(0.0, 0.15)
OPTION = st.tuples(
    st.sampled_from([-1, 1]), st.floats(30.0, 300.0), st.floats(1 / 365, 10.0), RATES, st.floats(0.03, 2.0), RATES
)


@settings(max_examples=150, deadline=None)
@given(OPTION)
def test_bounds(option: tuple[int, float, float, float, float, float]) -> None:
    right, spot, tau, rate, volatility, dividend = option
    value = american_price(right, spot, 100.0, tau, rate, volatility, dividend)
    assert value >= max(right * (spot - 100.0), 0.0)
    assert value >= price(right, spot, 100.0, tau, rate, volatility, dividend) - 1e-11
    assert value <= (spot if right > 0 else 100.0) + 1e-11
    greeks = american_greeks(right, spot, 100.0, tau, rate, volatility, dividend)
    assert np.isfinite([greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho, greeks.dividend_rho]).all()
    assert -1e-3 <= right * greeks.delta <= 1.0 + 1e-3


@settings(max_examples=50, deadline=None)
@given(OPTION)
def test_monotone_and_convex(option: tuple[int, float, float, float, float, float]) -> None:
    right, spot, tau, rate, volatility, dividend = option
    ladder = np.linspace(0.7, 1.3, 13)
    noise = 2e-6
    by_spot = american_price(right, spot * ladder, 100.0, tau, rate, volatility, dividend, accuracy="high")
    assert (right * np.diff(by_spot) >= -noise).all()
    assert (np.abs(np.diff(by_spot)) <= np.diff(spot * ladder) + noise).all()
    assert (np.diff(by_spot, 2) >= -noise).all()
    assert (
        np.diff(american_price(right, spot, 100.0, tau * ladder, rate, volatility, dividend, accuracy="high")) >= -noise
    ).all()
    assert (
        np.diff(american_price(right, spot, 100.0, tau, rate, volatility * ladder, dividend, accuracy="high")) >= -noise
    ).all()


@settings(max_examples=50, deadline=None)
@given(OPTION, st.floats(0.01, 100.0))
def test_symmetry_and_scale(option: tuple[int, float, float, float, float, float], scale: float) -> None:
    right, spot, tau, rate, volatility, dividend = option
    value = american_price(right, spot, 100.0, tau, rate, volatility, dividend)
    # The put on K euros of S dollars is the call on S dollars of K euros (McDonald and Schroder, 1998).
    assert american_price(-right, 100.0, spot, tau, dividend, volatility, rate) == pytest.approx(value, rel=1e-12)
    scaled = american_price(right, spot * scale, 100.0 * scale, tau, rate, volatility, dividend)
    assert scaled == pytest.approx(value * scale, rel=1e-9, abs=1e-9 * scale)


@settings(max_examples=80, deadline=None)
@given(OPTION)
def test_volatility_round_trip(option: tuple[int, float, float, float, float, float]) -> None:
    right, spot, tau, rate, volatility, dividend = option
    value = american_price(right, spot, 100.0, tau, rate, volatility, dividend)
    implied, status = american_implied_volatility(value, right, spot, 100.0, tau, rate, dividend, return_status=True)
    if status == ImpliedVolatilityStatus.OK:
        again = american_price(right, spot, 100.0, tau, rate, implied, dividend)
        assert again == pytest.approx(value, abs=2e-4)
    else:
        floor = american_price(right, spot, 100.0, tau, rate, 0.0, dividend)
        bound = spot if right > 0 else 100.0
        assert value == pytest.approx(floor, abs=1e-11) or value >= bound * (1 - 1e-6)


def test_volatility_of_a_chain() -> None:
    strike = np.linspace(85, 115, 7)
    value = american_price("P", 100.0, strike, 0.5, 0.04, 0.3, 0.01, accuracy="high")
    assert american_implied_volatility(value, "P", 100.0, strike, 0.5, 0.04, 0.01, accuracy="high") == pytest.approx(
        0.3, rel=1e-7
    )


def test_status_of_prices_without_a_volatility() -> None:
    prices = [50.0, 49.0, 100.0, math.nan, 5.0, 5.0]
    spot = [50.0, 50.0, 100.0, 100.0, 100.0, 0.0]
    volatility, status = american_implied_volatility(prices, "P", spot, 100.0, 1.0, 0.05, return_status=True)
    expected = ImpliedVolatilityStatus
    assert status.tolist() == [
        expected.AT_INTRINSIC,
        expected.BELOW_INTRINSIC,
        expected.ABOVE_BOUND,
        expected.NOT_FINITE,
        expected.OK,
        expected.OUT_OF_DOMAIN,
    ]
    assert volatility[0] == 0.0
    assert np.isnan(volatility[[1, 2, 3, 5]]).all()
    _, double = american_implied_volatility(5.0, "P", 100.0, 100.0, 1.0, -0.01, -0.03, return_status=True)
    assert double is expected.OUT_OF_DOMAIN
