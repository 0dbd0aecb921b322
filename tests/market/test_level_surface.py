"""The level surface: it reproduces its level, inverts when the level is high, and carries no static arbitrage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from gammaray.market.level_surface import LevelSurface, SurfaceShape


def call_price(surface: LevelSurface, k: np.ndarray, tau: float) -> np.ndarray:
    root = np.sqrt(surface.total_variance(k, tau))
    d1 = -k / root + 0.5 * root
    return ndtr(d1) - np.exp(k) * ndtr(d1 - root)


@pytest.mark.parametrize("level", [0.09, 0.11, 0.2, 0.37, 0.8])
def test_thirty_day_variance_swap_is_the_level(level: float) -> None:
    assert LevelSurface(level).variance_swap_volatility(30 / 365) == pytest.approx(level, rel=1e-9)


def test_term_structure_inverts_when_the_level_is_high() -> None:
    assert LevelSurface(0.11).factors().term_slope > 0.005
    assert LevelSurface(0.37).factors().term_slope < -0.01


def test_skew_is_that_of_index_options() -> None:
    # S&P 500 options in calm 2017 (VIX 11): the 25-delta risk reversal at 30 days was two to four volatility points.
    factors = LevelSurface(0.11).factors()
    assert 0.02 < factors.skew_25d < 0.04
    assert 0.09 < factors.atm_30d < 0.11


@settings(max_examples=60, deadline=None)
@given(
    level=st.floats(0.05, 1.5),
    rho=st.floats(-0.9, 0.5),
    gamma=st.floats(0.05, 0.5),
    mean=st.floats(0.08, 0.4),
)
def test_no_static_arbitrage(level: float, rho: float, gamma: float, mean: float) -> None:
    surface = LevelSurface(level, SurfaceShape(rho=rho, eta=2.0 / (1.0 + abs(rho)), gamma=gamma, mean=mean))
    for tau in (1 / 365, 30 / 365, 1.0):
        k = np.linspace(-6, 6, 601) * level * np.sqrt(tau)
        strike, price = np.exp(k), call_price(surface, k, tau)
        slope = np.diff(price) / np.diff(strike)
        assert np.all(slope <= 1e-9)
        assert np.all(np.diff(slope) >= -1e-7)
        assert np.all(surface.total_variance(k, tau * 1.3) >= surface.total_variance(k, tau))


@given(st.floats(0.05, 0.95), st.booleans())
def test_strike_of_a_delta_has_that_delta(delta: float, is_call: bool) -> None:
    surface = LevelSurface(0.2)
    k = surface.log_moneyness_of_delta(delta, 0.1, is_call=is_call)
    root = float(np.sqrt(surface.total_variance(k, 0.1)))
    call_delta = float(ndtr(-k / root + 0.5 * root))
    assert (call_delta if is_call else 1 - call_delta) == pytest.approx(delta, abs=1e-9)


def test_refuses_what_is_out_of_bounds() -> None:
    with pytest.raises(ValueError, match="level"):
        LevelSurface(13.5)
    with pytest.raises(ValueError, match="eta"):
        SurfaceShape(rho=-0.9, eta=1.5)
    with pytest.raises(ValueError, match="tau"):
        LevelSurface(0.2).total_variance(0.0, -0.1)
