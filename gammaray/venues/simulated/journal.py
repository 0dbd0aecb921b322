"""The exchange's own journal: every input before it is applied, and a snapshot now and then.

The exchange is deterministic, so the newest snapshot and the inputs after it give its state back after a kill -9.
Inputs are one SQLite file in WAL mode: what `append` returned from survives the end of the process (not of the machine's power).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS scenario (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS inputs (number INTEGER PRIMARY KEY, operation TEXT NOT NULL, arguments TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS snapshots (number INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
"""


class JournalMismatch(ValueError):
    """The journal belongs to another scenario."""


@dataclass(frozen=True, slots=True)
class Input:
    """A call that changed the exchange: its name and JSON-able arguments."""

    operation: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the journal holds: the newest snapshot, if any, and the inputs after it."""

    state: bytes | None
    inputs: tuple[Input, ...]


class ExchangeJournal:
    """An input log with snapshots. One process at a time: a second one is refused.

    `scenario` names what the exchange was built from (seed, dates, …). Raises JournalMismatch when the file was written for another,
    sqlite3.Error when the file cannot be used.
    """

    def __init__(self, path: Path, scenario: Mapping[str, str]) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
            self._claim(path, scenario)
            row = self._connection.execute(
                "SELECT max(n) FROM (SELECT max(number) AS n FROM inputs UNION ALL SELECT max(number) FROM snapshots)"
            ).fetchone()
        except BaseException:
            self._connection.close()
            raise
        self._number: int = row[0] or 0

    def _claim(self, path: Path, scenario: Mapping[str, str]) -> None:
        stored = dict(self._connection.execute("SELECT name, value FROM scenario"))
        if not stored:
            self._connection.executemany("INSERT INTO scenario VALUES (?, ?)", sorted(scenario.items()))
            return
        for name in sorted(stored.keys() | scenario.keys()):
            if stored.get(name) != scenario.get(name):
                raise JournalMismatch(
                    f"journal: {path} was written with {name}={stored.get(name)}, this exchange has {scenario.get(name)}"
                )

    @property
    def number(self) -> int:
        """Number of the newest input."""
        return self._number

    def append(self, entry: Input) -> None:
        """Write an input ahead of applying it."""
        self._connection.execute(
            "INSERT INTO inputs VALUES (?, ?, ?)", (self._number + 1, entry.operation, json.dumps(entry.arguments))
        )
        self._number += 1

    def save_snapshot(self, state: bytes) -> None:
        """Keep the state after the newest input; the inputs up to it and older snapshots go."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM snapshots")
            self._connection.execute("DELETE FROM inputs WHERE number <= ?", (self._number,))
            self._connection.execute("INSERT INTO snapshots VALUES (?, ?)", (self._number, state))

    def recover(self) -> Recovered:
        """The newest snapshot and what came after it."""
        row = self._connection.execute("SELECT number, state FROM snapshots ORDER BY number DESC LIMIT 1").fetchone()
        number, state = row if row else (0, None)
        rows = self._connection.execute(
            "SELECT operation, arguments FROM inputs WHERE number > ? ORDER BY number", (number,)
        ).fetchall()
        return Recovered(state, tuple(Input(operation, json.loads(arguments)) for operation, arguments in rows))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
