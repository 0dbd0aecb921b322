"""Alpaca's JSON becomes our values exactly; nothing is folded, nothing unreadable passes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from alpaca.trading.enums import OrderStatus, TradeEvent
from hypothesis import given
from hypothesis import strategies as st

from gammaray.types.account import ActivityKind, Execution, UpdateKind
from gammaray.types.instruments import ExerciseStyle, OptionContract, Right
from gammaray.types.orders import OrderLeg, OrderRequest, PositionIntent, Side, TimeInForce
from gammaray.venues.alpaca import translate

ORDER: dict[str, Any] = {
    "id": "000000c9-5a1e-4c0d-9b00-0000000000c9",
    "client_order_id": "one",
    "symbol": "AAPL261218C00250000",
    "qty": "2",
    "filled_qty": "1",
    "filled_avg_price": "6.03",
    "limit_price": "6.05",
    "side": "buy",
    "status": "partially_filled",
    "legs": None,
    # 2026-11-20T14:31:05Z is 1795185065 s after 1970.
    "submitted_at": "2026-11-20T14:31:05.120934Z",
    "updated_at": "2026-11-20T14:31:05.402877123Z",
}
CONDOR_LEGS = [
    {"id": "leg-0", "symbol": "AAPL261218P00235000", "side": "buy"},
    {"id": "leg-1", "symbol": "AAPL261218P00240000", "side": "sell"},
]


def test_an_order_is_read_exactly() -> None:
    order = translate.venue_order(ORDER)
    assert (order.qty, order.filled_qty, order.limit_price, order.filled_avg_price) == (2, 1, 6_050_000, "6.03")
    assert order.submitted_ns == 1_795_185_065_120_934_000
    assert order.updated_ns == 1_795_185_065_402_877_123
    assert order.legs == ("AAPL261218C00250000",)


@pytest.mark.parametrize("status", sorted(status.value for status in OrderStatus))
def test_every_status_of_the_sdk_keeps_its_word(status: str) -> None:
    assert translate.venue_order({**ORDER, "status": status}).status == status


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": "restated"}, "status"),
        ({"qty": None}, "qty"),
        ({"qty": "1.5"}, "qty"),
        ({"filled_qty": "NaN"}, "filled_qty"),
        ({"limit_price": "cheap"}, "limit_price"),
        ({"client_order_id": None}, "client_order_id"),
        ({"id": 7}, "id"),
        ({"submitted_at": None}, "submitted_at"),
    ],
)
def test_unreadable_orders_name_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        translate.venue_order({**ORDER, **changes})


def update(event: str, **data: Any) -> dict[str, Any]:
    return {"event": event, "timestamp": "2026-11-20T14:31:05Z", "event_id": "41", "order": ORDER, **data}


@pytest.mark.parametrize("event", sorted(event.value for event in TradeEvent))
def test_every_event_of_the_sdk_is_an_update_or_known_to_inform(event: str) -> None:
    found = translate.order_update(update(event, execution_id="e", price="1", qty="1"))
    if found is None:
        assert event in translate.INFORMATIVE_EVENTS
    else:
        assert found.kind.value == event


def test_pending_cancel_is_not_canceled() -> None:
    found = translate.order_update(update("pending_cancel"))
    assert found is not None
    assert found.kind is UpdateKind.PENDING_CANCEL


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(ValueError, match="event: unknown"):
        translate.order_update(update("exploded"))


def test_a_simple_fill() -> None:
    data = update("partial_fill", execution_id="e-1", price="6.03", qty="1", position_qty="1")
    found = translate.order_update(data)
    assert found is not None
    assert found.executions == (Execution("e-1", "AAPL261218C00250000", 1, 6_030_000),)
    assert (found.event_id, found.client_order_id) == (41, "one")


def test_a_package_fill_signs_each_leg_by_its_side() -> None:
    legs = [
        {"execution_id": "e-1", "order_id": "leg-0", "symbol": "AAPL261218P00235000", "qty": "3", "price": "1.1"},
        {"execution_id": "e-2", "order_id": "leg-1", "symbol": "AAPL261218P00240000", "qty": "3", "price": "1.85"},
    ]
    data = update("fill", price="-0.75", qty="3", legs=legs, order={**ORDER, "symbol": "", "legs": CONDOR_LEGS})
    found = translate.order_update(data)
    assert found is not None
    assert found.executions == (
        Execution("e-1", "AAPL261218P00235000", 3, 1_100_000),
        Execution("e-2", "AAPL261218P00240000", -3, 1_850_000),
    )


def test_event_ids_that_are_no_numbers_are_nought() -> None:
    # Alpaca's are ULIDs.
    found = translate.order_update(update("new", event_id="01KAMXP5Q0V7R3S9ZC2B8TN4EF"))
    assert found is not None
    assert found.event_id == 0


@pytest.mark.parametrize(("qty", "side", "expected"), [("2", "long", 2), ("-1", "short", -1), ("1", "short", -1)])
def test_positions_are_signed_by_their_side(qty: str, side: str, expected: int) -> None:
    body = {"symbol": "SPY", "qty": qty, "side": side, "avg_entry_price": "250.123456789", "current_price": None}
    position = translate.venue_position(body)
    assert position.signed_qty == expected
    # More than six decimals are rounded half-even to the micro-dollar.
    assert position.avg_entry_price == 250_123_457


def test_activities() -> None:
    fill = translate.activity(
        {
            "id": "20261120093105402::0000012d-5a1e-4c0d-9b00-00000000012d",
            "activity_type": "FILL",
            "transaction_time": "2026-11-20T14:31:05.402877Z",
            "type": "fill",
            "price": "6.03",
            "qty": "2",
            "side": "sell",
            "symbol": "AAPL261218C00250000",
            "order_id": "o",
        }
    )
    assert (fill.kind, fill.signed_qty, fill.price, fill.order_id) == (ActivityKind.FILL, -2, 6_030_000, "o")
    assigned = translate.activity(
        {
            "id": "20261218093105402::0000013a-5a1e-4c0d-9b00-00000000013a",
            "activity_type": "OPTRD",
            "date": "2026-12-18",
            "net_amount": "-24000",
            "symbol": "AAPL",
            "qty": "100",
            "price": "240",
            "group_id": "g",
        }
    )
    assert (assigned.kind, assigned.signed_qty, assigned.net_amount, assigned.group_id) == (
        ActivityKind.OPTION_TRADE,
        100,
        -24_000_000_000,
        "g",
    )
    # The id's digits are the time: 2026-12-18T09:31:05.402Z.
    assert assigned.ts_ns == translate.time_ns("2026-12-18T09:31:05.402Z")


@pytest.mark.parametrize(
    ("word", "kind", "sub_kind"),
    [
        ("OPXRC", ActivityKind.EXERCISE, "OPXRC"),
        ("OPEXC", ActivityKind.EXERCISE, ""),
        ("DIVNRA", ActivityKind.DIVIDEND, "DIVNRA"),
        ("JNLC", ActivityKind.CASH, "JNLC"),
    ],
)
def test_words_of_activities(word: str, kind: ActivityKind, sub_kind: str) -> None:
    row = translate.activity({"id": "20261218093105402::x", "activity_type": word, "net_amount": "-0.06"})
    assert (row.kind, row.sub_kind, row.net_amount) == (kind, sub_kind, -60_000)


def test_contracts() -> None:
    contract = translate.option_contract(
        {
            "underlying_symbol": "SPY",
            "root_symbol": "SPY",
            "expiration_date": "2018-02-16",
            "strike_price": "272.5",
            "type": "put",
            "style": "american",
            "size": "100",
        }
    )
    assert contract == OptionContract("SPY", date(2018, 2, 16), 272_500, Right.PUT, "SPY", 100, ExerciseStyle.AMERICAN)
    assert contract.symbol == "SPY180216P00272500"


@given(cents=st.integers(-10_000_000, 10_000_000), qty=st.integers(1, 10_000), ratio=st.integers(1, 5))
def test_requests_carry_prices_exactly(cents: int, qty: int, ratio: int) -> None:
    request = OrderRequest(
        "x",
        (
            OrderLeg("SPY180216P00270000", Side.SELL, 1, PositionIntent.SELL_TO_OPEN),
            OrderLeg("SPY180216P00265000", Side.BUY, ratio),
        ),
        qty,
        cents * 10_000,
    )
    sent = json.loads(json.dumps(translate.order_request(request).to_request_fields(), default=str))
    assert round(float(sent["limit_price"]) * 100) == cents
    # The text that goes over the wire has at most two decimals: nothing of the double's error shows.
    assert len(repr(sent["limit_price"]).partition(".")[2]) <= 2
    assert (sent["qty"], sent["order_class"]) == (qty, "mleg")
    assert [leg["ratio_qty"] for leg in sent["legs"]] == [1, ratio]


def test_a_simple_request() -> None:
    leg = OrderLeg("SPY", Side.BUY)
    sent = translate.order_request(OrderRequest("x", (leg,), 5, None, TimeInForce.GTC)).to_request_fields()
    assert sent == {
        "symbol": "SPY",
        "qty": 5.0,
        "side": "buy",
        "type": "market",
        "time_in_force": "gtc",
        "client_order_id": "x",
    }


@pytest.mark.shared
def test_every_example_of_the_wire_is_understood(shared_dir: Path) -> None:
    examples = shared_dir / "alpaca" / "examples"
    read = 0
    for path in sorted(examples.glob("*.json")):
        body = json.loads(path.read_text())
        if path.name.startswith("order_") and "request" not in path.name:
            translate.venue_order(body)
        elif path.name.startswith("ws_trade_update"):
            translate.order_update(body["data"])
        elif path.name.startswith("activities_"):
            for row in body:
                translate.activity(row)
        elif path.name == "positions_list.json":
            assert [translate.venue_position(row).signed_qty for row in body] == [2, -1, 100]
        elif path.name == "account.json":
            assert translate.venue_account(body).cash == 98_766_200_000
        elif path.name == "option_contract.json":
            assert translate.option_contract(body).symbol == "AAPL261218C00250000"
        else:
            continue
        read += 1
    assert read > 15
