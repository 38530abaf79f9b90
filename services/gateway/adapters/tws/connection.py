"""One connection after another to one IB Gateway or TWS, and the one door through which messages leave."""

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from ib_async.client import Client

from services.gateway.adapters.tws.answers import Key
from services.gateway.adapters.tws.callbacks import Callbacks
from services.gateway.config import Settings
from services.gateway.ports import BrokerLost, Budget, ClientIdInUse, LoginAwaited, NoAnswer, Urgency

FIRST_REQUEST_ID = 1_000_000_000
"""Errors name a request or an order by one number: requests begin where no order id comes."""


class Connection:
    """ib_async's `Client` (connection, encoder, decoder) with callbacks of our own; a new one for each connection."""

    def __init__(self, settings: Settings, budget: Budget) -> None:
        self._settings = settings
        self._budget = budget
        self._callbacks: Callbacks | None = None
        self._request_ids = count(FIRST_REQUEST_ID)
        self.closed = asyncio.Event()
        self.closed.set()
        # It writes two errors for every attempt to connect; the session says once why it is not connected.
        logging.getLogger("ib_async.client").setLevel(logging.CRITICAL)

    async def connect(self, callbacks: Callbacks) -> Sequence[str]:
        """Connect and shake hands; returns the accounts of the login. Raises as `ports.Broker.connect` does."""
        await self._budget.spend(Urgency.ORDER, 2)
        client: Any = Client(callbacks)
        client.MaxRequests = 0  # the budget paces, with priorities
        callbacks.listen_to(client)
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note_end(reason: str) -> None:
            if not ended.done():
                ended.set_result(reason or "the broker closed the connection")

        client.conn.disconnected += note_end
        handshake = asyncio.ensure_future(
            client.connectAsync(self._settings.host, self._settings.port, self._settings.client_id, 0)
        )
        try:
            await asyncio.wait(
                (handshake, ended),
                timeout=self._settings.connect_timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not client.isReady():
                raise self._why_not(client, callbacks, handshake, ended)
        except BaseException:
            handshake.cancel()
            await asyncio.gather(handshake, return_exceptions=True)
            raise
        callbacks.client = client
        self._callbacks, self.closed = callbacks, callbacks.closed
        return list(client.getAccounts())

    def _why_not(
        self, client: Any, callbacks: Callbacks, handshake: "asyncio.Future[None]", ended: "asyncio.Future[str]"
    ) -> BrokerLost:
        if callbacks.client_id_in_use:
            return ClientIdInUse(callbacks.client_id_in_use)
        if handshake.done() and not handshake.cancelled() and (error := handshake.exception()):
            return BrokerLost(f"{type(error).__name__}: {error}")
        if ended.done():
            return BrokerLost(ended.result())
        if client.isConnected():
            seconds = self._settings.connect_timeout_seconds
            return LoginAwaited(f"the gateway program accepts connections and has said nothing for {seconds:g} s")
        return BrokerLost("no answer to the attempt to connect")

    def disconnect(self) -> None:
        if self._callbacks is not None:
            self._callbacks.close("disconnected")
            if self._callbacks.client.isConnected():
                self._callbacks.client.disconnect()

    @property
    def session(self) -> Callbacks:
        """What is known on the present connection. Raises BrokerLost when there is none."""
        if self._callbacks is None or self._callbacks.closed.is_set() or not self._callbacks.client.isReady():
            raise BrokerLost("not connected")
        return self._callbacks

    @property
    def client(self) -> Any:
        """ib_async's Client; it carries few types."""
        return self.session.client

    def request_id(self) -> int:
        """A number for a request, never used before by this process."""
        return next(self._request_ids)

    async def send(self, urgency: Urgency, write: Callable[[], None], messages: int = 1) -> None:
        """Write to the broker as soon as its limit on messages allows; `write` sends that many, at once.

        Raises:
            BrokerLost: there is no connection, or it is another one by the time the message may go.
        """
        session = self.session
        await self._budget.spend(urgency, messages)
        if session is not self.session:
            raise BrokerLost("the connection ended before the request was sent")
        write()

    @contextmanager
    def in_one_piece(self) -> Generator[None]:
        """Messages sent inside leave in one write to the socket; if one of them can't be encoded, none does."""
        connection, pieces = self.client.conn, list[bytes]()
        connection.sendMsg = pieces.append
        try:
            yield
        finally:
            del connection.sendMsg  # the class's own is there again
        connection.sendMsg(b"".join(pieces))

    async def ask(
        self, key: Key, write: Callable[[], None], urgency: Urgency = Urgency.DATA, seconds: float | None = None
    ) -> list[Any]:
        """Send a request and wait for its whole answer.

        Raises:
            RequestRefused: the broker answered with an error.
            BrokerLost: the connection ended.
            NoAnswer: there was no answer in time (counted from when it was sent).
        """
        answers = self.session.answers
        answer: list[asyncio.Future[list[Any]]] = []

        def expect_and_write() -> None:
            answer.append(answers.expect(key))
            write()

        await self.send(urgency, expect_and_write)
        try:
            # not wait_for: in Python 3.11 it can lose a cancellation that comes together with the answer
            async with asyncio.timeout(seconds or self._settings.answer_timeout_seconds):
                return await answer[0]
        except TimeoutError:
            raise NoAnswer(f"no answer to a request for {key}") from None
