"""The gateway, put together."""

import asyncio
import os
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.gateway.adapters.tws.broker import TwsBroker
from services.gateway.adapters.web.broker import WebBroker
from services.gateway.adapters.web.limits import REQUESTS_PER_SECOND
from services.gateway.budget import Budget
from services.gateway.checks import Checks
from services.gateway.claims import load_claims
from services.gateway.config import Settings
from services.gateway.handlers.lines import LineHandlers
from services.gateway.handlers.market import MarketHandlers
from services.gateway.handlers.orders import OrderHandlers
from services.gateway.lease import Lease, LeaseTaken
from services.gateway.lines import LineKeeper
from services.gateway.ports import Broker, BrokerLost
from services.gateway.publisher import SOURCE, Publisher
from services.gateway.session import ClientIdTaken, Session
from shared.bus import Bus, stopping
from shared.clock import Clock, clock_for
from shared.config import Common, ConfigError
from shared.db.store import Store
from shared.transactor import Transactor
from shared.types import Mode


class Gateway:
    def __init__(self, settings: Settings, common: Common, clock: Clock | None = None) -> None:
        self._settings = settings
        self._common = common
        self._clock = clock or clock_for(common.mode)
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=self._clock)
        self._transactor = Transactor(self._bus, Store(common.database_url, SOURCE))
        holder = f"{common.consumer}:{os.getpid()}"
        self._lease = Lease(common.database_url, SOURCE, holder, settings.lease_seconds)
        self.session = Session(
            broker_for(settings, common, self._clock, self._lease.check),
            settings,
            common,
            lambda session: Publisher(self._bus, session.take_quotes, self._lease.is_valid),
            self._clock,
        )
        self.lines = LineKeeper(self.session, settings, self._clock, common.symbols)
        self.session.standing.on_data_lost = self.lines.data_lost
        self.routes: Sequence[BaseRoute] = [Route("/time", self._time)]

    async def run(self, stop: asyncio.Event) -> None:
        """Raises what `Lease.acquire`, `Lease.run` and `Session.run` raise, and an ExceptionGroup of anything else."""
        if not await self._lease.acquire(stop):
            return
        try:
            await self._work(stop)
        except ExceptionGroup as failures:
            for kind in (LeaseTaken, ClientIdTaken, ConfigError):
                if (known := failures.subgroup(kind)) is not None:
                    raise known.exceptions[0] from failures  # it says what to do; the rest are consequences
            raise
        finally:
            await self._lease.release()

    async def _work(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        claims = load_claims(self._common.database_url)
        orders = OrderHandlers(self.session, self._transactor, self._settings, self._clock, claims)
        checks = Checks(self.session, self._settings, self._clock, orders.preview)
        market = MarketHandlers(self.session, self._settings, self._clock, LineHandlers(self.lines))
        self._transactor.subscribe("broker.commands", orders.on_broker_command, lane=orders.lane)
        self._bus.subscribe("market.commands", market.on_market_command, lane=market.lane)
        try:
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(self.session.publisher.run())
                leasing = group.create_task(stopping(stop, self._lease.run()))
                group.create_task(stopping(stop, orders.settling.run(stop)))
                keeping = group.create_task(stopping(stop, self.lines.run()))
                connecting = group.create_task(stopping(stop, self.session.run()))
                if self._common.mode is not Mode.SIMULATED:
                    group.create_task(stopping(stop, checks.run(stop)))
                try:
                    await self._transactor.run(stop)
                finally:
                    market.close()
                    keeping.cancel()
                    connecting.cancel()
                    await asyncio.wait((connecting,))  # its last word is to be published
                    self.session.publisher.close()
                    await asyncio.wait((publishing,))
                    leasing.cancel()
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
            await self.lines.settled()
            return JSONResponse({"broker_time": (await self.session.beat()).isoformat()})
        except BrokerLost as error:
            return JSONResponse({"error": str(error)}, status_code=503)


def broker_for(settings: Settings, common: Common, clock: Clock, check: Callable[[], None]) -> Broker:
    """The adapter that the settings choose, under its own limit on messages."""
    if settings.adapter == "web":
        budget = Budget(min(settings.requests_per_second, REQUESTS_PER_SECOND), check)
        return WebBroker(settings, common.mode, clock, budget)
    return TwsBroker(settings, common.mode, clock, Budget(settings.requests_per_second, check))


def build(settings: Settings, common: Common) -> Gateway:
    return Gateway(settings, common)
