"""The scheduler's decisions, with the table of runs as a dictionary."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.scheduler.config import Settings
from services.scheduler.core.schedule import JobTime
from services.scheduler.handlers import Scheduler
from shared.calendar import session_hours
from shared.clock import MessageClock
from shared.messages.base import Envelope, originate
from shared.messages.job import Job, JobFinished, JobOutcome
from shared.transactor import Effects

SETTINGS = Settings(
    jobs=(
        JobTime(job=Job.SYNC_POSITIONS, after_open_minutes=1),
        JobTime(job=Job.SCAN, after_open_minutes=2),
        JobTime(job=Job.CHECK_EXITS, before_close_minutes=15),
    ),
    catch_up_minutes=60,
    shard_size=2,
)
OPEN = datetime(2012, 6, 1, 13, 30, tzinfo=UTC)


class Table:
    """job_runs as a dictionary, and schedulers that begin from it as after a restart."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Mapping[str, Any]] = {}

    def start(self) -> Scheduler:
        moments = [row["scheduled_for"] for row in self.rows.values()]
        return Scheduler(
            SETTINGS,
            ["AAPL", "FB", "GOOG"],
            session_hours,
            MessageClock(),
            decided_until=max(moments, default=None),
            open_runs={run: row for run, row in self.rows.items() if row.get("finished_at") is None},
        )

    def take(self, effects: Effects) -> list[Envelope[Any]]:
        self.rows.update({row.values["run_id"]: row.values for row in effects.rows})
        return list(effects.messages)


@pytest.fixture
def table() -> Table:
    return Table()


def begin(table: Table) -> Scheduler:
    """A scheduler that has seen the time before the open."""
    scheduler = table.start()
    assert table.take(scheduler.tick(OPEN - timedelta(hours=1))) == []
    return scheduler


def test_what_was_due_before_the_first_start_is_recorded_but_not_run(table: Table):
    scheduler = table.start()
    assert table.take(scheduler.tick(OPEN + timedelta(minutes=1, seconds=30))) == []
    [row] = table.rows.values()
    assert (row["job"], row["outcome"], row["scheduled_for"]) == (
        "sync_positions",
        "skipped",
        OPEN + timedelta(minutes=1),
    )


def test_a_kill_between_the_first_sight_of_time_and_the_first_job_loses_nothing(table: Table):
    begin(table)
    [message] = table.take(table.start().tick(OPEN + timedelta(minutes=1)))
    assert message.data.job is Job.SYNC_POSITIONS


def test_due_jobs_go_out_once_and_in_order(table: Table):
    scheduler = begin(table)
    now = OPEN + timedelta(minutes=3)
    messages = table.take(scheduler.tick(now))
    assert [message.type for message in messages] == ["RunJob", "ScanShard", "ScanShard"]
    assert table.take(scheduler.tick(now)) == []
    assert table.take(table.start().tick(now)) == []
    assert table.rows[messages[0].id]["scheduled_for"] == OPEN + timedelta(minutes=1)


def test_ids_depend_on_the_job_and_its_moment_only(table: Table):
    early, late = begin(table), begin(Table())
    one = early.tick(OPEN + timedelta(minutes=2)).messages
    other = late.tick(OPEN + timedelta(minutes=40)).messages
    assert [message.id for message in one] == [message.id for message in other]


def test_a_scan_is_shards_of_all_symbols_and_a_finished_run(table: Table):
    messages = table.take(begin(table).tick(OPEN + timedelta(minutes=2)))
    assert [message.data.symbols for message in messages[1:]] == [("AAPL", "FB"), ("GOOG",)]
    scans = [row for row in table.rows.values() if row["job"] == "scan"]
    assert [(row["outcome"], row["detail"]) for row in scans] == [("succeeded", "2 shards sent")]


def test_what_is_too_late_is_missed(table: Table):
    scheduler = begin(table)
    messages = table.take(scheduler.tick(OPEN + timedelta(minutes=61, seconds=30)))
    assert {message.type for message in messages} == {"ScanShard"}
    missed = [row for row in table.rows.values() if row["outcome"] == "missed"]
    assert [row["job"] for row in missed] == ["sync_positions"]


async def test_a_finished_job_closes_its_run_also_after_a_restart(table: Table):
    [command] = table.take(begin(table).tick(OPEN + timedelta(minutes=1)))
    report = JobFinished(
        run_id=command.id, job=Job.SYNC_POSITIONS, outcome=JobOutcome.FAILED, detail="why", duration_seconds=0.25
    )
    envelope = originate(report, source="execution", time=OPEN + timedelta(minutes=2), subject="x", key="x")
    scheduler = table.start()
    table.take(await scheduler.finished(envelope))
    row = table.rows[command.id]
    assert (row["outcome"], row["detail"], row["finished_at"]) == ("failed", "why", OPEN + timedelta(minutes=2))
    assert row["scheduled_for"] == OPEN + timedelta(minutes=1)
    assert (await scheduler.finished(envelope)).rows == ()
