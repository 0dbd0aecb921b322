"""Refusals of orders: status, code and words of shared/alpaca/wire.md 2.10 and 2.11; and what open orders hold."""

from __future__ import annotations

from datetime import date

import pytest

from gammaray.venues.simulated.model import ExchangeReject

CENT = 10_000
DOLLAR = 1_000_000
SPY = {"SPY": (25_000, 25_001, 5_000, 5_000)}
NEXT = date(2017, 10, 13)
FRIDAY = date(2017, 10, 6)


@pytest.fixture
def chain(occ):
    """Calls and puts every 5 dollars of two expirations, all at 100 to 102 cents; one class beyond 3 dollars."""
    quotes = {
        occ(right, strike, day): (100, 102)
        for right in "CP"
        for strike in (240, 245, 250, 255)
        for day in (FRIDAY, NEXT)
    }
    return SPY | quotes


@pytest.fixture
def open_market(market, step, chain):
    def make(**settings):
        return market([step(0, chain), step(None, chain)], **settings)

    return make


def refusal(m, ticket) -> tuple[int, int, str]:
    orders = len(m.exchange.orders())
    with pytest.raises(ExchangeReject) as caught:
        m.exchange.submit(ticket)
    assert len(m.exchange.orders()) == orders, "a refused order leaves no trace"
    assert m.events() == []
    return caught.value.status, caught.value.code, caught.value.message


def test_syntax(open_market, occ, order) -> None:
    m = open_market()
    call = occ("C", 250)
    assert refusal(m, order("buy", call, 0, 100)) == (422, 40010001, "qty must be > 0")
    assert refusal(m, order("buy", call, 1, order_type="limit")) == (
        422,
        40010001,
        "limit orders require a limit price",
    )
    long_id = order("buy", call, 1, 100, client_order_id="x" * 129)
    assert refusal(m, long_id) == (422, 40010001, "client_order_id must be no more than 128 characters")
    assert refusal(m, order("hold", call, 1, 100))[:2] == (422, 40010001)
    assert refusal(m, order("buy", call, 1, -5))[:2] == (422, 40010001)


def test_client_order_id_is_unique_for_ever(open_market, occ, order) -> None:
    m = open_market()
    done = m.exchange.submit(order("buy", occ("C", 250), 1, 102, client_order_id="a"))
    assert m.exchange.order(done.order_id).status == "filled"
    m.events()
    assert refusal(m, order("buy", "SPY", 1, client_order_id="a")) == (422, 40010001, "client_order_id must be unique")
    assert m.exchange.order_by_client_id("a").order_id == done.order_id


def test_contract(open_market, market, step, occ, order) -> None:
    m = open_market()
    assert refusal(m, order("buy", occ("C", 999), 1, 100))[2] == f'contract "{occ("C", 999)}" not found'
    assert refusal(m, order("buy", "NOPE", 1)) == (422, 42210000, 'asset "NOPE" not found')
    call = occ("C", 250)
    late = market([step(0, SPY | {call: (100, 102)}, day=FRIDAY), step(None, SPY, day=FRIDAY)], run=2)
    assert refusal(late, order("buy", call, 1, 100)) == (422, 42210000, f'contract "{call}" is expired')


def test_option_order_fields(open_market, occ, order) -> None:
    m = open_market(cap_contracts=50, option_gtc=False)
    call = occ("C", 250)
    stop = order("buy", call, 1, order_type="stop", stop_price=100 * CENT)
    assert refusal(m, stop) == (422, 42210000, "invalid order_type 'stop' for options trading")
    assert refusal(m, order("buy", "SPY", 1, order_type="stop"))[:2] == (422, 40010001)
    assert "order_time_in_force" in refusal(m, order("buy", call, 1, 100, time_in_force="ioc"))[2]
    assert "order_time_in_force" in refusal(m, order("buy", call, 1, 100, time_in_force="gtc"))[2]
    assert "extended hours" in refusal(m, order("buy", call, 1, 100, extended_hours=True))[2]
    assert refusal(m, order("buy", call, 51, 100))[2] == "options order qty must be <= 50"
    assert "complex orders not supported" in refusal(m, order("buy", call, 1, 100, order_class="bracket"))[2]


def test_market_orders_of_options_need_an_open_market(open_market, occ, order, package) -> None:
    m = open_market()
    m.step()
    words = "options market orders are only allowed during market hours"
    assert refusal(m, order("buy", occ("C", 250), 1)) == (422, 42210000, words)
    legs = (("buy", occ("C", 250), 1), ("sell", occ("C", 255), 1))
    assert refusal(m, package(1, None, *legs)) == (422, 42210000, words)


def test_ticks(open_market, occ, order) -> None:
    m = open_market()
    status, code, message = refusal(m, order("buy", occ("C", 250), 1, 100, limit_price=1_005_000))
    assert (status, code) == (422, 42210000)
    assert message.startswith("invalid limit_price 1.005. sub-penny increment")
    m.exchange.submit(order("buy", occ("C", 250), 1, 331))


def test_no_opening_in_the_last_half_hour_of_a_contract(market, step, occ, order) -> None:
    call = occ("C", 250)
    quotes = SPY | {call: (100, 102)}
    m = market([step(0, quotes, day=FRIDAY), step(359, quotes, day=FRIDAY), step(360, quotes, day=FRIDAY)])
    m.step()
    m.exchange.submit(order("buy", call, 1, 102))
    m.events()
    m.step()
    words = f'contract "{call}" expires soon, unable to open new positions'
    assert refusal(m, order("buy", call, 1, 102)) == (422, 42210000, words)
    m.exchange.submit(order("sell", call, 1, 100))
    assert m.held() == {}


def test_position_intent(open_market, occ, order) -> None:
    m = open_market()
    call = occ("C", 250)
    assert refusal(m, order("sell", call, 1, 100, position_intent="sell_to_close")) == (
        422,
        42210000,
        "position intent mismatch, inferred: sell_to_open, specified: sell_to_close",
    )
    m.exchange.submit(order("buy", call, 2, 102, position_intent="buy_to_open"))
    closing = m.exchange.submit(order("sell", call, 1, 100))
    assert closing.position_intent == "sell_to_close"
    m.events()
    assert "inferred: sell_to_close" in refusal(m, order("sell", call, 1, 100, position_intent="sell_to_open"))[2]


@pytest.mark.parametrize(
    ("level", "words"),
    [(0, "account not authorized to trade options"), (1, "account not eligible to trade long option contracts")],
)
def test_levels(open_market, occ, order, package, level: int, words: str) -> None:
    m = open_market(options_level=level)
    assert refusal(m, order("buy", occ("C", 250), 1, 102)) == (403, 40310000, words)
    legs = (("buy", occ("C", 250), 1), ("sell", occ("C", 255), 1))
    assert refusal(m, package(1, 50, *legs))[:2] == (403, 40310000)


def test_level_two_buys_but_makes_no_spreads(open_market, occ, order, package) -> None:
    m = open_market(options_level=2)
    m.exchange.submit(order("buy", occ("C", 250), 1, 102))
    m.events()
    legs = (("buy", occ("P", 250), 1), ("sell", occ("P", 245), 1))
    assert "spreads" in refusal(m, package(1, 50, *legs))[2]


def test_packages(open_market, occ, package) -> None:
    m = open_market()
    long, short = ("buy", occ("C", 250), 1), ("sell", occ("C", 255), 1)
    assert "at least 2 legs and at most 4" in refusal(m, package(1, 5, long))[2]
    ratio = package(1, 5, ("buy", occ("C", 250), 2), ("sell", occ("C", 255), 2))
    assert refusal(m, ratio) == (422, 42210000, "leg ratio quantities should be relatively prime: GCD[2 2] = 2")
    assert "unique" in refusal(m, package(1, 5, long, ("sell", occ("C", 250), 1)))[2]
    assert "asset not found for SPY" in refusal(m, package(1, 5, long, ("sell", "SPY", 1)))[2]
    assert refusal(m, package(1, 5, long, ("", occ("C", 255), 1)))[2] == "leg.1 position intent is required"
    assert refusal(m, package(1, None, long, short, limit_price=5_001, order_type="limit"))[2] == "invalid limit price"
    assert refusal(m, package(1, 5, long, short, time_in_force="ioc"))[2] == "invalid time in force"
    uncovered = (403, 40310000, "account not eligible to trade uncovered option contracts")
    assert refusal(m, package(1, 5, long, ("sell", occ("P", 255), 1))) == uncovered
    assert refusal(m, package(1, 5, long, ("sell", occ("C", 255), 2))) == uncovered
    assert refusal(m, package(1, 5, ("sell", occ("C", 250, NEXT), 1), ("buy", occ("C", 250, FRIDAY), 1))) == uncovered
    m.exchange.submit(package(1, 5, ("sell", occ("C", 250, FRIDAY), 1), ("buy", occ("C", 250, NEXT), 1)))


def test_a_long_leg_may_not_be_sold_from_under_a_short_one(open_market, occ, order, package) -> None:
    m = open_market()
    m.exchange.submit(package(2, None, ("buy", occ("C", 255), 1), ("sell", occ("C", 250), 1)))
    m.events()
    words = "account not eligible to trade uncovered option contracts"
    assert refusal(m, order("sell", occ("C", 255), 1, 100)) == (403, 40310000, words)
    # Closing both legs is fine, and so is a roll of the short leg.
    m.exchange.submit(package(1, None, ("sell", occ("C", 255), 1), ("buy", occ("C", 250), 1)))
    m.exchange.submit(package(1, None, ("buy", occ("C", 250), 1), ("sell", occ("C", 245), 1)))
    assert m.held() == {occ("C", 245): -1, occ("C", 255): 1}


def test_two_sales_of_longs_that_cover_one_short_do_not_both_work(open_market, occ, order, package) -> None:
    m = open_market()
    m.exchange.submit(package(1, None, ("buy", occ("C", 255), 1), ("sell", occ("C", 250), 1)))
    m.exchange.submit(order("buy", occ("C", 255), 1, 102))
    m.exchange.submit(order("sell", occ("C", 255), 1, 150))
    m.events()
    words = "account not eligible to trade uncovered option contracts"
    assert refusal(m, order("sell", occ("C", 255), 1, 150)) == (403, 40310000, words)
    m.exchange.submit(order("buy", occ("C", 250), 1, 102))
    m.exchange.submit(order("sell", occ("C", 255), 1, 150))


def test_buying_power_of_long_options_and_what_open_orders_hold(open_market, occ, order) -> None:
    m = open_market(cash=1_000 * DOLLAR)
    words = "insufficient options buying power (required: 1020, available: 1000)"
    assert refusal(m, order("buy", occ("C", 250), 10, 102)) == (403, 40310000, words)
    resting = m.exchange.submit(order("buy", occ("C", 250), 9, 99))
    assert m.exchange.account().options_buying_power == (1_000 - 891) * DOLLAR
    m.events()
    assert "available: 109" in refusal(m, order("buy", occ("C", 245), 2, 99))[2]
    m.exchange.cancel(resting.order_id)
    assert m.exchange.account().options_buying_power == 1_000 * DOLLAR
    m.exchange.submit(order("buy", occ("C", 245), 2, 99))


def test_buying_power_of_a_credit_spread_is_its_loss(market, step, occ, package) -> None:
    quotes = SPY | {occ("C", 245): (500, 505, 100, 100), occ("C", 255): (0, 5, 0, 100)}
    legs = (("sell", occ("C", 245), 1), ("buy", occ("C", 255), 1))
    # Ten dollars wide at a credit of 4.95: 1000 − 495 a unit. Alpaca's example: 190/200 at 5 credit costs 1000 − 500.
    m = market([step(0, quotes)], cash=1_009 * DOLLAR)
    assert "(required: 1010, available: 1009)" in refusal(m, package(2, -495, *legs))[2]
    m.exchange.submit(package(1, -495, *legs))
    figures = m.exchange.account()
    assert m.cash == (1_009 + 495) * DOLLAR
    assert figures.options_buying_power == (1_009 - 505) * DOLLAR
    assert figures.options_buying_power == figures.equity - figures.initial_margin


def test_cash_secured_puts_and_covered_calls(open_market, occ, order) -> None:
    m = open_market(cash=26_000 * DOLLAR)
    m.exchange.submit(order("sell", occ("P", 240), 1, 100))
    m.events()
    put = refusal(m, order("sell", occ("P", 240), 1, 100))
    assert (
        put == (422, 42210000, "position intent mismatch")
        or "cash-secured put (required: 24000, available: 2100)" in put[2]
    )
    call = refusal(m, order("sell", occ("C", 250), 1, 100))
    assert call[2] == "insufficient underlying qty available for covered call (required: 100, available: 0)"
    rich = open_market(cash=60_000 * DOLLAR)
    rich.exchange.submit(order("buy", "SPY", 150))
    rich.exchange.submit(order("sell", occ("C", 250), 1, 100))
    rich.events()
    assert "(required: 100, available: 50)" in refusal(rich, order("sell", occ("C", 255), 1, 100))[2]
    assert "insufficient qty available" in refusal(rich, order("sell", "SPY", 100))[2]
    rich.exchange.submit(order("sell", "SPY", 50))


def test_closing_more_than_is_available(open_market, occ, order) -> None:
    m = open_market()
    call = occ("C", 250)
    m.exchange.submit(order("buy", call, 5, 102))
    resting = m.exchange.submit(order("sell", call, 4, 150))
    m.events()
    with pytest.raises(ExchangeReject) as caught:
        m.exchange.submit(order("sell", call, 2, 150))
    assert caught.value.message == "insufficient qty available for order (requested: 2, available: 1)"
    assert caught.value.details == {
        "available": "1",
        "existing_qty": "5",
        "held_for_orders": "4",
        "symbol": call,
        "related_orders": resting.order_id,
    }


def test_shares(open_market, order) -> None:
    m = open_market(cash=10_000 * DOLLAR)
    # Regulation T: 10,000 carry 20,000 of shares: 79 at 250.01, not 80.
    assert refusal(m, order("buy", "SPY", 80))[:3] == (403, 40310000, "insufficient buying power")
    m.exchange.submit(order("buy", "SPY", 79))
    m.events()
    assert "insufficient qty available" in refusal(m, order("sell", "SPY", 80))[2]
    m.exchange.submit(order("sell", "SPY", 79))
    m.exchange.submit(order("sell", "SPY", 30))
    assert m.held() == {"SPY": -30}
    m.events()
    assert "insufficient qty available" in refusal(m, order("buy", "SPY", 31))[2]
    cash_account = open_market(multiplier=1)
    assert refusal(cash_account, order("sell", "SPY", 1))[2] == "account is not allowed to short"


def test_wash_trades_of_shares(open_market, order) -> None:
    m = open_market()
    m.exchange.submit(order("buy", "SPY", 20))
    resting = m.exchange.submit(order("sell", "SPY", 10, 25_100))
    m.events()
    with pytest.raises(ExchangeReject) as caught:
        m.exchange.submit(order("buy", "SPY", 1))
    assert caught.value.message == "potential wash trade detected. use complex orders"
    assert caught.value.details["existing_order_id"] == resting.order_id
    m.exchange.submit(order("buy", "SPY", 1, 25_050))


def test_cancel_and_replace_refusals(open_market, occ, order, package) -> None:
    m = open_market()
    call = occ("C", 250)
    done = m.exchange.submit(order("buy", call, 1, 102))
    with pytest.raises(ExchangeReject) as caught:
        m.exchange.cancel(done.order_id)
    assert (caught.value.status, caught.value.message) == (422, 'order is already in "filled" state')
    with pytest.raises(ExchangeReject) as caught:
        m.exchange.cancel("00000000-0000-0000-0000-000000000000")
    assert (caught.value.status, caught.value.code) == (404, 40410000)
    resting = m.exchange.submit(order("buy", call, 3, 90))

    def replace(**changes):
        fields = {"qty": None, "limit_price": None, "time_in_force": None, "client_order_id": None} | changes
        with pytest.raises(ExchangeReject) as caught:
            m.exchange.replace(resting.order_id, **fields)
        return caught.value.message

    assert replace() == "order parameters are not changed"
    assert "insufficient options buying power" in replace(qty=9_999)
    assert replace(client_order_id=done.client_order_id, qty=4) == "client_order_id must be unique"
    assert m.exchange.order(resting.order_id).is_open, "a refused replacement leaves the order as it was"
    spread = m.exchange.submit(package(1, 1, ("buy", occ("C", 245), 1), ("sell", occ("C", 255), 1)))
    with pytest.raises(ExchangeReject, match="leg order"):
        m.exchange.cancel(spread.legs[0].order_id)
