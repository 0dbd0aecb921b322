"""The variance-premium strategy: what it opens, how large, when it gets out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest

from gammaray.desk.view import WorkingOrder
from gammaray.market.snapshot import Quality
from gammaray.strategies.premium_rules import volatility_ratio
from gammaray.strategies.protocol import MarketView
from gammaray.strategies.variance_premium import VariancePremium, VariancePremiumSettings
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, from_datetime
from gammaray.types.instruments import parse_occ
from gammaray.types.money import MICROS
from gammaray.types.orders import OrderLeg, PositionIntent, Side
from gammaray.types.signals import Forecast, Purpose, TradingState

MONDAY = from_datetime(datetime(2018, 1, 8, 10, 0, tzinfo=NEW_YORK))
DAY = 86_400 * NANOS


def market(snapshot, volatility=None, *, iv_change=0.0, age_ns=0, to_close_s=21_600):
    forecast = (
        Forecast("SPY", snapshot.ts_ns - age_ns, 1, volatility, iv_change, "lstm", "7", "r1") if volatility else None
    )
    return MarketView(
        snapshot.ts_ns,
        snapshot.ts_ns + to_close_s * NANOS,
        {"SPY": snapshot},
        {"SPY": forecast} if forecast else {},
    )


def strikes(signal):
    """(strike, right, sign) of each leg in order."""
    return [
        (contract.strike, contract.right.value, leg.side.sign)
        for leg in signal.legs
        for contract in [parse_occ(leg.symbol)]
    ]


def opened(snapshot, book, volatility=0.06, **settings):
    """The opening signal for a forecast."""
    (signal,) = VariancePremium(VariancePremiumSettings(**settings)).decide(market(snapshot, volatility), book())
    return signal


def test_a_low_forecast_sells_an_iron_condor_for_a_credit(snap, book):
    snapshot = snap()
    signal = opened(snapshot, book)
    (k1, p1, s1), (k2, p2, s2), (k3, c3, s3), (k4, c4, s4) = strikes(signal)
    assert (p1, p2, c3, c4) == ("P", "P", "C", "C")
    assert (s1, s2, s3, s4) == (1, -1, -1, 1)
    assert k1 < k2 < 274.0 < k3 < k4
    assert signal.purpose is Purpose.OPEN
    assert {leg.intent for leg in signal.legs} == {PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN}
    assert signal.limit_price < 0
    assert signal.limit_price % 10_000 == 0
    # Fourteen days to the target: Friday 19 January is 11 days away, the 26th 18.
    assert parse_occ(signal.legs[0].symbol).expiration == date(2018, 1, 19)
    assert signal.horizon_days == 11
    assert 0.5 < signal.probability < 1.0
    assert signal.expected_edge > 0
    assert (signal.model, signal.model_version) == ("lstm", "7")
    assert "sells iron condor 20180119" in signal.explanation


def test_the_size_is_the_risk_share_over_the_maximum_loss(snap, book):
    signal = opened(snap(), book, risk_share=0.01, gamma_share=1.0)
    (k1, _, _), (k2, _, _), (k3, _, _), (k4, _, _) = strikes(signal)
    # Loss of a unit: the wider wing less the credit, times 100, and five cents a contract in fees.
    loss = 100 * (max(k2 - k1, k4 - k3) + signal.limit_price / MICROS) + 0.05 * 4
    assert signal.qty == int(0.01 * 1e6 / loss)
    assert opened(snap(), book, max_units=3).qty == 3


def test_the_size_keeps_the_change_of_delta_small(snap, book):
    snapshot = snap()
    signal = opened(snapshot, book, gamma_share=0.02)
    rows = [snapshot.table.index[leg.symbol] for leg in signal.legs]
    gamma = abs(sum(leg.side.sign * float(snapshot.gamma[row]) for leg, row in zip(signal.legs, rows, strict=True)))
    # Dollar delta per unit for a move of 1 %: 100 · Γ · S · 0.01 · S
    assert signal.qty == int(0.02 * 1e6 / (gamma * 274.0**2))


def test_a_high_forecast_buys_for_a_debit(snap, book):
    signal = opened(snap(), book, 0.25)
    assert signal.limit_price > 0
    assert signal.expected_edge > 0
    assert "buys" in signal.explanation
    inner = [strike for strike, _, sign in strikes(signal) if sign > 0]
    outer = [strike for strike, _, sign in strikes(signal) if sign < 0]
    assert min(abs(strike - 274) for strike in outer) > max(abs(strike - 274) for strike in inner)


def test_the_limit_lies_between_the_mid_and_the_far_side(snap, book):
    snapshot = snap()
    signal = opened(snapshot, book)
    index = snapshot.table.index
    signs = np.array([leg.side.sign for leg in signal.legs])
    rows = [index[leg.symbol] for leg in signal.legs]
    mid, half = float(signs @ snapshot.mid[rows]), float(np.sum(snapshot.ask[rows] - snapshot.bid[rows])) / 2
    assert mid - 0.005 <= signal.limit_price / MICROS <= mid + half + 0.005


def test_nothing_is_opened_between_the_thresholds(snap, book):
    snapshot = snap()
    strategy = VariancePremium()
    near = snapshot.atm_volatility(11 / 365)
    assert strategy.decide(market(snapshot, near), book()) == []


@pytest.mark.parametrize(
    ("view", "why"),
    [
        ({"volatility": None}, "no forecast"),
        ({"volatility": float("nan")}, "a forecast that is no number"),
        ({"volatility": 9.0}, "a forecast of 900 %"),
        ({"volatility": 0.005}, "a forecast of half a percent"),
        ({"age_ns": 6 * DAY}, "a forecast six days old"),
        ({"age_ns": -1}, "a forecast from the future"),
        ({"to_close_s": 600}, "ten minutes before the close"),
        ({"iv_change": 0.05}, "implied volatility expected to rise by five points"),
    ],
)
def test_no_sale_with(snap, book, view, why):
    arguments = {"volatility": 0.06} | view
    assert VariancePremium().decide(market(snap(), **arguments), book()) == [], why


def test_no_opening_when_reducing_or_closed_or_full(snap, book):
    snapshot = snap()
    strategy = VariancePremium()
    assert strategy.decide(market(snapshot, 0.06), book(state=TradingState.REDUCING)) == []
    assert strategy.decide(market(replace(snapshot, session_open=False), 0.06), book()) == []
    first = opened(snapshot, book)
    assert strategy.decide(market(snapshot, 0.06), book((first, MONDAY - DAY))) == [], "one day after the last opening"
    (second,) = strategy.decide(market(snapshot, 0.06), book((first, MONDAY - 3 * DAY)))
    assert parse_occ(second.legs[0].symbol).expiration != parse_occ(first.legs[0].symbol).expiration
    full = book((first, MONDAY - 9 * DAY), (second, MONDAY - 5 * DAY))
    assert strategy.decide(market(snapshot, 0.06), full) == []


def test_no_second_opening_while_one_works(snap, book):
    snapshot = snap()
    signal = opened(snapshot, book)
    order = WorkingOrder(
        "c1", signal.strategy, signal.position_id, Purpose.OPEN, signal.legs, signal.qty, signal.limit_price, MONDAY
    )
    assert VariancePremium().decide(market(snapshot, 0.06), book(working=(order,))) == []


def test_a_remainder_of_worthless_long_legs_takes_no_place(snap, book):
    snapshot = snap()
    first = opened(snapshot, book)
    rest = replace(first, legs=tuple(leg for leg in first.legs if leg.side is Side.BUY), limit_price=10_000)
    view = book((rest, MONDAY), (replace(rest, position_id="second"), MONDAY))
    found = VariancePremium().decide(market(snapshot, 0.06), view)
    assert sum(signal.purpose is Purpose.OPEN for signal in found) == 1


def test_no_leg_nets_against_what_is_held(snap, book):
    snapshot = snap()
    first = opened(snapshot, book)
    short_put = next(leg.symbol for leg in first.legs if leg.side is Side.SELL and "P" in leg.symbol[9:])
    other = replace(
        first, strategy="other", position_id="other-1", legs=(OrderLeg(short_put, Side.BUY),), limit_price=10_000
    )
    (signal,) = VariancePremium().decide(market(snapshot, 0.06), book((other, MONDAY)))
    assert (short_put, Side.SELL) not in {(leg.symbol, leg.side) for leg in signal.legs}


def test_bad_quotes_are_never_legs(snap, book):
    snapshot = snap()
    usual = {leg.symbol for leg in opened(snapshot, book).legs}
    quality = snapshot.quality.copy()
    quality[[snapshot.table.index[symbol] for symbol in usual]] = Quality.STALE
    signal = opened(replace(snapshot, quality=quality), book)
    assert not usual & {leg.symbol for leg in signal.legs}


def test_a_few_contracts_of_one_expiry_tomorrow_are_enough(snap, book):
    snapshot = snap(days=(date(2018, 1, 9),), strikes=(268, 270, 272, 273, 274, 275, 276, 278))
    signal = opened(snapshot, book, 0.04)
    assert parse_occ(signal.legs[0].symbol).expiration == date(2018, 1, 9)
    assert signal.horizon_days == 1


def test_one_sided_chains_give_verticals(snap, book):
    snapshot = snap(strikes=tuple(range(255, 275)))  # no call above the spot
    signal = opened(snapshot, book)
    assert len(signal.legs) == 2
    assert {right for _, right, _ in strikes(signal)} == {"P"}
    assert "put vertical" in signal.explanation


def test_nothing_that_expires_today_is_opened(snap, book):
    friday = from_datetime(datetime(2018, 1, 12, 10, 0, tzinfo=NEW_YORK))
    assert VariancePremium().decide(market(snap(friday, days=(date(2018, 1, 12),)), 0.04), book()) == []


def test_without_money_for_one_unit_nothing_is_opened(snap, book):
    assert VariancePremium().decide(market(snap(), 0.06), book(equity=5_000 * MICROS)) == []


def exits(snapshot, book_view, volatility=0.06, **settings):
    found = VariancePremium(VariancePremiumSettings(**settings)).decide(market(snapshot, volatility), book_view)
    return [signal for signal in found if signal.purpose is Purpose.CLOSE]


def test_profit_is_taken_with_the_reverse_package(snap, book):
    signal = opened(snap(), book)
    later = MONDAY + 2 * DAY
    (closing,) = exits(snap(later, level=0.1), book((signal, MONDAY), ts_ns=later), profit_share=0.3)
    assert closing.position_id == signal.position_id
    assert closing.qty == signal.qty
    assert {(leg.symbol, leg.side) for leg in closing.legs} == {
        (leg.symbol, Side.BUY if leg.side is Side.SELL else Side.SELL) for leg in signal.legs
    }
    assert {leg.intent for leg in closing.legs} == {PositionIntent.BUY_TO_CLOSE, PositionIntent.SELL_TO_CLOSE}
    assert 0 < closing.limit_price < -signal.limit_price, "bought back for less than the credit"
    assert "takes" in closing.explanation


def test_a_loss_of_a_multiple_of_the_credit_is_stopped(snap, book):
    signal = opened(snap(), book)
    held = book((signal, MONDAY))
    assert exits(snap(MONDAY + 1), held) == []
    (closing,) = exits(snap(MONDAY + DAY, spot=265.0, level=0.2), held, 0.2, buy_above=9.0, loss_multiple=1.5)
    assert "stops at a loss" in closing.explanation
    assert closing.limit_price > -signal.limit_price


def test_what_is_left_of_a_position_half_closed_at_a_loss_is_closed_too(snap, book):
    signal = opened(snap(), book)
    # Bought back in part for more than the whole credit: the cash is a debit now, the legs are still sold volatility.
    rest = replace(signal, limit_price=100_000)
    (closing,) = exits(snap(MONDAY + DAY), book((rest, MONDAY)))
    assert "stops at a loss" in closing.explanation


def test_a_forecast_that_turns_closes_a_short_volatility_position(snap, book):
    signal = opened(snap(), book)
    (closing,) = exits(snap(MONDAY + DAY), book((signal, MONDAY)), 0.25)
    assert "forecast turned" in closing.explanation


def test_near_expiry_a_threatened_position_is_closed_and_a_safe_one_is_held_into_it(snap, book):
    signal = opened(snap(), book)
    held = book((signal, MONDAY))
    wednesday = from_datetime(datetime(2018, 1, 17, 10, 0, tzinfo=NEW_YORK))
    short_call = next(strike for strike, right, sign in strikes(signal) if right == "C" and sign < 0)
    (closing,) = exits(snap(wednesday, spot=short_call - 1.0), held, profit_share=5.0, loss_multiple=99.0)
    assert "days to expiry with a delta" in closing.explanation
    assert exits(snap(wednesday, level=0.08), held, profit_share=5.0) == []


def test_a_worthless_long_leg_stays_behind(snap, book):
    snapshot = snap()
    signal = opened(snapshot, book)
    later = snap(MONDAY + 2 * DAY, level=0.1)
    row = later.table.index[signal.legs[0].symbol]
    bid, quality = later.bid.copy(), later.quality.copy()
    bid[row], quality[row] = 0.0, Quality.MISSING_BID
    (closing,) = exits(replace(later, bid=bid, quality=quality), book((signal, MONDAY)), profit_share=0.3)
    assert {leg.symbol for leg in closing.legs} == {leg.symbol for leg in signal.legs[1:]}


def test_without_good_quotes_there_is_no_exit(snap, book):
    signal = opened(snap(), book)
    later = snap(MONDAY + 7 * DAY)
    stale = replace(later, quality=np.full_like(later.quality, Quality.STALE))
    assert exits(stale, book((signal, MONDAY))) == []


def test_an_expired_position_is_left_to_the_desk(snap, book):
    signal = opened(snap(), book)
    after = from_datetime(datetime(2018, 1, 22, 10, 0, tzinfo=NEW_YORK))
    assert exits(snap(after), book((signal, MONDAY))) == []


def test_decisions_are_a_function_of_what_is_seen(snap, book):
    snapshot = snap()
    one, two = VariancePremium(), VariancePremium()
    one.decide(market(snapshot, 0.25), book())
    assert one.decide(market(snapshot, 0.06), book()) == two.decide(market(snapshot, 0.06), book())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"risk_share": 0.0}, "risk_share"),
        ({"sell_below": 1.2}, "sell_below"),
        ({"min_days": 0}, "min_days"),
        ({"fee": -1.0}, "fee"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        VariancePremiumSettings(**settings)


def test_the_forecast_fades_into_the_implied_level_with_time(snap):
    snapshot = snap()
    forecast = Forecast("SPY", MONDAY, 1, 0.06, 0.0, "lstm", "7", "r")
    ratios = [volatility_ratio(snapshot, forecast, days / 365, 21.0) for days in (1, 7, 14, 30)]
    assert ratios == sorted(ratios)
    # One day: (1 − e^(−κτ)) / (κτ) with κτ = 252 / 21 / 365 = 0.03288 is 0.98374 of the distance in variance.
    implied = snapshot.atm_volatility(1 / 365)
    expected = np.sqrt(implied**2 + (0.06**2 - implied**2) * 0.98374) / implied
    assert ratios[0] == pytest.approx(expected, rel=1e-4)
