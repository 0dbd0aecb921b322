"""The journal in memory: for back-tests, and for tests that lose a process but not its disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gammaray.storage.journal import Fenced, JournalEntry, JournalError, Snapshot, digest_of


@dataclass(slots=True)
class MemoryDisk:
    """What outlives the process: committed entries, snapshots, and who may write."""

    entries: list[JournalEntry] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    epoch: int = 0


class MemoryJournal:
    """See `gammaray.storage.journal.Journal`. Journals on one `disk` are incarnations of one journal."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk if disk is not None else MemoryDisk()
        self.epoch = 0
        self._batch: list[JournalEntry] = []

    def fence(self) -> int:
        """Take the journal over."""
        self.disk.epoch += 1
        self.epoch = self.disk.epoch
        return self.epoch

    def append(self, kind: str, ts_ns: int, payload: bytes) -> int:
        """Add an entry to the batch; returns its sequence number."""
        sequence = len(self.disk.entries) + len(self._batch) + 1
        self._batch.append(JournalEntry(sequence, kind, ts_ns, payload))
        return sequence

    def commit(self) -> None:
        """Keep the batch."""
        batch, self._batch = self._batch, []
        self._check_owner()
        self.disk.entries += batch

    def _check_owner(self) -> None:
        if self.disk.epoch != self.epoch:
            raise Fenced(f"journal: epoch {self.disk.epoch} has taken over from {self.epoch}")

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """Committed entries behind `after`."""
        if after > len(self.disk.entries):
            raise JournalError(f"journal: no entry {after} to read on from")
        return iter(self.disk.entries[after:])

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; the newest two are kept."""
        self._check_owner()
        self.disk.snapshots = [*self.disk.snapshots[-1:], snapshot]

    def load_snapshot(self) -> Snapshot | None:
        """The newest snapshot that does not lie beyond the last entry."""
        whole = [one for one in self.disk.snapshots if one.sequence <= len(self.disk.entries)]
        return whole[-1] if whole else None

    def digest(self) -> str:
        """SHA-256 over the committed entries."""
        return digest_of(self.disk.entries)

    def close(self) -> None:
        """Drop the batch."""
        self._batch.clear()
