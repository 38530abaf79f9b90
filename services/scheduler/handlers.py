"""The broker's time -> jobs due; finished jobs -> the record of runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from services.scheduler.config import Settings
from services.scheduler.core import schedule
from services.scheduler.core.schedule import Due, Hours
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.base import Envelope, follow, originate
from shared.messages.broker import BrokerTime
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.scan import ScanShard
from shared.transactor import Effects

SOURCE = "scheduler"
MISSED = "missed"
SKIPPED = "skipped"
RUNS = Counter("millrace_job_runs_total", "Runs by how they ended", ["job", "outcome"])
_log = structlog.get_logger()


class Scheduler:
    """Remembers the newest moment a job was decided for, and the runs nobody has finished yet."""

    def __init__(
        self,
        settings: Settings,
        symbols: Sequence[str],
        hours: Hours,
        clock: Clock,
        *,
        decided_until: datetime | None,
        open_runs: Mapping[UUID, Mapping[str, Any]],
    ) -> None:
        """`decided_until` and `open_runs` (run id -> row) are what the table job_runs says; None: it is empty."""
        self._settings = settings
        self._symbols = symbols
        self._hours = hours
        self._clock = clock
        self._decided_until = decided_until
        self._open_runs = dict(open_runs)

    def tick(self, now: datetime) -> Effects:
        """Decide every job due by the broker's time `now`. The same time twice leads to nothing the second time."""
        if self._decided_until is None:
            return self._begin(now)
        rows: list[Row] = []
        messages: list[Envelope[Any]] = []
        for run in schedule.due(self._decided_until, now, self._settings.jobs, self._hours):
            self._decided_until = run.at
            if now - run.at > timedelta(minutes=self._settings.catch_up_minutes):
                _log.warning("job missed", job=run.job, scheduled_for=run.at.isoformat(), now=now.isoformat())
                rows.append(self._closed(run, now, MISSED, f"found at {now.isoformat()}, too late to run"))
            elif run.job is Job.SCAN:
                shards = self._shards(run)
                messages += shards
                rows.append(self._closed(run, now, JobOutcome.SUCCEEDED, f"{len(shards)} shards sent"))
            else:
                envelope = self._command(run)
                messages.append(envelope)
                rows.append(self._opened(run, now, envelope.id))
        return Effects(rows, messages)

    def _begin(self, now: datetime) -> Effects:
        """The first time ever seen: what was due before it belongs to nobody. The record of that survives a crash."""
        run = schedule.latest(now, self._settings.jobs, self._hours)
        if run is None:
            return Effects()
        self._decided_until = run.at
        return Effects([self._closed(run, now, SKIPPED, "due before the first start")])

    async def finished(self, envelope: Envelope[JobFinished]) -> Effects:
        """Close the record of a run."""
        report = envelope.data
        row = self._open_runs.pop(report.run_id, None)
        if row is None:
            _log.warning("an unknown run has finished", run_id=str(report.run_id), job=report.job)
            return Effects()
        RUNS.labels(report.job, report.outcome).inc()
        end = {
            "finished_at": envelope.time,
            "outcome": report.outcome.value,
            "detail": report.detail,
            "duration_seconds": Decimal(str(round(report.duration_seconds, 6))),
        }
        return Effects([Row(tables.job_runs, {**row, **end})])

    def _command(self, run: Due) -> Envelope[RunJob]:
        return originate(
            RunJob(job=run.job, scheduled_for=run.at),
            source=SOURCE,
            time=self._clock.now(),
            subject=run.job,
            key=run.key,
        )

    def _shards(self, run: Due) -> list[Envelope[ScanShard]]:
        """A scan goes to its workers as shards; the command it would have been is their cause."""
        command, size = self._command(run), self._settings.shard_size
        shards = [tuple(self._symbols[first : first + size]) for first in range(0, len(self._symbols), size)]
        return [
            follow(
                command,
                ScanShard(symbols=shard),
                source=SOURCE,
                time=self._clock.now(),
                subject=f"{shard[0]}..{shard[-1]}",
                key=shard[0],
            )
            for shard in shards
        ]

    def _opened(self, run: Due, now: datetime, run_id: UUID) -> Row:
        values = {"run_id": run_id, "job": run.job.value, "scheduled_for": run.at, "started_at": now}
        self._open_runs[run_id] = values
        return Row(tables.job_runs, values)

    def _closed(self, run: Due, now: datetime, outcome: str, detail: str) -> Row:
        RUNS.labels(run.job, outcome).inc()
        return Row(
            tables.job_runs,
            {
                "run_id": self._command(run).id,
                "job": run.job.value,
                "scheduled_for": run.at,
                "started_at": now,
                "finished_at": now,
                "outcome": str(outcome),
                "detail": detail,
                "duration_seconds": Decimal(0),
            },
        )


def broker_time(envelope: Envelope[Any]) -> datetime | None:
    """The time a broker event tells, None for all other events."""
    return envelope.data.now if isinstance(envelope.data, BrokerTime) else None
