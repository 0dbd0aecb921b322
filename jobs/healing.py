"""What the driver does when a part dies: waits until it is back, starts the exchange again itself, and repeats the work."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import ray

from actors import names
from actors.calls import call, find
from gammaray.operations.errors import RetryLater
from gammaray.operations.logs import get_logger
from gammaray.operations.progress import ProgressView
from gammaray.venues.protocol import VenueAmbiguous, VenueUnavailable
from jobs.summary import RunRecord
from jobs.venue_process import VenueProcess

_T = TypeVar("_T")
TIMEOUT_S = 120.0
AWAY = (
    ray.exceptions.ActorUnavailableError,
    ray.exceptions.ActorDiedError,
    RetryLater,
    VenueUnavailable,
    VenueAmbiguous,
)
"""Errors of a part that is being started again."""
_log = get_logger("jobs.healing")


class Healer:
    """Repeats idempotent work over the death of actors and of the exchange, and counts the restarts."""

    def __init__(self, namespace: str, record: RunRecord, view: ProgressView) -> None:
        self.venue: VenueProcess | None = None
        self._namespace = namespace
        self._record = record
        self._view = view

    def patiently(self, work: Callable[[], _T]) -> _T:
        """Do the work, from its beginning again whenever a part died in it. Raises the last error when that goes on for too long."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return work()
            except (*AWAY, ray.exceptions.RayTaskError) as error:
                cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
                if not isinstance(cause, AWAY) or time.monotonic() > deadline:
                    raise
                self._heal(error)

    def revive_venue(self) -> bool:
        """Start the exchange again from its journal if it died; returns whether it had to."""
        if self.venue is None or not self.venue.ensure_alive():
            return False
        self._count("venue")
        return True

    def _heal(self, error: Exception) -> None:
        if self.revive_venue():
            return
        part = self._part_of(error)
        for name in names.ALL:
            call(name, self._namespace, "health", timeout_s=TIMEOUT_S)
        if part:
            self._count(part)
        else:
            time.sleep(0.5)  # something of the venue's is only slow to come back

    def _part_of(self, error: Exception) -> str:
        """Name of the actor that an error is about, empty when it is about none."""
        text = str(error)
        for name in names.ALL:
            with suppress(RetryLater):
                if find(name, self._namespace)._actor_id.hex() in text:
                    return name
        return ""

    def _count(self, part: str) -> None:
        _log.warning("part_restarted", part=part, step=self._record.steps)
        self._view.stage(f"{part} was restarted")
        self._record.restarted(part)
        call(names.SUPERVISOR, self._namespace, "restarted", part, timeout_s=TIMEOUT_S)
