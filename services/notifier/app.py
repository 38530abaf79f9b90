"""Notifier, put together."""

import asyncio
from collections.abc import Sequence

from starlette.routing import BaseRoute

from services.notifier.adapters.apprise import AppriseChannels
from services.notifier.config import Settings
from services.notifier.handlers import SOURCE, Handlers
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db.store import Store
from shared.streams import ALL_STREAMS
from shared.transactor import Transactor


class Notifier:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        clock = clock_for(common.mode)
        channels = AppriseChannels([url.get_secret_value() for url in settings.channels])
        bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=clock)
        self._transactor = Transactor(bus, Store(common.database_url, SOURCE))
        handlers = Handlers(settings, channels, clock)
        for stream in ALL_STREAMS:
            if SOURCE in stream.groups:
                self._transactor.subscribe(stream.name, handlers.on_event)

    async def run(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        try:
            await self._transactor.run(stop)
        finally:
            await self._transactor.close()

    async def ready(self) -> str | None:
        await self._transactor.check()
        return None


def build(settings: Settings, common: Common) -> Notifier:
    return Notifier(settings, common)
