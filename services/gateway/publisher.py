"""One queue to the streams: what the broker says is published in the order in which it was said.

While a publication is under way the rest gathers: events queue up, and of each symbol's quotes only the newest is
kept. So a slow Redis costs detail and never memory, and an idle one adds no delay.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from prometheus_client import Counter

from services.gateway.core.facts import Facts
from shared.bus import Bus
from shared.messages.base import Envelope, Message, originate
from shared.messages.market import Quote, QuoteBatch

SOURCE = "gateway"
LEASE_RETRY_SECONDS = 0.1
QUOTES = Counter("millrace_gateway_quotes_published_total", "Quotes published, after conflation")


class Publisher:
    """`take_quotes` gives the quotes of the next batch, `may_speak` says whether this process still is the gateway:
    one that was frozen and thaws must not tell old states over its successor's."""

    def __init__(self, bus: Bus, take_quotes: Callable[[], Sequence[Quote]], may_speak: Callable[[], bool]) -> None:
        self._bus = bus
        self._take_quotes = take_quotes
        self._may_speak = may_speak
        self._facts = Facts()
        self._process = uuid4().hex  # keys of messages that have no name in the outer world
        self._number = 0
        self._events: list[Envelope[Any]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._closing = False

    def say(self, message: Message) -> None:
        """Queue a message, unless it is a fact that was told already."""
        key = self._facts.key(message)
        if key is not None:
            self._events.append(self._envelope(message, key))
            self._wake.set()

    async def answer(self, envelope: Envelope[Any]) -> None:
        """Publish the answer to a command in its turn: after what was said before it, before what is said later."""
        self._events.append(envelope)
        await self.flush()

    def wake(self) -> None:
        """There are quotes to take."""
        self._wake.set()

    async def flush(self) -> None:
        """Return once everything said until now is on its stream."""
        published = asyncio.get_running_loop().create_future()
        self._waiting.append(published)
        self._wake.set()
        await published

    def close(self) -> None:
        """Let `run` publish what is left, and end. Cancelling it would not do: redis-py may swallow that."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Publish until closed."""
        while self._events or self._waiting or not self._closing:
            await self._wake.wait()
            if not self._may_speak():
                if self._closing:
                    return
                await asyncio.sleep(LEASE_RETRY_SECONDS)
                continue
            self._wake.clear()
            events, self._events = self._events, []
            waiting, self._waiting = self._waiting, []
            quotes = self._take_quotes()
            if quotes:
                QUOTES.inc(len(quotes))
                events.insert(0, self._envelope(QuoteBatch(quotes=tuple(quotes)), ""))
            await self._bus.publish(events)
            for published in waiting:
                if not published.done():
                    published.set_result(None)

    def _envelope(self, message: Message, key: str) -> Envelope[Any]:
        self._number += 1
        return originate(
            message,
            source=SOURCE,
            time=self._bus.clock.now(),
            subject=subject(message),
            key=key or f"{self._process}:{self._number}",
        )


def subject(message: Message) -> str:
    """What a message is about: a symbol, an order, or the session."""
    told = getattr(message, "bar", message)
    return str(getattr(told, "symbol", "") or getattr(told, "order_ref", "") or "session")
