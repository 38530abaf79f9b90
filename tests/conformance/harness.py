"""The simulator in a thread, a client library in a process, and waiting until what one does shows in the other."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from services.simulator.app import Simulator
from services.simulator.config import Settings
from tests.conformance.environments import CLIENTS, interpreter

Result = TypeVar("Result")
DRIVERS = Path(__file__).parent / "drivers"
SECONDS = 10
VERSIONS = dict(zip(CLIENTS, (178, 176, 157), strict=True))
"""What each client and the simulator agree on."""


class ClientError(Exception):
    """A call failed inside the client library."""


class Driver:
    """A process that has one client library and does what it is told."""

    def __init__(self, library: str) -> None:
        self.library = library
        script = "official.py" if library == "ibapi" else "community.py"
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [interpreter(library), DRIVERS / script, library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, name: str, session: str = "main", **arguments: Any) -> Any:
        """Raises ClientError with what the library raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": name, "session": session, "args": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ClientError(f"the driver of {self.library} ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(f"{self.library}, {name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        self._process.communicate(timeout=SECONDS)


def until(value: Callable[[], Result], right: Callable[[Result], object] = bool, seconds: float = SECONDS) -> Result:
    """Return the first value that is right; fails with the last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = value()
        if right(found):
            return found
        assert time.monotonic() < deadline, f"still {str(found)[:500]}"
        time.sleep(0.002)


class World:
    """A running simulator whose time stands still but for `advance`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Raises what the simulator raises when it cannot start."""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: asyncio.Future[Simulator] = self._loop.create_future()
        self._settings, self._folder = settings, folder
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        self.simulator = asyncio.run_coroutine_threadsafe(_result(self._started), self._loop).result(SECONDS)

    async def _serve(self) -> None:
        try:
            simulator = Simulator(self._settings, self._folder)
            async with simulator.serving():
                self._started.set_result(simulator)
                await self._stop.wait()
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    def run(self, action: Callable[[], Result]) -> Result:
        """Do something in the simulator's thread."""

        async def done() -> Result:
            return action()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(SECONDS)

    @property
    def port(self) -> int:
        return self.simulator.port

    @property
    def engine(self) -> Any:
        return self.simulator.engine

    @property
    def now(self) -> datetime:
        return self.engine.now

    def advance(self, to: datetime) -> None:
        self.run(lambda: self.simulator.broker.advance(to))

    def close(self) -> None:
        """Stop it; a second time does nothing."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(SECONDS)
        self._loop.close()


async def _result(future: "asyncio.Future[Result]") -> Result:
    return await future


class Client:
    """One client library, connected to one simulator; a name tells several connections apart."""

    def __init__(self, driver: Driver, world: World) -> None:
        self.library = driver.library
        self.world = world
        self._driver = driver
        self._sessions: dict[str, int] = {}

    def connect(self, client: int = 1, session: str = "main", **options: Any) -> dict[str, Any]:
        self._sessions[session] = client
        return self.call("connect", session, port=self.world.port, client=client, **options)

    def disconnect(self, session: str = "main") -> None:
        """Leave, and wait until the simulator has noticed: until then the client id is in use (error 326)."""
        client = self._sessions.pop(session)
        self.call("disconnect", session)
        if client in self._sessions.values():
            return  # it was refused, since another of ours has that id
        until(lambda: self.world.run(lambda: client not in self.world.simulator.broker.sessions))

    def call(self, name: str, session: str = "main", **arguments: Any) -> Any:
        return self._driver.call(name, session, **arguments)

    def finish(self) -> list[str]:
        """Leave, and return what the library could not use of all that it was sent."""
        for session in self._sessions:
            if self.call("connected", session):
                self.call("time", session)  # all that was sent before has been read then
            self.call("disconnect", session, wait=False)
        return self.call("complaints")

    @property
    def official(self) -> bool:
        return self.library == "ibapi"

    # -- orders

    def place(self, contract: dict[str, Any], action: str, quantity: float, kind: str = "MKT", **rest: Any) -> int:
        """Place an order; `rest` are attributes as all three libraries name them. Returns its id."""
        session = rest.pop("session", "main")
        order = {"action": action, "totalQuantity": quantity, "orderType": kind, "tif": "DAY", **rest}
        number = self.call("place", session, contract=contract, order=order)
        self.call("time", session)  # answered after the order has been dealt with
        return number

    def order(self, number: int, session: str = "main") -> dict[str, Any]:
        return self.call("order", session, number=number)

    def reaches(self, number: int, status: str, session: str = "main") -> dict[str, Any]:
        """Wait until an order has a status, and all commissions of its fills; returns the order."""
        return until(
            lambda: self.order(number, session),
            lambda order: order and order["status"] == status and _reported(order),
        )

    def code(self, wanted: int, session: str = "main") -> str:
        """Wait for an error or a notice; returns its text. What came before it is forgotten."""
        found: list[Any] = until(
            lambda: [error for error in self.call("errors", session) if error[1] == wanted],
        )
        return found[0][2]


def _reported(order: dict[str, Any]) -> bool:
    enough = sum(fill["shares"] for fill in order["fills"]) >= order["filled"]
    # what a combination costs is charged for its legs
    paid = [fill for fill in order["fills"] if fill["contract"]["secType"] != "BAG"]
    return enough and all(fill["commission"] is not None for fill in paid)


def utc(*values: int) -> datetime:
    return datetime(*values, tzinfo=UTC)  # type: ignore[arg-type, misc]
