"""Health of a part: alive, ready, and how fresh. Staleness counts as unhealthy: a connected but silent feed is not ready."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """One part's state. `age_s` is the age of its newest input in seconds of its own clock, if it has one."""

    part: str
    live: bool
    ready: bool
    detail: str = ""
    age_s: float | None = None
    restarts: int = 0


def summarize(parts: Iterable[Health]) -> tuple[bool, bool, list[Health]]:
    """(all live, all ready, parts with the unhealthy ones first)."""
    listed = sorted(parts, key=lambda part: (part.live, part.ready, part.part))
    return all(part.live for part in listed), all(part.ready for part in listed), listed
