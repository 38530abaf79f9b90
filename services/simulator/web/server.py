"""The HTTP server of the Web API: routing, limits, log-in, errors, and the clock in its answers."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import uvicorn
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from services.simulator.broker import Broker
from services.simulator.config import Settings
from services.simulator.faults.injector import Faults
from services.simulator.limits import DataLimits
from services.simulator.web.accounts import AccountPaths
from services.simulator.web.call import Call, Handler, WebError
from services.simulator.web.confirmations import Confirmations
from services.simulator.web.contracts import ContractPaths
from services.simulator.web.history import HistoryPaths
from services.simulator.web.limits import RequestRate
from services.simulator.web.market_data import MarketDataPaths
from services.simulator.web.market_lines import MarketLines
from services.simulator.web.order_lists import OrderLists
from services.simulator.web.orders import OrderPaths
from services.simulator.web.portal import Portal
from services.simulator.web.session import SessionPaths
from services.simulator.web.stream import Stream

BASE = "/v1/api"
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_OF_ORDERS = ("{account}/order", "/reply/")
"""Paths whose requests share the fate of orders when IBKR cannot be reached."""
_OK = 200


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers, which the service's runtime has, that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)


class WebServer:
    """Serves the Web API beside the TWS API. What is not a client's fault ends in `failure`."""

    def __init__(self, broker: Broker, settings: Settings, faults: Faults, failure: asyncio.Future[None]) -> None:
        self._faults = faults
        self._failure = failure
        self._rate = RequestRate(active=settings.messages_per_second > 0)
        self._engine = broker.engine
        self._portal = portal = Portal(broker, faults, DataLimits(settings.market_data_lines))
        lines, lists = MarketLines(portal), OrderLists(portal)
        accounts, history, confirmations = AccountPaths(portal), HistoryPaths(portal), Confirmations(portal)
        self._session = SessionPaths(portal)
        self._paths = (
            accounts, ContractPaths(portal), history, MarketDataPaths(portal, lines), lists,
            OrderPaths(portal, lists, confirmations), confirmations, self._session,
        )  # fmt: skip
        self._stream = Stream(portal, lines, lists, accounts, history, self._failed)
        self._host, self._wanted_port = settings.host, settings.web_port or 0
        self._server: _Uvicorn | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def start(self) -> None:
        """Log in and listen. Raises OSError when the port is taken."""
        listener = socket.create_server((self._host, self._wanted_port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            Starlette(routes=self._routes()),
            log_config=None,
            access_log=False,
            lifespan="off",
            date_header=False,
            server_header=False,
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._portal.log_in()
        self._server = _Uvicorn(config)
        serving = asyncio.create_task(self._server.serve([listener]))
        self._tasks = [serving, asyncio.create_task(self._stream.run())]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Stop listening, end every connection, and wait until all are gone."""
        if self._server is None:
            return
        self._portal.log_out()  # which answers those who wait
        self._stream.close()
        self._server.should_exit = True
        serving, beating = self._tasks
        beating.cancel()
        await asyncio.gather(serving, beating, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    # -- requests ---------------------------------------------------------------------------------------------------

    def _routes(self) -> Sequence[BaseRoute]:
        routes: list[BaseRoute] = [
            self._route(method, path, handler, open_=True) for method, path, handler in self._session.open_paths()
        ]
        for paths in self._paths:
            routes += [self._route(method, path, handler, open_=False) for method, path, handler in paths.paths()]
        return [*routes, WebSocketRoute(f"{BASE}/ws", self._stream.serve)]

    def _route(self, method: str, path: str, handler: Handler, *, open_: bool) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                self._admit(path, open_=open_)
                call = Call(request.path_params, request.query_params, await _body(request))
                return self._answer(await handler(call), 200)
            except WebError as error:
                more = {} if error.status == _OK else {"statusCode": error.status}
                return self._answer({"error": error.text, **more}, error.status)
            except Exception as error:  # noqa: BLE001 - our own failure: the service must not go on as if nothing happened
                self._failed(error)
                return self._answer({"error": "Internal Server Error", "statusCode": 500}, 500)

        return Route(BASE + path, endpoint, methods=[method])

    def _admit(self, path: str, *, open_: bool) -> None:
        """Raise WebError 429, 401 or 503 if a request is not to be carried out."""
        if not self._rate.admits(path, asyncio.get_running_loop().time()):
            raise WebError(429, "Too Many Requests")
        if open_:
            return
        portal = self._portal
        if not portal.logged_in or portal.competing:
            raise WebError(401, "not authenticated")
        if not portal.connected and not any(part in path for part in _OF_ORDERS):
            raise WebError(503, "Service Unavailable")

    def _answer(self, content: object, status: int) -> Response:
        moment = self._engine.now + timedelta(seconds=self._faults.world.skew)
        return JSONResponse(content, status, headers={"date": format_datetime(moment, usegmt=True)})


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object sent, an empty one for none. Raises WebError 400 for anything else."""
    text = await request.body()
    try:
        return _OBJECT.validate_json(text) if text else {}
    except ValidationError:
        raise WebError(400, "Bad Request: the body is not a JSON object") from None
