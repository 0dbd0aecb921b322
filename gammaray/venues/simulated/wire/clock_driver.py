"""Moves the exchange's clock: step by step for lock-step runs, or freely at a multiple of the wall clock."""

from __future__ import annotations

import asyncio
from typing import Any

from gammaray.types.clock import NANOS
from gammaray.venues.simulated.model import ExchangeReject
from gammaray.venues.simulated.wire.data_stream import StepCount
from gammaray.venues.simulated.wire.service import VenueService
from gammaray.venues.simulated.wire.sessions import session_at_or_after

LONGEST_OVERRUN_NS = 7 * 86_400 * NANOS
LONGEST_GAP_S = 3600
"""Nights and weekends pass as fast as the longest gap inside a session would."""


class ClockDriver:
    """Owns the right to advance the service's clock."""

    def __init__(self, service: VenueService) -> None:
        self._service = service
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.speed: float | None = None

    async def step(self, *, to_ns: int | None, steps: int) -> list[StepCount]:
        """Advance to a time, or by steps; returns once every frame was handed to the sockets.

        Raises ExchangeReject: 409 while the clock runs freely, 422 for a time in the past or a week beyond the end.
        """
        if self.speed is not None:
            raise ExchangeReject(409, 40910000, "the clock is running: pause it first")
        end_ns = self._service.steps[-1] + LONGEST_OVERRUN_NS
        if to_ns is not None and to_ns > end_ns:
            raise ExchangeReject(422, 40010001, f"to_ns: {to_ns} is too far beyond the end of the scenario ({end_ns})")
        async with self._lock:
            return await self._advance(self._service.step_after(steps) if to_ns is None else to_ns)

    async def _advance(self, to_ns: int | None) -> list[StepCount]:
        if to_ns is None:
            return []
        counts = self._service.advance_to(to_ns)
        await self._service.drained()
        return counts

    def run(self, speed: float) -> None:
        """Let the clock run: `speed` seconds of the market for a second of the wall."""
        self.pause()
        self.speed = speed
        self._task = asyncio.get_running_loop().create_task(self._run(speed))

    def pause(self) -> None:
        """Stop the clock."""
        if self._task is not None:
            self._task.cancel()
        self._task = None
        self.speed = None

    async def _run(self, speed: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while (following := self._service.next_step_ns()) is not None:
            gap = (following - self._service.exchange.clock_ns()) / NANOS
            due = max(due + min(gap, LONGEST_GAP_S) / speed, loop.time() - 1.0)
            await asyncio.sleep(max(due - loop.time(), 0))
            async with self._lock:
                await self._advance(following)
        self.speed = None

    def describe(self) -> dict[str, Any]:
        """The state of the clock as the admin API shows it."""
        service = self._service
        now_ns = service.exchange.clock_ns()
        following = service.next_step_ns()
        return {
            "clock_ns": now_ns,
            "next_step_ns": following,
            "start_ns": service.steps[0] if service.steps else now_ns,
            "end_ns": service.steps[-1] if service.steps else now_ns,
            "finished": following is None,
            "speed": self.speed,
            "last_event_id": service.exchange.last_event_id(),
            "session": self._session(now_ns),
        }

    def _session(self, now_ns: int) -> dict[str, Any] | None:
        day, open_ns, close_ns = session_at_or_after(self._service.exchange, now_ns)
        return {
            "day": day.isoformat(),
            "open_ns": open_ns,
            "close_ns": close_ns,
            "is_open": open_ns <= now_ns < close_ns,
        }
