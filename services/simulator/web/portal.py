"""What all paths of the Web API share: the log-in, and questions to the broker.

Assumed, where IBKR does not say: the gateway is logged in when it starts and, after a log-out, logs in again on
`/iserver/auth/ssodh/init` (the real one wants its user back in a browser). The log-in is `competing`, and not
authenticated, while another one has the user's market data (the fault `access = competing` for all symbols); to
initialize with `compete` takes them back. While IBKR cannot be reached, what needs it is answered with 503, and orders
share the fate of those of the TWS API.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

from services.simulator.broker import Broker
from services.simulator.entitlement import Access
from services.simulator.faults.effects import MarketDataAccess
from services.simulator.faults.injector import Faults
from services.simulator.limits import DataLimits
from services.simulator.web.call import WebError
from services.simulator.web.client import WEB_CLIENT_ID, Hear, WebClient
from services.simulator.wire import requests
from services.simulator.wire.layout import Row, Values

ANSWER_SECONDS = 30.0
"""Assumed: real seconds after which a request that the broker does not answer ends with 503."""
_FIRST_REQUEST_ID = 1_000_000_000
"""Far from order ids: errors do not say which of the two they bear."""


@dataclass(slots=True, eq=False)
class Asked:
    """A question on its way, by its request or order id: what has been said so far, and whether it is all."""

    identity: int
    ends: frozenset[str]
    messages: list[tuple[str, Row]] = field(default_factory=list[tuple[str, Row]])
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class Portal:
    """One log-in, shared by all who connect. `listeners` hear every message of the broker, `forgetters` of its end."""

    def __init__(self, broker: Broker, faults: Faults, limits: DataLimits) -> None:
        self.broker = broker
        self.engine = broker.engine
        self.market = broker.engine.market
        self.faults = faults
        self.listeners: list[Hear] = []
        self.forgetters: list[Callable[[], None]] = []
        self.when_dropped: Callable[[], None] = _nobody
        self.when_silenced: Callable[[], None] = _nobody
        self.when_garbled: Callable[[bytes], None] = _ignored
        self.session_id = ""
        self.accounts_read = False
        self._limits = limits
        self._client: WebClient | None = None
        self._asked: dict[int, list[Asked]] = {}
        self._last_id = _FIRST_REQUEST_ID
        broker.overseers.append(WEB_CLIENT_ID)

    # -- log-in -----------------------------------------------------------------------------------------------------

    def log_in(self, *, compete: bool = False) -> None:
        """Begin a log-in if there is none; with `compete` any other one of the user ends."""
        if compete and self.competing:
            self.faults.fire(MarketDataAccess(access=Access.LIVE))
        if self._client is not None:
            return
        self.session_id = uuid4().hex
        client = WebClient(
            self._limits,
            self._hear,
            self.log_out,
            lambda: self.when_dropped(),
            lambda: self.when_silenced(),
            lambda frame: self.when_garbled(frame),
        )
        self._client = client
        self.faults.attach(client)
        self.broker.join(WEB_CLIENT_ID, client)
        self.faults.joined(client)

    def log_out(self) -> None:
        """End the log-in, with its subscriptions; its orders stay."""
        client, self._client = self._client, None
        if client is None:
            return
        self.faults.detach(client)
        client.close()
        self.broker.leave(WEB_CLIENT_ID)
        self.accounts_read = False
        for asked in [one for each in self._asked.values() for one in each]:
            asked.complete.set()
        for forget in self.forgetters:
            forget()

    @property
    def logged_in(self) -> bool:
        return self._client is not None

    @property
    def competing(self) -> bool:
        return self.faults.world.access_of("") is Access.COMPETING

    @property
    def connected(self) -> bool:
        """False while IBKR cannot be reached."""
        return self.faults.world.link is None

    @property
    def authenticated(self) -> bool:
        return self.logged_in and self.connected and not self.competing

    def status(self) -> dict[str, object]:
        """Return what `/iserver/auth/status` says."""
        return {
            "authenticated": self.authenticated,
            "competing": self.competing,
            "connected": self.logged_in and self.connected,
            "message": "",
            "serverInfo": {"serverName": "simulated", "serverVersion": "Millrace"},
            "fail": "",
        }

    @property
    def client(self) -> WebClient:
        """The session with the broker. Raises WebError 401 if nobody is logged in."""
        if self._client is None:
            raise WebError(401, "not authenticated")
        return self._client

    def primed_accounts(self) -> None:
        """Raise WebError 400 if the log-in has not asked for its accounts yet, which some paths need."""
        if not self.accounts_read:
            raise WebError(400, "Please query /accounts first")

    # -- questions --------------------------------------------------------------------------------------------------

    def request_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def send(self, message_id: int, values: Values) -> None:
        """Send the broker a request of the TWS API, through the faults."""
        client = self.client
        self.faults.incoming(client, requests.write_request(message_id, values, client.version))

    async def ask(self, message_id: int, values: Values, ends: str) -> list[tuple[str, Row]]:
        """Send a request and return its answers, up to the message `ends` or an error."""
        request_id = self.request_id()
        asked = self.expect(request_id, frozenset({ends, "error"}))
        self.send(message_id, {**values, "request_id": request_id})
        return await self.answers(asked)

    def expect(self, identity: int, ends: frozenset[str]) -> Asked:
        """Collect the messages that bear this request or order id; one of `ends` completes them."""
        asked = Asked(identity, ends)
        self._asked.setdefault(identity, []).append(asked)
        return asked

    def dismiss(self, asked: Asked) -> None:
        """Collect no more."""
        waiting = self._asked.get(asked.identity, [])
        if asked in waiting:
            waiting.remove(asked)
        if not waiting:
            self._asked.pop(asked.identity, None)

    async def answers(self, asked: Asked) -> list[tuple[str, Row]]:
        """Return what was collected, once complete. Raises WebError 503 if nothing comes."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await asked.complete.wait()
        finally:
            self.dismiss(asked)
        if not asked.messages:
            raise WebError(503, "Service Unavailable")
        return asked.messages

    def _hear(self, name: str, row: Row) -> None:
        for asked in self._asked.get(identity_of(name, row), ()):
            asked.messages.append((name, row))
            if name in asked.ends:
                asked.complete.set()
        for listen in self.listeners:
            listen(name, row)


def identity_of(name: str, row: Row) -> int:
    """Return the order or request id of a message, -1 if it has none or is about another client's order."""
    if row.get("client_id", str(WEB_CLIENT_ID)) != str(WEB_CLIENT_ID):
        return -1
    text = text_of(row, "id" if name == "error" else "request_id") or text_of(row, "order_id")
    return int(text) if text.removeprefix("-").isdecimal() else -1


def text_of(row: Row, name: str) -> str:
    value = row.get(name, "")
    return value if isinstance(value, str) else ""


def rows_of(row: Row, name: str) -> list[Row]:
    value = row.get(name, [])
    return value if isinstance(value, list) else []


def _nobody() -> None:
    """Nobody listens yet."""


def _ignored(_: bytes) -> None:
    """Nobody listens yet."""
