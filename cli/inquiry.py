"""A person's conversation with the gateway of a running copy: commands out, and what it publishes after them."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn
from uuid import uuid4

import httpx
import typer

from cli.control import SOURCE, command_time, open_bus
from cli.deployment import Deployment
from cli.errors import CommandError
from cli.launcher import readiness
from shared.bus import FIELD, Bus
from shared.messages.base import Envelope, MalformedMessage, Message, decode, originate
from shared.messages.broker import BrokerErrorReported, SessionChanged
from shared.messages.market_requests import Subscribe, Unsubscribe
from shared.streams import BY_NAME
from shared.types import SessionState

LOOK_SECONDS = 0.25  # between two looks at the deadline and at Ctrl-C, where nothing comes
REPEAT_SECONDS = 6  # the gateway repeats every quote that it still hears within five
INTERRUPTED = 128 + signal.SIGINT
QUOTES = "market.quotes"


class Heard(NamedTuple):
    """One message, and when Redis got it."""

    envelope: Envelope[Any]
    published: datetime

    def word_on(self, symbols: Collection[str]) -> tuple[str, str] | None:
        """(symbol, text) where it is an error or a notice of the broker about one of these: data may come nevertheless,
        as delayed ones do after a notice that they are delayed."""
        match self.envelope.data:
            case BrokerErrorReported(symbol=str(symbol), code=code, text=text) if symbol in symbols:
                return symbol, f"{symbol}: {f'{code} ' if code else ''}{text}"
            case _:
                return None


class Inquiry:
    """Commands bear a source of their own, as the gateway keeps what each sender wants apart: two people who watch
    the same symbol don't end each other's streams. `wait_seconds` for the first answer begin at once. `stop` is set by
    Ctrl-C."""

    def __init__(self, deployment: Deployment, bus: Bus, wait_seconds: float) -> None:
        self._deployment = deployment
        self._bus = bus
        self._source = f"{SOURCE}-{uuid4().hex[:12]}"
        self._wait_seconds = wait_seconds
        self._deadline = time.monotonic() + wait_seconds
        self._cursors: dict[str, bytes] = {}
        self._wish: Subscribe | None = None
        self.stop = asyncio.Event()

    async def begin(self) -> None:
        """Read from now on, of quotes those of the last seconds too.

        Raises:
            CommandError: a simulated broker has not told the time.
        """
        self._bus.clock.observe(await command_time(self._deployment, self._bus))
        seconds, microseconds = await self._bus.client.time()
        now = seconds * 1000 + microseconds // 1000
        recently = now - REPEAT_SECONDS * 1000
        self._cursors = {"broker.events": b"%d-0" % now, "market.ticks": b"%d-0" % now, QUOTES: b"%d-0" % recently}

    async def ask(self, question: Message, about: str) -> Any:
        """Publish a question, and return the answer that follows it; raises as `give_up`."""
        asked = await self._send(question, about)
        async for heard in self.hear():
            if heard.envelope.causationid == asked.id:
                return heard.envelope.data
        return await self.give_up(f"answer about {about}")

    async def subscribe(self, wish: Subscribe) -> None:
        """Have this streamed until `end`; a gateway that starts anew is told again."""
        self._wish = wish
        await self._send(wish, ",".join(wish.symbols))

    async def end(self) -> None:
        """Leave what was wished."""
        if self._wish is not None:
            wish, self._wish = self._wish, None
            await self._send(Unsubscribe(symbols=wish.symbols, feed=wish.feed), ",".join(wish.symbols))

    def wait(self, seconds: float) -> None:
        """Give what comes next so long from now."""
        self._deadline = time.monotonic() + seconds

    async def hear(self) -> AsyncGenerator[Heard]:
        """Everything that is published, until the deadline or Ctrl-C."""
        while not self.stop.is_set() and time.monotonic() < self._deadline:
            for name, entries in await self._bus.client.xread(self._cursors, count=256, block=int(LOOK_SECONDS * 1000)):
                for heard in self._decoded(name.decode(), entries):
                    match heard.envelope.data:
                        case SessionChanged(state=SessionState.READY) if self._wish is not None:
                            await self.subscribe(self._wish)
                        case _:
                            yield heard

    async def give_up(self, awaited: str) -> NoReturn:
        """
        Raises:
            CommandError: `awaited`, in words, has not come in time; says how the gateway is.
            Exit: Ctrl-C was faster.
        """
        if self.stop.is_set():
            raise typer.Exit(INTERRUPTED)
        async with httpx.AsyncClient(timeout=5) as client:
            reason = await readiness(client, self._deployment.services["gateway"])
        state = "is ready: the broker has sent nothing" if reason is None else f"is not ready: {reason}"
        raise CommandError(f"no {awaited} within {self._wait_seconds:g} s (--wait); the gateway {state}")

    def _decoded(self, stream: str, entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Heard]:
        found: list[Heard] = []
        for entry_id, fields in entries:
            self._cursors[stream] = entry_id
            try:
                envelope = decode(fields.get(FIELD.encode(), b""), BY_NAME[stream].types)
            except MalformedMessage:
                continue  # `millrace streams` shows it
            self._bus.clock.observe(envelope.time)
            found.append(Heard(envelope, datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC)))
        return found

    async def _send(self, message: Message, about: str) -> Envelope[Any]:
        envelope = originate(message, source=self._source, time=self._bus.clock.now(), subject=about, key=uuid4().hex)
        await self._bus.publish([envelope])
        return envelope


@asynccontextmanager
async def inquiry(deployment: Deployment, wait_seconds: float) -> AsyncGenerator[Inquiry]:
    """A conversation that a Ctrl-C, a SIGTERM and a closed terminal end in order: nothing stays wished."""
    bus = open_bus(deployment)
    try:
        talk = Inquiry(deployment, bus, wait_seconds)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, talk.stop.set)
        await talk.begin()
        try:
            yield talk
        finally:
            await talk.end()
    finally:
        await bus.close()
