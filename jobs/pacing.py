"""Where a run's steps come from: the exchange's clock in lock-step, the exchange's clock running by itself, or the wall."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Protocol

from gammaray.features.observer import Step
from gammaray.operations.errors import RetryLater
from gammaray.types.calendar import NEW_YORK, Session, TradingCalendar
from gammaray.types.clock import NANOS, Clock, to_datetime
from gammaray.venues.protocol import VenueAmbiguous, VenueUnavailable
from gammaray.venues.simulated.admin_client import AdminClient, ClockState

ATTEMPTS = 5


class Pacer(Protocol):
    """Gives one step after another."""

    def next(self) -> Step | None:
        """The next step, waiting for it where time has to pass; None at the end or when asked to stop."""
        ...

    def done(self) -> float:
        """Share of the run that is over, 0 to 1."""
        ...


def _step(number: int, ts_ns: int, session: Session, expected: Mapping[str, int], event_id: int) -> Step:
    return Step(
        number=number,
        ts_ns=ts_ns,
        session_open=session.open_ns <= ts_ns < session.close_ns,
        session_open_ns=session.open_ns,
        session_close_ns=session.close_ns,
        is_close=ts_ns == session.close_ns,
        expected=expected,
        last_event_id=event_id,
    )


def _day(ts_ns: int) -> date:
    return to_datetime(ts_ns).astimezone(NEW_YORK).date()


class _ExchangePacer:
    """Common to both ways of following the simulated exchange: its clock, and starting it again when it died."""

    def __init__(self, admin: AdminClient, revive: Callable[[], bool]) -> None:
        self._admin = admin
        self._revive = revive
        self._number = 0
        self._clock = self._asked(admin.clock)
        margin = timedelta(days=7)
        self._calendar = TradingCalendar(_day(self._clock.start_ns) - margin, _day(self._clock.end_ns) + margin)

    def session(self, ts_ns: int) -> Session:
        """The session of a time's day, or the last one before it."""
        return self._calendar.on_or_before(_day(ts_ns))

    def done(self) -> float:
        """Share of the scenario's time that is over."""
        span = self._clock.end_ns - self._clock.start_ns
        return min(1.0, (self._clock.clock_ns - self._clock.start_ns) / span) if span > 0 else 1.0

    def _asked(self, question: Callable[[], ClockState]) -> ClockState:
        """Ask the exchange; when it died, it is started again from its journal and asked the same once more."""
        for attempt in range(ATTEMPTS):
            try:
                return question()
            except (VenueUnavailable, VenueAmbiguous):
                if not self._revive():
                    time.sleep(0.2 * 2**attempt)
        raise RetryLater(f"the exchange did not answer in {ATTEMPTS} attempts")


class LockStepPacer(_ExchangePacer):
    """The exchange's clock moves only here: a slow machine changes nothing but the time a run takes."""

    def next(self) -> Step | None:
        """Move the exchange to its next step. Moving to a time is idempotent, so it may be repeated after a restart."""
        to_ns = self._clock.next_step_ns
        if to_ns is None or self._clock.finished:
            return None
        self._clock = self._asked(lambda: self._admin.step_to(to_ns))
        self._number += 1
        addressed = self._clock.addressed()
        expected = addressed[1] if addressed is not None and addressed[0] == to_ns else {}
        return _step(self._number, to_ns, self.session(to_ns), expected, self._clock.last_event_id)


class FreeRunningPacer(_ExchangePacer):
    """The exchange's clock runs by itself at a multiple of the wall's; steps are taken as they pass, late ones are skipped."""

    def __init__(self, admin: AdminClient, revive: Callable[[], bool], speed: float, stop: threading.Event) -> None:
        super().__init__(admin, revive)
        self._speed = speed
        self._stop = stop
        self._last_ns = 0
        self._clock = self._asked(lambda: admin.run(speed))

    def next(self) -> Step | None:
        """The newest time of the exchange once it moved on; every session's close is seen even when the clock has passed it."""
        while not self._stop.is_set():
            self._clock = self._asked(self._admin.clock)
            if self._clock.speed is None and not self._clock.finished:
                # It came back from its journal with its clock at rest.
                self._clock = self._asked(lambda: self._admin.run(self._speed))
            step = self._current()
            if step is not None:
                self._number += 1
                return step
            if self._clock.finished:
                return None
            time.sleep(0.02)
        return None

    def _current(self) -> Step | None:
        now_ns = self._clock.clock_ns
        opened = self.session(self._last_ns) if self._last_ns else None
        if opened is not None and self._last_ns < opened.close_ns <= now_ns:
            session, ts_ns = opened, opened.close_ns
        else:
            session, ts_ns = self.session(now_ns), now_ns
            if now_ns <= self._last_ns or not session.open_ns <= now_ns < session.close_ns:
                return None
        self._last_ns = ts_ns
        return _step(self._number + 1, ts_ns, session, {}, self._clock.last_event_id)


class WallPacer:
    """Paper and live: a step every `interval_s` while the session is open, and one at its close."""

    def __init__(self, clock: Clock, interval_s: float, stop: threading.Event, duration_s: float | None) -> None:
        self._clock = clock
        self._interval_ns = int(interval_s * NANOS)
        self._stop = stop
        self._started_ns = clock.now_ns()
        self._duration_ns = None if duration_s is None else int(duration_s * NANOS)
        today = _day(self._started_ns)
        self._calendar = TradingCalendar(today - timedelta(days=7), today + timedelta(days=370))
        self._last_ns = 0
        self._number = 0

    def done(self) -> float:
        """Share of the asked duration that is over; 0 for a run without one."""
        if self._duration_ns is None:
            return 0.0
        return min(1.0, (self._clock.now_ns() - self._started_ns) / self._duration_ns)

    def next(self) -> Step | None:
        """Wait for the next step of the wall clock."""
        while not self._stop.is_set() and self.done() < 1.0:
            now_ns = self._clock.now_ns()
            session = self._calendar.on_or_before(_day(now_ns))
            ts_ns = self._due(session, now_ns)
            if ts_ns is not None:
                self._last_ns = ts_ns
                self._number += 1
                return _step(self._number, ts_ns, session, {}, 0)
            self._stop.wait(0.25)
        return None

    def _due(self, session: Session, now_ns: int) -> int | None:
        if now_ns < session.open_ns:
            return None
        if now_ns >= session.close_ns:
            return session.close_ns if session.open_ns <= self._last_ns < session.close_ns else None
        return now_ns if now_ns - self._last_ns >= self._interval_ns else None
