"""The scheduler as it runs: the broker's time in, jobs out, runs recorded."""

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from services.scheduler.app import build
from services.scheduler.config import Settings
from shared.config import Common, load
from shared.messages.broker import BrokerTime
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.scan import ScanShard
from tests.integration.play import Player, Process, count, eventually, playing, running

OPEN = datetime(2012, 6, 1, 13, 30, tzinfo=UTC)


def runs(common: Common) -> list[dict[str, Any]]:
    with psycopg.connect(common.database_url, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM job_runs ORDER BY scheduled_for").fetchall()


async def tick(player: Player, time: datetime) -> None:
    await player.tell("gateway", BrokerTime(now=time), time)


async def test_a_day_of_jobs(common: Common):
    async with playing(common, "gateway", "execution") as player, running(build(load(Settings, {}), common)):
        for minutes in (-60, 1, 2, 5, 375, 395):
            await tick(player, OPEN + timedelta(minutes=minutes))
        commands = await count(player, "job.commands", RunJob, 4)
        [shard] = await count(player, "scan.commands", ScanShard, 1)
        assert [command.data.job for command in commands] == [
            Job.SYNC_POSITIONS,
            Job.EVALUATE_STRATEGIES,
            Job.CHECK_EXITS,
            Job.FETCH_BARS,
        ]
        assert [command.time for command in commands] == [
            OPEN + timedelta(minutes=minutes) for minutes in (1, 5, 375, 395)
        ]
        assert shard.data.symbols == common.symbols
        report = JobFinished(
            run_id=commands[0].id,
            job=Job.SYNC_POSITIONS,
            outcome=JobOutcome.SUCCEEDED,
            detail="no breaks",
            duration_seconds=0.0123456,
        )
        await player.tell("execution", report, OPEN + timedelta(minutes=2))
        await eventually(lambda: runs(common)[1]["finished_at"])
    recorded = [(run["job"], run["outcome"], run["detail"]) for run in runs(common)]
    assert recorded == [
        ("fetch_bars", "skipped", "due before the first start"),
        ("sync_positions", "succeeded", "no breaks"),
        ("scan", "succeeded", "1 shards sent"),
        ("evaluate_strategies", None, None),
        ("check_exits", None, None),
        ("fetch_bars", None, None),
    ]


async def test_a_killed_scheduler_runs_each_job_once(common: Common):
    process = Process("scheduler", common)
    async with playing(common, "gateway") as player:
        await process.start()
        await tick(player, OPEN - timedelta(hours=1))
        await eventually(lambda: runs(common))
        await process.end(signal.SIGKILL)
        await tick(player, OPEN + timedelta(minutes=1))
        await tick(player, OPEN + timedelta(minutes=5))
        await process.start()
        await count(player, "job.commands", RunJob, 2)
        await tick(player, OPEN + timedelta(minutes=375))
        commands = await count(player, "job.commands", RunJob, 3)
        assert await process.end(signal.SIGTERM) == 0
    assert [(command.data.job, command.time) for command in commands] == [
        (Job.SYNC_POSITIONS, OPEN + timedelta(minutes=1)),
        (Job.EVALUATE_STRATEGIES, OPEN + timedelta(minutes=5)),
        (Job.CHECK_EXITS, OPEN + timedelta(minutes=375)),
    ]
    assert len(runs(common)) == 5  # the one before the first start, and the scan
