"""The order of things: handle an event, make it durable, only then let its commands leave."""

from __future__ import annotations

from gammaray.desk import commands, events
from gammaray.desk.codec import decode, encode
from gammaray.desk.commands import Command
from gammaray.desk.courier import Courier
from gammaray.desk.desk import Desk
from gammaray.desk.events import Event
from gammaray.operations.errors import MustHalt
from gammaray.storage.journal import Journal, Snapshot


class Writer:
    """Owns the desk and its journal. A failure of the journal voids it, for memory is then ahead of the disk."""

    def __init__(self, journal: Journal, courier: Courier, *, snapshot_every: int, lookup_misses: int) -> None:
        self.desk = Desk()
        self.sequence = 0
        self._journal = journal
        self._courier = courier
        self._snapshot_every = snapshot_every
        self._lookup_misses = lookup_misses
        self._snapshot_at = 0
        self._void = ""

    def take_over(self) -> None:
        """Shut former writers out and replay: the newest snapshot, then what follows it."""
        self._journal.fence()
        saved = self._journal.load_snapshot()
        if saved is not None:
            self.desk = Desk.restored(saved.state)
            self.sequence = self._snapshot_at = saved.sequence
        for entry in self._journal.read(self.sequence):
            self.desk.handle(decode(entry.kind, entry.payload))
            self.sequence = entry.sequence

    def check(self) -> None:
        """Raises MustHalt when a journal failure has voided this writer."""
        if self._void:
            raise MustHalt(f"desk session: void since {self._void}; start a new one")

    def run(self, *batch: Event) -> None:
        """Handle events, make them durable together, then carry out what follows from them."""
        self.perform(self._commit(list(batch)))

    def _commit(self, batch: list[Event]) -> list[Command]:
        wanted: list[Command] = []
        if not batch:
            return wanted
        self.check()
        try:
            while batch:
                event = batch.pop(0)
                found = self.desk.handle(event)
                kind, payload = encode(event)
                self.sequence = self._journal.append(kind, event.ts_ns, payload)
                batch[:0] = [command.anomaly for command in found if isinstance(command, commands.Record)]
                wanted += [command for command in found if not isinstance(command, commands.Record)]
            self._journal.commit()
        except BaseException as error:
            # Nothing has left, and nothing may any more.
            self._void = repr(error)
            raise
        if self.sequence - self._snapshot_at >= self._snapshot_every:
            self.save_snapshot()
        return wanted

    def perform(self, wanted: list[Command]) -> None:
        """Carry commands out, and whatever their outcomes cause."""
        while wanted:
            outcome = self._courier.carry(wanted.pop(0))
            wanted += self._commit([event for event in outcome if self._is_worth_keeping(event)])

    def _is_worth_keeping(self, event: Event) -> bool:
        """A look-up that says nothing new is not journaled."""
        if isinstance(event, events.OrderSeen):
            return self.desk.flow.is_news(event.order)
        if isinstance(event, events.LookUpMissed):
            record = self.desk.books.by_client_id[event.client_order_id]
            return record.unknown and record.misses < self._lookup_misses
        return True

    def save_snapshot(self) -> None:
        """Keep the state as it is now, for a quick start."""
        self.check()
        self._journal.save_snapshot(Snapshot(self.sequence, self.desk.snapshot()))
        self._snapshot_at = self.sequence
