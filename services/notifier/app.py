"""Notifier, put together."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select
from starlette.routing import BaseRoute

from services.notifier.adapters.apprise import AppriseChannels
from services.notifier.config import Settings
from services.notifier.handlers import LOGIN, SOURCE, Handlers
from shared.bus import Bus, stopping
from shared.clock import clock_for
from shared.config import Common
from shared.db import tables
from shared.db.engine import engine
from shared.db.store import Store
from shared.streams import ALL_STREAMS
from shared.transactor import NOTHING, Transactor

WATCH_SECONDS = 1.0


def load_reminders(database_url: str) -> set[str]:
    """Keys of the alerts about the log-in that were sent."""
    database = engine(database_url)
    with database.connect() as connection:
        found = connection.execute(select(tables.alerts.c.key).where(tables.alerts.c.key.startswith(LOGIN)))
        keys = {row.key for row in found}
    database.dispose()
    return keys


class Notifier:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._clock = clock_for(common.mode)
        self._channels = AppriseChannels([url.get_secret_value() for url in settings.channels])
        bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=self._clock)
        self._transactor = Transactor(bus, Store(common.database_url, SOURCE))

    async def run(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        try:
            reminded = load_reminders(self._common.database_url)
            handlers = Handlers(self._settings, self._common.mode, self._channels, self._clock, reminded)
            for stream in ALL_STREAMS:
                if SOURCE in stream.groups:
                    self._transactor.subscribe(stream.name, handlers.on_event)
            async with asyncio.TaskGroup() as group:
                group.create_task(stopping(stop, self._watch(handlers, stop)))
                await self._transactor.run(stop)
        finally:
            await self._transactor.close()

    async def _watch(self, handlers: Handlers, stop: asyncio.Event) -> None:
        while not stop.is_set():
            effects = await handlers.on_time()
            if effects is not NOTHING:
                await self._transactor.perform(effects)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_SECONDS)

    async def ready(self) -> str | None:
        await self._transactor.check()
        return None


def build(settings: Settings, common: Common) -> Notifier:
    return Notifier(settings, common)
