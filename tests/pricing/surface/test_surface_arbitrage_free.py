"""The default surface: inside the quotes, free of arbitrage everywhere, smooth, and robust against any chain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gammaray.pricing.surface import ChainQuotes, SsviSurface, SviSmile, VolatilitySurface
from gammaray.pricing.surface.black import otm_prices

TAU = np.array([0.01, 0.05, 0.12, 0.3, 1.0])
THETA = np.array([0.0005, 0.0018, 0.004, 0.011, 0.045])
SPOT, RATE = 400.0, 0.04


def smile_chain(
    *,
    tick: float = 0.01,
    half_spread: float = 0.015,
    bump: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
    thin: float = 0.0,
) -> ChainQuotes:
    """Quotes on a tick grid around an SSVI surface plus a hump that SSVI cannot follow; noise moves the mid by parts of the half spread."""
    rng = np.random.default_rng(seed)
    surface = SsviSurface(rho=-0.6, eta=1.1, gamma=0.42, theta=THETA)
    rows = []
    for i, (tau, raw) in enumerate(zip(TAU, surface.raw_svi(), strict=True)):
        forward, discount = SPOT * np.exp(RATE * tau), np.exp(-RATE * tau)
        step = 1.0 if tau < 0.2 else 5.0
        deviation = np.sqrt(THETA[i])
        strike = np.arange(
            step * np.ceil(forward * np.exp(-5.0 * deviation) / step), forward * np.exp(3.0 * deviation), step
        )
        k = np.log(strike / forward)
        variance = SviSmile(*raw).total_variance(k) * (1.0 + bump * np.exp(-(((k / deviation + 1.0) / 0.5) ** 2)))
        otm = discount * forward * otm_prices(k, np.sqrt(variance))
        for is_call in (True, False):
            price = otm + discount * np.maximum((forward - strike) * (1.0 if is_call else -1.0), 0.0)
            half = np.maximum(tick, half_spread * price)
            middle = price + noise * half * rng.uniform(-1.0, 1.0, price.shape)
            bid, ask = np.floor((middle - half) / tick) * tick, np.ceil((middle + half) / tick) * tick
            kept = rng.uniform(size=price.shape) >= thin
            rows += [
                (i, tau, strike[j], is_call, max(bid[j], 0.0), ask[j]) for j in np.flatnonzero(kept) if bid[j] > 0.0
            ]
    columns = (np.array(column) for column in zip(*rows, strict=True))
    return ChainQuotes(*columns, spot=SPOT)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def surface() -> VolatilitySurface:
    return VolatilitySurface.from_quotes(smile_chain(bump=0.06))


def test_prices_are_inside_quotes_that_no_parametric_smile_meets(surface: VolatilitySurface) -> None:
    assert surface.method == "arbitrage_free"
    assert surface.fit_report().inside_share > 0.995
    for method in ("essvi", "ssvi"):
        assert VolatilitySurface.from_quotes(smile_chain(bump=0.06), method).fit_report().inside_share < 0.9


def test_no_arbitrage_at_between_before_and_beyond_the_expiries(surface: VolatilitySurface) -> None:
    report = surface.arbitrage_report(points=801, between=7)
    assert report.points > 30_000
    assert (report.butterfly_violations, report.calendar_violations) == (0, 0), report
    assert report.worst_density >= 0.0


@pytest.mark.parametrize("tau", [0.003, 0.01, 0.03, 0.2, 1.0, 2.5])
def test_density_is_a_probability_density_with_the_right_mean(surface: VolatilitySurface, tau: float) -> None:
    deviation = np.sqrt(surface.total_variance(0.0, tau))
    k = np.linspace(-30.0, 20.0, 40_001) * deviation
    density = surface.density(k, tau)
    assert (density >= 0.0).all()
    assert np.trapezoid(density, k) == pytest.approx(1.0, abs=2e-4)
    assert np.trapezoid(density * np.exp(k), k) == pytest.approx(1.0, abs=2e-4)


def test_density_is_the_second_derivative_of_the_prices(surface: VolatilitySurface) -> None:
    tau, h = 0.2, 0.02
    forward = surface.forward_at(tau)
    strike = forward * np.exp(np.linspace(-0.15, 0.1, 11))
    call = [surface.price("C", strike + shift * h, tau) for shift in (-1, 0, 1)]
    curvature = (call[0] - 2.0 * call[1] + call[2]) / h**2 / surface.discount_at(tau)
    # The density of ln(S / F) at k is strike · c''(strike).
    assert strike * curvature == pytest.approx(surface.density(np.log(strike / forward), tau), rel=2e-3, abs=1e-4)


def test_density_has_no_spikes(surface: VolatilitySurface) -> None:
    for tau in TAU:
        k = np.linspace(-6.0, 4.0, 2001) * np.sqrt(surface.total_variance(0.0, tau))
        density = surface.density(k, tau)
        turns = np.diff(np.sign(np.diff(density))) != 0
        # One mode and the shoulder of the hump; a spike at each strike would make hundreds of turns.
        assert turns.sum() <= 5, tau


def test_volatility_between_expiries_lies_near_linear_total_variance(surface: VolatilitySurface) -> None:
    tau = 0.5 * (TAU[2] + TAU[3])
    linear = 0.5 * (surface.total_variance(0.0, TAU[2]) + surface.total_variance(0.0, TAU[3]))
    assert surface.total_variance(0.0, tau) == pytest.approx(linear, rel=0.01)


def test_a_time_next_to_an_expiry_is_that_expiry(surface: VolatilitySurface) -> None:
    k = np.linspace(-0.3, 0.2, 51)
    for tau in TAU:
        for beside in (np.nextafter(tau, 0.0), np.nextafter(tau, 9.0), tau * (1.0 + 1e-9)):
            assert surface.total_variance(k, beside) == pytest.approx(surface.total_variance(k, tau), rel=1e-6)
            assert surface.density(k, beside) == pytest.approx(surface.density(k, tau), rel=1e-5, abs=1e-9)


def test_refit_of_the_same_quotes_changes_little(surface: VolatilitySurface) -> None:
    again = surface.refit(smile_chain(bump=0.06))
    strikes = np.linspace(350.0, 430.0, 41)
    assert again.fit_report().inside_share > 0.995
    assert again.implied_volatility(strikes, 0.3) == pytest.approx(surface.implied_volatility(strikes, 0.3), abs=3e-3)
    assert again.arbitrage_report().is_free


def test_bytes_round_trip_exactly(surface: VolatilitySurface) -> None:
    copy = VolatilitySurface.from_bytes(surface.to_bytes())
    assert copy.to_bytes() == surface.to_bytes()
    strikes, taus = np.linspace(250.0, 520.0, 91), np.array([[0.004], [0.08], [1.4]])
    assert (copy.price("P", strikes, taus) == surface.price("P", strikes, taus)).all()
    assert copy.fit_report() == surface.fit_report()
    assert copy.arbitrage_report() == surface.arbitrage_report()
    for broken in (b"something else", surface.to_bytes()[:-100], b""):
        with pytest.raises(ValueError, match="not a volatility surface"):
            VolatilitySurface.from_bytes(broken)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    noise=st.floats(0.0, 3.0),
    half_spread=st.floats(0.0, 0.3),
    thin=st.floats(0.0, 0.8),
    tick=st.sampled_from([0.01, 0.05, 0.5]),
)
def test_any_noisy_thin_or_crossed_chain_gives_a_surface_without_arbitrage(
    seed: int, noise: float, half_spread: float, thin: float, tick: float
) -> None:
    # Noise of three half spreads puts bids above neighbouring asks: there is arbitrage in the quotes, and must be none in the surface.
    quotes = smile_chain(seed=seed, noise=noise, half_spread=half_spread, thin=thin, tick=tick)
    surface = VolatilitySurface.from_quotes(quotes)
    assert surface.arbitrage_report(points=151, between=2).is_free
    assert np.isfinite(surface.implied_volatility(SPOT * np.exp(np.linspace(-0.5, 0.5, 11)), 0.25)).all()


def test_expiries_that_cross_are_separated() -> None:
    # The second expiry is quoted cheaper than the first at every strike: calendar arbitrage in the quotes.
    quotes = smile_chain()
    first, second = quotes.expiration == 1, quotes.expiration == 2
    bid, ask = quotes.bid.copy(), quotes.ask.copy()
    for side in (bid, ask):
        for is_call in (True, False):
            a, b = first & (quotes.is_call == is_call), second & (quotes.is_call == is_call)
            intrinsic = np.maximum((SPOT - quotes.strike) * (1.0 if is_call else -1.0), 0.0)
            time_value = np.interp(quotes.strike[b], quotes.strike[a], side[a] - intrinsic[a], left=0.0, right=0.0)
            side[b] = intrinsic[b] + 0.8 * np.maximum(time_value, 0.0)
    crossed = ChainQuotes(quotes.expiration, quotes.tau, quotes.strike, quotes.is_call, bid, ask, spot=SPOT, rate=RATE)
    surface = VolatilitySurface.from_quotes(crossed)
    assert surface.arbitrage_report().is_free
    assert surface.fit_report().inside_share < 0.95


@pytest.mark.parametrize("strikes", [5, 6, 9])
def test_a_handful_of_strikes_is_enough(strikes: int) -> None:
    strike = np.linspace(90.0, 110.0, strikes)
    price = 100.0 * otm_prices(np.log(strike / 100.0), np.full(strikes, 0.1))
    call = np.where(strike > 100.0, price, price + 100.0 - strike)
    put = np.where(strike > 100.0, price + strike - 100.0, price)
    both = np.concatenate([call, put])
    quotes = ChainQuotes(
        expiration=np.zeros(2 * strikes, np.int64),
        tau=np.full(2 * strikes, 0.25),
        strike=np.tile(strike, 2),
        is_call=np.repeat([True, False], strikes),
        bid=both - 0.02,
        ask=both + 0.02,
        spot=100.0,
    )
    surface = VolatilitySurface.from_quotes(quotes)
    assert surface.implied_volatility(100.0, 0.25) == pytest.approx(0.2, abs=2e-3)
    assert surface.arbitrage_report().is_free


def test_calls_alone_need_a_rate() -> None:
    quotes = smile_chain()
    calls = quotes.is_call
    columns = (quotes.expiration, quotes.tau, quotes.strike, quotes.is_call, quotes.bid, quotes.ask)
    only = [column[calls] for column in columns]
    with pytest.raises(ValueError, match="no usable expiry"):
        VolatilitySurface.from_quotes(ChainQuotes(*only, spot=SPOT))
    surface = VolatilitySurface.from_quotes(ChainQuotes(*only, spot=SPOT, rate=RATE))
    assert surface.forward == pytest.approx(SPOT * np.exp(RATE * surface.tau), rel=1e-12)
