"""Order bodies and query parameters are read exactly, or refused with the field's name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.venues.simulated.model import ExchangeReject, Ticket, TicketLeg
from gammaray.venues.simulated.wire.requests import Query, read_object, read_replace, read_ticket

LIMIT = {
    "symbol": "AAPL261218C00250000",
    "qty": 2.0,
    "side": "buy",
    "type": "limit",
    "time_in_force": "day",
    "client_order_id": "strat7-000123",
    "limit_price": 6.05,
    "position_intent": "buy_to_open",
}
CONDOR = {
    "qty": "1",
    "type": "limit",
    "time_in_force": "day",
    "order_class": "mleg",
    "limit_price": -1.85,
    "legs": [
        {"symbol": "AAPL261218P00235000", "ratio_qty": 1.0, "side": "buy", "position_intent": "buy_to_open"},
        {"symbol": "AAPL261218P00240000", "ratio_qty": "1", "side": "sell", "position_intent": "sell_to_open"},
    ],
}


def read(body: dict[str, Any]) -> Ticket:
    return read_ticket(read_object(json.dumps(body).encode()))


def test_numbers_and_strings_read_the_same() -> None:
    as_text = {**LIMIT, "qty": "2", "limit_price": "6.05"}
    assert read(LIMIT) == read(as_text)
    assert read(LIMIT) == Ticket(
        symbol="AAPL261218C00250000",
        qty=2,
        side="buy",
        order_type="limit",
        time_in_force="day",
        limit_price=6_050_000,
        client_order_id="strat7-000123",
        position_intent="buy_to_open",
    )


def test_package_keeps_its_signed_price_and_legs() -> None:
    ticket = read(CONDOR)
    assert ticket.limit_price == -1_850_000
    assert ticket.symbol == ""
    assert ticket.legs == [
        TicketLeg("AAPL261218P00235000", 1, "buy", "buy_to_open"),
        TicketLeg("AAPL261218P00240000", 1, "sell", "sell_to_open"),
    ]


@given(cents=st.integers(-100_000_000, 100_000_000))
def test_every_cent_price_survives_json_floats(cents: int) -> None:
    # alpaca-py sends floats: their shortest decimal text has at most 15 digits here and so reads back exactly.
    assert read({**CONDOR, "limit_price": cents / 100}).limit_price == cents * 10_000


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"qty": 0}, 40010001, "qty must be > 0"),
        ({"qty": "two"}, 40010001, "invalid qty"),
        ({"qty": True}, 40010001, "invalid qty"),
        ({"qty": 1.5}, 42210000, "qty must be integer"),
        ({"qty": 1e30}, 40010001, "qty must be <="),
        ({"qty": None}, 40010001, "qty or notional is required"),
        ({"side": "hold"}, 40010001, "invalid side"),
        ({"side": None}, 40010001, "side is required"),
        ({"symbol": None}, 40010001, "symbol is required"),
        ({"symbol": 7}, 40010001, "invalid symbol"),
        ({"type": "peg"}, 40010001, "invalid type"),
        ({"type": "market"}, 40010001, "market orders must not have a limit price"),
        ({"limit_price": None}, 40010001, "limit orders require a limit price"),
        ({"limit_price": -1}, 40010001, "limit price must be > 0"),
        ({"limit_price": 1.00000001}, 42210000, "sub-penny increment"),
        ({"limit_price": "NaN"}, 40010001, "invalid limit_price: must be finite"),
        ({"time_in_force": ""}, 40010001, "time_in_force is required"),
        ({"client_order_id": "x" * 129}, 40010001, "no more than 128 characters"),
        ({"order_class": "bracket"}, 42210000, "complex orders not supported for options trading"),
        ({"notional": 100}, 42210000, "notional orders are not supported"),
        ({"extended_hours": "yes"}, 40010001, "invalid extended_hours"),
    ],
)
def test_refusals_name_the_field(changes: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(ExchangeReject, match=message) as refusal:
        read({**LIMIT, **changes})
    assert refusal.value.status == 422
    assert refusal.value.code == code


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"qty": NaN}', b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ExchangeReject) as refusal:
        read_object(body)
    assert refusal.value.status == 400


@pytest.mark.parametrize("body", [b"", b"null", b"  "])
def test_absent_bodies_are_empty(body: bytes) -> None:
    assert read_object(body) == {}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(ExchangeReject):
        content = read_object(body)
        read_replace(content)
        read_ticket(content)


def test_replace_reads_what_was_sent() -> None:
    fields = read_replace({"qty": 3, "limit_price": "6.1", "client_order_id": "r1"})
    assert (fields.qty, fields.limit_price, fields.time_in_force, fields.client_order_id) == (3, 6_100_000, None, "r1")


@pytest.mark.parametrize("text", ["True", "true", "1"])
def test_query_booleans_in_any_case(text: str) -> None:
    assert Query({"nested": text}).flag("nested")
    assert not Query({}).flag("nested")


def test_query_times() -> None:
    # 2026-11-20T14:30:00Z is 1795185000 s after 1970 (date -u -d 2026-11-20T14:30:00Z +%s).
    expected = 1_795_185_000_000_000_000
    assert Query({"after": "2026-11-20T14:30:00Z"}).time("after") == expected
    # A plus sign that was not escaped arrives as a blank.
    assert Query({"after": "2026-11-20T14:30:00 00:00"}).time("after") == expected
    # A plain date is midnight in New York: 05:00 UTC in winter.
    assert Query({"after": "2026-11-20"}).time("after") == expected - (14 * 3600 + 30 * 60 - 5 * 3600) * 10**9
    with pytest.raises(ExchangeReject, match="invalid after"):
        Query({"after": "yesterday"}).time("after")
