"""Builds the simulator and runs it: the TCP server, and time, if the settings let it pass by itself."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import isfinite
from pathlib import Path

import structlog
from starlette.routing import BaseRoute

from services.simulator.adapters.journal import Journal
from services.simulator.adapters.prices import load_market
from services.simulator.broker import Broker
from services.simulator.config import Settings
from services.simulator.control import control_routes
from services.simulator.core.account import CommissionSchedule
from services.simulator.core.engine import Engine
from services.simulator.server import Server
from shared.config import Common

EVENING = timedelta(minutes=15)
CLOSED_SECONDS = 2.0
_log = structlog.get_logger()


class Simulator:
    """The service. Its state is rebuilt from the journal in `folder` when it is made."""

    def __init__(self, settings: Settings, folder: Path, universe: Sequence[str] = ()) -> None:
        """Raises ConfigError when the market cannot be loaded or the journal belongs to other settings."""
        self._settings = settings
        market = load_market(settings, settings.symbols or universe)
        commissions = CommissionSchedule(
            settings.commission_per_share, settings.commission_minimum, settings.commission_maximum_fraction
        )
        self.engine = Engine(market, settings.cash, commissions)
        identity = f"{market.fingerprint()} {settings.account} {settings.cash} {commissions}"
        self._journal = Journal(folder / "journal.jsonl", identity)
        commands = self._journal.replay(self.engine)
        self.broker = Broker(self.engine, self._journal, settings.account)
        self.broker.forget_held_orders()
        self._server: Server | None = None
        _log.info("market ready", symbols=market.symbols, now=self.engine.now.isoformat(), replayed=commands)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return control_routes(self.broker)

    @property
    def port(self) -> int:
        """The port of the TWS API. Raises RuntimeError while not serving."""
        if self._server is None:
            raise RuntimeError("the simulator is not serving yet")
        return self._server.port

    async def ready(self) -> str | None:
        return "not listening yet" if self._server is None else None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; raises what made the engine, the journal or the server fail."""
        async with self.serving() as failure:
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((stopped, failure), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[asyncio.Future[None]]:
        """Serve inside the block; the future yielded ends only if the simulator fails, and leaving then raises why."""
        server = Server(self.broker, self._settings.host, self._settings.port, self._settings.slow_reader_bytes)
        await server.start()
        self._server = server
        pacing = asyncio.create_task(self._pace(server))
        _log.info("listening", host=self._settings.host, port=server.port)
        try:
            yield server.failure
        finally:
            self._server = None
            pacing.cancel()
            await asyncio.gather(pacing, return_exceptions=True)
            await server.stop()
            self._journal.close()
            if not server.failure.cancel():
                server.failure.result()

    async def _pace(self, server: Server) -> None:
        try:
            await pace(self.broker, server, self._settings.speed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the service, with its traceback
            if not server.failure.done():
                server.failure.set_exception(error)


async def pace(broker: Broker, server: Server, speed: float) -> None:
    """Let time pass tick by tick at `speed` virtual seconds per second; 0 = not at all.

    Closed hours are skipped in two leaps, to an evening hour for work after the close and to the next open, each
    with real seconds for it; with an infinite speed there are none.

    The next tick waits until every client has been sent the last one, so time slows down for slow readers.
    """
    engine = broker.engine
    loop = asyncio.get_running_loop()
    due = loop.time()
    while speed > 0 and not engine.finished:
        session = engine.market.session_at(engine.now)
        if session is None:
            just_closed = engine.market.session_at(engine.now - timedelta(seconds=1)) is not None
            next_open = engine.market.next_open(engine.now) or engine.market.last_close
            following = engine.now + EVENING if just_closed else next_open
            due += CLOSED_SECONDS if isfinite(speed) else 0
        else:
            following = engine.market.tick_time(session, engine.market.last_tick(session, engine.now) + 1)
            due += (following - engine.now).total_seconds() / speed
        await asyncio.sleep(max(0.0, due - loop.time()))
        broker.advance(following)
        await server.drained()
        due = max(due, loop.time() - 1)  # after a stall, catch up one second at most


def build(settings: Settings, common: Common) -> Simulator:
    return Simulator(settings, common.data_folder / "simulator", common.symbols)
