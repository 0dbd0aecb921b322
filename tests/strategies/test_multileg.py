"""Catalogue, analyser and recommender against hand calculations, closed forms and simulation."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.market.snapshot import Quality
from gammaray.strategies.catalogue import Anchor, Template, TemplateLeg
from gammaray.strategies.distribution import ExpiryDistribution, break_evens
from gammaray.strategies.legs import extremes, fair_value, package_quote, payoff
from gammaray.strategies.multileg import CATALOGUE, Leg, Outlook, analyze, margin, suggest_option_strategies
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import from_datetime
from gammaray.types.instruments import OptionContract, Right
from gammaray.types.signals import Forecast

MONDAY = from_datetime(datetime(2018, 1, 8, 10, 0, tzinfo=NEW_YORK))
NEAR, FAR = date(2018, 1, 19), date(2018, 1, 26)


def build(name, *strikes, days=(NEAR,)):
    return CATALOGUE[name].instantiate("SPY", strikes, days)


def at(legs, spot, entry=0.0):
    return float(payoff(legs, np.array([float(spot)]), entry)[0])


# Value at expiry in dollars a unit at spots 90, 100, 105, 110 and 120, by hand.
PAYOFFS = {
    "bull call spread": ((100, 110), (0, 0, 500, 1000, 1000)),
    "bear put spread": ((100, 110), (1000, 1000, 500, 0, 0)),
    "long straddle": ((105,), (1500, 500, 0, 500, 1500)),
    "short strangle": ((100, 110), (-1000, 0, 0, 0, -1000)),
    "long call butterfly": ((95, 105, 115), (0, 500, 1000, 500, 0)),
    "long put butterfly": ((95, 105, 115), (0, 500, 1000, 500, 0)),
    "iron condor": ((92, 100, 110, 115), (-800, 0, 0, 0, -500)),
    "reverse iron condor": ((92, 100, 110, 115), (800, 0, 0, 0, 500)),
    "iron butterfly": ((95, 105, 115), (-1000, -500, 0, -500, -1000)),
    "long call condor": ((90, 100, 110, 120), (0, 1000, 1000, 1000, 0)),
    "call ratio spread": ((100, 110), (0, 0, 500, 1000, 0)),
    "put backspread": ((100, 110), (0, -1000, -500, 0, 0)),
    "covered call": ((110,), (9000, 10_000, 10_500, 11_000, 11_000)),
    "collar": ((100, 110), (10_000, 10_000, 10_500, 11_000, 11_000)),
}


@pytest.mark.parametrize("name", PAYOFFS)
def test_payoffs_at_expiry_by_hand(name):
    strikes, expected = PAYOFFS[name]
    legs = build(name, *strikes)
    assert [at(legs, spot) for spot in (90, 100, 105, 110, 120)] == list(expected)


def test_the_catalogue_covers_the_families():
    families = {template.family for template in CATALOGUE.values()}
    assert families == {
        "single", "vertical", "straddle", "strangle", "butterfly", "iron", "condor", "calendar", "ratio", "stock",
    }  # fmt: skip
    assert len(CATALOGUE) >= 30
    for outlook in Outlook:
        assert sum(outlook in template.outlooks for template in CATALOGUE.values()) >= 4


def test_templates_refuse_wrong_strikes():
    with pytest.raises(ValueError, match="strikes: iron condor takes 4, was 2"):
        build("iron condor", 100, 110)
    with pytest.raises(ValueError, match="strikes: must increase"):
        build("bull call spread", 110, 100)
    with pytest.raises(ValueError, match="expirations: call calendar takes 2, was 1"):
        build("call calendar", 100)
    with pytest.raises(ValueError, match="anchors: expected one per strike slot"):
        Template("x", "x", (TemplateLeg(1, Right.CALL, 1),), (Anchor(Right.CALL, 0.5),), frozenset())
    with pytest.raises(ValueError, match="ratio: must not be zero"):
        Leg(None, 0)


def test_extremes_know_what_is_unbounded():
    assert extremes(build("long straddle", 100)).best == math.inf
    assert extremes(build("long straddle", 100)).worst == 0.0
    assert extremes(build("short call", 100)).worst == -math.inf
    assert extremes(build("short put", 100)).worst == -10_000.0
    assert extremes(build("put ratio spread", 100, 110)).worst == -9_000.0  # at zero: 11,000 − 2 · 10,000
    assert extremes(build("iron condor", 92, 100, 110, 115)).worst == -800.0
    assert extremes(build("iron condor", 92, 100, 110, 115)).best == 0.0


def test_break_evens_by_hand():
    # A condor sold for 2.00: 98 and 112. A straddle bought for 6.00: 94 and 106. A call spread bought for 4.00: 104.
    assert break_evens(build("iron condor", 92, 100, 110, 115), -200.0) == pytest.approx((98.0, 112.0))
    assert break_evens(build("long straddle", 100), 600.0) == pytest.approx((94.0, 106.0))
    assert break_evens(build("bull call spread", 100, 110), 400.0) == pytest.approx((104.0,))
    assert break_evens(build("covered call", 110), 9_500.0) == pytest.approx((95.0,))
    assert break_evens(build("bull call spread", 100, 110), -100.0) == ()


ratios = st.integers(-3, 3).filter(bool)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ratios, st.sampled_from(Right), st.integers(80, 120)), min_size=1, max_size=4),
    st.floats(-2000.0, 2000.0),
)
def test_break_evens_separate_profit_from_loss(rows, cost):
    legs = [Leg(OptionContract("SPY", NEAR, 1000 * strike, right), ratio) for ratio, right, strike in rows]
    points = break_evens(legs, cost)
    assert all(abs(at(legs, point) - cost) < 1e-6 for point in points)
    edges = (0.0, *points, 1e6)
    for left, right in itertools.pairwise(edges):
        inside = np.linspace(left, right, 9)[1:-1]
        signs = np.sign(np.round(payoff(legs, inside) - cost, 6))
        assert not (signs.max() > 0 > signs.min())
    bounds = extremes(legs)
    sample = payoff(legs, np.linspace(0.0, 300.0, 601))
    assert bounds.worst - 1e-6 <= sample.min()
    assert sample.max() <= bounds.best + 1e-6


def test_the_distribution_is_one_and_has_the_forward_as_its_mean(snap):
    snapshot = snap()
    distribution = ExpiryDistribution(
        snapshot, int(snapshot.table.expiration[snapshot.table.index["SPY180119C00274000"]])
    )
    grid = np.linspace(180.0, 330.0, 6001)
    above = distribution.probability_above(grid)
    assert above[0] == pytest.approx(1.0, abs=1e-3)
    assert above[-1] == pytest.approx(0.0, abs=1e-6)
    assert (np.diff(above) <= 0.0).all()
    # E[S] = ∫ P(S > K) dK
    mean = 180.0 + float(np.sum(0.5 * (above[1:] + above[:-1]) * np.diff(grid)))
    assert mean == pytest.approx(distribution.forward, rel=5e-4)
    assert distribution.probability_above(np.array([0.0, math.inf])).tolist() == [1.0, 0.0]


def test_a_flat_smile_gives_the_lognormal_probability(snap):
    snapshot = snap()
    flat = replace(snapshot, implied_volatility=np.full_like(snapshot.implied_volatility, 0.15))
    day = int(snapshot.table.expiration[snapshot.table.index["SPY180119C00274000"]])
    distribution = ExpiryDistribution(flat, day)
    # N(d₂) at the forward: d₂ = −σ√τ/2
    d2 = -0.5 * 0.15 * math.sqrt(distribution.tau)
    assert float(distribution.probability_above(np.array([distribution.forward]))[0]) == pytest.approx(
        0.5 * math.erfc(-d2 / math.sqrt(2)), rel=1e-9
    )
    shifted = ExpiryDistribution(flat, day, 1.0, 0.5)
    assert math.log(shifted.forward / distribution.forward) == pytest.approx(0.5 * 0.15 * math.sqrt(distribution.tau))


def test_the_analysis_of_a_condor_adds_up(snap):
    snapshot = snap()
    legs = build("iron condor", 262, 268, 278, 281)
    found = analyze(snapshot, legs)
    index = snapshot.table.index
    rows = [index[leg.contract.symbol] for leg in legs]
    signs = np.array([1.0, -1.0, -1.0, 1.0])
    assert found.cost == pytest.approx(100 * float(signs @ snapshot.mid[rows]))
    assert found.cost < 0
    assert found.max_profit == pytest.approx(-found.cost)
    assert found.max_loss == pytest.approx(600 + found.cost)
    assert found.margin == pytest.approx(found.max_loss)
    assert found.break_evens == pytest.approx((268 + found.cost / 100, 278 - found.cost / 100))
    assert found.delta == pytest.approx(100 * float(signs @ snapshot.delta[rows]))
    assert found.theta == pytest.approx(100 / 365 * float(signs @ snapshot.theta[rows]))
    assert found.theta > 0 > found.vega
    assert found.spread_cost == pytest.approx(50 * float(np.sum(snapshot.ask[rows] - snapshot.bid[rows])))
    # Under the market's own distribution the package is worth what it costs, up to its spread.
    assert found.expected_profit == pytest.approx(0.0, abs=found.spread_cost + 2.0)
    assert float(np.interp(274.0, found.spots, found.payoff)) == pytest.approx(-found.cost)


def test_probability_of_profit_equals_a_simulation(snap):
    snapshot = snap()
    flat = replace(snapshot, implied_volatility=np.full_like(snapshot.implied_volatility, 0.12))
    legs = build("iron condor", 262, 268, 278, 281)
    found = analyze(flat, legs)
    day = int(snapshot.table.expiration[snapshot.table.index["SPY180119C00274000"]])
    distribution = ExpiryDistribution(flat, day)
    deviation = 0.12 * math.sqrt(distribution.tau)
    normal = np.random.default_rng(5).normal(size=400_000)
    spots = distribution.forward * np.exp(-0.5 * deviation**2 + deviation * normal)
    profit = payoff(legs, spots) - found.cost
    assert found.probability_of_profit == pytest.approx(float(np.mean(profit > 0)), abs=0.003)
    assert found.expected_profit == pytest.approx(float(np.mean(profit)), abs=1.5)


def test_a_calendar_is_priced_at_the_near_expiry(snap):
    snapshot = snap()
    found = analyze(snapshot, build("call calendar", 274, days=(NEAR, FAR)))
    assert found.cost > 0
    assert len(found.break_evens) == 2
    assert found.break_evens[0] < 274 < found.break_evens[1]
    # The peak lies at the strike, where the far call is worth most over its intrinsic value; the loss is the debit.
    assert found.spots[int(np.argmax(found.payoff))] == pytest.approx(274.0, abs=0.6)
    assert found.max_loss == pytest.approx(found.cost, rel=0.05)
    assert found.margin == pytest.approx(found.cost)
    assert found.vega > 0


def test_margins(snap):
    snapshot = snap()
    row = snapshot.table.index["SPY180119P00264000"]
    mid = float(snapshot.mid[row])
    # Short put at 264, spot 274: 20 % · 274 − 10 = 44.80 is above 10 % · 264.
    naked = margin(snapshot, build("short put", 264), -100 * mid)
    assert naked == pytest.approx(100 * (mid + 0.2 * 274 - 10))
    call = float(snapshot.mid[snapshot.table.index["SPY180119C00284000"]])
    assert margin(snapshot, build("short call", 284), -100 * call) == pytest.approx(100 * (call + 0.2 * 274 - 10))
    # A ratio spread has one covered and one naked call; the debit comes on top.
    legs = build("call ratio spread", 274, 280)
    quote = package_quote(snapshot, legs)
    short = float(snapshot.mid[snapshot.table.index["SPY180119C00280000"]])
    expected = 100 * (short + 0.2 * 274 - 6) + max(0.0, 100 * quote.mid)
    assert margin(snapshot, legs, 100 * quote.mid) == pytest.approx(expected)
    covered = analyze(snapshot, build("covered call", 280))
    assert covered.margin == pytest.approx(0.5 * 100 * 274, rel=1e-3)
    assert covered.max_loss == pytest.approx(covered.cost)


def test_fair_value_is_the_mid_at_a_scale_of_one_and_falls_with_it(snap):
    snapshot = snap()
    legs = build("long straddle", 274)
    mid = package_quote(snapshot, legs).mid
    assert fair_value(snapshot, legs, 1.0) == pytest.approx(mid)
    # An at-the-money straddle is worth √(2/π) σ √τ S: linear in volatility.
    assert fair_value(snapshot, legs, 0.5) == pytest.approx(0.5 * mid, rel=0.03)


def test_the_analyser_refuses_what_it_cannot_judge(snap):
    snapshot = snap()
    with pytest.raises(ValueError, match="SPY180119C00999000 is not listed"):
        analyze(snapshot, build("long call", 999))
    with pytest.raises(ValueError, match="at least one option"):
        analyze(snapshot, (Leg(None, 100),))
    quality = snapshot.quality.copy()
    quality[snapshot.table.index["SPY180119C00274000"]] = Quality.STALE
    with pytest.raises(ValueError, match="no good quote for SPY180119C00274000"):
        analyze(replace(snapshot, quality=quality), build("long straddle", 274))


@pytest.mark.parametrize("outlook", list(Outlook))
def test_suggestions_fit_the_outlook_and_are_ranked(snap, outlook):
    found = suggest_option_strategies(outlook, snap(), limit=8)
    assert len(found) >= 3
    assert all(outlook in CATALOGUE[item.template].outlooks for item in found)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert len({item.template for item in found}) == len(found)
    best = found[0]
    assert best.expected_value == pytest.approx(
        best.analysis.expected_profit
        - best.analysis.spread_cost
        - 0.05 * sum(abs(leg.ratio) for leg in best.legs if leg.contract)
    )
    sign = {Outlook.BULLISH: 1, Outlook.BEARISH: -1}.get(outlook)
    if sign is not None:
        assert all(sign * item.analysis.delta > 0 for item in found)
    elif outlook is Outlook.VOLATILE:
        assert all(item.analysis.vega > 0 for item in found)
    assert best.template in best.explanation


def test_suggestions_respect_limits(snap):
    snapshot = snap()
    bounded = suggest_option_strategies("neutral", snapshot, max_loss=400.0, limit=50)
    assert bounded
    assert all(item.analysis.max_loss <= 400.0 for item in bounded)
    assert suggest_option_strategies("neutral", snapshot, min_days=500, max_days=600) == []
    with pytest.raises(
        ValueError, match="outlook: expected one of bullish, bearish, neutral, volatile, was 'sideways'"
    ):
        suggest_option_strategies("sideways", snapshot)


def test_a_forecast_moves_the_expectation(snap):
    snapshot = snap()
    calm = Forecast("SPY", MONDAY, 1, 0.05, 0.0, "lstm", "1", "r")

    def condor(forecast):
        found = suggest_option_strategies("neutral", snapshot, forecast=forecast, limit=50)
        return next(item.expected_value for item in found if item.template == "iron condor")

    assert condor(calm) > condor(None) > 0
