"""Expiry, exercise, assignment: positions, cash to the cent, and the activities that tell of them."""

from __future__ import annotations

from datetime import date

import pytest

from gammaray.venues.simulated.model import ExchangeReject

CENT = 10_000
START = 100_000_000_000
FRIDAY = date(2017, 10, 6)


def rows(m):
    return [
        (a.activity_type, a.symbol, a.qty, a.price, a.net_amount)
        for a in m.exchange.activities()
        if a.activity_type != "FILL"
    ]


@pytest.fixture
def held(market, step, occ, order):
    """held(close, (side, right, strike, qty), …): positions taken on expiration Friday at a price of 100 cents, run through the close at `close`."""

    def make(close, *positions, run=True, before=None, **settings):
        quotes = {"SPY": (25_000, 25_001, 500, 500)}
        quotes |= {occ(right, strike): (100, 100) for _, right, strike, _ in positions}
        end = {"SPY": (close, close + 1, 500, 500)}
        m = market([step(0, quotes, day=FRIDAY), step(None, end, day=FRIDAY)], **settings)
        for side, right, strike, qty in positions:
            m.exchange.submit(order(side, occ(right, strike), qty, 100))
        if before:
            before(m)
        if run:
            m.step()
        return m

    return make


def test_out_of_the_money_expires_worthless(held, occ) -> None:
    m = held(25_000, ("buy", "C", 250, 2))
    assert m.held() == {}
    assert m.cash == START - 2 * 100 * 100 * CENT
    assert rows(m) == [("OPEXP", occ("C", 250), -2, None, 0)]


def test_one_cent_in_the_money_is_exercised(held, occ) -> None:
    m = held(25_001, ("buy", "C", 250, 2))
    assert m.held() == {"SPY": 200}
    assert m.cash == START - 2 * 100 * 100 * CENT - 200 * 25_000 * CENT
    exercise, shares = [a for a in m.exchange.activities() if a.activity_type != "FILL"]
    assert (exercise.activity_type, exercise.qty, exercise.net_amount) == ("OPEXC", -2, 0)
    assert (shares.activity_type, shares.symbol, shares.qty, shares.price) == ("OPTRD", "SPY", 200, 25_000 * CENT)
    assert shares.net_amount == -200 * 25_000 * CENT
    assert exercise.group_id == shares.group_id != ""


def test_a_put_in_the_money_makes_us_short_when_the_account_can_carry_it(held) -> None:
    m = held(24_990, ("buy", "P", 250, 1))
    assert m.held() == {"SPY": -100}
    assert m.cash == START - 100 * 100 * CENT + 100 * 25_000 * CENT


def test_a_short_put_in_the_money_is_assigned(held, occ) -> None:
    m = held(24_000, ("sell", "P", 250, 1))
    assert m.held() == {"SPY": 100}
    assert rows(m)[0] == ("OPASN", occ("P", 250), 1, None, 0)
    assert rows(m)[1] == ("OPTRD", "SPY", 100, 25_000 * CENT, -100 * 25_000 * CENT)


def test_do_not_exercise_lets_it_lapse(held, occ) -> None:
    m = held(26_000, ("buy", "C", 250, 1), before=lambda m: m.exchange.do_not_exercise(occ("C", 250)))
    assert m.held() == {}
    assert rows(m)[0][0] == "OPEXP"


def test_a_spread_in_the_money_nets_to_no_shares(market, step, occ, package) -> None:
    quotes = {"SPY": (25_000, 25_001), occ("C", 240): (1000, 1010), occ("C", 245): (500, 510)}
    m = market([step(0, quotes, day=FRIDAY), step(None, {"SPY": (25_000, 25_001)}, day=FRIDAY)])
    m.exchange.submit(package(3, None, ("buy", occ("C", 240), 1), ("sell", occ("C", 245), 1)))
    paid = START - m.cash
    m.step()
    assert m.held() == {}
    assert m.cash == START - paid + 3 * 100 * 500 * CENT


def test_activities_wait_for_the_next_day_on_a_paper_account_that_delays_them(held) -> None:
    m = held(25_001, ("buy", "C", 250, 1), delayed_activities=True)
    assert m.held() == {"SPY": 100}
    assert rows(m) == []
    m.exchange.advance_to(m.exchange.clock_ns() + 8 * 3_600_000_000_000)
    assert [row[0] for row in rows(m)] == ["OPEXC", "OPTRD"]


def test_exercise_by_hand(held, occ) -> None:
    m = held(25_000, ("buy", "C", 240, 1), run=False)
    m.exchange.exercise(occ("C", 240))
    assert m.held() == {"SPY": 100}
    with pytest.raises(ExchangeReject) as refusal:
        m.exchange.exercise(occ("C", 240))
    assert (refusal.value.status, refusal.value.code) == (404, 40410000)


def test_exercise_that_is_refused(held, occ) -> None:
    m = held(25_000, ("sell", "P", 240, 1), ("buy", "P", 255, 1), ("buy", "C", 240, 3), run=False, cash=40_000_000_000)
    with pytest.raises(ExchangeReject, match="short position"):
        m.exchange.exercise(occ("P", 240))
    with pytest.raises(
        ExchangeReject, match=r"insufficient underlying qty to exercise \(required: 100, available: 0\)"
    ):
        m.exchange.exercise(occ("P", 255))
    with pytest.raises(ExchangeReject, match=r"insufficient cash to exercise \(required: 72000"):
        m.exchange.exercise(occ("C", 240))
    m.step()
    with pytest.raises(ExchangeReject, match="not accepted after market close until midnight"):
        m.exchange.exercise(occ("C", 240))


def test_partial_assignment_by_the_administrator(held, occ) -> None:
    m = held(25_000, ("sell", "P", 260, 3), run=False)
    m.exchange.assign(occ("P", 260), 2)
    assert m.held() == {occ("P", 260): -1, "SPY": 200}
    with pytest.raises(ExchangeReject, match="cannot assign 2"):
        m.exchange.assign(occ("P", 260), 2)


def test_the_sweep_sells_what_the_account_cannot_take(market, step, occ, order) -> None:
    quotes = {"SPY": (25_000, 25_001, 500, 500), occ("C", 240): (1000, 1010)}
    # 10 calls need 250,000 dollars of shares, half of it as margin; the account has 10,000 less the premium.
    script = [step(0, quotes, day=FRIDAY), step(365, quotes, day=FRIDAY)]
    m = market(script, cash=15_000_000_000)
    m.exchange.submit(order("buy", occ("C", 240), 10, 1010))
    m.events()
    m.step()
    assert m.events() == ["new", "fill"]
    assert m.held() == {}
    assert m.cash == 15_000_000_000 - 10 * 100 * 10 * CENT
    rich = market(script, cash=500_000_000_000)
    rich.exchange.submit(order("buy", occ("C", 240), 10, 1010))
    rich.step()
    assert rich.held() == {occ("C", 240): 10}


def test_fees_are_charged_at_the_close(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = {"SPY": (25_000, 25_001), call: (80, 82)}
    m = market([step(0, quotes), step(None, quotes)], fees=True)
    m.exchange.submit(order("buy", call, 10))
    # ORF 10 × 0.0427 → 0.43, OCC 10 × 0.05 = 0.50.
    assert m.exchange.account().accrued_fees == 93 * CENT
    m.step()
    assert [(a.sub_type, a.net_amount) for a in m.exchange.activities() if a.activity_type == "FEE"] == [
        ("ORF", -43 * CENT),
        ("OCC", -50 * CENT),
    ]
    assert m.cash == START - 10 * 82 * 100 * CENT - 93 * CENT
    assert m.exchange.account().accrued_fees == 0
    assert m.exchange.account().last_equity == m.exchange.account().equity


def test_a_dividend_is_paid_to_long_and_by_short_positions(market, step, order) -> None:
    for side, sign in (("buy", 1), ("sell", -1)):
        m = market([step(0, {"SPY": (25_000, 25_001)})])
        m.exchange.submit(order(side, "SPY", 30))
        before = m.cash
        m.exchange.pay_dividend("SPY", 1_351_000)
        assert m.cash - before == sign * 30 * 1_351_000
        assert rows(m) == [("DIV", "SPY", 0, 1_351_000, sign * 30 * 1_351_000)]


def test_assignment_cancels_orders_that_would_close_what_is_gone(held, occ, order) -> None:
    m = held(25_000, ("sell", "P", 260, 3), run=False)
    first = m.exchange.submit(order("buy", occ("P", 260), 1, 50))
    second = m.exchange.submit(order("buy", occ("P", 260), 2, 51))
    m.exchange.assign(occ("P", 260), 1)
    assert m.exchange.order(second.order_id).status == "canceled"
    assert m.exchange.order(first.order_id).is_open


def test_early_assignment_takes_deep_contracts_alone(market, step, occ, order) -> None:
    deep, near = occ("P", 260), occ("P", 251)
    quotes = {"SPY": (25_000, 25_001, 500, 500), deep: (998, 1004), near: (250, 254)}
    for rate, left in ((1.0, {near: -1, "SPY": 200}), (0.0, {deep: -2, near: -1})):
        m = market([step(0, quotes), step(None, quotes)], cash=1_000_000_000_000, early_assignment=rate)
        m.exchange.submit(order("sell", deep, 2, 998))
        m.exchange.submit(order("sell", near, 1, 250))
        m.step()
        assert m.held() == left
