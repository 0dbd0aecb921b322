"""Quotes of a chain against the pricing core and the stated widths."""

from __future__ import annotations

import numpy as np
import pytest

from gammaray.market.level_surface import LevelSurface
from gammaray.pricing import price
from gammaray.venues.simulated.scenario.quoting import ChainQuotes, QuotingStyle, quote_chain

SPOT = 252.13
STRIKE = np.tile(np.arange(225.0, 281.0, 5.0), 4)
TAU = np.repeat([2 / 365, 30 / 365, 60 / 365, 0.5], 12)
IS_CALL = np.arange(48) % 2 == 0


def quotes(level: float, style: QuotingStyle, *, coarse: bool = False, seed: int = 1) -> ChainQuotes:
    return quote_chain(
        spot=SPOT,
        surface=LevelSurface(level),
        strike=STRIKE,
        tau=TAU,
        is_call=IS_CALL,
        session_noise=np.random.default_rng(9).standard_normal(48),
        rng=np.random.default_rng(seed),
        style=style,
        coarse_ticks=coarse,
    )


@pytest.mark.parametrize("level", [0.1, 0.2, 0.4])
def test_without_disagreement_the_price_lies_inside_the_quote(level: float) -> None:
    found = quotes(level, QuotingStyle(session_stray=0.0, step_stray=0.0))
    volatility = LevelSurface(level).implied_volatility(np.log(STRIKE / SPOT), TAU)
    cents = 100 * np.asarray(price(IS_CALL, SPOT, STRIKE, TAU, 0.0, volatility))
    # A bid may be rounded up by a quarter of a cent at most, an ask down.
    assert np.all(found.bid <= cents + 0.25)
    assert np.all(found.ask >= cents - 0.25)
    assert np.all(found.ask - found.bid < 0.25 * cents + 60)


def test_disagreement_stays_within_the_spread() -> None:
    plain = quotes(0.2, QuotingStyle(session_stray=0.0, step_stray=0.0))
    noisy = quotes(0.2, QuotingStyle())
    moved = np.abs((noisy.bid + noisy.ask) - (plain.bid + plain.ask)) / 2
    assert moved.max() > 0
    assert np.all(moved <= (plain.ask - plain.bid) + 1)


def test_stress_widens_and_thins_the_quotes() -> None:
    calm, stressed = quotes(0.1, QuotingStyle()), quotes(0.4, QuotingStyle())
    assert np.mean(stressed.ask - stressed.bid) > 2 * np.mean(calm.ask - calm.bid)
    assert np.mean(stressed.ask_size) < 0.5 * np.mean(calm.ask_size)


def test_ticks_are_five_cents_from_three_dollars_where_they_are_coarse() -> None:
    found = quotes(0.2, QuotingStyle(), coarse=True)
    for side in (found.bid, found.ask):
        assert np.all(side[side >= 305] % 5 == 0)
    assert np.any(found.bid[found.bid < 300] % 5 != 0)
    assert found.weight.sum() == pytest.approx(1.0)
    assert np.all(found.bid_size[found.bid == 0] == 0)
