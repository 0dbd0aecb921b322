"""The fault simulation in its CI form. More of it: `python -m tests.faults.run --n N --seed S`."""

from __future__ import annotations

import pytest

from tests.faults.run import play

CHUNK = 50


@pytest.mark.parametrize("first", range(1, 301, CHUNK))
def test_seeded_schedules_keep_every_invariant(first: int) -> None:
    lives, broken = play(first, CHUNK)
    if broken:
        seed, text = broken[0]
        pytest.fail(f"{text}\nreplay: python -m tests.faults.run --n 1 --seed {seed}")
    # The weather was bad and there was something to lose.
    assert sum(life.filled for life in lives) > 10 * CHUNK
    assert sum(life.kills for life in lives) > CHUNK / 2
    assert sum(life.assigned for life in lives) > CHUNK / 4
