"""Which silence means something: in the session, by both clocks, and less and less often."""

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.core.freshness import LONGEST_BACKOFF_SECONDS, Freshness, Hours, regular_hours
from shared.messages.market_requests import Feed

STREAM = ("AAPL", Feed.QUOTES)
OPENED = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)  # a Monday
CLOSED = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
HOURS: Hours = [(OPENED, CLOSED)]
SILENCE = 100.0


class Watched:
    """One stream, looked at every second; `at` is seconds since the open."""

    def __init__(self, at: float = 0.0, hours: Hours = HOURS) -> None:
        self.freshness = Freshness(SILENCE)
        self.at = at
        self.hours = hours
        self.heard: float | None = None

    def reopened(self, seconds: int, *, time_stands: bool = False) -> list[float]:
        """When it would have been asked for again, in the seconds that follow."""
        found: list[float] = []
        moment = OPENED + timedelta(seconds=self.at)
        for _ in range(seconds):
            if not time_stands:
                moment = OPENED + timedelta(seconds=self.at)
            silent = self.freshness.silent(STREAM, self.heard, self.at, moment)
            if silent and self.freshness.to_be_reopened(STREAM, self.hours, moment):
                found.append(self.at)
            self.at += 1
        return found

    def tick(self) -> None:
        self.heard = self.at


def test_a_silent_stream_is_asked_for_again_after_twice_as_long_each_time() -> None:
    watched = Watched(at=1000.0)
    watched.tick()
    assert watched.reopened(5000) == [1100, 1200, 1400, 1800, 2600, 3500, 4400, 5300]
    assert LONGEST_BACKOFF_SECONDS == 900


def test_a_tick_ends_the_silence_and_its_backoff() -> None:
    watched = Watched(at=1000.0)
    watched.tick()
    assert watched.reopened(350) == [1100, 1200]
    watched.tick()
    assert watched.reopened(150) == [1450]


def test_a_stream_that_ticks_is_left_alone() -> None:
    watched = Watched(at=1000.0)
    for _ in range(50):
        watched.tick()
        assert watched.reopened(99) == []


def test_silence_outside_the_session_and_just_after_its_open_is_none() -> None:
    watched = Watched(at=-50_000.0)
    watched.tick()
    assert watched.reopened(50_050) == []  # all night, and 50 seconds of the session
    assert watched.reopened(60) == [100]
    evening = Watched(at=(CLOSED - OPENED).total_seconds())
    evening.tick()
    assert evening.reopened(3000) == []


@pytest.mark.parametrize("cut", [False, True], ids=["never heard", "cut off by the broker"])
def test_what_never_told_anything_is_asked_for_again_whatever_the_hour(cut: bool) -> None:
    watched = Watched(at=-50_000.0)
    if cut:
        watched.tick()
        assert watched.reopened(500) == []
        watched.heard = None
    began = watched.at
    assert watched.reopened(450) == [began + 100, began + 200, began + 400]


def test_a_market_that_stands_still_is_not_silent() -> None:
    watched = Watched(at=1000.0)
    watched.tick()
    assert watched.reopened(5000, time_stands=True) == []


def test_what_is_not_kept_is_forgotten() -> None:
    watched = Watched(at=1000.0)
    watched.tick()
    assert watched.reopened(150) == [1100]
    watched.freshness.keep([])
    assert watched.reopened(200) == [1250]  # instead of 1200: its silence counts from when it is watched again


def test_regular_hours_are_those_of_the_day_in_new_york() -> None:
    assert regular_hours(datetime(2026, 11, 23, 3, 0, tzinfo=UTC)) == []  # Sunday evening there
    assert regular_hours(OPENED) == [(OPENED, CLOSED)]
    friday = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)  # after Thanksgiving: until 13:00
    assert regular_hours(friday)[0][1] == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
