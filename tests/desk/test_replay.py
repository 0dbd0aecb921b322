"""The same events give the same bytes: through the codec, and without the compiler."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numba
import pytest

from gammaray.desk import events
from gammaray.desk.codec import decode, encode
from tests.faults.schedule import Schedule

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (3, 24)


def lives() -> str:
    """Digest of journals and states of a few schedules."""
    hasher = hashlib.sha256()
    for seed in SEEDS:
        schedule = Schedule(seed)
        schedule.run()
        hasher.update(schedule.session.journal.digest().encode())
        hasher.update(schedule.session.desk.snapshot())
    return hasher.hexdigest()


def test_compiled_and_interpreted_give_the_same_bytes() -> None:
    """Decisions, reservations, lots and margins: a whole life of a desk, once with numba and once without."""
    assert not numba.config.DISABLE_JIT
    code = "import numba; assert numba.config.DISABLE_JIT; from tests.desk.test_replay import lives; print(lives())"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    plain = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=240
    )
    assert plain.stdout.strip() == lives()


def test_one_seed_gives_one_life() -> None:
    assert lives() == lives()


def test_every_event_survives_the_journal() -> None:
    """What the schedules wrote is read back equal, and together they wrote nearly every kind."""
    seen = set()
    for seed in range(60, 75):
        schedule = Schedule(seed)
        schedule.run()
        for entry in schedule.disk.entries:
            event = decode(entry.kind, entry.payload)
            assert encode(event) == (entry.kind, entry.payload)
            seen.add(entry.kind)
    rare = {"OrderSettled", "PositionAdopted", "Anomaly", "NeverArrived", "OrderRefused"}
    assert seen | rare >= {kind.__name__ for kind in get_args(events.Event)}


@pytest.mark.parametrize(
    ("kind", "payload", "problem"),
    [("Nothing", b"{}", "Nothing"), ("DayEnded", b"{}", "ts_ns"), ("DayEnded", b"[", "DayEnded")],
)
def test_entries_that_are_no_events_are_refused(kind: str, payload: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode(kind, payload)
