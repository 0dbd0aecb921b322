"""AlpacaTrading against the served venue: what is known after each kind of failure, and what the stream may lose."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from gammaray.types.account import ActivityKind, OrderUpdate, UpdateKind
from gammaray.types.orders import OrderLeg, OrderRequest, PositionIntent, Side
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.trading import AlpacaTrading
from gammaray.venues.protocol import TradingVenue, VenueAmbiguous, VenueRejected, VenueUnavailable
from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer

Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture
def trading(venue: VenueServer) -> Iterator[AlpacaTrading]:
    adapter = AlpacaTrading(AlpacaSettings.simulated(venue.url))
    adapter.connect()
    yield adapter
    adapter.close()


def shares(client_order_id: str, qty: int = 1, price: int | None = None) -> OrderRequest:
    return OrderRequest(client_order_id, (OrderLeg("SPY", Side.BUY),), qty, price)


def spread(near_calls: Any, client_order_id: str, qty: int = 1) -> OrderRequest:
    (low, low_quote), (high, high_quote) = near_calls[0], near_calls[2]
    legs = (
        OrderLeg(low.symbol, Side.BUY, 1, PositionIntent.BUY_TO_OPEN),
        OrderLeg(high.symbol, Side.SELL, 1, PositionIntent.SELL_TO_OPEN),
    )
    return OrderRequest(client_order_id, legs, qty, (low_quote.ask_cents - high_quote.bid_cents) * 10_000)


def test_it_is_a_trading_venue(trading: AlpacaTrading) -> None:
    venue: TradingVenue = trading
    assert venue.account().cash == 1_000_000_000_000
    # 2018-01-29T15:00:00Z
    assert venue.clock_ns() == 1_517_238_000_000_000_000


def test_a_package_from_order_to_books(trading: AlpacaTrading, admin: AdminClient, near_calls: Any) -> None:
    order = trading.submit(spread(near_calls, "v1", qty=3))
    assert order.legs == (near_calls[0][0].symbol, near_calls[2][0].symbol)
    state = admin.step()
    assert trading.wait_for_event(state.last_event_id, 20)
    updates = trading.drain_updates()
    (fill,) = [update for update in updates if update.kind is UpdateKind.FILL]
    assert [execution.signed_qty for execution in fill.executions] == [3, -3]
    net = sum(execution.signed_qty * execution.price for execution in fill.executions)
    assert {p.symbol: p.signed_qty for p in trading.positions()} == {e.symbol: e.signed_qty for e in fill.executions}
    assert trading.account().cash == 1_000_000_000_000 - net * 100
    fills = [row for row in trading.activities() if row.kind is ActivityKind.FILL]
    assert sum(row.signed_qty * row.price for row in fills) == net
    assert trading.activities(after_id=fills[-1].activity_id) == []
    assert trading.activities(after_id=fills[0].activity_id[:8]) == trading.activities()
    found = trading.order_by_client_id("v1")
    assert found is not None
    assert (found.status, found.filled_qty) == ("filled", 3)
    assert trading.order_by_client_id("never") is None
    assert [o.client_order_id for o in trading.orders()] == ["v1"]
    assert trading.orders(status="open") == []
    assert trading.orders(after_ns=found.submitted_ns) == []


def test_replace_and_cancel(trading: AlpacaTrading, admin: AdminClient) -> None:
    old = trading.submit(shares("a", price=1_000_000))
    admin.step()
    new = trading.replace(old.venue_order_id, client_order_id="a-r1", qty=2, limit_price=1_010_000)
    assert (new.client_order_id, new.qty, new.limit_price) == ("a-r1", 2, 1_010_000)
    state = admin.step()
    assert trading.wait_for_event(state.last_event_id, 20)
    kinds = {(u.client_order_id, u.kind): u for u in trading.drain_updates()}
    assert kinds["a", UpdateKind.REPLACED].replaced_by == "a-r1"
    trading.cancel(new.venue_order_id)
    state = admin.step()
    assert trading.wait_for_event(state.last_event_id, 20)
    assert ("a-r1", UpdateKind.CANCELED) in {(u.client_order_id, u.kind) for u in trading.drain_updates()}
    with pytest.raises(VenueRejected, match="already") as refusal:
        trading.cancel(new.venue_order_id)
    assert refusal.value.status == 422


def test_a_replacement_that_cannot_be_looked_up_waits(venue: VenueServer, admin: AdminClient) -> None:
    placing = AlpacaTrading(AlpacaSettings.simulated(venue.url))
    watching = AlpacaTrading(dataclasses.replace(AlpacaSettings.simulated(venue.url), read_attempts=1))
    watching.connect()
    old = placing.submit(shares("a", price=1_000_000))
    placing.replace(old.venue_order_id, client_order_id="a-r1", qty=None, limit_price=1_010_000)
    assert watching.wait_for_event(admin.barrier()[1], 20)
    admin.http_fault(method="GET", path="/v2/orders/", status=500)
    before = watching.drain_updates()
    assert UpdateKind.REPLACED not in {update.kind for update in before}
    after = watching.drain_updates()
    assert (after[0].kind, after[0].replaced_by) == (UpdateKind.REPLACED, "a-r1")
    numbers = [update.event_id for update in before + after]
    assert numbers == sorted(set(numbers))
    placing.close()
    watching.close()


def test_lists_go_over_pages(trading: AlpacaTrading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gammaray.venues.alpaca.trading.ORDER_PAGE", 3)
    monkeypatch.setattr("gammaray.venues.alpaca.trading.ACTIVITY_PAGE", 2)
    for i in range(5):
        trading.submit(shares(f"s{i}"))
    with pytest.raises(VenueUnavailable, match="at one instant"):
        trading.orders()
    rows = trading.activities()
    assert len({row.activity_id for row in rows}) == len(rows) >= 5
    monkeypatch.setattr("gammaray.venues.alpaca.trading.ORDER_PAGE", 500)
    assert [o.client_order_id for o in trading.orders()] == [f"s{i}" for i in range(5)]


def test_pages_overlap_at_one_instant(
    trading: AlpacaTrading, admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gammaray.venues.alpaca.trading.ORDER_PAGE", 3)
    for i in range(6):
        trading.submit(shares(f"s{i}"))
        if i % 2:
            admin.step()
    assert [o.client_order_id for o in trading.orders()] == [f"s{i}" for i in range(6)]


@pytest.mark.parametrize(
    ("status", "after_accept", "expected", "arrived"),
    [
        (504, True, VenueAmbiguous, True),
        (504, False, VenueAmbiguous, False),
        (500, True, VenueAmbiguous, True),
        (429, False, VenueUnavailable, False),
        (403, False, VenueRejected, False),
    ],
)
def test_a_failed_submit_is_sent_once_and_says_what_is_known(
    trading: AlpacaTrading,
    admin: AdminClient,
    status: int,
    after_accept: bool,
    expected: type[Exception],
    arrived: bool,
) -> None:
    admin.http_fault(method="POST", path="/v2/orders", status=status, after_accept=after_accept)
    with pytest.raises(expected):
        trading.submit(shares("x"))
    # The one fault is used up; had the adapter tried again, the order would be there in every case.
    found = trading.order_by_client_id("x")
    assert (found is not None) == arrived
    assert len(trading.orders()) == int(arrived)


def test_a_duplicate_id_is_ambiguous_not_refused(trading: AlpacaTrading) -> None:
    trading.submit(shares("x"))
    with pytest.raises(VenueAmbiguous, match="must be unique"):
        trading.submit(shares("x"))
    assert len(trading.orders()) == 1


def test_a_refusal_keeps_the_venues_code(trading: AlpacaTrading) -> None:
    with pytest.raises(VenueRejected) as refusal:
        trading.submit(shares("x", qty=10_000_000, price=250_000_000))
    assert (refusal.value.status, refusal.value.code) == (403, 40310000)
    assert "buying power" in refusal.value.message


def test_a_hanging_answer_is_ambiguous(
    venue: VenueServer, admin: AdminClient, trading: AlpacaTrading, eventually: Eventually
) -> None:
    impatient = AlpacaTrading(dataclasses.replace(AlpacaSettings.simulated(venue.url), read_timeout_s=0.5))
    admin.http_fault(method="POST", path="/v2/orders", latency_ms=1500)
    with pytest.raises(VenueAmbiguous, match="ReadTimeout"):
        impatient.submit(shares("slow"))
    # It did arrive: only the look-up shows it.
    eventually(lambda: trading.order_by_client_id("slow") is not None)
    impatient.close()


def test_a_refused_connection_is_unavailable(free_port: int) -> None:
    settings = dataclasses.replace(AlpacaSettings.simulated(f"http://127.0.0.1:{free_port}"), read_attempts=2)
    adapter = AlpacaTrading(settings)
    with pytest.raises(VenueUnavailable, match="cannot connect"):
        adapter.submit(shares("x"))
    with pytest.raises(VenueUnavailable):
        adapter.account()
    with pytest.raises(VenueUnavailable, match="not connected"):
        adapter.connect(timeout_s=0.3)
    adapter.close()


def test_a_connection_reset_is_ambiguous() -> None:
    # A server that takes the request and closes the connection without a word.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        adapter = AlpacaTrading(AlpacaSettings.simulated(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(VenueAmbiguous, match="ConnectionError"):
            adapter.submit(shares("x"))
        thread.join()
        adapter.close()


def test_reads_are_tried_again(trading: AlpacaTrading, admin: AdminClient) -> None:
    for status in (429, 500, 504):
        admin.http_fault(method="GET", path="/v2/account", status=status)
    assert trading.account().cash == 1_000_000_000_000


def test_wrong_keys_are_refused_without_showing_them(venue: VenueServer, caplog: pytest.LogCaptureFixture) -> None:
    adapter = AlpacaTrading(AlpacaSettings.simulated(venue.url, key_id="PKBAD", secret_key="hunter2"))
    with pytest.raises(VenueRejected, match="unauthorized") as refusal:
        adapter.account()
    assert refusal.value.status == 401
    assert "hunter2" not in str(refusal.value) + repr(refusal.value.__cause__) + caplog.text
    adapter.close()


def test_a_disconnect_is_a_gap_and_the_stream_comes_back(
    trading: AlpacaTrading, admin: AdminClient, eventually: Eventually
) -> None:
    assert not trading.stream_gap()
    admin.stream_fault("trade_updates", "disconnect")
    eventually(trading.stream_gap)
    trading.submit(shares("x"))
    state = admin.step()
    assert trading.wait_for_event(state.last_event_id, 10)
    assert not trading.stream_gap()


def test_events_before_the_connection_are_not_waited_for(
    venue: VenueServer, admin: AdminClient, trading: AlpacaTrading
) -> None:
    trading.submit(shares("x"))
    last = admin.step().last_event_id
    assert last > 0
    late = AlpacaTrading(AlpacaSettings.simulated(venue.url))
    late.connect()
    assert late.wait_for_event(last, 2)
    assert late.drain_updates() == []
    late.close()


def test_a_dropped_update_shows_as_a_missing_number(trading: AlpacaTrading, admin: AdminClient) -> None:
    admin.stream_fault("trade_updates", "drop", 100)
    trading.submit(shares("x"))
    state = admin.step()
    assert not trading.wait_for_event(state.last_event_id, 0.5)


def test_duplicates_and_disorder_are_passed_on_for_the_desk_to_sort(trading: AlpacaTrading, admin: AdminClient) -> None:
    admin.stream_fault("trade_updates", "duplicate")
    trading.submit(shares("x"))
    state = admin.step()
    assert trading.wait_for_event(state.last_event_id, 20)
    numbers = [update.event_id for update in trading.drain_updates()]
    assert len(numbers) == len(set(numbers)) + 1


def test_a_mute_stream_is_noticed_and_renewed(venue: VenueServer, admin: AdminClient, eventually: Eventually) -> None:
    settings = dataclasses.replace(AlpacaSettings.simulated(venue.url), mute_updates_after_s=0.2)
    adapter = AlpacaTrading(settings)
    adapter.connect()
    admin.stream_fault("trade_updates", "mute")
    adapter.submit(shares("x"))
    time.sleep(0.3)
    assert adapter.stream_gap()
    admin.clear_faults()
    adapter.submit(shares("y"))
    heard: list[OrderUpdate] = []

    def hears() -> bool:
        heard.extend(adapter.drain_updates())
        return any(update.client_order_id == "y" for update in heard)

    eventually(lambda: hears() or adapter.wait_for_event(admin.barrier()[1], 0.1))
    adapter.close()


def test_expiry_and_assignment_reach_the_activities(
    trading: AlpacaTrading, admin: AdminClient, near_calls: Any
) -> None:
    trading.submit(spread(near_calls, "v"))
    session_end = admin.step().session_close_ns
    expiration = near_calls[0][0].expiration
    while admin.clock().session_day <= expiration.isoformat():
        admin.step_to(session_end + 60 * 10**9)
        state = admin.clock()
        session_end = state.session_close_ns
        if state.finished:
            break
    assert expiration < date(2018, 2, 7)
    kinds = {row.kind for row in trading.activities()} - {ActivityKind.FILL, ActivityKind.FEE}
    assert kinds <= {ActivityKind.EXPIRY, ActivityKind.EXERCISE, ActivityKind.ASSIGNMENT, ActivityKind.OPTION_TRADE}
    assert kinds
    held = {position.symbol for position in trading.positions()}
    assert not held & {near_calls[0][0].symbol, near_calls[2][0].symbol}
