"""eSSVI against its own theorems, SABR against QuantLib."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.pricing.surface import EssviSurface, SabrSmile, SviSmile, fit_essvi, fit_sabr

THETA = np.array([0.002, 0.006, 0.02, 0.05])
RHO = np.array([-0.35, -0.5, -0.55, -0.6])
PSI = np.array([0.03, 0.055, 0.11, 0.2])


def points(noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    k = np.concatenate([np.linspace(-4.0, 3.0, 29) * np.sqrt(theta) for theta in THETA])
    raw = EssviSurface(THETA, RHO, PSI).raw_svi()
    w = np.concatenate([SviSmile(*raw[i]).total_variance(k[29 * i : 29 * i + 29]) for i in range(4)])
    return k, w * (1.0 + noise * rng.standard_normal(w.shape)), np.repeat(np.arange(4), 29)


def conditions(fitted: EssviSurface) -> None:
    """The bounds of the module's docstring, on what was fitted."""
    theta, rho, psi = fitted.theta, fitted.rho, fitted.psi
    assert (psi * (1 + abs(rho)) <= 4.0).all()
    assert (psi**2 * (1 + abs(rho)) <= 4.0 * theta * (1 + 1e-12)).all()
    assert (np.diff(theta) >= 0.0).all()
    assert (abs(np.diff(rho * psi)) <= np.diff(psi) + 1e-12).all()
    assert (np.diff(psi / theta) <= 1e-9).all()


def test_essvi_recovers_its_own_parameters() -> None:
    fitted = fit_essvi(*points())
    assert fitted.theta == pytest.approx(THETA, rel=1e-4)
    assert fitted.rho == pytest.approx(RHO, abs=1e-3)
    assert fitted.psi == pytest.approx(PSI, rel=1e-3)
    conditions(fitted)


@pytest.mark.parametrize("noise", [0.05, 0.3, 0.8])
def test_essvi_is_free_of_arbitrage_whatever_the_points(noise: float) -> None:
    k, w, expiry = points(noise)
    fitted = fit_essvi(k, np.maximum(w, 1e-6), expiry)
    conditions(fitted)
    grid = np.linspace(-3.0, 3.0, 601)
    slices = [SviSmile(*raw) for raw in fitted.raw_svi()]
    variances = np.stack([smile.total_variance(grid) for smile in slices])
    assert (np.diff(variances, axis=0) >= -1e-12).all()
    assert all(smile.butterfly_minimum() >= -1e-9 for smile in slices)


def test_expiries_must_be_numbered_in_order() -> None:
    k, w, expiry = points()
    with pytest.raises(ValueError, match="expiry must number the expiries"):
        fit_essvi(k, w, expiry + 1)
    with pytest.raises(ValueError, match=r"total_variance has the invalid value -1\.0 at index 3"):
        fit_essvi(k, np.where(np.arange(k.size) == 3, -1.0, w), expiry)


@pytest.mark.parametrize(("beta", "tau"), [(1.0, 0.1), (0.6, 1.5), (0.0, 5.0)])
def test_sabr_expansion_agrees_with_quantlib(beta: float, tau: float) -> None:
    ql = pytest.importorskip("QuantLib")
    forward, alpha, rho, nu = 120.0, 0.25, -0.4, 0.6
    dollar_alpha = alpha * forward ** (1.0 - beta)
    k = np.array([-0.8, -0.3, -1e-3, 0.0, 1e-9, 0.2, 0.7])
    expected = [ql.sabrVolatility(forward * np.exp(x), forward, tau, dollar_alpha, beta, nu, rho) for x in k]
    smile = SabrSmile(alpha, beta, rho, nu, tau)
    # QuantLib goes through F and K in dollars, which costs it digits at the money.
    assert np.sqrt(smile.total_variance(k) / tau) == pytest.approx(expected, rel=1e-9)


def test_sabr_recovers_its_own_parameters() -> None:
    true = SabrSmile(0.2, 0.7, -0.45, 0.9, 0.5)
    k = np.linspace(-0.5, 0.4, 21)
    fitted = fit_sabr(k, true.total_variance(k), 0.5, beta=0.7)
    assert (fitted.alpha, fitted.rho, fitted.nu) == pytest.approx((0.2, -0.45, 0.9), rel=1e-6)
    with pytest.raises(ValueError, match="beta must lie between 0 and 1"):
        fit_sabr(k, true.total_variance(k), 0.5, beta=1.5)
