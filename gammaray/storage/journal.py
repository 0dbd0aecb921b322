"""The journal: what a desk has decided and learned, in order, for ever. What is not in it did not happen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gammaray.operations.errors import MustHalt, RetryLater


class JournalError(RetryLater):
    """The journal could not be written or read (disk full, locked, damaged): nothing of the call was kept."""


class Fenced(MustHalt):
    """A newer incarnation has taken the journal over; this one must stop and not write again."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One entry. `sequence` runs from 1 without gaps, `ts_ns` is market time, `payload` canonical JSON."""

    sequence: int
    kind: str
    ts_ns: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The desk's state after the entry `sequence`, to start from instead of the beginning."""

    sequence: int
    state: bytes


class Journal(Protocol):
    """Append-only, durable at `commit`, written by one incarnation at a time."""

    epoch: int
    """This incarnation's number, 0 before `fence`."""

    def fence(self) -> int:
        """Take the journal over: writers with a smaller epoch fail from now on. Returns the new epoch."""
        ...

    def append(self, kind: str, ts_ns: int, payload: bytes) -> int:
        """Add an entry to the batch that the next commit makes durable; returns its sequence number."""
        ...

    def commit(self) -> None:
        """Make everything appended durable, all or nothing. Raises Fenced, or JournalError, after which the batch is gone."""
        ...

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """Committed entries behind a sequence number, in order."""
        ...

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot (the newest two are kept). Raises Fenced or JournalError."""
        ...

    def load_snapshot(self) -> Snapshot | None:
        """The newest snapshot that is whole."""
        ...

    def digest(self) -> str:
        """SHA-256 over the committed entries: equal for two runs that decided and learned the same in the same order."""
        ...

    def close(self) -> None:
        """Let go of the file. What was not committed is gone."""
        ...


def digest_of(entries: Iterable[JournalEntry]) -> str:
    """SHA-256 over sequence, kind, market time and payload of each entry, lengths in front so that no two journals read alike."""
    hasher = hashlib.sha256()
    for entry in entries:
        kind = entry.kind.encode()
        head = b"%d %d %d %d\n" % (entry.sequence, entry.ts_ns, len(kind), len(entry.payload))
        hasher.update(head + kind + entry.payload)
    return hasher.hexdigest()
