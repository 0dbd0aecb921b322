"""What the venue has to say: the stream as it comes, look-ups of what is open, and REST for what the stream missed."""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.desk import commands, events
from gammaray.desk.courier import Courier
from gammaray.desk.desk import Desk
from gammaray.desk.writer import Writer
from gammaray.types.clock import NANOS, Clock, to_datetime
from gammaray.venues.protocol import TradingVenue, VenueError

_DAY_NS = 86_400 * NANOS
_CLOCK_MARGIN_NS = 60 * NANOS
"""How far the venue's clock may be behind ours."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How patient a session is.

    lookup_misses, lookup_grace_s: an order whose outcome is unknown counts as never sent when that many look-ups missed it and
    that much market time has passed. activity_lookback_days: rows of non-trade activities appear late, under earlier ids.
    """

    lookup_misses: int = 3
    lookup_grace_s: float = 10.0
    activity_lookback_days: int = 5
    snapshot_every: int = 5_000
    reconcile_attempts: int = 3


class Intake:
    """Turns the venue's news into events. Trouble with the venue is counted, and made good by the next backfill."""

    def __init__(
        self, writer: Writer, courier: Courier, venue: TradingVenue, clock: Clock, settings: SessionSettings
    ) -> None:
        self.venue_errors = 0
        self._writer = writer
        self._courier = courier
        self._venue = venue
        self._clock = clock
        self._settings = settings

    @property
    def _desk(self) -> Desk:
        return self._writer.desk

    def drain(self) -> None:
        """Take over what came on the stream."""
        now_ns = self._clock.now_ns()
        try:
            updates = self._venue.drain_updates()
        except VenueError:
            self.venue_errors += 1
            self._courier.backfill_due = True
            return
        self._writer.run(*(events.UpdateReceived(now_ns, update) for update in updates))

    def chase(self) -> None:
        """Look up orders whose outcome is unknown, and repeat cancels that may not have arrived."""
        books = self._desk.books
        for client_order_id, venue_order_id in list(self._courier.failed_cancels.items()):
            if self._desk.order_state(books.by_client_id[client_order_id]).is_terminal:
                del self._courier.failed_cancels[client_order_id]
            else:
                self._writer.perform([commands.SendCancel(client_order_id, venue_order_id)])
        now_ns = self._clock.now_ns()
        for record in [record for record in books.working.values() if record.unknown]:
            waited = now_ns - int(books.store.book.orders[record.row]["intended_ns"])
            if record.misses >= self._settings.lookup_misses and waited >= self._settings.lookup_grace_s * NANOS:
                self._writer.run(events.NeverArrived(now_ns, record.client_order_id))
            else:
                self._writer.perform([commands.LookUp(record.client_order_id)])

    def catch_up(self, *, wanted: bool) -> None:
        """Backfill if that is wanted or due; a failure leaves it due."""
        if not (wanted or self._courier.backfill_due):
            return
        try:
            self.backfill()
        except VenueError:
            self.venue_errors += 1
            self._courier.backfill_due = True

    def backfill_if_due(self) -> None:
        """Backfill when something has called for it. Raises VenueError."""
        if self._courier.backfill_due:
            self.backfill()

    def backfill(self) -> None:
        """Orders and activities by REST from where we may have missed some. Raises VenueError."""
        desk = self._desk
        since = desk.books.memory.reconciled_ns
        for record in desk.books.unconfirmed.values():
            since = min(since, int(desk.store.book.orders[record.row]["intended_ns"]))
        listed = self._venue.orders(status="all", after_ns=max(0, since - _CLOCK_MARGIN_NS))
        rows = self._venue.activities(after_id=self.lookback_id())
        now_ns = self._clock.now_ns()
        self._writer.run(*(events.OrderSeen(now_ns, order) for order in listed if desk.flow.is_news(order)))
        self._writer.run(*(events.ActivityReceived(now_ns, row) for row in rows if desk.ledger.is_new(row)))
        # The orders may have called for the activities that have just been read.
        self._courier.backfill_due = False

    def lookback_id(self) -> str:
        """Where to read activities from: their ids begin with the time, and late rows come under ids of days ago."""
        memory = self._desk.books.memory
        edge_ns = self._clock.now_ns() - self._settings.activity_lookback_days * _DAY_NS
        return max(memory.first_activity_id, f"{to_datetime(max(0, edge_ns)):%Y%m%d%H%M%S}")
