"""The delta hedger: the band, the direction, and when it stays still."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from gammaray.desk.view import PositionView, WorkingOrder
from gammaray.strategies.delta_hedger import DeltaHedger, DeltaHedgerSettings
from gammaray.strategies.protocol import MarketView
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, from_datetime
from gammaray.types.money import MICROS
from gammaray.types.orders import OrderLeg, Side
from gammaray.types.signals import Purpose

NARROW = DeltaHedgerSettings(band_shares=10.0, band_gamma=0.0)
CALL = "SPY180119C00274000"


def decide(snapshot, book_view, settings=NARROW):
    view = MarketView(snapshot.ts_ns, snapshot.ts_ns + 3600 * NANOS, {"SPY": snapshot}, {})
    return DeltaHedger(settings).decide(view, book_view)


def holding(book_view, **positions):
    views = {symbol: PositionView(symbol, qty, 0, 0) for symbol, qty in positions.items()}
    return replace(book_view, positions={**book_view.positions, **views})


def test_a_long_call_is_hedged_by_selling_its_delta(snap, book):
    snapshot = snap()
    delta = float(snapshot.delta[snapshot.table.index[CALL]])
    assert 0.45 < delta < 0.6
    (signal,) = decide(snapshot, holding(book(), **{CALL: 3}))
    assert signal.purpose is Purpose.HEDGE
    assert signal.legs == (OrderLeg("SPY", Side.SELL),)
    assert signal.qty == round(300 * delta)
    # Two cents through the bid of 273.99.
    assert signal.limit_price == 273_970_000
    assert signal.expected_edge == -30_000
    assert signal.position_id == "delta_hedger-SPY"


def test_a_short_call_is_hedged_by_buying(snap, book):
    (signal,) = decide(snap(), holding(book(), **{CALL: -3}))
    assert signal.legs[0].side is Side.BUY
    assert signal.limit_price == 274_030_000


def test_shares_held_count_and_the_band_leaves_the_rest(snap, book):
    snapshot = snap()
    delta = float(snapshot.delta[snapshot.table.index[CALL]])
    hedged = -round(300 * delta)
    assert decide(snapshot, holding(book(shares=hedged + 10), **{CALL: 3})) == []
    (signal,) = decide(snapshot, holding(book(shares=hedged + 12), **{CALL: 3}))
    assert signal.qty == 12


def test_gamma_widens_the_band(snap, book):
    snapshot = snap()
    gamma = 300 * float(snapshot.gamma[snapshot.table.index[CALL]])
    hedged = -round(300 * float(snapshot.delta[snapshot.table.index[CALL]]))
    outside = holding(book(shares=hedged + 12), **{CALL: 3})
    assert gamma * 1.0 > 12
    assert decide(snapshot, outside, replace(NARROW, band_gamma=1.0)) == []


def test_an_order_never_goes_through_zero(snap, book):
    # 100 long shares too many beside a long call: first they are sold, then the short is opened.
    (signal,) = decide(snap(), holding(book(shares=100), **{CALL: 3}))
    assert (signal.legs[0].side, signal.qty) == (Side.SELL, 100)


def test_shares_that_no_option_needs_are_given_back(snap, book):
    (signal,) = decide(snap(), book(shares=5))
    assert (signal.legs[0].side, signal.qty) == (Side.SELL, 5)


def test_options_that_expired_count_nothing(snap, book):
    after = from_datetime(datetime(2018, 1, 22, 10, 0, tzinfo=NEW_YORK))
    assert decide(snap(after), holding(book(), **{CALL: 3})) == []


def test_one_order_at_a_time(snap, book):
    order = WorkingOrder(
        "c1", "delta_hedger", "delta_hedger-SPY", Purpose.HEDGE, (OrderLeg("SPY", Side.SELL),), 5, MICROS, 0
    )
    assert decide(snap(), holding(book(working=(order,)), **{CALL: 3})) == []


def test_it_fails_closed(snap, book):
    snapshot = snap()
    held = holding(book(), **{CALL: 3})
    unknown = snapshot.delta.copy()
    unknown[snapshot.table.index[CALL]] = np.nan
    assert decide(replace(snapshot, delta=unknown), held) == []
    assert decide(replace(snapshot, spot_bid=float("nan")), held) == []
    assert decide(replace(snapshot, spot_bid=275.0), held) == [], "a crossed underlying"
    assert decide(replace(snapshot, session_open=False), held) == []


@pytest.mark.parametrize("name", ["band_shares", "band_gamma", "slippage"])
def test_bad_settings_are_refused(name):
    with pytest.raises(ValueError, match=name):
        DeltaHedgerSettings(**{name: -1.0})
