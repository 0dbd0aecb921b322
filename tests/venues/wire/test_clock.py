"""The clock of the venue: lock-step, free-running, paused, at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

import pytest

from gammaray.venues.protocol import VenueRejected
from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer, VenueSettings

Eventually = Callable[[Callable[[], bool]], None]


def test_steps_go_through_the_scenarios_times(venue: VenueServer, admin: AdminClient) -> None:
    before = admin.clock()
    assert before.next_step_ns == venue.service.steps[2]
    state = admin.step(3)
    assert state.clock_ns == venue.service.steps[4]
    assert [count.ts_ns for count in state.published] == list(venue.service.steps[2:5])
    assert {symbol for count in state.published for symbol in count.stocks} == {"SPY"}
    assert all(count.options["SPY"] > 0 for count in state.published)
    assert (state.session_day, state.finished) == ("2018-01-29", False)


def test_stepping_to_a_time_twice_is_stepping_once(admin: AdminClient) -> None:
    target = admin.clock().next_step_ns
    assert target is not None
    assert len(admin.step_to(target).published) == 1
    again = admin.step_to(target)
    assert (again.clock_ns, again.published) == (target, ())


def test_the_past_and_the_far_future_are_refused(admin: AdminClient) -> None:
    with pytest.raises(VenueRejected, match="is before the clock's"):
        admin.step_to(1)
    with pytest.raises(VenueRejected, match="beyond the end"):
        admin.step_to(2**62)


def test_after_the_last_step_it_is_finished(venue: VenueServer, admin: AdminClient) -> None:
    state = admin.step(10_000)
    assert state.finished
    assert state.next_step_ns is None
    assert state.clock_ns == venue.service.steps[-1] == state.end_ns
    assert admin.step().published == ()
    assert venue.service.exchange.clock_ns() == state.end_ns


def test_a_running_clock_moves_by_itself_and_can_be_paused(admin: AdminClient, eventually: Eventually) -> None:
    # A step of half an hour passes in 18 ms.
    start = admin.run(100_000.0).clock_ns
    eventually(lambda: admin.clock().clock_ns > start + 3 * 1800 * 10**9)
    with pytest.raises(VenueRejected, match="pause it first"):
        admin.step()
    paused = admin.pause()
    assert paused.speed is None
    time.sleep(0.1)
    assert admin.clock().clock_ns == paused.clock_ns
    admin.step()


def test_speed_is_market_seconds_a_wall_second(admin: AdminClient, eventually: Eventually) -> None:
    # Half an hour at 3,600 a second takes half a second, not less.
    started = time.monotonic()
    clock = admin.run(3600.0).clock_ns
    eventually(lambda: admin.clock().clock_ns > clock)
    assert 0.45 < time.monotonic() - started < 15.0


def test_a_venue_can_start_running(eventually: Eventually) -> None:
    options = VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 30), speed=1e6)
    with VenueServer(options) as server, AdminClient(server.url) as admin:
        eventually(lambda: admin.clock().finished)
        state = admin.clock()
        assert state.clock_ns == state.end_ns
        assert state.speed is None
