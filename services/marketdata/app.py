"""Market data, put together."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select
from starlette.routing import BaseRoute

from services.marketdata.config import Settings
from services.marketdata.handlers import SOURCE, MarketData
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db.engine import engine
from shared.db.store import Store
from shared.db.tables import bars
from shared.messages.base import Envelope
from shared.messages.job import Job, JobFinished, RunJob
from shared.messages.market import QuoteBatch
from shared.quotes import following
from shared.transactor import Effects, Transactor
from shared.types import Timeframe

RECENT_JOBS = 200  # commands to look through for runs that are still going on
WAITING_QUOTES = 64  # reads of quotes that may wait for their turn


class MarketDataService:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=clock_for(common.mode))
        self._transactor = Transactor(self._bus, Store(common.database_url, SOURCE))
        self._working = False

    async def run(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        try:
            market_data = MarketData(
                self._common.symbols,
                self._settings.history_bars,
                self._bus.clock,
                ends=stored_ends(self._common.database_url, self._common.symbols),
            )
            await self._perform(market_data.resume(await self._unfinished(), uuid4().hex))
            self._bus.subscribe("broker.events", self._handler(market_data.on_broker_event))
            self._bus.subscribe("job.commands", self._handler(market_data.on_job))
            if self._settings.minute_bars:
                await self._run_with_quotes(market_data, stop)
            else:
                self._working = True
                await self._transactor.run(stop)
        finally:
            await self._transactor.close()

    async def _unfinished(self) -> list[Envelope[Any]]:
        """Runs of `fetch_bars` that were asked for, and have not ended."""
        ended = {
            event.data.run_id
            for event in await self._bus.tail("job.events", RECENT_JOBS)
            if isinstance(event.data, JobFinished)
        }
        return [
            command
            for command in await self._bus.tail("job.commands", RECENT_JOBS)
            if isinstance(command.data, RunJob) and command.data.job is Job.FETCH_BARS and command.id not in ended
        ]

    def _handler(self, decide: Callable[[Envelope[Any]], Effects]) -> Callable[[Envelope[Any]], Any]:
        """Without the inbox: most broker events concern us not, and the same event twice finds its bars stored."""

        async def handle(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
            await self._perform(decide(envelope))
            return ()

        return handle

    async def _perform(self, effects: Effects) -> None:
        if effects.rows or effects.messages:
            await self._transactor.perform(effects)

    async def _run_with_quotes(self, market_data: MarketData, stop: asyncio.Event) -> None:
        """FastStream swallows what its handlers raise, so quotes are handled in a task of ours."""
        waiting: asyncio.Queue[list[Envelope[QuoteBatch]]] = asyncio.Queue(WAITING_QUOTES)

        async def make_minutes() -> None:
            while True:
                for batch in await waiting.get():
                    await self._perform(market_data.on_quotes(batch.data))

        async with following(self._bus, waiting.put), asyncio.TaskGroup() as group:
            making = group.create_task(make_minutes())
            self._working = True
            await self._transactor.run(stop)
            making.cancel()

    async def ready(self) -> str | None:
        await self._transactor.check()
        return None if self._working else "reading the stored bars"


def stored_ends(database_url: str, symbols: Sequence[str]) -> dict[str, set[datetime]]:
    """The ends of the daily bars in the store, by symbol."""
    database = engine(database_url)
    query = select(bars.c.symbol, bars.c.end).where(bars.c.timeframe == Timeframe.DAY, bars.c.symbol.in_(symbols))
    ends: dict[str, set[datetime]] = {}
    with database.connect() as connection:
        for symbol, end in connection.execute(query):
            ends.setdefault(symbol, set()).add(end)
    database.dispose()
    return ends


def build(settings: Settings, common: Common) -> MarketDataService:
    return MarketDataService(settings, common)
