"""Whatever we do to the exchange: books that add up, the same bytes for the same calls, and a restored state that goes on as if nothing had been."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.exchange import Exchange
from gammaray.venues.simulated.model import ExchangeReject, ExchangeSettings, Ticket, TicketLeg
from gammaray.venues.simulated.scenario.history import history_scenario

START_CASH = 300_000_000_000
CENT = 10_000

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(1, 10)),
        st.tuples(st.just("option"), st.integers(0, 10_000), st.integers(1, 40), st.integers(-6, 6), st.booleans()),
        st.tuples(st.just("shares"), st.booleans(), st.integers(1, 400), st.integers(-20, 20)),
        st.tuples(st.just("package"), st.integers(0, 10_000), st.integers(1, 12), st.integers(-4, 8), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 10)),
        st.tuples(st.just("replace"), st.integers(0, 10), st.integers(1, 60)),
        st.tuples(st.just("assign"), st.integers(0, 10)),
        st.tuples(st.just("exercise"), st.integers(0, 10)),
        st.tuples(st.just("close"), st.integers(0, 10)),
    ),
    min_size=12,
    max_size=40,
)


def fresh() -> Exchange:
    # An expiration Friday, and a weekend after it.
    scenario = history_scenario(seed=7, first=date(2018, 2, 8), last=date(2018, 2, 12))
    return Exchange(scenario, ExchangeSettings(cash=START_CASH, seed=7))


def act(exchange: Exchange, action: tuple) -> None:
    """Do one action; a refusal is an outcome like another."""
    name, *arguments = action
    times = exchange.step_times()
    try:
        if name == "step":
            done = int(np.searchsorted(times, exchange.clock_ns(), side="right"))
            if done < len(times):
                exchange.advance_to(times[min(done + arguments[0] - 1, len(times) - 1)])
        elif name == "option":
            pick, qty, improve, is_buy = arguments
            symbol = active(exchange)[pick % len(active(exchange))]
            exchange.submit(limit(exchange, symbol, qty, improve, "buy" if is_buy else "sell"))
        elif name == "shares":
            is_buy, qty, improve = arguments
            exchange.submit(limit(exchange, "SPY", qty, improve, "buy" if is_buy else "sell"))
        elif name == "package":
            pick, qty, worse, is_credit = arguments
            exchange.submit(vertical(exchange, pick, qty, worse, is_credit=is_credit))
        elif name == "close":
            position = nth(exchange.positions(), arguments[0])
            side = "sell" if position.signed_qty > 0 else "buy"
            exchange.submit(Ticket(position.symbol, abs(position.signed_qty), side, "market", "day"))
        elif name == "cancel":
            exchange.cancel(nth([o for o in exchange.orders() if o.is_open], arguments[0]).order_id)
        elif name == "replace":
            order = nth([o for o in exchange.orders() if o.is_open], arguments[0])
            exchange.replace(
                order.order_id, qty=arguments[1], limit_price=None, time_in_force=None, client_order_id=None
            )
        elif name == "assign":
            position = nth([p for p in exchange.positions() if p.signed_qty < 0], arguments[0])
            exchange.assign(position.symbol, 1)
        elif name == "exercise":
            exchange.exercise(nth(exchange.positions(), arguments[0]).symbol)
    except (ExchangeReject, IndexError):
        return


def nth(items: list, i: int):
    if not items:
        raise IndexError("nothing to pick from")
    return items[i % len(items)]


def active(exchange: Exchange) -> list[str]:
    return [row.contract.symbol for row in exchange.listed("SPY") if row.status == "active"]


def limit(exchange: Exchange, symbol: str, qty: int, improve: int, side: str) -> Ticket:
    quote = exchange.quote(symbol)
    touch = 100 if quote is None else quote.ask_cents if side == "buy" else quote.bid_cents
    cents = max(touch + improve, 1)
    return Ticket(symbol, qty, side, "limit", "gtc" if qty % 2 else "day", limit_price=cents * CENT)


def vertical(exchange: Exchange, pick: int, qty: int, worse: int, *, is_credit: bool) -> Ticket:
    """Neighbouring strikes of one expiration and right."""
    chain = [row.contract for row in exchange.listed("SPY") if row.status == "active"]
    one = chain[pick % len(chain)]
    same = sorted(
        (c for c in chain if (c.expiration, c.right) == (one.expiration, one.right)), key=lambda c: c.strike_milli
    )
    i = same.index(one)
    other = same[i - 1] if i else same[i + 1]
    buy, sell = (other, one) if is_credit else (one, other)
    quotes = [exchange.quote(c.symbol) for c in (buy, sell)]
    natural = 0 if None in quotes else quotes[0].ask_cents - quotes[1].bid_cents
    legs = [TicketLeg(buy.symbol, 1, "buy"), TicketLeg(sell.symbol, 1, "sell")]
    return Ticket("", qty, "", "limit", "day", limit_price=(natural + worse - 2) * CENT, order_class="mleg", legs=legs)


def check_books(exchange: Exchange, executions: list) -> None:
    """Cash and positions are a fold over activities; activities and stream tell of the same fills; orders agree with their fills."""
    cash = START_CASH
    held: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    for row in exchange.activities():
        if row.activity_type == "FILL":
            signed = row.qty if row.side == "buy" else -row.qty
            cash -= signed * row.price * (100 if is_occ(row.symbol) else 1)
            held[row.symbol] += signed
            filled[row.order_id] += row.qty
        else:
            cash += row.net_amount
            held[row.symbol] += row.qty
    assert exchange.account().cash == cash
    assert {p.symbol: p.signed_qty for p in exchange.positions()} == {s: q for s, q in held.items() if q}
    fills = [a for a in exchange.activities() if a.activity_type == "FILL"]
    assert [e.execution_id for e in executions] == [a.execution_id for a in fills]
    assert len({a.activity_id for a in exchange.activities()}) == len(exchange.activities())
    assert [a.activity_id for a in exchange.activities()] == sorted(a.activity_id for a in exchange.activities())
    for order in exchange.orders():
        assert 0 <= order.filled_qty <= order.qty
        assert (order.status == "filled") == (order.filled_qty == order.qty)
        if order.legs:
            assert all(leg.filled_qty == order.filled_qty * leg.ratio_qty for leg in order.legs)
        else:
            assert filled[order.order_id] == order.filled_qty
    figures = exchange.account()
    assert figures.equity == figures.cash + figures.long_market_value + figures.short_market_value
    assert figures.reserved >= 0


def uncovered(exchange: Exchange) -> int:
    return sum(qty for _, qty in exchange.accounting.margin().uncovered)


def deliveries(exchange: Exchange) -> int:
    return sum(row.activity_type == "OPTRD" for row in exchange.activities())


def check_market(exchange: Exchange) -> None:
    for symbol in (*active(exchange), "SPY"):
        quote = exchange.quote(symbol)
        if quote is not None:
            assert quote.bid_size >= 0
            assert quote.ask_size >= 0
            assert (quote.bid_cents > 0) == (quote.bid_size > 0)
            if quote.bid_size and quote.ask_size:
                assert quote.bid_cents < quote.ask_cents, f"{symbol} is locked or crossed: {quote}"


relaxed = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(ACTIONS)
def test_cash_and_positions_are_a_fold_over_what_was_told(actions) -> None:
    exchange = fresh()
    exchange.advance_to(exchange.step_times()[0])
    executions = []
    numbers = []
    for action in actions:
        naked, delivered = uncovered(exchange), deliveries(exchange)
        act(exchange, action)
        for event in exchange.drain_events():
            executions.extend(event.executions)
            numbers.append(event.event_id)
        check_books(exchange, executions)
        # No order of ours leaves a short call alone; a delivery of shares may.
        assert uncovered(exchange) <= naked or deliveries(exchange) > delivered
    check_market(exchange)
    # To the end, through an expiration and three days' fees.
    exchange.advance_to(exchange.step_times()[-1])
    for event in exchange.drain_events():
        executions.extend(event.executions)
        numbers.append(event.event_id)
    check_books(exchange, executions)
    assert not any(p.symbol.startswith("SPY180209") for p in exchange.positions())
    assert numbers == list(range(1, exchange.last_event_id() + 1))
    assert exchange.account_number == "PA3SIM000001"


@relaxed
@given(ACTIONS, st.integers(0, 40))
def test_a_restored_exchange_goes_on_with_the_same_bytes(actions, cut) -> None:
    straight, first = fresh(), fresh()
    for action in actions[:cut]:
        act(straight, action)
        act(first, action)
    saved = first.state()
    resumed = fresh()
    resumed.restore(saved)
    assert resumed.state() == saved
    for action in actions[cut:]:
        act(straight, action)
        act(resumed, action)
    end = straight.step_times()[-1]
    published = [
        p.bid_cents.tobytes() + p.ask_cents.tobytes() + repr(p.trades).encode() for p in straight.advance_to(end)
    ]
    again = [p.bid_cents.tobytes() + p.ask_cents.tobytes() + repr(p.trades).encode() for p in resumed.advance_to(end)]
    assert published == again
    assert straight.state() == resumed.state()


def test_a_state_of_another_market_is_refused() -> None:
    exchange = fresh()
    other = Exchange(
        history_scenario(seed=8, first=date(2018, 2, 8), last=date(2018, 2, 12)),
        ExchangeSettings(cash=START_CASH, seed=7),
    )
    with pytest.raises(ValueError, match="scenario"):
        other.restore(exchange.state())
    richer = Exchange(exchange.scenario, ExchangeSettings(cash=2 * START_CASH, seed=7))
    with pytest.raises(ValueError, match="settings"):
        richer.restore(exchange.state())
    exchange.advance_to(exchange.step_times()[0])
    with pytest.raises(ValueError, match="fresh"):
        exchange.restore(fresh().state())


def test_time_does_not_go_back() -> None:
    exchange = fresh()
    exchange.advance_to(exchange.step_times()[3])
    with pytest.raises(ValueError, match="before the exchange's clock"):
        exchange.advance_to(exchange.step_times()[2])
