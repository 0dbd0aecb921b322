"""Heston prices against 50-digit references, limits and properties; calibration against known parameters."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.pricing import european, heston
from gammaray.pricing.heston import HestonParameters
from gammaray.pricing.heston_kernel import log_moment
from gammaray.pricing.implied import implied_volatility

LEWIS = HestonParameters(0.04, 4.0, 0.25, 1.0, -0.5)


def test_reference_prices_of_lewis() -> None:
    """Alan Lewis' 50-digit puts (wilmott.com): S = 100, T = 1, r = 1 %, q = 2 %."""
    exact = [
        7.958878113256768285213263077598987193482161301733,
        12.017966707346304987709573290236471654992071308187,
        17.055270961270109413522653999411000974895436309183,
        23.017825898442800538908781834822560777763225722188,
        29.811026202682471843340682293165857439167301370697,
    ]
    values = heston.price("P", 100.0, [80.0, 90.0, 100.0, 110.0, 120.0], 1.0, 0.01, LEWIS, 0.02)
    assert values == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(
    ("right", "strike", "tau", "rate", "dividend", "parameters", "exact", "printed"),
    [
        # Fang and Oosterlee (2008), T = 10.
        ("C", 100.0, 10.0, 0.0, 0.0, (0.0175, 1.5768, 0.0398, 0.5751, -0.5711), 22.318945791, 1e-9),
        # Broadie and Kaya (2006), Table 2.
        ("C", 100.0, 5.0, 0.05, 0.0, (0.09, 2.0, 0.09, 1.0, -0.3), 34.9998, 5e-5),
        # QuantLib's test-suite: all integration methods; Fourier-cosine engine far in the tails.
        ("P", 100.0, 1.0, 0.05, 0.075, (0.1, 4.0, 0.05, 0.4, -0.75), 10.147041515497, 1e-11),
        ("C", 250.0, 1.0, 0.15, 0.07, (0.1, 4.0, 0.22, 1.8, -0.75), 0.01036797658132471, 1e-11),
        ("P", 10.0, 1.0, 0.15, 0.07, (0.1, 4.0, 0.22, 1.8, -0.75), 0.01032681906278383, 1e-11),
    ],
)
def test_published_prices(
    right: str,
    strike: float,
    tau: float,
    rate: float,
    dividend: float,
    parameters: tuple[float, ...],
    exact: float,
    printed: float,
) -> None:
    value = heston.price(right, 100.0, strike, tau, rate, HestonParameters(*parameters), dividend)
    assert value == pytest.approx(exact, abs=printed)


@pytest.mark.parametrize(
    ("right", "strike", "tau", "exact"),
    [
        # QuantLib's test-suite, testExponentialFitting4StrikesAndMaturities (boost multiprecision): one day to ten years, up to 20 deviations.
        ("C", 1.1368059865288795, 1 / 365, 1.06426822273258466e-49),
        ("P", 0.968465298158926, 1 / 365, 8.19515526286263236e-06),
        ("P", 1.0000104110130983, 1 / 365, 0.00417261379371945684),
        ("C", 1.4293935562278741, 31 / 365, 1.54181757781090727e-11),
        ("P", 0.9314034299348232, 31 / 365, 0.00493886106106039818),
        ("P", 0.5441270913015969, 1.0, 0.00284789176080218294),
        ("P", 1.003807229154028, 1.0, 0.0776848755698912041),
        ("C", 50.00210547981121, 10.005479452054795, 4.15179522944463802e-11),
        ("P", 0.4786488517504634, 10.005479452054795, 0.029018582813884912),
        ("P", 1.934674903803001e-07, 10.005479452054795, 9.25756999394709285e-21),
    ],
)
def test_extreme_strikes_and_maturities(right: str, strike: float, tau: float, exact: float) -> None:
    parameters = HestonParameters(0.04, 2.5, 0.06, 0.75, -0.6)
    assert heston.price(right, 1.0, strike, tau, 0.0507, parameters, 0.0469) == pytest.approx(exact, abs=1e-12)


@pytest.mark.shared
def test_reference_table(shared_dir: Path) -> None:
    """All rows of heston_reference_prices.csv, each at the precision that it was printed with."""
    lines = (shared_dir / "refs" / "heston_reference_prices.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(rows) >= 30
    for row in rows:
        spot, strike, tau, rate, dividend, value, tolerance = (
            float(row[name]) for name in ("spot", "strike", "t", "r", "q", "value", "tol")
        )
        parameters = HestonParameters(*(float(row[name]) for name in ("v0", "kappa", "theta", "sigma", "rho")))
        right = "C" if row["type"] == "call" else "P"
        assert heston.price(right, spot, strike, tau, rate, parameters, dividend) == pytest.approx(
            value, abs=tolerance
        ), row


def test_constant_variance_is_black_scholes() -> None:
    """The skew is of the first order in the volatility of variance."""
    strike = np.array([80.0, 100.0, 125.0])
    black = european.price("C", 100.0, strike, 0.7, 0.03, 0.2, 0.01)
    for volatility_of_variance in (0.0, 1e-9, 1e-5):
        parameters = HestonParameters(0.04, 1.0, 0.04, volatility_of_variance, -0.5)
        assert heston.price("C", 100.0, strike, 0.7, 0.03, parameters, 0.01) == pytest.approx(
            black, abs=4.0 * volatility_of_variance + 1e-11
        )


def test_deterministic_variance_has_its_mean() -> None:
    """σ = 0: Black–Scholes with the variance 0.09 + (0.04 − 0.09)·(1 − e^(−2))/2 = 0.0683834."""
    parameters = HestonParameters(0.04, 2.0, 0.09, 0.0, 0.0)
    assert parameters.expected_variance(1.0) == pytest.approx(0.09 - 0.05 * (1 - math.exp(-2)) / 2, rel=1e-15)
    black = european.price("P", 100.0, 95.0, 1.0, 0.02, math.sqrt(parameters.expected_variance(1.0)))
    assert heston.price("P", 100.0, 95.0, 1.0, 0.02, parameters) == pytest.approx(black, rel=1e-13)


def test_moments() -> None:
    assert log_moment(0.0, 1.0, 0.04, 2.0, 0.06, 0.5, -0.7) == pytest.approx(0.0, abs=1e-15)
    assert log_moment(1.0, 1.0, 0.04, 2.0, 0.06, 0.5, -0.7) == pytest.approx(0.0, abs=1e-15)
    # κ = 0, ρ = 0, σ = 1: the moment of order 2 explodes at τ = π/√2 (Andersen and Piterbarg, 2007, with b = 0).
    assert math.isfinite(log_moment(2.0, 2.2, 0.04, 0.0, 0.06, 1.0, 0.0))
    assert math.isinf(log_moment(2.0, 2.23, 0.04, 0.0, 0.06, 1.0, 0.0))


def test_limits() -> None:
    assert heston.price("C", [90.0, 110.0], 100.0, 0.0, 0.05, LEWIS) == pytest.approx([0.0, 10.0])
    assert heston.price("C", 0.0, 100.0, 1.0, 0.05, LEWIS) == 0.0
    assert heston.price("P", 0.0, 100.0, 1.0, 0.05, LEWIS) == pytest.approx(100.0 * math.exp(-0.05), rel=1e-15)
    dead = HestonParameters(0.0, 1.0, 0.0, 0.5, -0.5)
    assert heston.price("C", 110.0, 100.0, 1.0, 0.0, dead) == pytest.approx(10.0, rel=1e-14)


PARAMETERS = st.builds(
    HestonParameters,
    st.floats(0.01, 1.0),
    st.floats(0.0, 10.0),
    st.floats(0.01, 1.0),
    st.floats(0.0, 2.0),
    st.floats(-0.95, 0.95),
)


@settings(max_examples=100, deadline=None)
@given(PARAMETERS, st.floats(0.003, 10.0), st.floats(-0.05, 0.1), st.floats(-0.05, 0.1))
def test_arbitrage_free(parameters: HestonParameters, tau: float, rate: float, dividend: float) -> None:
    strike = 100.0 * np.exp(np.linspace(-2.0, 2.0, 41) * math.sqrt(max(parameters.expected_variance(tau), 1e-4)))
    call = heston.price("C", 100.0, strike, tau, rate, parameters, dividend)
    put = heston.price("P", 100.0, strike, tau, rate, parameters, dividend)
    forward, discounted = 100.0 * math.exp(-dividend * tau), strike * math.exp(-rate * tau)
    assert call - put == pytest.approx(forward - discounted, abs=1e-9)
    assert (call >= np.maximum(forward - discounted, 0.0) - 1e-9).all()
    assert (call <= forward + 1e-9).all()
    slopes = np.diff(call) / np.diff(strike)
    assert (slopes <= 1e-9).all()
    assert (np.diff(slopes) >= -1e-8).all()


def chain(parameters: HestonParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strikes, times and prices of a chain of five expiries, two deviations to either side."""
    tau = np.repeat([0.1, 0.25, 0.5, 1.0, 2.0], 21)
    strike = 100.0 * np.exp(np.tile(np.linspace(-2.0, 2.0, 21), 5) * 0.2 * np.sqrt(tau))
    return strike, tau, np.asarray(heston.price("C", 100.0, strike, tau, 0.02, parameters, 0.01))


def test_calibration_finds_the_parameters() -> None:
    true = HestonParameters(0.03, 2.0, 0.05, 0.6, -0.7)
    strike, tau, value = chain(true)
    fit = heston.calibrate(value, "C", 100.0, strike, tau, 0.02, 0.01)
    assert fit.converged
    assert fit.rmse < 1e-9
    for name in ("initial_variance", "mean_reversion", "long_run_variance", "volatility_of_variance", "correlation"):
        assert getattr(fit.parameters, name) == pytest.approx(getattr(true, name), rel=1e-6)


def test_calibration_to_noisy_quotes() -> None:
    true = HestonParameters(0.08, 3.0, 0.04, 0.9, -0.5)
    strike, tau, value = chain(true)
    rng = np.random.default_rng(4)
    volatility = implied_volatility(value, "C", 100.0, strike, tau, 0.02, 0.01) + rng.normal(
        scale=1e-3, size=value.size
    )
    noisy = european.price("C", 100.0, strike, tau, 0.02, volatility, 0.01)
    noisy[3] = math.nan
    fit = heston.calibrate(noisy, "C", 100.0, strike, tau, 0.02, 0.01)
    assert fit.rmse == pytest.approx(1e-3, rel=0.2)  # the noise itself
    assert math.isnan(fit.volatility_error[3])
    assert fit.parameters.correlation == pytest.approx(-0.5, abs=0.05)
    assert fit.parameters.initial_variance == pytest.approx(0.08, rel=0.03)
    # Started elsewhere, the search ends at the same parameters.
    other = heston.calibrate(
        noisy, "C", 100.0, strike, tau, 0.02, 0.01, guess=HestonParameters(0.2, 0.5, 0.2, 0.3, 0.2)
    )
    assert other.rmse == pytest.approx(fit.rmse, rel=1e-5)


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"long_run_variance: expected finite and not negative, was -0\.1"):
        HestonParameters(0.04, 1.0, -0.1, 0.5, 0.0)
    with pytest.raises(ValueError, match="correlation: expected a number in"):
        HestonParameters(0.04, 1.0, 0.1, 0.5, -1.5)
    with pytest.raises(ValueError, match=r"strike\[1\]"):
        heston.price("C", 100.0, [100.0, -1.0], 1.0, 0.0, LEWIS)
    with pytest.raises(ValueError, match="market_price: expected at least five options"):
        heston.calibrate([1.0, 2.0], "C", 100.0, [100.0, 110.0], 1.0, 0.0)
