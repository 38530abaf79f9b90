"""Scanner, put together."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import select
from starlette.routing import BaseRoute

from services.scanner.config import Settings
from services.scanner.handlers import SOURCE, Handlers
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db.engine import engine


class ScannerService:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._database = engine(common.database_url)
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=clock_for(common.mode))
        handlers = Handlers(settings.filters, self._database)
        self._bus.subscribe("scan.commands", handlers.on_shard, competing=True)

    async def run(self, stop: asyncio.Event) -> None:
        await self._bus.open()
        try:
            await self._bus.run(stop)
        finally:
            await self._bus.close()
            self._database.dispose()

    async def ready(self) -> str | None:
        await self._bus.client.ping()
        await asyncio.to_thread(self._check_database)
        return None

    def _check_database(self) -> None:
        with self._database.connect() as connection:
            connection.execute(select(1))


def build(settings: Settings, common: Common) -> ScannerService:
    return ScannerService(settings, common)
