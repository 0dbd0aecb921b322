"""Simple orders against the ladder, the flow and new quotes, with every price known."""

from __future__ import annotations

from datetime import date

import pytest

CENT = 10_000
SPY = {"SPY": (25_000, 25_001, 500, 500)}


def fills(market):
    return [(e.price // CENT, e.qty) for event in market.exchange.drain_events() for e in event.executions]


def test_market_order_walks_the_ladder(market, step, occ, order) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (100, 104, 100, 100)})])
    m.exchange.submit(order("buy", call, 250))
    # Level j is j · 2 cents (half the spread of 4) further out and holds (1 + j) · 100: 100 at 1.04, then 150 of the 200 at 1.06.
    assert fills(m) == [(104, 100), (106, 150)]
    assert m.held() == {call: 250}
    assert m.cash == 100_000_000_000 - (100 * 104 + 150 * 106) * CENT * 100
    assert m.exchange.quote(call).ask_cents == 106
    assert m.exchange.quote(call).ask_size == 50


def test_limit_order_takes_what_is_within_its_limit_and_rests(market, step, occ, order) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (100, 104)})])
    accepted = m.exchange.submit(order("buy", call, 130, 104))
    assert accepted.status == "pending_new"
    assert [event.event for event in m.exchange.drain_events()] == ["new", "partial_fill"]
    quote = m.exchange.quote(call)
    # What is left is the best bid now.
    assert (quote.bid_cents, quote.bid_size, quote.ask_cents, quote.ask_size) == (104, 30, 106, 200)


def test_flow_reaches_us_after_the_quantity_that_was_there_first(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = SPY | {call: (100, 104, 20, 20)}
    m = market([step(0, quotes), step(30, quotes, flow=[(call, -1, 15)]), step(60, quotes, flow=[(call, -1, 9)])])
    m.exchange.submit(order("buy", call, 10, 100))
    m.step()
    # 20 of the market makers came first: 15 went to them.
    assert fills(m) == []
    m.step()
    # 5 of them are still ahead of us in the new quote; 4 come to us.
    assert fills(m) == [(100, 4)]


def test_an_order_inside_the_spread_is_first(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = SPY | {call: (100, 110)}
    m = market([step(0, quotes), step(30, quotes, flow=[(call, -1, 3)])])
    m.exchange.submit(order("buy", call, 2, 101))
    m.step()
    assert fills(m) == [(101, 2)]
    assert m.exchange.last_trade_cents(call) == (m.exchange.clock_ns(), 100), (
        "the third contract went to the makers' bid"
    )


def test_a_new_quote_that_crosses_our_order_trades_at_our_price(market, step, occ, order) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (100, 110)}), step(30, SPY | {call: (90, 94, 100, 7)})])
    m.exchange.submit(order("buy", call, 100, 97))
    m.step()
    # Within 97 they show 7 at 94 and 14 at 96.
    assert fills(m)[0] == (97, 21)


def test_priority_is_price_then_time(market, step, occ, order) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (100, 110)}), step(30, SPY | {call: (80, 100, 100, 12)})])
    ids = [m.exchange.submit(order("buy", call, 5, cents)).order_id for cents in (101, 102, 101)]
    m.events()
    m.step()
    filled = [(event.order.order_id, event.executions[0].qty) for event in m.exchange.drain_events()]
    assert filled[:3] == [(ids[1], 5), (ids[0], 5), (ids[2], 2)]


def test_flow_is_drawn_to_an_order_near_the_other_side(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = SPY | {call: (100, 120)}
    m = market([step(0, quotes), *(step(i, quotes) for i in range(1, 40))])
    m.exchange.submit(order("buy", call, 5, 119))
    m.step(39)
    # A reach of 0.95 draws someone with probability 0.15 + 0.6 · 0.95² = 0.69 a step: 39 misses in a row have odds of 1e-20.
    assert m.held() == {call: 5}


def test_a_share_order_fills_when_the_price_went_through_it_between_steps(market, step, order) -> None:
    through = step(30, {"SPY": (25_010, 25_011)}, range=(24_990, 25_015))
    touched = step(30, {"SPY": (25_010, 25_011)}, range=(24_995, 25_015))
    for script, expected in ((through, {"SPY": 10}), (touched, {})):
        m = market([step(0, SPY), script])
        m.exchange.submit(order("buy", "SPY", 10, 24_995))
        m.step()
        assert m.held() == expected


def test_day_orders_end_at_the_close_and_gtc_orders_do_not(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = SPY | {call: (100, 104)}
    m = market([step(0, quotes), step(None, quotes), step(0, quotes, day=date(2017, 10, 3))])
    day = m.exchange.submit(order("buy", call, 1, 90))
    gtc = m.exchange.submit(order("buy", call, 1, 91, time_in_force="gtc"))
    m.events()
    m.step()
    assert m.events() == ["expired"]
    assert m.exchange.order(day.order_id).status == "expired"
    m.step()
    assert m.exchange.order(gtc.order_id).is_open


def test_an_order_sent_while_closed_goes_to_the_market_at_the_open(market, step, occ, order) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (100, 104)})], run=0)
    waiting = m.exchange.submit(order("buy", call, 1, 104))
    assert waiting.status == "accepted"
    assert m.events() == []
    m.step()
    assert m.events() == ["new", "fill"]
    assert m.held() == {call: 1}


def test_ioc_and_fok_of_shares(market, step, order) -> None:
    m = market([step(0, {"SPY": (25_000, 25_001, 100, 100)})])
    m.exchange.submit(order("buy", "SPY", 150, 25_001, time_in_force="ioc"))
    assert m.events() == ["new", "partial_fill", "canceled"]
    m.exchange.submit(order("buy", "SPY", 500, 25_002, time_in_force="fok"))
    assert m.events() == ["new", "canceled"]
    assert m.held() == {"SPY": 100}


def test_nothing_trades_under_a_halt(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = SPY | {call: (100, 104)}
    m = market([step(0, quotes), step(1, quotes), step(2, quotes)])
    m.exchange.halt("SPY")
    assert m.exchange.halted() == ("SPY",)
    assert m.exchange.quote(call).ask_size == 0
    m.exchange.submit(order("buy", call, 1, 104))
    m.step()
    assert m.held() == {}
    m.exchange.resume("SPY")
    m.step()
    assert m.held() == {call: 1}


@pytest.mark.parametrize("cents", [300, 305])
def test_cancel_and_replace(market, step, occ, order, cents: int) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (290, 310)})])
    first = m.exchange.submit(order("buy", call, 5, 295))
    second = m.exchange.replace(
        first.order_id, qty=7, limit_price=cents * CENT, time_in_force=None, client_order_id="second"
    )
    assert second.replaces == first.order_id
    assert m.exchange.order(first.order_id).replaced_by == second.order_id
    assert m.events() == ["new", "replaced", "new"]
    assert m.exchange.quote(call).bid_cents == cents
    assert m.exchange.quote(call).bid_size == 7
    m.exchange.cancel(second.order_id)
    assert m.events() == ["canceled"]
    assert m.exchange.quote(call).bid_cents == 290
    assert m.exchange.account().reserved == 0


def test_events_are_numbered_without_gaps_and_hold_the_order_as_it_was(market, step, occ, order) -> None:
    call = occ("C", 250)
    m = market([step(0, SPY | {call: (100, 104)})])
    m.exchange.submit(order("buy", call, 150, 106))
    events = m.exchange.drain_events()
    assert [event.event_id for event in events] == [1, 2, 3]
    assert [event.order.filled_qty for event in events] == [0, 100, 150]
    assert [event.order.status for event in events] == ["new", "partially_filled", "filled"]
    assert m.exchange.last_event_id() == 3


def test_stop_orders_wait_for_their_price(market, step, order) -> None:
    fell = step(30, {"SPY": (24_950, 24_951)}, range=(24_940, 25_000))
    rose = step(30, {"SPY": (25_050, 25_051)}, range=(24_990, 25_060))
    for script, expected in ((fell, {}), (rose, {"SPY": 10})):
        m = market([step(0, SPY), script])
        m.exchange.submit(order("buy", "SPY", 10))
        m.exchange.submit(order("sell", "SPY", 10, order_type="stop", stop_price=24_945 * CENT))
        assert m.events() == ["new", "fill", "new"]
        m.step()
        assert m.held() == expected


def test_a_stop_limit_order_rests_once_it_is_triggered(market, step, order) -> None:
    rose = step(30, {"SPY": (25_050, 25_051)}, range=(25_000, 25_060))
    back = step(60, {"SPY": (25_000, 25_001)}, range=(24_990, 25_050))
    m = market([step(0, SPY), rose, back])
    ticket = order("buy", "SPY", 10, 25_020, order_type="stop_limit", stop_price=25_010 * CENT)
    m.exchange.submit(ticket)
    assert m.exchange.quote("SPY").bid_cents == 25_000, "a stop order is not in the book"
    m.step()
    assert m.held() == {}
    m.step()
    assert fills(m) == [(25_020, 10)]


def test_a_stop_already_reached_goes_at_once(market, step, order) -> None:
    m = market([step(0, SPY)])
    m.exchange.submit(order("buy", "SPY", 10, order_type="stop", stop_price=24_000 * CENT))
    assert m.events() == ["new", "fill"]
