"""The journal in one SQLite file: write-ahead log, synchronous FULL, one transaction a batch.

SQLite itself drops a torn tail: the last transaction of the write-ahead log counts only if its checksums hold. Each entry carries a
checksum of its own besides, chained over its predecessor, so that a page damaged later is noticed when it is read.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from gammaray.storage.journal import Fenced, JournalEntry, JournalError, Snapshot, digest_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    payload BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS epoch (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot (sequence INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, state BLOB NOT NULL);
INSERT OR IGNORE INTO epoch VALUES (1, 0);
"""


class SqliteJournal:
    """See `gammaray.storage.journal.Journal`. `path` is created with its table when it does not exist.

    Raises JournalError when the file cannot be opened or is no journal.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 5.0) -> None:
        self.path = path
        self.epoch: int = 0
        self._batch: list[tuple[int, str, int, bytes, int]] = []
        try:
            # The owner may hand the journal to another thread, never use it from two at once.
            self._db = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._load_end()
        except sqlite3.Error as error:
            raise JournalError(f"journal {path}: {error}") from error

    def _load_end(self) -> None:
        row = self._db.execute("SELECT sequence, checksum FROM entry ORDER BY sequence DESC LIMIT 1").fetchone()
        self._sequence: int = row[0] if row else 0
        self._checksum: int = row[1] if row else 0
        self._committed = (self._sequence, self._checksum)

    def fence(self) -> int:
        """Take the journal over. Raises JournalError when the file cannot be written."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("UPDATE epoch SET number = number + 1")
            (number,) = self._db.execute("SELECT number FROM epoch").fetchone()
            self._db.execute("COMMIT")
            # The former owner may have written since this object was opened.
            self._load_end()
        except sqlite3.Error as error:
            self._roll_back()
            raise JournalError(f"journal {self.path}: {error}") from error
        self.epoch = int(number)
        return self.epoch

    def append(self, kind: str, ts_ns: int, payload: bytes) -> int:
        """Add an entry to the batch; returns its sequence number."""
        self._sequence += 1
        self._checksum = zlib.crc32(payload, zlib.crc32(f"{self._sequence} {ts_ns} {kind}".encode(), self._checksum))
        self._batch.append((self._sequence, kind, ts_ns, payload, self._checksum))
        return self._sequence

    def commit(self) -> None:
        """Write the batch in one transaction and wait for the disk."""
        if not self._batch:
            return
        try:
            self._begin_as_owner()
            self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", self._batch)
            self._db.execute("COMMIT")
        except (sqlite3.Error, Fenced) as error:
            self._roll_back()
            if isinstance(error, Fenced):
                raise
            raise JournalError(f"journal {self.path}: {error}") from error
        self._committed = (self._sequence, self._checksum)
        self._batch.clear()

    def _begin_as_owner(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        (number,) = self._db.execute("SELECT number FROM epoch").fetchone()
        if number != self.epoch:
            raise Fenced(f"journal {self.path}: epoch {number} has taken over from {self.epoch}")

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._batch.clear()
        self._sequence, self._checksum = self._committed

    def read(self, after: int = 0) -> Iterator[JournalEntry]:
        """Committed entries behind `after`. Raises JournalError for a gap or an entry whose checksum fails."""
        checksum = 0
        if after:
            row = self._db.execute("SELECT checksum FROM entry WHERE sequence = ?", (after,)).fetchone()
            if row is None:
                raise JournalError(f"journal {self.path}: no entry {after} to read on from")
            (checksum,) = row
        expected = after + 1
        try:
            rows = self._db.execute("SELECT * FROM entry WHERE sequence > ? ORDER BY sequence", (after,))
            for sequence, kind, ts_ns, payload, stored in rows:
                checksum = zlib.crc32(payload, zlib.crc32(f"{sequence} {ts_ns} {kind}".encode(), checksum))
                if sequence != expected or checksum != stored:
                    raise JournalError(f"journal {self.path}: entry {expected} is missing or damaged")
                expected += 1
                yield JournalEntry(sequence, kind, ts_ns, payload)
        except sqlite3.Error as error:
            raise JournalError(f"journal {self.path}: {error}") from error

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; the newest two are kept."""
        row = (snapshot.sequence, zlib.crc32(snapshot.state), snapshot.state)
        try:
            self._begin_as_owner()
            self._db.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)", row)
            self._db.execute(
                "DELETE FROM snapshot WHERE sequence NOT IN (SELECT sequence FROM snapshot ORDER BY sequence DESC LIMIT 2)"
            )
            self._db.execute("COMMIT")
        except (sqlite3.Error, Fenced) as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, Fenced):
                raise
            raise JournalError(f"journal {self.path}: {error}") from error

    def load_snapshot(self) -> Snapshot | None:
        """The newest snapshot whose checksum holds and that does not lie beyond the last entry."""
        rows = self._db.execute("SELECT sequence, checksum, state FROM snapshot ORDER BY sequence DESC")
        for sequence, checksum, state in rows:
            if zlib.crc32(state) == checksum and sequence <= self._committed[0]:
                return Snapshot(sequence, state)
        return None

    def digest(self) -> str:
        """SHA-256 over the committed entries."""
        return digest_of(self.read())

    def close(self) -> None:
        """Close the file; the batch is dropped."""
        self._batch.clear()
        self._db.close()
