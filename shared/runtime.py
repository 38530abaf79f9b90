"""The life of a service process: settings, logs, signals, health endpoints, exit codes.

Exit code 0 after SIGTERM or SIGINT, 1 when the service failed (its supervisor starts it again), 2 for a
configuration that can't be used (a restart would not help).
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol, TypeVar

import structlog
import uvicorn
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from shared import log, metrics
from shared.config import Common, ConfigError, Settings, load

READY_TIMEOUT_SECONDS = 3
STOP_SECONDS = 20  # less than the 30 s after which Kubernetes kills
_log = structlog.get_logger()


class Service(Protocol):
    """What the runtime needs of a service."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """HTTP routes besides the health endpoints; most services have none."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, finish what is in hand, and return. An exception ends the process with 1."""
        ...

    async def ready(self) -> str | None:
        """None when it can do its job now, else the reason why not."""
        ...


S = TypeVar("S", bound=Settings)


def run(settings_type: type[S], build: Callable[[S, Common], Service]) -> NoReturn:
    """Run one service until it is told to stop; never returns."""
    try:
        common, settings = load(Common), load(settings_type)
        log.configure(settings_type.section, common.log_level, common.log_folder)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(build(settings, common), common))
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a person reads this, and without settings there is no log
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the outermost frame: say what happened, and let the supervisor restart us
        _log.exception("failed")
        sys.exit(1)
    sys.exit(0)


async def _serve(service: Service, common: Common) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    server = _HealthServer(service, stop, common)
    _log.info("starting", mode=common.mode)
    health = asyncio.create_task(server.serve())
    work = asyncio.create_task(service.run(stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, health, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            await asyncio.wait((work,), timeout=STOP_SECONDS)
        elif not work.done():
            stop.set()
            raise RuntimeError(f"the health endpoint could not be served on port {common.http_port}")
        if not work.done():
            raise RuntimeError(f"still busy {STOP_SECONDS} s after the signal to stop")
        await work
    finally:
        work.cancel()
        stopping.cancel()
        server.should_exit = True
        await asyncio.gather(work, health, return_exceptions=True)
    _log.info("stopped")


class _HealthServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the runtime has them."""

    def __init__(self, service: Service, stop: asyncio.Event, common: Common) -> None:
        app = Starlette(routes=[*health_routes(service.ready, stop), *service.routes])
        config = uvicorn.Config(
            app,
            host=common.http_host,
            port=common.http_port,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
        super().__init__(config)

    async def serve(self, sockets: object = None) -> None:
        del sockets
        await self._serve()


def health_routes(ready: Callable[[], Awaitable[str | None]], stop: asyncio.Event) -> list[BaseRoute]:
    """/healthz: the event loop turns. /readyz: the service can do its job now. /metrics: Prometheus text."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            reason = "stopping" if stop.is_set() else await asyncio.wait_for(ready(), READY_TIMEOUT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever stands in the way is the reason
            reason = f"{type(error).__name__}: {error}"
        metrics.READY.set(reason is None)
        return PlainTextResponse(f"{reason or 'ready'}\n", status_code=503 if reason else 200)

    async def prometheus(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", prometheus)]
