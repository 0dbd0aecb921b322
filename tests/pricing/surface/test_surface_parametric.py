"""Parametric smiles and the surfaces made of them, on prices generated from known parameters."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.pricing.surface import ChainQuotes, Exclusion, SsviSurface, SviSmile, VolatilitySurface, fit_ssvi, fit_svi
from gammaray.pricing.surface.black import otm_prices

TRUE = SsviSurface(rho=-0.6, eta=1.0, gamma=0.4, theta=np.array([0.001, 0.004, 0.01, 0.03]))
TAU = np.array([0.02, 0.1, 0.25, 0.75])
SPOT, RATE, CARRY = 100.0, 0.03, 0.01


def chain(spread: float = 0.02, **changes: object) -> ChainQuotes:
    """Quotes of the SSVI surface TRUE: 4 expiries, strikes within three deviations, symmetric spreads in dollars."""
    columns: list[tuple[float, ...]] = []
    for i, (tau, parameters) in enumerate(zip(TAU, TRUE.raw_svi(), strict=True)):
        forward, discount = SPOT * np.exp(CARRY * tau), np.exp(-RATE * tau)
        k = np.linspace(-3.0, 2.0, 31) * np.sqrt(TRUE.theta[i])
        variance = SviSmile(*parameters).total_variance(k)
        otm = discount * forward * otm_prices(k, np.sqrt(variance))
        strike = forward * np.exp(k)
        for is_call in (True, False):
            price = otm + discount * np.maximum((forward - strike) * (1.0 if is_call else -1.0), 0.0)
            columns += [
                (i, tau, s, is_call, max(p - spread / 2, 0.0), p + spread / 2)
                for s, p in zip(strike, price, strict=True)
            ]
    expiration, tau_, strike_, is_call_, bid, ask = (np.array(column) for column in zip(*columns, strict=True))
    fields = {
        "expiration": expiration,
        "tau": tau_,
        "strike": strike_,
        "is_call": is_call_,
        "bid": bid,
        "ask": ask,
        "spot": SPOT,
    }
    return ChainQuotes(**(fields | changes))  # type: ignore[arg-type]


def test_svi_recovers_its_own_parameters() -> None:
    true = SviSmile(a=0.01, b=0.1, rho=-0.4, m=0.05, sigma=0.2)
    k = np.linspace(-0.8, 0.6, 25)
    fitted = fit_svi(k, true.total_variance(k))
    assert fitted.parameters() == pytest.approx(true.parameters(), abs=1e-6)
    assert fitted.butterfly_minimum() > 0.0


def test_svi_removes_the_butterfly_arbitrage_of_vogt() -> None:
    # Axel Vogt's smile (Gatheral and Jacquier 2014, example 3.1), whose density is negative near k = 0.8.
    vogt = SviSmile(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
    assert vogt.butterfly_minimum() < -0.01
    k = np.linspace(-1.5, 1.5, 61)
    fitted = fit_svi(k, vogt.total_variance(k))
    assert fitted.butterfly_minimum() >= 0.0
    assert fitted.error < 4e-3


def test_ssvi_recovers_its_own_parameters() -> None:
    k = np.concatenate([np.linspace(-3, 3, 21) * np.sqrt(theta) for theta in TRUE.theta])
    expiry = np.repeat(np.arange(4), 21)
    w = np.concatenate([SviSmile(*p).total_variance(k[21 * i : 21 * i + 21]) for i, p in enumerate(TRUE.raw_svi())])
    fitted = fit_ssvi(k, w, expiry)
    assert (fitted.rho, fitted.eta, fitted.gamma) == pytest.approx((-0.6, 1.0, 0.4), abs=1e-3)
    assert fitted.theta == pytest.approx(TRUE.theta, rel=1e-4)


@pytest.mark.parametrize("method", ["ssvi", "svi"])
def test_surface_from_quotes_finds_forward_discount_and_volatility(method: str) -> None:
    surface = VolatilitySurface.from_quotes(chain(), method)
    assert surface.forward == pytest.approx(SPOT * np.exp(CARRY * TAU), rel=1e-5)
    assert surface.discount == pytest.approx(np.exp(-RATE * TAU), abs=5e-4)
    assert surface.fit_report().inside_share > 0.97
    at_the_money = surface.implied_volatility(surface.forward, surface.tau)
    assert at_the_money == pytest.approx(np.sqrt(TRUE.theta / TAU), rel=2e-3)


def test_rows_are_used_or_excluded_for_one_reason() -> None:
    quotes = chain()
    bid, ask = quotes.bid.copy(), quotes.ask.copy()
    bid[3], bid[5], ask[7] = np.nan, 0.0, bid[7] - 0.01
    surface = VolatilitySurface.from_quotes(chain(bid=bid, ask=ask), "svi")
    report = surface.fit_report()
    assert sum(report.excluded.values()) + report.quotes == len(quotes)
    assert report.excluded[Exclusion.MISSING_QUOTE] == 1
    assert report.excluded[Exclusion.CROSSED] == 1
    assert report.excluded[Exclusion.ZERO_BID] >= 1


def test_no_usable_expiry_is_one_clear_error() -> None:
    quotes = chain()
    with pytest.raises(ValueError, match="no usable expiry: zero_bid 248"):
        VolatilitySurface.from_quotes(chain(bid=np.zeros(len(quotes))), "svi")


@pytest.mark.parametrize("method", ["ssvi", "svi"])
def test_bytes_round_trip_exactly(method: str) -> None:
    surface = VolatilitySurface.from_quotes(chain(), method)
    copy = VolatilitySurface.from_bytes(surface.to_bytes())
    assert copy.to_bytes() == surface.to_bytes()
    strikes = np.linspace(60.0, 150.0, 91)
    assert (copy.implied_volatility(strikes, 0.3) == surface.implied_volatility(strikes, 0.3)).all()
    assert copy.fit_report() == surface.fit_report()


def test_ssvi_surface_is_free_of_arbitrage() -> None:
    report = VolatilitySurface.from_quotes(chain(), "ssvi").arbitrage_report()
    assert report.is_free, report
    assert report.points > 5000


def test_put_call_parity_of_prices() -> None:
    surface = VolatilitySurface.from_quotes(chain(), "ssvi")
    strikes, tau = np.linspace(50.0, 160.0, 23), 0.4
    difference = surface.price("C", strikes, tau) - surface.price("P", strikes, tau)
    assert difference == pytest.approx(surface.discount_at(tau) * (surface.forward_at(tau) - strikes), abs=1e-12)
