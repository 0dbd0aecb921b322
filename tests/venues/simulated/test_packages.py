"""Packages: all legs together, at a signed net, or not at all."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gammaray.venues.simulated.packages import PackageLeg, PackageMatch, match_inside, net_cents

CENT = 10_000
SPY = {"SPY": (25_000, 25_001, 500, 500)}


@pytest.fixture
def condor(occ):
    """A short iron condor: natural credit 40 + 42 − 12 − 11 = 59 cents, middle 41 + 43 − 11 − 10 = 63."""
    legs = (
        ("buy", occ("P", 240), 1),
        ("sell", occ("P", 245), 1),
        ("sell", occ("C", 255), 1),
        ("buy", occ("C", 260), 1),
    )
    quotes = SPY | {
        occ("P", 240): (10, 12, 100, 30),
        occ("P", 245): (40, 42, 20, 100),
        occ("C", 255): (42, 44, 100, 100),
        occ("C", 260): (9, 11, 100, 100),
    }
    return legs, quotes


def test_a_package_at_the_natural_price_fills_in_one_event_with_all_legs(market, step, package, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes)])
    accepted = m.exchange.submit(package(10, -59, *legs))
    assert [leg.qty for leg in accepted.legs] == [10, 10, 10, 10]
    new, fill = m.exchange.drain_events()
    assert (new.event, fill.event) == ("new", "fill")
    assert fill.net_price == -59 * CENT
    assert fill.units == 10
    assert [e.price // CENT for e in fill.executions] == [12, 40, 42, 11]
    assert {e.symbol: e.position_qty for e in fill.executions} == m.held()
    assert m.cash == 100_000_000_000 + 59 * 10 * 100 * CENT
    assert m.exchange.order(accepted.order_id).notional_filled == -59 * 10 * CENT


def test_a_better_market_is_not_kept_from_us(market, step, package, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes)])
    m.exchange.submit(package(1, -10, *legs))
    assert m.exchange.drain_events()[-1].net_price == -59 * CENT


def test_units_beyond_the_thinnest_leg_fill_at_the_next_levels_or_rest(market, step, package, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes)])
    # The 245 put has 20 at 40 cents, then 40 at 39: the net of the next level is 58.
    m.exchange.submit(package(25, -59, *legs))
    events = m.exchange.drain_events()
    assert [(event.event, event.units) for event in events] == [("new", 0), ("partial_fill", 20)]
    assert set(m.held().values()) == {20, -20}
    m.exchange.submit(package(5, -58, *legs))
    assert m.exchange.drain_events()[-1].net_price == -58 * CENT


def test_without_a_quote_on_one_leg_nothing_fills(market, step, package, occ, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes | {occ("P", 245): (0, 0, 0, 0)})])
    m.exchange.submit(package(1, None, *legs))
    assert m.events() == ["new"]
    assert m.held() == {}


def test_a_worthless_wing_goes_for_a_cent_within_a_package_but_not_alone(market, step, order, package, occ) -> None:
    short, wing = occ("C", 250), occ("C", 260)
    before = SPY | {short: (200, 204), wing: (50, 52)}
    after = SPY | {short: (8, 10), wing: (0, 1, 0, 2)}
    m = market([step(0, before), step(30, after)])
    m.exchange.submit(package(3, None, ("sell", short, 1), ("buy", wing, 1)))
    m.step()
    m.events()
    m.exchange.submit(package(3, None, ("buy", short, 1), ("sell", wing, 1)))
    new, fill = m.exchange.drain_events()
    # Two are offered, so two are wanted.
    assert (fill.event, fill.units, fill.net_price) == ("partial_fill", 2, 9 * CENT)
    assert m.held() == {short: -1, wing: 1}
    m.exchange.cancel(new.order.order_id)
    m.exchange.submit(order("buy", short, 1))
    m.events()
    m.exchange.submit(order("sell", wing, 1))
    assert m.events() == ["new"]


def test_ratios_count(market, step, package, occ) -> None:
    quotes = SPY | {occ("C", 250): (200, 204), occ("C", 255): (50, 52)}
    m = market([step(0, quotes)])
    m.exchange.submit(package(3, None, ("buy", occ("C", 250), 2), ("sell", occ("C", 255), 1)))
    fill = m.exchange.drain_events()[-1]
    assert fill.net_price == (2 * 204 - 50) * CENT
    assert m.held() == {occ("C", 250): 6, occ("C", 255): -3}


def test_a_package_near_the_natural_price_is_met_inside_the_spread_in_time(market, step, package, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes), *(step(i, quotes) for i in range(1, 120))])
    m.exchange.submit(package(5, -60, *legs))
    assert m.events() == ["new"]
    m.step(119)
    fills = [event for event in m.exchange.drain_events() if event.executions]
    assert sum(event.units for event in fills) == 5
    for event in fills:
        assert event.net_price == -60 * CENT
        for execution in event.executions:
            bid, ask = quotes[execution.symbol][:2]
            assert bid <= execution.price // CENT <= ask


def test_a_package_at_the_middle_is_never_met(market, step, package, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes), *(step(i, quotes) for i in range(1, 120))])
    m.exchange.submit(package(5, -63, *legs))
    m.step(119)
    assert m.events() == ["new"]


def test_how_often_a_package_is_met_follows_the_stated_rate(market, step, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes)])
    rows = [
        PackageLeg(m.exchange.table.row_of[symbol], 1 if side == "buy" else -1, ratio) for side, symbol, ratio in legs
    ]
    rng = np.random.default_rng(5)
    # One of the four cents from natural (59) to middle (63): reach 0.75, so 0.5 · 0.75² = 0.28 of the draws.
    met = Counter(match_inside(m.exchange.board, rows, 50, -60, rng) is not None for _ in range(4000))
    assert met[True] / 4000 == pytest.approx(0.28, abs=0.03)


def test_net_price_is_signed() -> None:
    legs = [PackageLeg(1, 1, 1), PackageLeg(2, -1, 2)]
    assert net_cents(legs, [100, 60]) == -20
    assert PackageMatch(1, (100, 60)).units == 1


def test_replace_of_a_package_keeps_its_legs(market, step, package, condor) -> None:
    legs, quotes = condor
    m = market([step(0, quotes)])
    old = m.exchange.submit(package(5, -63, *legs))
    new = m.exchange.replace(old.order_id, qty=None, limit_price=-59 * CENT, time_in_force=None, client_order_id="new")
    assert m.events() == ["new", "replaced", "new", "fill"]
    assert [leg.symbol for leg in new.legs] == [leg.symbol for leg in old.legs]
    assert {leg.status for leg in m.exchange.order(old.order_id).legs} == {"replaced"}
