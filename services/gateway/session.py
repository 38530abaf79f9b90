"""The one session with the broker: one connection at a time, made again whenever it is lost.

READY means: everything the broker knows has been asked for, answered completely and published, and orders can go.
Silence is never taken for an answer: a question without one ends the connection, and all is asked again on the next.
`core.states` has the states and every move between them.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from prometheus_client import Counter, Histogram

from services.gateway.config import Settings
from services.gateway.core.account import choose
from services.gateway.core.states import Happening
from services.gateway.ports import Broker, BrokerLost, ClientIdInUse, LoginAwaited, RequestRefused
from services.gateway.publisher import Publisher
from services.gateway.standing import Standing
from shared.clock import Clock
from shared.config import Common, ConfigError
from shared.messages.base import Message
from shared.messages.broker import BrokerErrorReported, BrokerTime
from shared.messages.market import Quote
from shared.types import Mode

FIRST_BACKOFF_SECONDS = 0.1
CLIENT_ID_BACKOFF_SECONDS = 2.0
RECONNECTS = Counter("millrace_gateway_reconnects_total", "Connections that were lost or could not be made")
HEARTBEAT = Histogram(
    "millrace_gateway_heartbeat_seconds",
    "Round trip of a question for the broker's time, until all it said before is published",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1, 5),
)
T = TypeVar("T")
_log = structlog.get_logger()


class ClientIdTaken(RuntimeError):  # noqa: N818 - it says what happened
    """The broker goes on refusing our client id (326); the text says which, and what to do."""


class Session:
    """Keeps one connection. `standing` knows what can be done with the broker now (`Standing.ready`, `.linked`)."""

    def __init__(
        self,
        broker: Broker,
        settings: Settings,
        common: Common,
        publisher: Callable[["Session"], Publisher],
        clock: Clock,
    ) -> None:
        self.broker = broker
        self.hearers: list[Callable[[Message], None]] = []
        """Who else is to be told what the broker says."""
        self.publisher = publisher(self)
        self.standing = Standing(settings, clock, self.publisher.say)
        self.ready, self.linked = self.standing.ready, self.standing.linked
        self._settings = settings
        self._mode = common.mode
        self._clock = clock
        self._quoting = False
        self._time: datetime | None = None
        self._failures = 0
        self._refused_since: float | None = None

    @property
    def account(self) -> str:
        """The account that is traded; empty before the first connection."""
        return self.standing.account

    # What the broker says

    def heard(self, message: Message) -> None:
        self.publisher.say(message)
        for hear in self.hearers:
            hear(message)
        if isinstance(message, BrokerErrorReported):
            self.standing.noticed(message.code, message.text)

    def quotes_changed(self) -> None:
        self.publisher.wake()
        self.standing.quotes_flow()

    def take_quotes(self) -> Sequence[Quote]:
        """The next batch; none before a connection is synchronised, and after its end."""
        if not self._quoting or self.broker.closed.is_set():
            return ()
        return self.broker.lines.take_quotes(time.monotonic())

    # The connection

    async def run(self) -> None:
        """Connect, and connect again, until cancelled.

        Raises:
            ConfigError: the broker's account may not be traded in this mode.
            ClientIdTaken: the broker has refused our client id for too long.
        """
        try:
            while True:
                await self._once()
                RECONNECTS.inc()
                self.broker.disconnect()
                await asyncio.sleep(self._backoff())
        finally:
            self.broker.disconnect()
            self.standing.happen(Happening.STOPPED, "the gateway has stopped")

    async def _once(self) -> None:
        """One connection from beginning to end."""
        self._quoting = False
        refused_since, self._refused_since = self._refused_since, None
        self.standing.attempt(self._settings.where)
        try:
            accounts = await self.broker.connect(self)
            self.standing.account = self._chosen(accounts)
            self.standing.happen(Happening.ACCEPTED, "connected")
            await self._converse()
            self.standing.lost("the connection was closed")
        except LoginAwaited as error:
            self.standing.happen(Happening.LOGIN_AWAITED, f"{error}: log in, and confirm it on the phone")
        except ClientIdInUse as error:
            self._refused_since = time.monotonic() if refused_since is None else refused_since
            self._client_id_refused(error, time.monotonic() - self._refused_since)
        except (BrokerLost, RequestRefused) as error:
            self.standing.lost(str(error))

    async def _converse(self) -> None:
        """Ask for the broker's time again and again, and for everything whenever something may have been missed."""
        while not self.broker.closed.is_set():
            await self.beat()
            if not self.standing.complete and not self.standing.link_lost:
                await self._synchronise()
            if self.standing.complete or self.standing.link_lost:
                await self._pause()

    async def _synchronise(self) -> None:
        self.standing.complete = True
        snapshot = await self.broker.snapshot(self.account, None)
        if not self.standing.complete:
            return  # the link was lost, or came back, meanwhile
        self._failures, self._quoting = 0, True
        self.heard(snapshot)
        self.standing.synchronised()
        await self.publisher.flush()

    async def _pause(self) -> None:
        """Wait for the next heartbeat, for the return of the link, or for the end of the connection."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.broker.closed, self.standing.restored)]
        try:
            await asyncio.wait(waits, timeout=self._settings.heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.standing.restored.clear()
            for wait in waits:
                wait.cancel()

    def _chosen(self, accounts: Sequence[str]) -> str:
        try:
            return choose(self._settings.account, accounts, self._mode)
        except ValueError as error:
            raise ConfigError(f"gateway.toml: {error}") from None

    def _client_id_refused(self, error: ClientIdInUse, seconds: float) -> None:
        """Only the client that sent an order may change it, so no other id is tried: wait, then give up loudly."""
        text = f"client_id = {self._settings.client_id} is in use ({error})"
        if seconds > self._settings.client_id_wait_seconds:
            raise ClientIdTaken(
                f"{text} for more than {self._settings.client_id_wait_seconds:g} s: stop the program that uses it; if"
                " it is a dead connection, restart IB Gateway or TWS. Another id could not change the open orders"
            )
        self.standing.lost(text)

    def _backoff(self) -> float:
        """Seconds until the next attempt: doubling, and random so that two programs do not keep step."""
        longest = min(FIRST_BACKOFF_SECONDS * 2**self._failures, self._settings.reconnect_backoff_seconds)
        if self._refused_since is not None:
            longest = min(longest, CLIENT_ID_BACKOFF_SECONDS)
        self._failures = min(self._failures + 1, 16)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret

    # What others need

    async def beat(self) -> datetime:
        """Ask for the broker's time; returns once all that the broker had said before its answer is published.

        In paper and live mode it is published only while IBKR can be reached: whoever hears none for minutes knows
        that nothing can be traded. In simulated mode it moves everybody's clock.
        """
        simulated = self._mode is Mode.SIMULATED
        with HEARTBEAT.time():
            asked = self._clock.now()
            now = await self.broker.current_time()
            if not simulated:
                self.standing.compare_clocks(now, asked)
            if now != self._time and (simulated or self.linked.is_set()):
                self._time = now
                self.publisher.say(BrokerTime(now=now))
            await self.publisher.flush()
        return now

    async def connected(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that needs the broker; when its connection ends meanwhile, do it again on the next."""
        while True:
            await self.linked.wait()
            connection = self.broker.closed
            try:
                return await work()
            except BrokerLost as error:
                _log.info("asking again on the next connection", reason=str(error))
                self.give_up(connection)

    def give_up(self, connection: asyncio.Event) -> None:
        """A connection, by its `Broker.closed`, is of no use any more: make a new one, unless there is one already.

        What waited for the message budget finds its connection gone when there has long been another.
        """
        if connection is self.broker.closed:
            self.ready.clear()
            self.linked.clear()
            self.broker.disconnect()

    def not_ready(self) -> str | None:
        """None when orders can be sent, else the state, since when, and why."""
        return self.standing.not_ready()
