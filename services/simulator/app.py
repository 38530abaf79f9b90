"""Builds the simulator and runs it: the TCP server, and time, if the settings let it pass by itself."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from starlette.routing import BaseRoute

from services.simulator.adapters.journal import Journal
from services.simulator.adapters.prices import load_market
from services.simulator.broker import Broker
from services.simulator.config import Settings
from services.simulator.control import control_routes
from services.simulator.core.commissions import Commissions
from services.simulator.core.engine import Engine
from services.simulator.faults import load
from services.simulator.faults.injector import Faults
from services.simulator.pacing import pace
from services.simulator.server import Server
from services.simulator.trace import Trace
from services.simulator.web.server import WebServer
from shared.config import Common

_log = structlog.get_logger()


class Simulator:
    """The service. Its state is rebuilt from the journal in `folder` when it is made; without one it is forgotten."""

    def __init__(self, settings: Settings, folder: Path | None, universe: Sequence[str] = ()) -> None:
        """Raises ConfigError when the market cannot be loaded or the journal belongs to other settings."""
        self._settings = settings
        self._script = load(settings.scenario) if settings.scenario else None
        market = load_market(settings, settings.symbols or universe)
        commissions = Commissions(
            settings.commission_per_share,
            settings.commission_minimum,
            settings.commission_maximum_fraction,
            settings.commission_plan,
            settings.regulatory_fees,
        )
        accounts = (settings.account, *settings.accounts)
        self.engine = Engine(market, accounts, settings.cash, commissions, settings.borrow_fee)
        identity = f"{market.fingerprint()} {','.join(accounts)} {settings.cash} {commissions} {settings.borrow_fee}"
        self._journal = Journal(None if folder is None else folder / "journal.jsonl", identity)
        commands = self._journal.replay(self.engine)
        self.broker = Broker(
            self.engine,
            self._journal,
            master_client_id=settings.master_client_id,
            preset_notice=settings.preset_tif_notice,
        )
        self.broker.forget_held_orders()
        self.faults = Faults(self.broker, settings.fault_seconds)
        self._server: Server | None = None
        self._web: WebServer | None = None
        symbols = [listed.local_symbol for listed in market.catalogue.listed]
        _log.info("market ready", symbols=symbols, now=self.engine.now.isoformat(), replayed=commands)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return control_routes(self.broker, self.faults)

    @property
    def port(self) -> int:
        """The port of the TWS API. Raises RuntimeError while not serving."""
        if self._server is None:
            raise RuntimeError("the simulator is not serving yet")
        return self._server.port

    @property
    def web_port(self) -> int:
        """The port of the Web API. Raises RuntimeError while it is not served."""
        if self._web is None:
            raise RuntimeError("the Web API is not served: set web_port, and serve")
        return self._web.port

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
        settings = self._settings
        trace = None if settings.trace is None else Trace(settings.trace, lambda: self.engine.now)
        server = Server(self.broker, settings, self.faults, trace)
        await server.start()
        web = await self._serve_web(server)
        self._server, self._web = server, web
        if self._script is not None:
            self.faults.add(self._script)
        pacing = asyncio.create_task(self._pace(server))
        _log.info("listening", host=settings.host, port=server.port, web_port=web and web.port)
        try:
            yield server.failure
        finally:
            self._server = self._web = None
            pacing.cancel()
            await asyncio.gather(pacing, return_exceptions=True)
            if web is not None:
                await web.stop()
            await server.stop()
            self.faults.close()
            if trace is not None:
                trace.close()
            self.close()
            if not server.failure.cancel():
                server.failure.result()

    async def _serve_web(self, server: Server) -> WebServer | None:
        """Serve the Web API if it is wanted; if it cannot be, stop the server."""
        if self._settings.web_port is None:
            return None
        try:
            web = WebServer(self.broker, self._settings, self.faults, server.failure)
            await web.start()
        except OSError:
            await server.stop()
            raise
        return web

    def close(self) -> None:
        """Let go of the journal's file; for a simulator that was never served."""
        self._journal.close()

    async def _pace(self, server: Server) -> None:
        try:
            await pace(self.broker, server.drained, self._settings.speed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the service, with its traceback
            if not server.failure.done():
                server.failure.set_exception(error)


def build(settings: Settings, common: Common) -> Simulator:
    return Simulator(settings, common.data_folder / "simulator", common.symbols)
