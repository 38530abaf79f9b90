"""Strategy, put together."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import cast

from sqlalchemy import Connection, select
from starlette.routing import BaseRoute

from services.strategy.catalogue import make_instances
from services.strategy.config import Settings
from services.strategy.core.host import Instance, Windows
from services.strategy.handlers import SOURCE, Handlers
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db.engine import engine
from shared.db.tables import bars
from shared.messages.base import Envelope
from shared.messages.market import Bar
from shared.messages.scan import ShardScanned

RECENT_SHARDS = 1000  # answers to look through for the newest scan of every symbol


class StrategyService:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._instances = make_instances(settings, common.symbols)
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=clock_for(common.mode))
        self._working = False

    async def run(self, stop: asyncio.Event) -> None:
        await self._bus.open()
        windows = stored_windows(self._common.database_url, self._instances, self._settings.window_bars)
        handlers = Handlers(self._instances, windows, self._bus.clock, only_scanned=self._settings.only_scanned)
        for answer in await self._bus.tail("scan.results", RECENT_SHARDS):
            handlers.learn(cast(Envelope[ShardScanned], answer))
        self._bus.subscribe("market.bars", handlers.on_bar)
        self._bus.subscribe("scan.results", handlers.on_scan)
        self._bus.subscribe("job.commands", handlers.on_job)
        self._working = True
        try:
            await self._bus.run(stop)
        finally:
            await self._bus.close()

    async def ready(self) -> str | None:
        await self._bus.client.ping()
        return None if self._working else "reading the stored bars"


def stored_windows(database_url: str, instances: Sequence[Instance], size: int) -> Windows:
    """The newest stored bars of everything the instances look at."""
    windows = Windows(size)
    database = engine(database_url)
    with database.connect() as connection:
        for symbol, timeframe in sorted({(s, i.timeframe) for i in instances for s in i.symbols}):
            for bar in _newest_bars(connection, symbol, timeframe, size):
                windows.add(bar)
    database.dispose()
    return windows


def _newest_bars(connection: Connection, symbol: str, timeframe: str, count: int) -> Iterator[Bar]:
    """Oldest first."""
    wanted = [bars.c[name] for name in Bar.model_fields]
    query = select(*wanted).where(bars.c.symbol == symbol, bars.c.timeframe == timeframe)
    rows = connection.execute(query.order_by(bars.c.end.desc()).limit(count)).mappings().all()
    for row in reversed(rows):
        times = {name: row[name].astimezone(UTC) for name in ("start", "end")}  # whatever zone the server speaks
        yield Bar.model_validate({**row, **times})


def build(settings: Settings, common: Common) -> StrategyService:
    return StrategyService(settings, common)
