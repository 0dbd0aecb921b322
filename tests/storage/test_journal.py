"""Both journals keep the same promises; the SQLite one also on a real file that is torn, damaged or full."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gammaray.storage.journal import Fenced, Journal, JournalError, Snapshot
from gammaray.storage.memory_journal import MemoryDisk, MemoryJournal
from gammaray.storage.sqlite_journal import SqliteJournal

Open = Callable[[], Journal]


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens further incarnations of one journal."""
    disk = MemoryDisk()
    if request.param == "memory":
        return lambda: MemoryJournal(disk)
    return lambda: SqliteJournal(tmp_path / "journal.db")


def fill(journal: Journal, *payloads: bytes) -> None:
    for payload in payloads:
        journal.append("Kind", 7, payload)
    journal.commit()


def test_committed_entries_are_read_in_order_by_the_next_incarnation(reopen: Open) -> None:
    first = reopen()
    first.fence()
    fill(first, b"a", b"b")
    fill(first, b"c")
    first.close()
    entries = list(reopen().read())
    assert [(entry.sequence, entry.payload) for entry in entries] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert [entry.payload for entry in reopen().read(after=2)] == [b"c"]


def test_what_was_not_committed_is_gone(reopen: Open) -> None:
    journal = reopen()
    journal.fence()
    fill(journal, b"a")
    journal.append("Kind", 8, b"lost")
    journal.close()
    again = reopen()
    again.fence()
    assert again.append("Kind", 9, b"b") == 2


def test_an_old_incarnation_cannot_write_once_a_newer_has_fenced_it(reopen: Open) -> None:
    old = reopen()
    old.fence()
    fill(old, b"a")
    new = reopen()
    assert new.fence() == old.epoch + 1
    old.append("Kind", 7, b"from the grave")
    with pytest.raises(Fenced):
        old.commit()
    with pytest.raises(Fenced):
        old.save_snapshot(Snapshot(1, b"state"))
    fill(new, b"b")
    assert [entry.payload for entry in new.read()] == [b"a", b"b"]


def test_nobody_writes_before_fencing(reopen: Open) -> None:
    owner = reopen()
    owner.fence()
    stranger = reopen()
    stranger.append("Kind", 7, b"x")
    with pytest.raises(Fenced):
        stranger.commit()


def test_the_digest_depends_on_sequence_kind_time_and_payload_only(tmp_path: Path) -> None:
    memory, sqlite = MemoryJournal(), SqliteJournal(tmp_path / "a.db")
    for journal in (memory, sqlite):
        journal.fence()
        fill(journal, b"a", b"b")
    sqlite.fence()
    sqlite.save_snapshot(Snapshot(1, b"state"))
    assert memory.digest() == sqlite.digest()
    before = memory.digest()
    fill(memory, b"c")
    assert memory.digest() != before
    split, joined = MemoryJournal(), MemoryJournal()
    for journal, parts in ((split, [("K", b"ab"), ("K", b"c")]), (joined, [("K", b"a"), ("K", b"bc")])):
        journal.fence()
        for kind, payload in parts:
            journal.append(kind, 7, payload)
        journal.commit()
    assert split.digest() != joined.digest()


def test_the_newest_whole_snapshot_is_loaded(reopen: Open) -> None:
    journal = reopen()
    journal.fence()
    assert journal.load_snapshot() is None
    fill(journal, b"a", b"b", b"c")
    for sequence in (1, 2, 3):
        journal.save_snapshot(Snapshot(sequence, b"state %d" % sequence))
    assert journal.load_snapshot() == Snapshot(3, b"state 3")


def test_a_damaged_snapshot_gives_way_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.fence()
    fill(journal, b"a", b"b")
    journal.save_snapshot(Snapshot(1, b"old"))
    journal.save_snapshot(Snapshot(2, b"new"))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE snapshot SET state = x'00' WHERE sequence = 2")
    assert journal.load_snapshot() == Snapshot(1, b"old")


def test_a_damaged_entry_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.fence()
    fill(journal, b"a", b"b", b"c")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entry SET payload = x'00' WHERE sequence = 2")
    with pytest.raises(JournalError, match="entry 2"):
        list(journal.read())
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM entry WHERE sequence = 2")
    with pytest.raises(JournalError, match="entry 2"):
        list(journal.read())


@pytest.mark.parametrize("cut", [1, 100, 3_000])
def test_a_torn_tail_of_the_write_ahead_log_loses_whole_commits_only(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.fence()
    for k in range(20):
        fill(journal, b"first of %d" % k, b"second of %d" % k)
    wal = (tmp_path / "journal.db-wal").read_bytes()
    # What a dying machine leaves: the file as it is, the log cut short.
    torn = tmp_path / "torn.db"
    torn.write_bytes(path.read_bytes())
    (tmp_path / "torn.db-wal").write_bytes(wal[:-cut])
    again = SqliteJournal(torn)
    entries = list(again.read())
    assert 0 < len(entries) < 40
    assert len(entries) % 2 == 0
    again.fence()
    fill(again, b"after")
    assert [entry.sequence for entry in again.read()] == list(range(1, len(entries) + 2))


def test_a_full_disk_keeps_nothing_of_the_commit_and_the_journal_stays_usable(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.fence()
    fill(journal, b"a")
    (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(JournalError, match="full"):
        fill(journal, b"small", b"x" * 100_000)
    assert [entry.payload for entry in journal.read()] == [b"a"]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    fill(journal, b"b")
    assert [(entry.sequence, entry.payload) for entry in journal.read()] == [(1, b"a"), (2, b"b")]


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(JournalError, match=r"journal\.db"):
        SqliteJournal(path)
