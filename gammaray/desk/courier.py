"""Carries commands to the venue and brings back what came of them, as events."""

from __future__ import annotations

from gammaray.desk import commands, events
from gammaray.desk.commands import Command
from gammaray.desk.events import Event
from gammaray.types.clock import Clock
from gammaray.venues.protocol import TradingVenue, VenueError, VenueRejected, VenueUnavailable

_DUPLICATE_ID = "client_order_id must be unique"


class Courier:
    """One attempt a command. What stays open is looked up later; nothing is sent twice but cancels, which may be."""

    def __init__(self, venue: TradingVenue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self.failed_cancels: dict[str, str] = {}
        """Venue ids, by our ids, of cancels of which nobody knows whether they arrived."""
        self.backfill_due = False

    def carry(self, command: Command) -> list[Event]:
        """Carry out one command. Never raises VenueError: that is an outcome."""
        if isinstance(command, commands.SendOrder):
            return self._send(command)
        if isinstance(command, commands.SendReplace):
            return self._replace(command)
        if isinstance(command, commands.SendCancel):
            return self._cancel(command)
        if isinstance(command, commands.LookUp):
            return self._look_up(command.client_order_id)
        if isinstance(command, commands.Backfill):
            self.backfill_due = True
        return []

    def _send(self, command: commands.SendOrder) -> list[Event]:
        client_order_id = command.request.client_order_id
        try:
            order = self._venue.submit(command.request)
        except VenueError as error:
            return [self._failure(client_order_id, error)]
        return [events.OrderSeen(self._clock.now_ns(), order)]

    def _replace(self, command: commands.SendReplace) -> list[Event]:
        try:
            order = self._venue.replace(
                command.venue_order_id,
                client_order_id=command.new_client_order_id,
                qty=command.qty,
                limit_price=command.limit_price,
            )
        except VenueError as error:
            return [self._failure(command.new_client_order_id, error)]
        return [events.OrderSeen(self._clock.now_ns(), order)]

    def _failure(self, client_order_id: str, error: VenueError) -> Event:
        now_ns = self._clock.now_ns()
        # A duplicate id means that an earlier attempt arrived: whoever retried, the order has to be looked up.
        if isinstance(error, VenueRejected) and _DUPLICATE_ID not in error.message:
            return events.OrderRefused(now_ns, client_order_id, error.code, error.status, error.message)
        if isinstance(error, VenueUnavailable):
            return events.OrderNotSent(now_ns, client_order_id, str(error))
        return events.OutcomeUnknown(now_ns, client_order_id, str(error))

    def _cancel(self, command: commands.SendCancel) -> list[Event]:
        self.failed_cancels.pop(command.client_order_id, None)
        try:
            self._venue.cancel(command.venue_order_id)
        except VenueRejected as error:
            return [events.CancelRefused(self._clock.now_ns(), command.client_order_id, error.message)]
        except VenueError:
            self.failed_cancels[command.client_order_id] = command.venue_order_id
        return []

    def _look_up(self, client_order_id: str) -> list[Event]:
        try:
            order = self._venue.order_by_client_id(client_order_id)
        except VenueError:
            return []
        if order is None:
            return [events.LookUpMissed(self._clock.now_ns(), client_order_id)]
        return [events.OrderSeen(self._clock.now_ns(), order)]
