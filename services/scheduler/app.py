"""Scheduler, put together."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from starlette.routing import BaseRoute

from services.scheduler.config import Settings
from services.scheduler.handlers import SOURCE, Scheduler, broker_time
from shared.bus import Bus
from shared.calendar import session_hours
from shared.clock import clock_for
from shared.config import Common
from shared.db.engine import engine
from shared.db.store import Store
from shared.db.tables import job_runs
from shared.messages.base import Envelope
from shared.transactor import Transactor


class SchedulerService:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=clock_for(common.mode))
        self._transactor = Transactor(bus, Store(common.database_url, SOURCE))
        self._working = False

    async def run(self, stop: asyncio.Event) -> None:
        transactor, bus = self._transactor, self._transactor.bus
        await transactor.open()
        decided_until, open_runs = recorded_runs(self._common.database_url)
        scheduler = Scheduler(
            self._settings,
            self._common.symbols,
            session_hours,
            bus.clock,
            decided_until=decided_until,
            open_runs=open_runs,
        )

        async def on_broker_event(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
            # Not through the inbox: most broker events concern us not, and job_runs itself says what is decided.
            now = broker_time(envelope)
            effects = scheduler.tick(now) if now is not None else None
            if effects is not None and effects.rows:
                await transactor.perform(effects)
            return ()

        bus.subscribe("broker.events", on_broker_event)
        transactor.subscribe("job.events", scheduler.finished)
        self._working = True
        try:
            await transactor.run(stop)
        finally:
            await transactor.close()

    async def ready(self) -> str | None:
        await self._transactor.check()
        return None if self._working else "reading the record of runs"


def recorded_runs(database_url: str) -> tuple[datetime | None, dict[UUID, dict[str, Any]]]:
    """The newest moment a job was decided for (None: there is no run yet), and the rows of unfinished runs by id."""
    database = engine(database_url)
    with database.connect() as connection:
        decided_until = connection.execute(select(func.max(job_runs.c.scheduled_for))).scalar()
        rows = connection.execute(select(job_runs).where(job_runs.c.finished_at.is_(None))).mappings().all()
    database.dispose()
    return decided_until, {row["run_id"]: dict(row) for row in rows}


def build(settings: Settings, common: Common) -> SchedulerService:
    return SchedulerService(settings, common)
