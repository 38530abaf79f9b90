"""The gateway, put together."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.gateway.adapters.ib import IbBroker
from services.gateway.config import Settings
from services.gateway.handlers import Handlers
from services.gateway.ports import BrokerLost
from services.gateway.publisher import SOURCE, Publisher
from services.gateway.session import Session
from shared.bus import Bus, stopping
from shared.clock import clock_for
from shared.config import Common
from shared.db import tables
from shared.db.engine import engine
from shared.db.store import Store
from shared.transactor import Transactor


def load_claims(database_url: str) -> dict[str, int]:
    """Broker order ids by orderRef, all that were ever claimed."""
    claims = tables.broker_orders.c
    database = engine(database_url)
    with database.connect() as connection:
        found = connection.execute(select(claims.order_ref, claims.broker_order_id))
        claimed = {row.order_ref: row.broker_order_id for row in found}
    database.dispose()
    return claimed


class Gateway:
    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._clock = clock_for(common.mode)
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=self._clock)
        self._transactor = Transactor(self._bus, Store(common.database_url, SOURCE))
        self.session = Session(
            IbBroker(settings, common.mode, self._clock),
            settings,
            common,
            lambda session: Publisher(self._bus, session.take_quotes),
        )
        self.routes: Sequence[BaseRoute] = [Route("/time", self._time)]

    async def run(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        claimed = load_claims(self._common.database_url)
        handlers = Handlers(self.session, self._transactor, self._settings, self._clock, claimed)
        ready = self.session.ready
        self._transactor.subscribe("broker.commands", handlers.on_broker_command, gate=ready)
        self._bus.subscribe("market.commands", handlers.on_market_command, gate=ready)
        self.session.stopping = stop
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.session.publisher.run())
                connecting = group.create_task(stopping(stop, self.session.run()))
                try:
                    await self._transactor.run(stop)
                finally:
                    connecting.cancel()
                    self.session.publisher.close()
        finally:
            await self._transactor.close()

    async def ready(self) -> str | None:
        """A fresh round trip: when this says yes, all that the broker had said before is on its stream."""
        await self._transactor.check()
        reason = self.session.not_ready()
        if reason is None:
            await self.session.beat()
        return reason

    async def _time(self, _: Request) -> Response:
        """GET /time: the broker's time now; all it had said before, also on connecting, is on its stream."""
        if reason := self.session.not_ready():
            return JSONResponse({"error": reason}, status_code=503)
        try:
            return JSONResponse({"broker_time": (await self.session.beat()).isoformat()})
        except BrokerLost as error:
            return JSONResponse({"error": str(error)}, status_code=503)


def build(settings: Settings, common: Common) -> Gateway:
    return Gateway(settings, common)
