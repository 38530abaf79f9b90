"""Clocks and exchange sessions."""

from datetime import UTC, date, datetime, timedelta

from shared.calendar import is_open, next_session, session_hours, sessions
from shared.clock import MessageClock, WallClock, clock_for
from shared.types import Mode


def test_a_message_clock_is_the_newest_time_it_has_seen() -> None:
    clock = clock_for(Mode.SIMULATED)
    assert isinstance(clock, MessageClock)
    noon = datetime(2015, 6, 1, 16, tzinfo=UTC)
    clock.observe(noon)
    clock.observe(noon - timedelta(hours=1))
    assert clock.now() == noon


def test_paper_and_live_run_on_wall_time() -> None:
    for mode in (Mode.PAPER, Mode.LIVE):
        clock = clock_for(mode)
        assert isinstance(clock, WallClock)
        clock.observe(datetime(2000, 1, 1, tzinfo=UTC))
        assert clock.now() > datetime(2025, 1, 1, tzinfo=UTC)


def test_session_hours_follow_daylight_saving_and_half_days() -> None:
    winter = session_hours(date(2015, 3, 6))
    summer = session_hours(date(2015, 3, 9))
    assert winter == (datetime(2015, 3, 6, 14, 30, tzinfo=UTC), datetime(2015, 3, 6, 21, tzinfo=UTC))
    assert summer == (datetime(2015, 3, 9, 13, 30, tzinfo=UTC), datetime(2015, 3, 9, 20, tzinfo=UTC))
    half_day = session_hours(date(2015, 11, 27))  # the day after Thanksgiving
    assert half_day is not None
    assert half_day[1] == datetime(2015, 11, 27, 18, tzinfo=UTC)


def test_weekends_and_holidays_have_no_session() -> None:
    assert session_hours(date(2015, 6, 6)) is None
    assert session_hours(date(2015, 7, 3)) is None  # Independence Day, observed
    assert next_session(date(2015, 7, 2)) == date(2015, 7, 6)
    assert next_session(date(2015, 12, 31)) == date(2016, 1, 4)
    assert sessions(date(2015, 7, 1), date(2015, 7, 7)) == [date(2015, 7, day) for day in (1, 2, 6, 7)]


def test_the_opening_minute_is_open_and_the_closing_minute_is_not() -> None:
    opening, closing = session_hours(date(2015, 6, 1)) or (None, None)
    assert opening
    assert closing
    assert is_open(opening)
    assert not is_open(opening - timedelta(seconds=1))
    assert is_open(closing - timedelta(seconds=1))
    assert not is_open(closing)
