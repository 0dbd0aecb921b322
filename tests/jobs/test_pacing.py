"""Where steps come from, against a served exchange."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date

import pytest

from gammaray.operations.errors import RetryLater
from gammaray.types.calendar import TradingCalendar
from gammaray.types.clock import NANOS, VirtualClock, format_ns
from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer, VenueSettings
from jobs.pacing import FreeRunningPacer, LockStepPacer, WallPacer

FIRST, LAST = date(2017, 11, 22), date(2017, 11, 24)  # Thanksgiving between them, a half day at the end


@pytest.fixture
def admin() -> Iterator[AdminClient]:
    with (
        VenueServer(VenueSettings(first=FIRST, last=LAST, steps_per_session=3)) as server,
        AdminClient(server.url) as client,
    ):
        yield client


def never() -> bool:
    raise AssertionError("nothing died")


def test_lock_step_gives_every_step_once_with_its_session(admin: AdminClient) -> None:
    pacer = LockStepPacer(admin, never)
    steps = []
    while (step := pacer.next()) is not None:
        steps.append(step)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    times = [step.ts_ns for step in steps]
    assert times == sorted(set(times))
    closes = [format_ns(step.ts_ns) for step in steps if step.is_close]
    assert closes == ["2017-11-22T21:00:00Z", "2017-11-24T18:00:00Z"]
    assert all(step.session_open != step.is_close for step in steps)
    assert pacer.done() == 1.0


def test_lock_step_asks_again_after_a_restart(admin: AdminClient) -> None:
    revived = []

    class Dying(AdminClient):
        def __init__(self) -> None:
            self.failures = 1

        def clock(self):  # type: ignore[no-untyped-def]
            return admin.clock()

        def step_to(self, to_ns: int):  # type: ignore[no-untyped-def]
            from gammaray.venues.protocol import VenueAmbiguous

            answer = admin.step_to(to_ns)  # it happened, and the answer is lost
            if self.failures:
                self.failures -= 1
                raise VenueAmbiguous("lost")
            return answer

    pacer = LockStepPacer(Dying(), lambda: not revived.append(True))
    first, second = pacer.next(), pacer.next()
    assert first is not None
    assert second is not None
    assert revived == [True]
    assert first.ts_ns < second.ts_ns
    assert first.expected == {}  # the repeated step published nothing: REST must give the quotes


def test_a_dead_exchange_is_given_up_in_the_end(admin: AdminClient) -> None:
    pacer = LockStepPacer(admin, lambda: False)
    pacer._admin = AdminClient("http://127.0.0.1:9")
    with pytest.raises(RetryLater, match="did not answer"):
        pacer.next()


def test_free_running_sees_every_close_and_the_end(admin: AdminClient) -> None:
    pacer = FreeRunningPacer(admin, never, speed=200_000.0, stop=threading.Event())
    steps = []
    while (step := pacer.next()) is not None:
        steps.append(step)
    assert [step.ts_ns for step in steps if step.is_close] == [
        session.close_ns for session in TradingCalendar(FIRST, LAST).sessions
    ]


def test_free_running_stops_when_asked(admin: AdminClient) -> None:
    stop = threading.Event()
    stop.set()
    assert FreeRunningPacer(admin, never, speed=1.0, stop=stop).next() is None


def test_the_wall_pacer_decides_in_sessions_and_at_their_close() -> None:
    session = TradingCalendar(date(2018, 2, 5), date(2018, 2, 5)).sessions[0]
    clock = VirtualClock(session.close_ns - 90 * NANOS)
    pacer = WallPacer(clock, 60.0, threading.Event(), None)
    first = pacer.next()
    clock.advance_to(session.close_ns + 5 * NANOS)
    last = pacer.next()
    assert first is not None
    assert last is not None
    assert (first.session_open, first.is_close) == (True, False)
    assert (last.ts_ns, last.is_close) == (session.close_ns, True)


def test_the_wall_pacer_ends_after_its_duration() -> None:
    clock = VirtualClock(TradingCalendar(date(2018, 2, 5), date(2018, 2, 5)).sessions[0].open_ns)
    pacer = WallPacer(clock, 60.0, threading.Event(), duration_s=30.0)
    assert pacer.next() is not None
    clock.advance_to(clock.now_ns() + 31 * NANOS)
    assert pacer.next() is None
