"""The exchange as a venue without a wire: our own types in and out."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from gammaray.types.account import ActivityKind, UpdateKind
from gammaray.types.orders import OrderLeg, OrderRequest, PositionIntent, Side
from gammaray.venues.protocol import MarketDataVenue, TradingVenue, VenueAmbiguous, VenueRejected
from gammaray.venues.simulated.in_process import InProcessVenue

CENT = 10_000
MONDAY, FRIDAY = date(2017, 10, 2), date(2017, 10, 6)


@pytest.fixture
def venue(market, step, occ):
    quotes = {"SPY": (25_000, 25_001), occ("C", 250): (200, 204, 5, 7), occ("C", 255): (0, 52, 0, 100)}
    moved = {"SPY": (25_000, 25_001), occ("C", 250): (201, 204, 5, 7), occ("C", 255): (0, 52, 0, 100)}
    m = market(
        [step(0, quotes), step(30, moved), step(None, moved), step(0, moved, day=FRIDAY), step(None, moved, day=FRIDAY)]
    )
    return InProcessVenue(m.exchange)


def times(venue: InProcessVenue) -> tuple[int, ...]:
    return venue.exchange.step_times()


def test_it_is_a_venue(venue) -> None:
    trading: TradingVenue = venue
    data: MarketDataVenue = venue
    assert trading.clock_ns() == data.clock_ns() == times(venue)[0]
    assert not venue.stream_gap()


def test_a_simple_order(venue, occ) -> None:
    call = occ("C", 250)
    leg = OrderLeg(call, Side.BUY, intent=PositionIntent.BUY_TO_OPEN)
    accepted = venue.submit(OrderRequest("one", (leg,), 9, 206 * CENT))
    assert (accepted.client_order_id, accepted.status, accepted.legs) == ("one", "pending_new", (call,))
    new, partial, fill = venue.drain_updates()
    assert [u.kind for u in (new, partial, fill)] == [UpdateKind.NEW, UpdateKind.PARTIAL_FILL, UpdateKind.FILL]
    assert [(e.signed_qty, e.price) for e in partial.executions + fill.executions] == [(7, 204 * CENT), (2, 206 * CENT)]
    done = venue.order_by_client_id("one")
    # (7 × 2.04 + 2 × 2.06) / 9 = 2.04444…
    assert (done.status, done.filled_qty, done.filled_avg_price) == ("filled", 9, "2.044444")
    (position,) = venue.positions()
    assert (position.symbol, position.signed_qty, position.avg_entry_price) == (call, 9, 2_044_444)
    # The asks left begin at 206: the middle of 200 and 206.
    assert position.current_price == 203 * CENT


def test_a_package_and_its_activities(venue, occ) -> None:
    legs = (OrderLeg(occ("C", 250), Side.SELL), OrderLeg(occ("C", 255), Side.BUY))
    venue.submit(OrderRequest("spread", legs, 2, -148 * CENT))
    update = venue.drain_updates()[-1]
    assert update.kind is UpdateKind.FILL
    assert [(e.symbol, e.signed_qty, e.price) for e in update.executions] == [
        (occ("C", 250), -2, 200 * CENT),
        (occ("C", 255), 2, 52 * CENT),
    ]
    assert venue.order_by_client_id("spread").filled_avg_price == "-1.48"
    rows = venue.activities()
    assert [(a.kind, a.symbol, a.signed_qty) for a in rows] == [
        (ActivityKind.FILL, occ("C", 250), -2),
        (ActivityKind.FILL, occ("C", 255), 2),
    ]
    assert [a.execution_id for a in rows] == [e.execution_id for e in update.executions]
    assert venue.activities(after_id=rows[0].activity_id) == rows[1:]
    venue.advance_to(times(venue)[-1])
    later = venue.activities(after_id=rows[-1].activity_id)
    # 250 at a close of 250.00 is not in the money.
    assert [(a.kind, a.signed_qty) for a in later] == [(ActivityKind.EXPIRY, 2), (ActivityKind.EXPIRY, -2)]


def test_refusals_and_duplicates(venue, occ) -> None:
    leg = OrderLeg(occ("C", 250), Side.SELL)
    with pytest.raises(VenueRejected, match="covered call") as caught:
        venue.submit(OrderRequest("naked", (leg,), 1, 100 * CENT))
    assert (caught.value.status, caught.value.code) == (403, 40310000)
    assert venue.order_by_client_id("naked") is None
    buy = OrderRequest("same", (OrderLeg(occ("C", 250), Side.BUY),), 1, 100 * CENT)
    venue.submit(buy)
    with pytest.raises(VenueAmbiguous):
        venue.submit(buy)
    with pytest.raises(VenueRejected, match="not found"):
        venue.cancel("nothing")


def test_cancel_replace_and_lists(venue, occ) -> None:
    first = venue.submit(OrderRequest("a", (OrderLeg(occ("C", 250), Side.BUY),), 3, 100 * CENT))
    second = venue.replace(first.venue_order_id, client_order_id="b", qty=4, limit_price=None)
    assert second.qty == 4
    updates = venue.drain_updates()
    assert [u.kind for u in updates] == [UpdateKind.NEW, UpdateKind.REPLACED, UpdateKind.NEW]
    assert updates[1].replaced_by == "b"
    assert [o.client_order_id for o in venue.orders(status="open")] == ["b"]
    assert [o.client_order_id for o in venue.orders(status="closed")] == ["a"]
    venue.cancel(second.venue_order_id)
    assert [o.status for o in venue.orders()] == ["replaced", "canceled"]
    assert venue.orders(after_ns=venue.clock_ns()) == []
    with pytest.raises(ValueError, match="status"):
        venue.orders(status="some")


def test_quotes(venue, occ) -> None:
    venue.subscribe(["SPY"], [occ("C", 250)])
    venue.advance_to(times(venue)[1])
    batch = venue.drain_quotes()
    seen = [(batch.names[i], bid, ask) for i, bid, ask in zip(batch.symbol, batch.bid, batch.ask, strict=True)]
    # The step published the contract that changed and, last, the underlying.
    assert seen == [(occ("C", 250), 2.01, 2.04), ("SPY", 250.0, 250.01)]
    assert set(batch.ts_ns) == {times(venue)[1]}
    assert len(venue.drain_quotes().symbol) == 0
    chain = venue.chain_quotes("SPY")
    assert [chain.names[i] for i in chain.symbol] == [occ("C", 250), occ("C", 255), "SPY"]
    assert np.isnan(chain.bid[1])
    assert chain.ask[1] == 0.52


def test_contracts_and_account(venue, occ) -> None:
    assert [c.symbol for c in venue.contracts("SPY", first=MONDAY, last=FRIDAY)] == [occ("C", 250), occ("C", 255)]
    assert venue.contracts("SPY", first=MONDAY, last=MONDAY) == []
    account = venue.account()
    assert (account.cash, account.equity, account.options_trading_level) == (100_000_000_000, 100_000_000_000, 3)
    assert account.buying_power == 2 * account.options_buying_power
    with pytest.raises(VenueRejected):
        venue.daily_bars("QQQ", first=MONDAY, last=FRIDAY)
