"""Strategy, put together."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import cast

import structlog
from prometheus_client import Gauge
from sqlalchemy import Connection, select
from starlette.routing import BaseRoute

from services.strategy.catalogue import instances_at_work
from services.strategy.config import Settings
from services.strategy.core.host import SOURCE, Instance, Windows
from services.strategy.core.vertical import refuse_spreads
from services.strategy.handlers import Handlers
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db.engine import engine
from shared.db.tables import bars
from shared.messages.base import Envelope
from shared.messages.market import Bar
from shared.messages.scan import ShardScanned
from shared.messages.sentiment import SentimentReading

RECENT_SHARDS = 1000  # answers to look through for the newest scan of every symbol
RECENT_READINGS = 10_000  # readings to look through for the newest of every symbol
DISABLED = Gauge("millrace_strategy_disabled", "1 for an instance whose strategy can't be used", ["strategy"])
_log = structlog.get_logger()


class StrategyService:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._instances, self._disabled = instances_at_work(settings, common.symbols)
        refuse_spreads(
            self._instances,
            "the strategy service reads no option chains; back-test it, and take it out of strategy.toml",
        )
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=clock_for(common.mode))
        self._working = False

    async def run(self, stop: asyncio.Event) -> None:
        await self._bus.open()
        windows = stored_windows(self._common.database_url, self._instances, self._settings.window_bars)
        for name, reason in self._disabled.items():
            DISABLED.labels(name).set(1)
            _log.error("strategy disabled", strategy=name, reason=reason)
        handlers = Handlers(
            self._instances,
            windows,
            self._bus.clock,
            only_scanned=self._settings.only_scanned,
            confluence=self._settings.confluence,
            disabled=self._disabled,
        )
        for answer in await self._bus.tail("scan.results", RECENT_SHARDS):
            handlers.learn(cast(Envelope[ShardScanned], answer))
        for reading in await self._bus.tail("sentiment.readings", RECENT_READINGS):
            handlers.hear(cast(Envelope[SentimentReading], reading))
        self._bus.subscribe("market.bars", handlers.on_bar)
        self._bus.subscribe("scan.results", handlers.on_scan)
        self._bus.subscribe("sentiment.readings", handlers.on_reading)
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
