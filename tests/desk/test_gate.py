"""Every rule denies what it should and names limit and value; reservations let exactly one of two orders pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gammaray.desk import events
from gammaray.desk.desk import Desk
from gammaray.desk.limits import RiskLimits
from gammaray.market.snapshot import Quality
from gammaray.types.account import ActivityKind, OrderUpdate, UpdateKind
from gammaray.types.orders import OrderState
from gammaray.types.signals import Purpose, TradingState
from tests.desk.helpers import (
    DOLLAR,
    NOW,
    WIDE,
    activity,
    fill,
    leg,
    open_desk,
    put_spread,
    send,
    signal,
    symbol,
)

PUT, WING, CALL = symbol("P", 100), symbol("P", 95), symbol("C", 105)
SHARE = "XYZ"


def denied(event: events.Event, rule: str) -> events.OrderDenied:
    assert isinstance(event, events.OrderDenied), event
    assert event.rule == rule
    return event


def hold(desk: Desk, **positions: int) -> None:
    """Give the desk positions at one dollar."""
    for number, (what, qty) in enumerate(positions.items()):
        desk.handle(activity(ActivityKind.FILL, 500 + number, symbol=what, signed_qty=qty, price=DOLLAR))


def test_a_good_order_passes_and_reserves_its_largest_loss() -> None:
    """Width 5, credit 0.60: 440 a unit to lose, so 440 of funds; the delta of a long vertical is (-0.5 + 0.5) × 102.50 × 100 = 0."""
    desk, _, _ = open_desk()
    event = send(desk, put_spread(qty=2))
    assert isinstance(event, events.OrderIntended)
    assert event.reserved == events.Reservation(880 * DOLLAR, 880 * DOLLAR, 0, 0, 0)


def test_halted_and_reducing() -> None:
    desk, _, _ = open_desk()
    hold(desk, **{PUT: 1})
    closing = signal(leg(PUT, "sell", intent="sell_to_close"), price=1.0, purpose=Purpose.CLOSE)
    hedge = signal(leg(SHARE, "sell"), price=102.5, purpose=Purpose.HEDGE)
    desk.handle(events.TradingStateChanged(NOW, TradingState.REDUCING, "rule:x", "why"))
    denied(desk.decide(put_spread(), NOW), "trading_state")
    assert isinstance(desk.decide(closing, NOW), events.OrderIntended)
    assert isinstance(desk.decide(hedge, NOW), events.OrderIntended)
    desk.handle(events.TradingStateChanged(NOW, TradingState.HALTED, "rule:x", "why"))
    denied(desk.decide(closing, NOW), "trading_state")
    denied(desk.decide(hedge, NOW), "trading_state")


def test_cancels_pass_in_every_state() -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread())
    desk.handle(events.UpdateReceived(NOW, OrderUpdate(UpdateKind.NEW, "t-000001", "v1", NOW)))
    desk.handle(events.TradingStateChanged(NOW, TradingState.HALTED, "rule:x", "why"))
    (command,) = desk.handle(events.CancelRequested(NOW, "t-000001", "tester"))
    assert command.venue_order_id == "v1"  # type: ignore[union-attr]
    assert desk.order_state(desk.records[0]) is OrderState.PENDING_CANCEL


def test_order_rate() -> None:
    desk, _, _ = open_desk(replace(WIDE, max_orders_per_minute=3))
    for number in range(3):
        assert isinstance(send(desk, put_spread(position_id=f"p{number}")), events.OrderIntended)
    event = denied(desk.decide(put_spread(position_id="p9"), NOW), "order_rate")
    assert (event.limit, event.value) == (3, 4)
    # The bucket leaks one order in twenty seconds.
    assert isinstance(desk.decide(put_spread(position_id="p9"), NOW + 20 * 10**9), events.OrderIntended)


def test_order_size() -> None:
    desk, _, _ = open_desk(replace(WIDE, max_order_contracts=5, max_order_shares=50))
    event = denied(desk.decide(put_spread(qty=6), NOW), "order_size")
    assert (event.limit, event.value, event.subject) == (5, 6, PUT)
    event = denied(desk.decide(signal(leg(SHARE, "buy"), qty=51, price=102.5), NOW), "order_size")
    assert (event.limit, event.value, event.subject) == (50, 51, SHARE)


def test_stale_quotes_fail_closed() -> None:
    desk, _, _ = open_desk(replace(WIDE, max_quote_age_s=60.0))
    assert isinstance(desk.decide(put_spread(), NOW + 60 * 10**9), events.OrderIntended)
    event = denied(desk.decide(put_spread(), NOW + 61 * 10**9), "stale_quote")
    assert (event.limit, event.value) == (60 * 10**9, 61 * 10**9)


def test_a_symbol_without_a_quote_fails_closed() -> None:
    desk, _, _ = open_desk()
    unlisted = symbol("P", 33)
    denied(desk.decide(signal(leg(unlisted, "buy"), price=1.0), NOW), "stale_quote")


@pytest.mark.parametrize("flag", [Quality.MISSING_BID, Quality.CROSSED, Quality.STALE, Quality.NEGATIVE, Quality.JUMP])
def test_bad_quotes_fail_closed_for_opening_orders(flag: Quality) -> None:
    desk, marks, market = open_desk()
    send(desk, put_spread())
    chain = market.snapshot(NOW)
    chain.quality[chain.table.index[WING]] = int(flag)
    marks.update(chain)
    event = denied(desk.decide(put_spread(position_id="p2"), NOW), "bad_quote")
    assert (event.value, event.subject) == (int(flag), WING)


@pytest.mark.parametrize(
    ("flag", "passes"),
    [(Quality.MISSING_BID, False), (Quality.MISSING_ASK, True), (Quality.JUMP, True), (Quality.CROSSED, False)],
)
def test_a_sale_that_closes_needs_a_bid_and_no_more(flag: Quality, passes: bool) -> None:
    desk, marks, market = open_desk()
    hold(desk, **{PUT: 1})
    chain = market.snapshot(NOW)
    chain.quality[chain.table.index[PUT]] = int(flag)
    marks.update(chain)
    closing = signal(leg(PUT, "sell", intent="sell_to_close"), price=0.9, purpose=Purpose.CLOSE)
    assert isinstance(desk.decide(closing, NOW), events.OrderIntended) is passes


def test_unknown_greeks_fail_closed() -> None:
    desk, marks, market = open_desk()
    chain = market.snapshot(NOW)
    chain.vega[chain.table.index[PUT]] = float("nan")
    marks.update(chain)
    denied(desk.decide(put_spread(), NOW), "bad_quote")


def test_a_closed_or_unknown_market_fails_closed() -> None:
    desk, marks, market = open_desk()
    denied(desk.decide(replace(put_spread(), underlying="ABC"), NOW), "session_closed")
    marks.update(market.snapshot(NOW, session_open=False))
    denied(desk.decide(put_spread(), NOW), "session_closed")


def test_an_unknown_symbol_gets_no_row() -> None:
    desk, _, _ = open_desk()
    known = list(desk.store.symbols)
    event = denied(desk.decide(signal(leg("not a symbol", "buy"), price=1.0), NOW), "unknown_symbol")
    assert event.subject == "not a symbol"
    assert desk.store.symbols == known


def test_price_collar_on_the_wrong_side_only() -> None:
    """The spread's middle is 0.40 - 0.99 or so; the collar is a quarter of the gross middle. A slip of the sign is far outside."""
    desk, _, _ = open_desk()
    denied(desk.decide(put_spread(price=0.60), NOW), "price_collar")
    assert isinstance(desk.decide(put_spread(price=-4.0), NOW), events.OrderIntended), "too good a price is harmless"
    hold(desk, **{CALL: 1})
    sale = signal(leg(CALL, "sell", intent="sell_to_close"), price=0.01, purpose=Purpose.CLOSE)
    event = denied(desk.decide(sale, NOW), "price_collar")
    assert event.value == -10_000, "a simple sale's limit is compared as a negative net"
    assert event.limit < event.value


def test_market_orders_can_be_forbidden_and_need_a_narrow_market() -> None:
    desk, marks, market = open_desk(replace(WIDE, allow_market_orders=False))
    buy = signal(leg(SHARE, "buy"), qty=10)
    denied(desk.decide(buy, NOW), "market_order")
    desk, marks, market = open_desk()
    assert isinstance(desk.decide(buy, NOW), events.OrderIntended)
    chain = replace(market.snapshot(NOW), spot_bid=50.0)
    marks.update(chain)
    denied(desk.decide(buy, NOW), "wide_quote")


def test_position_quantity_counts_what_works_on_the_same_side() -> None:
    desk, _, _ = open_desk(replace(WIDE, max_contracts_per_symbol=5, max_position_size=1.0))
    assert isinstance(send(desk, put_spread(qty=3)), events.OrderIntended)
    event = denied(desk.decide(put_spread(qty=3, position_id="p2"), NOW), "position_qty")
    assert (event.limit, event.value) == (5, 6)


def test_closing_orders_cannot_close_more_than_there_is() -> None:
    desk, _, _ = open_desk()
    hold(desk, **{PUT: 3})
    wrong_way = signal(leg(PUT, "buy", intent="buy_to_close"), price=1.1, purpose=Purpose.CLOSE)
    denied(desk.decide(wrong_way, NOW), "close_qty")
    first = signal(leg(PUT, "sell", intent="sell_to_close"), qty=2, price=0.9, purpose=Purpose.CLOSE)
    assert isinstance(send(desk, first), events.OrderIntended)
    event = denied(desk.decide(replace(first, position_id="p2"), NOW), "close_qty")
    assert (event.limit, event.value, event.subject) == (1, 2, PUT)
    assert isinstance(desk.decide(replace(first, position_id="p2", qty=1), NOW), events.OrderIntended)


@pytest.mark.parametrize(
    ("held", "qty", "intent", "passes"),
    [(2, 2, None, True), (2, 3, None, False), (2, 1, "sell_to_open", False), (0, 1, None, True)],
)
def test_an_order_on_the_other_side_closes_and_may_not_go_through_zero(
    held: int, qty: int, intent: str | None, passes: bool
) -> None:
    """The venue nets a contract and refuses what contradicts that, so the gate does."""
    desk, _, _ = open_desk(replace(WIDE, defined_risk_only=False, max_position_size=1.0))
    if held:
        hold(desk, **{PUT: held})
    decision = desk.decide(signal(leg(PUT, "sell", intent=intent), qty=qty, price=1.0), NOW)
    if passes:
        assert isinstance(decision, events.OrderIntended)
    else:
        event = denied(decision, "position_intent")
        assert (event.limit, event.value, event.subject) == (held, qty, PUT)


def test_daily_loss_stops_opening_and_the_rule_reduces_then_halts() -> None:
    limits = replace(WIDE, max_daily_loss=0.05, halt_daily_loss=0.10)
    desk, _, _ = open_desk(limits)
    desk.handle(activity(ActivityKind.CASH, 1, net_amount=-4_999 * DOLLAR))
    assert desk.decisions.breach(NOW) is None
    desk.handle(activity(ActivityKind.CASH, 2, net_amount=-1 * DOLLAR))
    breach = desk.decisions.breach(NOW)
    assert breach is not None
    assert breach.state is TradingState.REDUCING
    event = denied(desk.decide(put_spread(), NOW), "daily_loss")
    assert (event.limit, event.value) == (5_000 * DOLLAR, 5_000 * DOLLAR)
    desk.handle(breach)
    assert desk.decisions.breach(NOW) is None
    desk.handle(activity(ActivityKind.CASH, 3, net_amount=-5_000 * DOLLAR))
    breach = desk.decisions.breach(NOW)
    assert breach is not None
    assert breach.state is TradingState.HALTED


def test_naked_shorts_are_refused() -> None:
    desk, _, _ = open_desk()
    event = denied(desk.decide(signal(leg(CALL, "sell"), price=1.0), NOW), "uncovered_short")
    assert (event.limit, event.value) == (0, 100)
    denied(desk.decide(signal(leg(PUT, "sell"), price=1.0), NOW), "uncovered_short")


def test_shares_cover_a_call_until_their_sale_is_under_way() -> None:
    desk, _, _ = open_desk()
    hold(desk, **{SHARE: 100})
    call = signal(leg(CALL, "sell"), price=1.0)
    assert isinstance(desk.decide(call, NOW), events.OrderIntended)
    send(desk, signal(leg(SHARE, "sell"), qty=1, price=102.5, purpose=Purpose.HEDGE, position_id="h"))
    denied(desk.decide(call, NOW), "uncovered_short")


def test_of_two_orders_that_would_both_take_the_cover_one_passes() -> None:
    """2 long, 1 short: either long may go, not both."""
    desk, _, _ = open_desk()
    hold(desk, **{WING: 2, PUT: -1})
    sale = signal(leg(WING, "sell", intent="sell_to_close"), price=0.5, purpose=Purpose.CLOSE)
    assert isinstance(send(desk, sale), events.OrderIntended)
    denied(desk.decide(replace(sale, position_id="p2"), NOW), "uncovered_short")


def test_a_package_that_closes_does_not_block_another_that_opens() -> None:
    """While a spread is being bought back its long is on sale; a spread that covers itself may open beside it all the same."""
    desk, _, _ = open_desk()
    send(desk, put_spread(qty=2))
    fill(desk, "t-000001", 1, **{PUT: (-2, 1.00), WING: (2, 0.40)})
    legs = (leg(PUT, "buy", intent="buy_to_close"), leg(WING, "sell", intent="sell_to_close"))
    assert isinstance(send(desk, signal(*legs, qty=2, price=0.60, purpose=Purpose.CLOSE)), events.OrderIntended)
    call_spread = signal(leg(CALL, "sell"), leg(symbol("C", 110), "buy"), price=-0.60, position_id="p2")
    event = desk.decide(call_spread, NOW)
    assert isinstance(event, events.OrderIntended), event
    denied(desk.decide(signal(leg(CALL, "sell"), price=1.0, position_id="p3"), NOW), "uncovered_short")


def test_a_cash_secured_put_where_it_is_allowed() -> None:
    desk, _, _ = open_desk(replace(WIDE, defined_risk_only=False, max_position_size=0.2))
    event = send(desk, signal(leg(PUT, "sell"), price=1.0))
    assert isinstance(event, events.OrderIntended)
    assert event.reserved.funds == (10_000 - 100) * DOLLAR


def test_position_loss() -> None:
    """1 % of 100,000 is 1,000; two spreads can lose 880, three 1,320."""
    desk, _, _ = open_desk(replace(WIDE, max_position_size=0.01))
    assert isinstance(desk.decide(put_spread(qty=2), NOW), events.OrderIntended)
    event = denied(desk.decide(put_spread(qty=3), NOW), "max_position_size")
    assert (event.limit, event.value) == (1_000 * DOLLAR, 1_320 * DOLLAR)


def test_of_two_orders_that_together_breach_a_limit_exactly_one_passes() -> None:
    """2 % of equity for the underlying is 2,000; each order can lose 1,320."""
    for first, second in (("p1", "p2"), ("p2", "p1")):
        desk, _, _ = open_desk(replace(WIDE, max_underlying_size=0.02))
        assert isinstance(send(desk, put_spread(qty=3, position_id=first)), events.OrderIntended)
        event = denied(send(desk, put_spread(qty=3, position_id=second)), "max_underlying_size")
        assert (event.limit, event.value) == (2_000 * DOLLAR, 2_640 * DOLLAR)


def test_a_canceled_order_gives_its_reservation_back() -> None:
    desk, _, _ = open_desk(replace(WIDE, max_underlying_size=0.02))
    send(desk, put_spread(qty=3))
    denied(desk.decide(put_spread(qty=3, position_id="p2"), NOW), "max_underlying_size")
    desk.handle(events.UpdateReceived(NOW, OrderUpdate(UpdateKind.CANCELED, "t-000001", "v1", NOW)))
    assert isinstance(desk.decide(put_spread(qty=3, position_id="p2"), NOW), events.OrderIntended)


def test_funds() -> None:
    """With 1,000 of cash one spread of 440 fits, then another, and no third: 120 are left."""
    desk, _, _ = open_desk(replace(WIDE, max_position_size=1.0, max_underlying_size=1.0), cash=1_000 * DOLLAR)
    for number in range(2):
        assert isinstance(send(desk, put_spread(position_id=f"p{number}")), events.OrderIntended)
    desk.handle(events.LimitsSet(NOW, replace(desk.books.limits, max_underlying_size=1.0), "x"))
    event = desk.decide(put_spread(position_id="p3"), NOW)
    assert isinstance(event, events.OrderDenied)
    # 3 × 440 also exceeds all of the equity, so the rule on the underlying speaks first.
    assert (event.rule, event.limit, event.value) == ("max_underlying_size", 1_000 * DOLLAR, 1_320 * DOLLAR)
    shares = signal(leg(SHARE, "buy"), qty=20, price=102.5, purpose=Purpose.HEDGE, position_id="h")
    event = denied(desk.decide(shares, NOW), "funds")
    # 20 × 102.50 = 2,050, half of it financed: 1,025 against 1,000 - 880.
    assert (event.limit, event.value) == (120 * DOLLAR, 1_025 * DOLLAR)


def test_closing_frees_funds() -> None:
    """A spread bought back for 0.60 gives 500 of requirement back for 60 paid: nothing is needed."""
    desk, _, _ = open_desk(replace(WIDE, max_position_size=1.0, max_underlying_size=1.0), cash=500 * DOLLAR)
    send(desk, put_spread())
    fill(desk, "t-000001", 1, **{PUT: (-1, 1.00), WING: (1, 0.40)})
    legs = (leg(PUT, "buy", intent="buy_to_close"), leg(WING, "sell", intent="sell_to_close"))
    event = send(desk, signal(*legs, price=0.60, purpose=Purpose.CLOSE))
    assert isinstance(event, events.OrderIntended)
    assert event.reserved.funds == 0


BUY_CALL = signal(leg(CALL, "buy"), qty=1, price=1.0)
"""Dollar delta 0.5 × 102.50 × 100 = 5,125; gamma 0.02 × 102.50² × 1 % × 100 = 210.125; vega 10 × 1 % × 100 = 10."""


@pytest.mark.parametrize(
    ("limit", "rule", "fraction", "value"),
    [
        ("max_delta_underlying", "delta_underlying", 0.05, 5_125.0),
        ("max_delta_total", "delta_total", 0.05, 5_125.0),
        ("max_leverage", "max_leverage", 0.05, 5_125.0),
        ("max_gamma_underlying", "gamma_underlying", 0.002, 210.125),
        ("max_gamma_total", "gamma_total", 0.002, 210.125),
        ("max_vega_underlying", "vega_underlying", 0.0001, 10.0),
        ("max_vega_total", "vega_total", 0.0001, 10.0),
    ],
)
def test_greeks_by_underlying_and_total(limit: str, rule: str, fraction: float, value: float) -> None:
    """One call stays at or within the limit or breaks it; two break it together, the first being only reserved."""
    desk, _, _ = open_desk(replace(WIDE, **{limit: fraction}))
    first = desk.decide(BUY_CALL, NOW)
    if value <= fraction * 100_000:
        assert isinstance(first, events.OrderIntended)
        desk.handle(first)
        value *= 2
        first = desk.decide(replace(BUY_CALL, position_id="p2"), NOW)
    event = denied(first, rule)
    assert (event.limit, event.value) == (round(fraction * 100_000 * DOLLAR), round(value * DOLLAR))


def test_a_hedge_may_leave_a_limit_broken_as_long_as_it_brings_it_down() -> None:
    desk, _, _ = open_desk(replace(WIDE, max_delta_underlying=0.01))
    hold(desk, **{CALL: 2})
    hedge = signal(leg(SHARE, "sell"), qty=20, price=102.5, purpose=Purpose.HEDGE)
    assert isinstance(desk.decide(hedge, NOW), events.OrderIntended)
    denied(desk.decide(replace(hedge, legs=(leg(SHARE, "buy"),)), NOW), "delta_underlying")


def test_the_same_intent_twice() -> None:
    desk, _, _ = open_desk()
    send(desk, put_spread())
    event = denied(desk.decide(put_spread(qty=2), NOW), "duplicate_intent")
    assert event.subject == "t-000001"
    assert isinstance(desk.decide(put_spread(position_id="p2"), NOW), events.OrderIntended)
    assert isinstance(desk.decide(put_spread(strategy="another"), NOW), events.OrderIntended)


def test_no_trade_with_ourselves() -> None:
    desk, _, _ = open_desk()
    send(desk, signal(leg(SHARE, "buy"), qty=5, price=102.4, purpose=Purpose.HEDGE, position_id="a"))
    sell = signal(leg(SHARE, "sell"), qty=5, price=102.4, purpose=Purpose.HEDGE, position_id="b")
    assert denied(desk.decide(sell, NOW), "self_trade").subject == "t-000001"
    denied(desk.decide(replace(sell, limit_price=None), NOW), "self_trade")
    assert isinstance(desk.decide(replace(sell, limit_price=102_410_000), NOW), events.OrderIntended)


def test_a_denial_reserves_nothing_and_counts() -> None:
    desk, _, _ = open_desk()
    before = desk.store.book.account.tobytes()
    send(desk, signal(leg(CALL, "sell"), price=1.0))
    assert desk.store.book.account.tobytes() == before
    assert desk.order_state(desk.records[0]) is OrderState.DENIED
    assert desk.books.memory.denials == {"uncovered_short": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_daily_loss", 0.0), ("max_position_size", 1.5), ("max_leverage", float("nan")), ("halt_daily_loss", 0.01)],
)
def test_limits_are_validated_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        RiskLimits(**{field: value})  # type: ignore[arg-type]
