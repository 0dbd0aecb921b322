"""The twenty rules that break a simulator if missed (wire.md section 0), each against the served bytes and alpaca-py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgpack
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.live.option import OptionDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, OptionLegRequest
from websockets.sync.client import ClientConnection, connect

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET

HEADERS = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
MSGPACK = {"Content-Type": "application/msgpack"}


@pytest.fixture
def http(venue: VenueServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=venue.url, headers=HEADERS, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def no_wait(client: TradingClient) -> TradingClient:
    """alpaca-py's own retries, without their pause of three seconds."""
    client._retry_wait = 0
    return client


def socket(venue: VenueServer, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
    return connect(f"ws{venue.url[4:]}{path}", additional_headers=headers, proxy=None, max_size=1 << 20)


def listen(ws: ClientConnection) -> None:
    ws.send(json.dumps({"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}}))
    ws.recv(20)
    ws.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates", "account_updates"]}}))
    assert json.loads(ws.recv(20))["data"]["streams"] == ["trade_updates"]


def subscribe_quotes(ws: ClientConnection, symbols: list[str]) -> None:
    assert msgpack.unpackb(ws.recv(20)) == [{"T": "success", "msg": "connected"}]
    ws.send(msgpack.packb({"action": "auth", "key": KEY, "secret": SECRET}))
    assert msgpack.unpackb(ws.recv(20)) == [{"T": "success", "msg": "authenticated"}]
    ws.send(msgpack.packb({"action": "subscribe", "quotes": symbols}))
    (answer,) = msgpack.unpackb(ws.recv(20))
    assert answer == {"T": "subscription", "quotes": sorted(symbols), "trades": []}


def limit(contract: Any, cents: int, client_order_id: str, qty: float = 1) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=contract.symbol,
        qty=qty,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.DAY,
        limit_price=cents / 100,
        client_order_id=client_order_id,
    )


def vertical(near_calls: Any, client_order_id: str) -> LimitOrderRequest:
    (low, low_quote), (high, high_quote) = near_calls[0], near_calls[2]
    return LimitOrderRequest(
        qty=1,
        order_class=OrderClass.MLEG,
        time_in_force=TimeInForce.DAY,
        limit_price=(low_quote.ask_cents - high_quote.bid_cents) / 100,
        client_order_id=client_order_id,
        legs=[
            OptionLegRequest(symbol=low.symbol, ratio_qty=1, side=OrderSide.BUY),
            OptionLegRequest(symbol=high.symbol, ratio_qty=1, side=OrderSide.SELL),
        ],
    )


def test_01_a_trailing_slash_in_the_url_is_a_clean_404(venue: VenueServer) -> None:
    with pytest.raises(APIError) as missing:
        TradingClient(KEY, SECRET, url_override=venue.url + "/").get_account()
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)


@pytest.mark.parametrize("text", ["True", "true", "False"])
def test_02_query_booleans_in_any_case(http: httpx.Client, text: str) -> None:
    assert http.get("/v2/orders", params={"nested": text}).status_code == 200
    assert http.delete("/v2/positions", params={"cancel_orders": text}).status_code == 207
    assert http.get("/v1beta1/news", params={"include_content": text}).status_code == 200


@pytest.mark.parametrize(("qty", "price"), [(2.0, 0.01), ("2", "0.01"), (2, "0.010")])
def test_03_numbers_or_strings_in_and_trimmed_strings_out(
    http: httpx.Client, near_calls: Any, qty: Any, price: Any
) -> None:
    body = {
        "symbol": near_calls[0][0].symbol,
        "qty": qty,
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "limit_price": price,
    }
    order = http.post("/v2/orders", json=body).json()
    assert (order["qty"], order["limit_price"], order["filled_qty"]) == ("2", "0.01", "0")


def test_04_money_and_quantities_are_strings(
    http: httpx.Client, client: TradingClient, admin: AdminClient, near_calls: Any
) -> None:
    contract, quote = near_calls[0]
    client.submit_order(limit(contract, quote.ask_cents, "x"))
    admin.step()
    account = http.get("/v2/account").json()
    for name in ("cash", "equity", "buying_power", "options_buying_power", "initial_margin", "multiplier", "sma"):
        assert isinstance(account[name], str), name
    assert isinstance(account["options_trading_level"], int)
    (position,) = http.get("/v2/positions").json()
    for name in ("qty", "avg_entry_price", "market_value", "cost_basis", "unrealized_pl", "current_price"):
        assert isinstance(position[name], str), name
    (listed, *_) = http.get("/v2/options/contracts").json()["option_contracts"]
    for name in ("size", "strike_price", "open_interest", "multiplier"):
        assert isinstance(listed[name], str), name
    history = http.get("/v2/account/portfolio/history").json()
    assert all(isinstance(value, float) for value in history["equity"])


def test_05_the_last_page_has_a_null_token(http: httpx.Client) -> None:
    query: dict[str, Any] = {"limit": 400, "expiration_date_gte": "2018-01-29"}
    tokens = []
    while True:
        page = http.get("/v2/options/contracts", params=query).json()
        tokens.append(page["next_page_token"])
        if page["next_page_token"] is None:
            break
        query["page_token"] = page["next_page_token"]
    assert len(tokens) > 1
    assert all(isinstance(token, str) and token for token in tokens[:-1])


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1beta1/options/snapshots/NOPE", "snapshots"),
        ("/v1beta1/options/bars?symbols=SPY180202C00999000&timeframe=1Day", "bars"),
        ("/v2/stocks/bars?symbols=NOPE&timeframe=1Day", "bars"),
        ("/v1beta1/options/quotes/latest?symbols=SPY180202C00999000", "quotes"),
        ("/v2/stocks/trades/latest?symbols=NOPE", "trades"),
    ],
)
def test_06_empty_market_data_is_an_empty_map(http: httpx.Client, path: str, key: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json()[key] == {}
    assert set(answer.json()) <= {key, "next_page_token"}
    assert answer.json().get("next_page_token") is None


def test_07_errors_are_json_with_and_without_code(venue: VenueServer, http: httpx.Client) -> None:
    with pytest.raises(APIError) as unauthorized:
        TradingClient("PKWRONG", SECRET, url_override=venue.url).get_account()
    assert unauthorized.value.status_code == 401
    assert json.loads(str(unauthorized.value)) == {"message": "unauthorized."}
    assert http.get("/v2/nothing/here").json()["code"] == 40410000
    assert http.put("/v2/orders").json()["message"] == "method not allowed"


@pytest.mark.parametrize("status", [429, 504])
def test_08_the_sdk_posts_four_times(no_wait: TradingClient, admin: AdminClient, near_calls: Any, status: int) -> None:
    admin.http_fault(method="POST", path="/v2/orders", status=status, count=4)
    with pytest.raises(APIError) as failed:
        no_wait.submit_order(limit(near_calls[0][0], 1, "x"))
    assert failed.value.status_code == status
    # The four posts used the fault up: the next one passes.
    assert no_wait.submit_order(limit(near_calls[0][0], 1, "x")).client_order_id == "x"


def test_08_an_order_without_an_id_is_doubled_by_a_504(
    no_wait: TradingClient, admin: AdminClient, near_calls: Any
) -> None:
    admin.http_fault(method="POST", path="/v2/orders", status=504, after_accept=True)
    request = limit(near_calls[0][0], 1, "x")
    request.client_order_id = None
    no_wait.submit_order(request)
    assert len(no_wait.get_orders()) == 2


def test_09_a_retried_post_comes_back_as_a_duplicate(
    no_wait: TradingClient, admin: AdminClient, near_calls: Any
) -> None:
    admin.http_fault(method="POST", path="/v2/orders", status=504, after_accept=True)
    with pytest.raises(APIError) as duplicate:
        no_wait.submit_order(limit(near_calls[0][0], 1, "x"))
    assert (duplicate.value.status_code, duplicate.value.code) == (422, 40010001)
    assert duplicate.value.message == "client_order_id must be unique"
    assert no_wait.get_order_by_client_id("x").client_order_id == "x"


def test_10_trade_updates_are_json_in_binary_frames(venue: VenueServer, client: TradingClient, near_calls: Any) -> None:
    with socket(venue, "/stream") as ws:
        ws.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        early = ws.recv(20)
        assert isinstance(early, bytes)
        assert json.loads(early)["data"] == {"status": "unauthorized", "action": "listen"}
        ws.send(json.dumps({"action": "auth", "key": KEY, "secret": "wrong"}))
        assert json.loads(ws.recv(20))["data"]["status"] == "unauthorized"
        listen(ws)
        client.submit_order(limit(near_calls[0][0], 1, "x"))
        frame = ws.recv(20)
        assert isinstance(frame, bytes)
        assert json.loads(frame)["data"]["order"]["client_order_id"] == "x"


def test_11_option_streams_speak_only_msgpack(venue: VenueServer) -> None:
    with socket(venue, "/v1beta1/indicative", HEADERS) as ws:
        assert json.loads(ws.recv(20)) == [{"T": "success", "msg": "connected"}]
        assert json.loads(ws.recv(20)) == [
            {"T": "error", "code": 412, "msg": "option messages are only available in MsgPack format"}
        ]
    with socket(venue, "/v1beta1/indicative", MSGPACK) as ws:
        assert isinstance(ws.recv(20), bytes)


def test_12_13_frames_are_arrays_with_msgpack_timestamps(
    venue: VenueServer, admin: AdminClient, near_calls: Any
) -> None:
    symbols = sorted(contract.symbol for contract, _ in near_calls[:3])
    with socket(venue, "/v1beta1/indicative", MSGPACK) as ws:
        subscribe_quotes(ws, symbols)
        now_ns = admin.step().clock_ns
        messages = msgpack.unpackb(ws.recv(20))
    assert isinstance(messages, list)
    assert {message["S"] for message in messages} <= set(symbols)
    for message in messages:
        assert message["T"] == "q"
        assert message["t"] == msgpack.Timestamp(now_ns // 10**9, now_ns % 10**9)


def test_14_fragmented_subscribe_messages_are_put_together(
    venue: VenueServer, streams: Any, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    # 2,500 OCC symbols are about 50 KiB of msgpack: alpaca-py sends them in two pieces of 32 KiB.
    symbols = [f"SPY180202C{i:08d}" for i in range(1, 2501)]

    async def ignore(_message: object) -> None:
        return

    stream = OptionDataStream(KEY, SECRET, url_override=f"ws{venue.url[4:]}/v1beta1/indicative")
    stream.subscribe_quotes(ignore, *symbols)
    streams.run(stream)
    eventually(
        lambda: [c.channels["quotes"] for c in venue.service.data_streams.connections("options")] == [set(symbols)]
    )


def test_15_frames_stay_far_below_a_mebibyte(venue: VenueServer, admin: AdminClient) -> None:
    symbols = [row.contract.symbol for row in venue.service.exchange.listed("SPY")]
    with socket(venue, "/v1beta1/indicative", MSGPACK) as ws:
        subscribe_quotes(ws, symbols)
        state = admin.step()
        wanted = state.published[-1].addressed["SPY"]
        assert wanted > 700
        seen = 0
        while seen < wanted:
            frame = ws.recv(20)
            assert len(frame) < 256 * 1024
            seen += len(msgpack.unpackb(frame))
        assert seen == wanted


def test_16_pings_are_answered(venue: VenueServer) -> None:
    with socket(venue, "/stream") as ws:
        assert ws.ping().wait(20)


def test_17_18_packages_have_empty_enums_and_complete_legs(
    http: httpx.Client, client: TradingClient, near_calls: Any
) -> None:
    client.submit_order(vertical(near_calls, "mleg"))
    order = http.get("/v2/orders:by_client_order_id", params={"client_order_id": "mleg"}).json()
    assert {order[name] for name in ("symbol", "asset_class", "side", "asset_id")} == {""}
    assert len(order["legs"]) == 2
    for part in order["legs"]:
        assert part["type"] == part["order_type"] == ""
        assert part["ratio_qty"] == "1"
    for part in (order, *order["legs"]):
        for name in ("submitted_at", "created_at", "updated_at", "client_order_id", "time_in_force", "status", "id"):
            assert part[name], name
        assert part["extended_hours"] is False
    assert len({part["client_order_id"] for part in (order, *order["legs"])}) == 3


def test_19_exercise_shows_in_activities_not_on_the_stream(
    venue: VenueServer, client: TradingClient, admin: AdminClient
) -> None:
    exchange = venue.service.exchange
    quote = exchange.quote("SPY")
    assert quote is not None
    deep = max(
        (
            row.contract
            for row in exchange.listed("SPY")
            if row.contract.is_call and row.contract.strike < quote.bid_cents / 100 - 5
        ),
        key=lambda contract: (contract.expiration, contract.strike),
    )
    ask = exchange.quote(deep.symbol)
    assert ask is not None
    client.submit_order(limit(deep, ask.ask_cents, "x"))
    admin.step()
    before = admin.barrier()[1]
    client.exercise_options_position(deep.symbol)
    assert admin.barrier()[1] == before
    kinds = {row["activity_type"] for row in client.get("/account/activities", {})}
    assert {"OPEXC", "OPTRD"} <= kinds


def test_20_raw_updates_carry_what_the_model_drops(venue: VenueServer, client: TradingClient, near_calls: Any) -> None:
    with socket(venue, "/stream") as ws:
        listen(ws)
        client.submit_order(vertical(near_calls, "mleg"))
        data = json.loads(ws.recv(20))["data"]
        while data["event"] != "fill":
            data = json.loads(ws.recv(20))["data"]
    assert data["at"]
    assert int(data["event_id"]) > 0
    assert set(data["position_qtys"].values()) == {"1", "-1"}
    assert all(part["execution_id"] and part["price"] for part in data["legs"])


def test_basic_and_bearer_authentication(venue: VenueServer) -> None:
    basic = OptionHistoricalDataClient(KEY, SECRET, use_basic_auth=True, raw_data=True, url_override=venue.url)
    assert basic.get("/options/meta/exchanges")["C"]
    bearer = TradingClient(oauth_token=SECRET, raw_data=True, url_override=venue.url)
    assert bearer.get_clock()["is_open"] is True


def test_answers_carry_request_ids(http: httpx.Client) -> None:
    first, second = http.get("/v2/clock"), http.get("/v2/clock")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
