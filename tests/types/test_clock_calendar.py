from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.types.calendar import TradingCalendar
from gammaray.types.clock import VirtualClock, format_ns, from_datetime, parse_ns, to_datetime


@given(st.integers(0, 4 * 10**18))
def test_text_keeps_every_nanosecond(ns: int) -> None:
    assert parse_ns(format_ns(ns)) == ns


def test_offsets_are_read_and_naive_times_refused() -> None:
    assert parse_ns("2018-02-05T09:30:00.5-05:00") == parse_ns("2018-02-05T14:30:00.5Z")
    assert to_datetime(parse_ns("2018-02-05T14:30:00Z")) == datetime(2018, 2, 5, 14, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        from_datetime(datetime(2018, 2, 5))


def test_a_virtual_clock_never_goes_back() -> None:
    clock = VirtualClock(5)
    clock.advance_to(7)
    assert clock.now_ns() == 7
    with pytest.raises(ValueError, match="before"):
        clock.advance_to(6)


def test_holidays_and_half_days() -> None:
    # New York Stock Exchange: Thanksgiving 2017-11-23 closed, 2017-11-24 closes at 13:00 (18:00 UTC)
    calendar = TradingCalendar(date(2017, 11, 20), date(2017, 11, 30))
    assert not calendar.is_session(date(2017, 11, 23))
    friday = calendar.session(date(2017, 11, 24))
    assert format_ns(friday.open_ns) == "2017-11-24T14:30:00Z"
    assert format_ns(friday.close_ns) == "2017-11-24T18:00:00Z"
    assert calendar.on_or_before(date(2017, 11, 26)).day == date(2017, 11, 24)
    assert calendar.after(date(2017, 11, 22)).day == date(2017, 11, 24)
    assert calendar.at(friday.open_ns) == friday
    assert calendar.at(friday.close_ns) is None
