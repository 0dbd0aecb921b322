"""Inputs and snapshots come back in order; a journal of another scenario is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gammaray.venues.simulated.journal import ExchangeJournal, Input, JournalMismatch

SCENARIO = {"seed": "7", "scenario": "history"}


def test_inputs_after_the_snapshot_are_replayed(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    journal = ExchangeJournal(path, SCENARIO)
    journal.append(Input("advance_to", {"now_ns": 1}))
    journal.save_snapshot(b"state one")
    journal.append(Input("cancel", {"order_id": "a"}))
    journal.append(Input("advance_to", {"now_ns": 2}))
    journal.close()
    recovered = ExchangeJournal(path, SCENARIO).recover()
    assert recovered.state == b"state one"
    assert recovered.inputs == (Input("cancel", {"order_id": "a"}), Input("advance_to", {"now_ns": 2}))


def test_numbers_run_on_after_a_snapshot_that_took_all_inputs(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    journal = ExchangeJournal(path, SCENARIO)
    for now in (1, 2):
        journal.append(Input("advance_to", {"now_ns": now}))
    journal.save_snapshot(b"s")
    journal.close()
    journal = ExchangeJournal(path, SCENARIO)
    assert journal.number == 2
    journal.append(Input("advance_to", {"now_ns": 3}))
    assert journal.recover().inputs == (Input("advance_to", {"now_ns": 3}),)
    journal.close()


def test_another_scenario_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    ExchangeJournal(path, SCENARIO).close()
    with pytest.raises(JournalMismatch, match="seed=7, this exchange has 8"):
        ExchangeJournal(path, {**SCENARIO, "seed": "8"})


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    journal = ExchangeJournal(path, SCENARIO)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ExchangeJournal(path, SCENARIO)
    journal.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        ExchangeJournal(path, SCENARIO)
