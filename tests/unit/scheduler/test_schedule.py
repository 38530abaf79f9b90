"""When jobs are due, on real sessions of the New York Stock Exchange."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.scheduler.config import Settings
from services.scheduler.core.schedule import Due, JobTime, due, job_times, latest, next_due
from shared.calendar import session_hours
from shared.config import load
from shared.messages.job import Job

JOBS = (
    JobTime(job=Job.FETCH_BARS, after_close_minutes=5),
    JobTime(job=Job.SYNC_POSITIONS, after_open_minutes=1),
    JobTime(job=Job.CHECK_EXITS, before_close_minutes=15),
)
FIRST = datetime(2012, 11, 16, tzinfo=UTC)
moments = st.integers(0, 14 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))


def test_times_of_an_ordinary_session_are_in_order():
    assert job_times(date(2012, 6, 1), JOBS, session_hours) == [
        Due(datetime(2012, 6, 1, 13, 31, tzinfo=UTC), Job.SYNC_POSITIONS),
        Due(datetime(2012, 6, 1, 19, 45, tzinfo=UTC), Job.CHECK_EXITS),
        Due(datetime(2012, 6, 1, 20, 5, tzinfo=UTC), Job.FETCH_BARS),
    ]


def test_an_early_close_moves_what_hangs_on_the_close():
    # The day after Thanksgiving closes at 13:00 New York time, which is 18:00 UTC in winter.
    times = [run.at for run in job_times(date(2012, 11, 23), JOBS, session_hours)]
    assert times == [
        datetime(2012, 11, 23, 14, 31, tzinfo=UTC),
        datetime(2012, 11, 23, 17, 45, tzinfo=UTC),
        datetime(2012, 11, 23, 18, 5, tzinfo=UTC),
    ]


@pytest.mark.parametrize("distance", [{"after_open_minutes": 300}, {"before_close_minutes": 300}])
def test_a_session_too_short_for_a_job_goes_without_it(distance: dict[str, int]):
    job = JobTime(job=Job.SCAN, **distance)
    assert job_times(date(2012, 11, 23), [job], session_hours) == []
    assert len(job_times(date(2012, 11, 26), [job], session_hours)) == 1


def test_no_session_no_jobs():
    assert job_times(date(2012, 11, 22), JOBS, session_hours) == []  # Thanksgiving
    assert job_times(date(2012, 10, 29), JOBS, session_hours) == []  # hurricane Sandy


def test_jobs_of_one_moment_keep_the_order_of_the_settings():
    jobs = [JobTime(job=job, after_open_minutes=1) for job in (Job.SCAN, Job.FETCH_BARS, Job.CHECK_EXITS)]
    assert [run.job for run in job_times(date(2012, 6, 1), jobs, session_hours)] == [job.job for job in jobs]


@given(st.lists(moments, min_size=2, max_size=6))
def test_however_time_is_cut_every_job_is_due_once(times: list[datetime]):
    times.sort()
    pieces = [run for one, other in pairwise(times) for run in due(one, other, JOBS, session_hours)]
    assert pieces == due(times[0], times[-1], JOBS, session_hours)
    assert len({run.key for run in pieces}) == len(pieces)
    assert all(times[0] < run.at <= times[-1] for run in pieces)


@given(moments)
def test_latest_and_next_are_neighbours(now: datetime):
    before, after = latest(now, JOBS, session_hours), next_due(now, JOBS, session_hours)
    assert before is not None
    assert after is not None
    assert before.at <= now < after.at
    assert due(before.at, after.at, JOBS, session_hours) == [after]


@pytest.mark.parametrize("distances", [{}, {"after_open_minutes": 1, "before_close_minutes": 1}])
def test_a_job_has_exactly_one_distance(distances: dict[str, int]):
    with pytest.raises(ValidationError, match="exactly one of after_open_minutes"):
        JobTime(job=Job.SCAN, **distances)


def test_the_settings_that_come_with_the_house_make_the_demo_day():
    jobs = load(Settings, {}).jobs
    eastern = [
        (run.at - timedelta(hours=4)).strftime("%H:%M") for run in job_times(date(2012, 6, 1), jobs, session_hours)
    ]
    assert eastern == ["09:31", "09:32", "09:35", "15:45", "16:05"]
