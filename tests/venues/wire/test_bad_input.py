"""Bad input gets the documented error, disturbs nobody else, and leaves no secret in a log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import httpx
import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer, VenueSettings
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET

HEADERS = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
MSGPACK = {"Content-Type": "application/msgpack"}
OPTION = "SPY180202C00285000"


@pytest.fixture(scope="module")
def served() -> Iterator[VenueServer]:
    """One venue for the module: bad input must not change it anyway."""
    with VenueServer(VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 31))) as server:
        with AdminClient(server.url) as admin:
            admin.step(2)
        yield server


@pytest.fixture(scope="module")
def http(served: VenueServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, headers=HEADERS, trust_env=False, timeout=60) as client:
        yield client


def socket(server: VenueServer, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
    return connect(f"ws{server.url[4:]}{path}", additional_headers=headers, proxy=None)


@contextmanager
def option_socket(server: VenueServer) -> Iterator[ClientConnection]:
    with socket(server, "/v1beta1/indicative", MSGPACK) as ws:
        assert msgpack.unpackb(ws.recv(20)) == [{"T": "success", "msg": "connected"}]
        yield ws


def authenticate(ws: ClientConnection) -> None:
    ws.send(msgpack.packb({"action": "auth", "key": KEY, "secret": SECRET}))
    assert msgpack.unpackb(ws.recv(20)) == [{"T": "success", "msg": "authenticated"}]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([OPTION, "SPY", "1e999999", "-1E-999999", "٣", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "symbol",
    "qty",
    "side",
    "type",
    "time_in_force",
    "limit_price",
    "stop_price",
    "client_order_id",
    "order_class",
    "position_intent",
    "extended_hours",
    "legs",
    "notional",
    "take_profit",
)
GOOD = {"symbol": OPTION, "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": 0.01}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), package=st.booleans())
def test_no_order_body_breaks_the_server(http: httpx.Client, changes: dict[str, Any], package: bool) -> None:
    legs = [
        {"symbol": OPTION, "ratio_qty": 1, "side": "buy"},
        {"symbol": "SPY180202C00287000", "ratio_qty": 1, "side": "sell"},
    ]
    body = {**GOOD, **({"order_class": "mleg", "legs": legs} if package else {}), **changes}
    answer = http.post("/v2/orders", content=json.dumps(body))
    assert answer.status_code in {200, 400, 403, 404, 422}, answer.text
    if answer.status_code != 200:
        assert set(answer.json()) >= {"code", "message"}


PATHS = (
    "/v2/orders",
    "/v2/orders/x",
    "/v2/orders:by_client_order_id",
    "/v2/positions/x",
    "/v2/account/activities",
    "/v2/account/portfolio/history",
    "/v2/options/contracts",
    "/v2/options/contracts/x",
    "/v2/assets",
    "/v2/calendar",
    "/v2/corporate_actions/announcements",
    "/v1beta1/options/snapshots/SPY",
    "/v1beta1/options/snapshots",
    "/v1beta1/options/quotes/latest",
    "/v1beta1/options/bars",
    "/v1beta1/options/trades",
    "/v2/stocks/bars",
    "/v2/stocks/snapshots",
    "/v2/stocks/SPY/bars",
    "/v2/stocks/NOPE/snapshot",
    "/v2/stocks/trades/latest",
    "/v1beta1/news",
    "/v1/corporate-actions",
)
NAMES = (
    "symbols",
    "status",
    "limit",
    "after",
    "until",
    "start",
    "end",
    "direction",
    "nested",
    "page_token",
    "page_size",
    "timeframe",
    "period",
    "date",
    "expiration_date",
    "expiration_date_gte",
    "strike_price_gte",
    "updated_since",
    "feed",
    "client_order_id",
    "since",
    "ca_types",
    "before_order_id",
)
VALUES = st.text(max_size=12) | st.sampled_from(
    [
        "SPY",
        OPTION,
        "0001-01-01",
        "9999-12-31",
        "2018-01-29",
        "9999-12-31T23:59:59Z",
        "1e400",
        "-1",
        "1Min",
        "all",
        "NA==",
        "٣",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), query=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_no_query_breaks_the_server(http: httpx.Client, path: str, query: dict[str, str]) -> None:
    answer = http.get(path, params=query)
    assert answer.status_code in {200, 400, 404, 422}, f"{answer.text} {query}"
    answer.json()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"1" * 5000, 400),
        (b'{"qty": Infinity}', 400),
        (b" " * (1 << 20) + b"{}", 413),
    ],
)
def test_malformed_bodies(http: httpx.Client, content: bytes, status: int) -> None:
    answer = http.post("/v2/orders", content=content)
    assert answer.status_code == status
    assert answer.json()["code"] == status * 100_000 + 10_000


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_options_trading_level": 9}, "max_options_trading_level"),
        ({"no_shorting": "yes"}, "no_shorting"),
        ({"leverage": 10}, "leverage"),
    ],
)
def test_configurations_are_checked(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = http.patch("/v2/account/configurations", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["message"]


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        ({"action": "subscribe", "quotes": ["*"]}, 413),
        ({"action": "subscribe", "bars": ["SPY"]}, 410),
        ({"action": "subscribe", "quotes": "SPY"}, 400),
        ({"action": "subscribe", "quotes": [1]}, 400),
        ({"action": "subscribe", "quotes": ["SPY١٨0202C00285000"]}, 400),
        ({"action": "subscribe", "quotes": [f"SPY180202C{i:08d}" for i in range(1, 20_002)]}, 405),
        ({"action": "auth", "key": KEY, "secret": SECRET}, 403),
        ({"action": "dance"}, 400),
        ([1, 2], 400),
    ],
)
def test_bad_stream_requests_get_their_code_and_keep_the_connection(
    served: VenueServer, request_body: Any, code: int
) -> None:
    with option_socket(served) as ws:
        authenticate(ws)
        ws.send(msgpack.packb(request_body))
        (error,) = msgpack.unpackb(ws.recv(20))
        assert (error["T"], error["code"]) == ("error", code)
        ws.send(msgpack.packb({"action": "subscribe", "quotes": [OPTION]}))
        (answer,) = msgpack.unpackb(ws.recv(20))
        assert answer["quotes"] == [OPTION]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (msgpack.packb({"action": "auth", "key": KEY, "secret": "wrong"}), 402),
        (msgpack.packb({"action": "subscribe", "quotes": [OPTION]}), 401),
        (b"\xc1", 400),
        ("text in a msgpack stream", 400),
    ],
)
def test_without_authentication_the_feed_says_why_and_closes(
    served: VenueServer, frame: bytes | str, code: int
) -> None:
    with option_socket(served) as ws:
        ws.send(frame)
        (error,) = msgpack.unpackb(ws.recv(20))
        assert error["code"] == code
        with pytest.raises(ConnectionClosed):
            ws.recv(20)


def test_silence_is_an_auth_timeout(served: VenueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gammaray.venues.simulated.wire.data_stream.AUTH_TIMEOUT_S", 0.2)
    with option_socket(served) as ws:
        (error,) = msgpack.unpackb(ws.recv(20))
        assert error == {"T": "error", "code": 404, "msg": "auth timeout"}


def test_a_second_connection_of_a_feed_is_refused(served: VenueServer) -> None:
    with option_socket(served) as first:
        authenticate(first)
        with option_socket(served) as second:
            second.send(msgpack.packb({"action": "auth", "key": KEY, "secret": SECRET}))
            (error,) = msgpack.unpackb(second.recv(20))
            assert error == {"T": "error", "code": 406, "msg": "connection limit exceeded"}


@pytest.mark.parametrize(
    ("frame", "close_codes"),
    [(b"\x00\xff", {1003}), ("{", {1003}), ("[]", {1003}), ('{"act": 5}', {1003}), ("x" * (5 << 20), {1009, 1006})],
)
def test_garbage_on_one_trading_connection_leaves_the_others_alone(
    served: VenueServer, http: httpx.Client, frame: bytes | str, close_codes: set[int]
) -> None:
    with socket(served, "/stream") as steady, socket(served, "/stream") as rude:
        steady.send(json.dumps({"action": "auth", "key": KEY, "secret": SECRET}))
        steady.recv(20)
        steady.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        steady.recv(20)
        with suppress(ConnectionClosed):
            rude.send(frame)
            while True:
                assert json.loads(rude.recv(20))["action"] == "error"
        # 1006: the reset that follows an unread rest can overtake the close frame.
        assert rude.close_code in close_codes
        order = http.post("/v2/orders", json=GOOD).json()
        update = json.loads(steady.recv(20))
        assert update["data"]["order"]["id"] == order["id"]


def test_unknown_feeds_are_refused_at_the_handshake(served: VenueServer) -> None:
    for path in ("/v2/gossip", "/v1beta1/gossip"):
        with pytest.raises(Exception, match="404"):
            socket(served, path)


def test_the_rate_limit_counts_requests_and_says_so() -> None:
    options = VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 30), requests_per_minute=3)
    with (
        VenueServer(options) as server,
        httpx.Client(base_url=server.url, headers=HEADERS, trust_env=False, timeout=60) as http,
    ):
        left = [http.get("/v2/clock").headers["x-ratelimit-remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        refused = http.get("/v2/clock")
        assert (refused.status_code, refused.json()) == (429, {"code": 42910000, "message": "rate limit exceeded"})
        assert refused.headers["x-ratelimit-limit"] == "3"


def test_the_admin_api_wants_its_token() -> None:
    with VenueServer(VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 30), admin_token="tok")) as server:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
            assert http.get("/admin/clock").status_code == 401
            assert http.get("/admin/clock", headers={"X-Admin-Token": "no"}).status_code == 401
        with AdminClient(server.url, token="tok") as admin:
            assert admin.clock().finished is False


def test_no_secret_reaches_a_log_or_a_repr(served: VenueServer, caplog: pytest.LogCaptureFixture) -> None:
    secret = "hunter2-very-secret"
    with caplog.at_level(logging.DEBUG):
        with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
            http.get("/v2/account", headers={"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": secret})
            http.get("/v2/account", headers={"Authorization": f"Bearer {secret}"})
        with option_socket(served) as ws:
            ws.send(msgpack.packb({"action": "auth", "key": KEY, "secret": secret}))
            ws.recv(20)
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith(("gammaray", "uvicorn", "starlette"))
    ]
    assert not any(secret in text for text in ours)
    assert "hunter2" not in repr(VenueSettings(secret_key=secret, admin_token=secret))
    assert SECRET not in repr(served.service.credentials)
