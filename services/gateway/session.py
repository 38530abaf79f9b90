"""The one session with the broker: DISCONNECTED -> CONNECTING -> SYNCHRONISING -> READY, and back whenever it is lost.

READY means: everything the broker knows has been asked for, answered completely and published. Silence is never
taken for an answer: a question without one ends the connection, and all is asked again on the next.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from prometheus_client import Counter, Enum, Histogram

from services.gateway.config import Settings
from services.gateway.core.account import choose
from services.gateway.core.ib_map import LINK_LOST, LINK_RESTORED
from services.gateway.ports import Broker, BrokerLost, RequestRefused
from services.gateway.publisher import Publisher
from shared.config import Common, ConfigError
from shared.messages.base import Message
from shared.messages.broker import BrokerErrorReported, BrokerTime, SessionChanged
from shared.messages.market import Quote
from shared.types import SessionState

FIRST_BACKOFF_SECONDS = 0.1
STATE = Enum("millrace_gateway_session", "State of the session", states=[state.value for state in SessionState])
RECONNECTS = Counter("millrace_gateway_reconnects_total", "Connections that were lost or could not be made")
HEARTBEAT = Histogram(
    "millrace_gateway_heartbeat_seconds",
    "Round trip of a question for the broker's time, until all it said before is published",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1, 5),
)
_log = structlog.get_logger()


class Session:
    """Keeps one connection, and knows whether the broker can be used now (`ready`)."""

    def __init__(
        self, broker: Broker, settings: Settings, common: Common, publisher: Callable[["Session"], Publisher]
    ) -> None:
        self.broker = broker
        self.ready = asyncio.Event()
        self.account = ""
        self.stopping = asyncio.Event()
        self.publisher = publisher(self)
        self._settings = settings
        self._common = common
        self._symbols = dict.fromkeys(common.symbols)
        self._state = SessionState.DISCONNECTED
        self._said: set[tuple[SessionState, str]] = set()
        self._time: datetime | None = None
        self._failures = 0
        self._resynchronise = False

    # What the broker says

    def heard(self, message: Message) -> None:
        self.publisher.say(message)
        if not isinstance(message, BrokerErrorReported):
            return
        if message.code in LINK_LOST and self.ready.is_set():
            self._move(SessionState.SYNCHRONISING, message.text)
        elif message.code in LINK_RESTORED:
            self._resynchronise = True

    def quotes_changed(self) -> None:
        self.publisher.wake()

    def take_quotes(self) -> Sequence[Quote]:
        """The next batch; none before READY, so that nobody sees the first half of a symbol's ticks."""
        return self.broker.take_quotes(time.monotonic()) if self.ready.is_set() else ()

    # The connection

    async def run(self) -> None:
        """Connect, and connect again, until cancelled.

        Raises:
            ConfigError: the broker's account may not be traded in this mode.
        """
        try:
            while True:
                reason = await self._once()
                RECONNECTS.inc()
                self.broker.disconnect()
                self._move(SessionState.DISCONNECTED, reason)
                await asyncio.sleep(self._backoff())
        finally:
            self.ready.clear()
            self.broker.disconnect()

    async def _once(self) -> str:
        """One connection from beginning to end; returns why it ended."""
        try:
            self._move(SessionState.CONNECTING, f"{self._settings.host}:{self._settings.port}")
            accounts = await self.broker.connect(self)
            self.account = self._chosen(accounts)
            await self._synchronise("connected")
            while not self.broker.closed.is_set():
                if self._resynchronise:
                    await self._synchronise("IBKR is reachable again")
                await self.beat()
                await self._pause()
        except (BrokerLost, RequestRefused) as error:
            return str(error)
        return "the connection was closed"

    def _chosen(self, accounts: Sequence[str]) -> str:
        try:
            return choose(self._settings.account, accounts, self._common.mode)
        except ValueError as error:
            raise ConfigError(f"gateway.toml: {error}") from None

    async def _synchronise(self, reason: str) -> None:
        self._resynchronise = False
        self._move(SessionState.SYNCHRONISING, reason)
        await self.broker.current_time()
        await self.broker.subscribe(self._symbols)
        self.publisher.say(await self.broker.snapshot(self.account, None))
        self._move(SessionState.READY, "")
        await self.publisher.flush()

    async def _pause(self) -> None:
        """Wait for the next heartbeat, or for the end of the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.heartbeat_seconds):
                await self.broker.closed.wait()

    def _backoff(self) -> float:
        """Seconds until the next attempt: doubling, and random so that two programs do not keep step."""
        longest = min(FIRST_BACKOFF_SECONDS * 2**self._failures, self._settings.reconnect_backoff_seconds)
        self._failures = min(self._failures + 1, 16)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _move(self, state: SessionState, reason: str) -> None:
        self._state = state
        STATE.state(state.value)
        if state is SessionState.READY:
            self._said.clear()
            self._failures = 0
            self.ready.set()
        else:
            self.ready.clear()
        if (state, reason) in self._said:
            return  # one outage is one story, however many attempts it takes
        self._said.add((state, reason))
        _log.info("session", state=state, reason=reason, account=self.account)
        self.publisher.say(SessionChanged(state=state, reason=reason, account=self.account or None))

    # What others need

    async def beat(self) -> datetime:
        """Ask for the broker's time; returns once all that the broker had said before its answer is published."""
        with HEARTBEAT.time():
            now = await self.broker.current_time()
            if now != self._time:
                self._time = now
                self.publisher.say(BrokerTime(now=now))
            await self.publisher.flush()
        return now

    async def until_ready(self) -> None:
        """Wait for READY. When the process is to stop first, the caller is cancelled, and its message comes back."""
        while not self.ready.is_set():
            if self.stopping.is_set():
                raise asyncio.CancelledError
            waits = [asyncio.ensure_future(self.ready.wait()), asyncio.ensure_future(self.stopping.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def give_up(self) -> None:
        """This connection is of no use any more: make a new one."""
        self.ready.clear()
        self.broker.disconnect()

    async def subscribe(self, symbols: Sequence[str]) -> None:
        """Stream quotes of these symbols, now and after every reconnect."""
        self._symbols |= dict.fromkeys(symbols)
        await self.broker.subscribe(symbols)

    def not_ready(self) -> str | None:
        return None if self._state is SessionState.READY else f"the session with the broker is {self._state}"
