"""The only way in and out of Redis Streams, at least once and in order (or in lanes, `shared/lanes.py`).

What Redis, redis-py and FastStream do under faults, and what is done here about each:

- A group created at `$` never sees what was published before: groups are made at `0`, before anything reads.
- An entry handed to a process that died, or whose reply was lost with its connection, stays pending: every
  (re)connect first takes over what others of the group left, then reads its own pending entries, then new ones. A
  process that was frozen and thaws may still take entries from its successor: that looks for them every few seconds.
- A handler's exception ends the process; the entry stays pending and comes back. After `MAX_DELIVERIES` it goes to
  `<stream>.dead`, in the same MULTI as its acknowledgement. Broken infrastructure does not count as a delivery.
- A vanished stream or group ends the process with a non-zero exit; its restart makes the group again at `0`.
- Answers and the acknowledgement go out in one MULTI. A MULTI whose reply was lost is sent again: readers drop
  ids they have seen.
- Trimming never passes an entry that some group has not acknowledged.

Orders and events use this loop and not FastStream's, which strands entries in three of these cases and sleeps five
seconds after a lost connection. Quotes, where only the newest counts, are followed through FastStream
(`shared/quotes.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import structlog
from redis.exceptions import RedisError, ResponseError

from shared import metrics
from shared.clock import Clock
from shared.connection import FIELD, LOST, connect, ensure_groups, trim
from shared.messages.base import Envelope, MalformedMessage, Message, decode
from shared.reader import Handler, Lane, Reader, Subscription
from shared.streams import ALL_STREAMS, BY_NAME, Stream, home

TRIM_SECONDS = 60
_log = structlog.get_logger()

__all__ = ["FIELD", "Bus", "Handler", "connect", "stopping"]


def _ignore(messages: Sequence[Envelope[Any]]) -> None:
    """Nobody needs to know what was published."""


async def stopping(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Await one of several loops, and set `stop` when it ends, so that a failure ends the others, too.

    A task group cancels them, but redis-py may swallow a cancellation, and asyncio.wait_for of Python 3.11, too
    (https://github.com/python/cpython/issues/86296): a loop must look at `stop` to be sure to end.
    """
    try:
        await work
    finally:
        stop.set()


class Bus:
    """One process's connection to the streams."""

    def __init__(self, url: str, *, service: str, consumer: str, clock: Clock) -> None:
        self.service = service
        self.consumer = consumer
        self.clock = clock
        self.url = url
        self.client = connect(url)
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Wait for Redis, and make the groups."""
        delay = 0.05
        while True:
            try:
                await ensure_groups(self.client)
                return
            except RedisError as error:
                if isinstance(error, ResponseError) and "LOADING" not in str(error):
                    raise
                _log.info("waiting for Redis", error=str(error))
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)

    async def close(self) -> None:
        await self.client.aclose()

    def subscribe(
        self,
        stream_name: str,
        handler: Handler,
        *,
        sent: Callable[[Sequence[Envelope[Any]]], None] = _ignore,
        gate: asyncio.Event | None = None,
        competing: bool = False,
        lane: Lane | None = None,
    ) -> None:
        """Handle every entry of a stream, in order, one at a time.

        Args:
            handler: returns the messages that the entry led to; they are published with its acknowledgement.
            sent: told of those messages once they are published.
            gate: nothing is handled while it is clear.
            competing: several processes share this group's entries, each taking one at a time.
            lane: names an entry's lane, asked in the order of the stream: lanes are handled side by side.

        Raises:
            ValueError: the registry does not list this service among the stream's readers.
        """
        stream = BY_NAME[stream_name]
        if self.service not in stream.groups:
            raise ValueError(f"{self.service} is no reader of {stream_name}: its groups are {stream.groups}")
        self._subscriptions.append(Subscription(stream, handler, sent, gate, competing, lane))

    async def run(self, stop: asyncio.Event) -> None:
        """Read all subscriptions until `stop`, then let each finish the entry it is handling. A failure sets `stop`.

        Raises:
            ExceptionGroup: of GroupVanished when a stream or group was deleted, and of whatever handlers raised.
        """
        async with asyncio.TaskGroup() as group:
            for subscription in self._subscriptions:
                group.create_task(stopping(stop, Reader(self, subscription).run(stop)))
            group.create_task(stopping(stop, self._trim(stop)))

    async def publish(self, messages: Iterable[Envelope[Any]]) -> None:
        """Put messages on their home streams; repeats until Redis has taken them.

        Raises:
            ValueError: the registry does not let this service write that message.
        """
        await self.send(messages, acknowledge=None)

    async def send(self, messages: Iterable[Envelope[Any]], acknowledge: tuple[Stream, bytes] | None) -> None:
        """`publish`, and acknowledge one entry, in one MULTI."""
        entries: list[tuple[str, bytes]] = []
        for message in messages:
            stream = self.stream_for(message)
            metrics.PUBLISHED.labels(stream, message.type).inc()
            entries.append((stream, message.encode()))
        await self.send_raw(entries, acknowledge)

    def stream_for(self, message: Envelope[Any]) -> str:
        """The name of a message's home stream; raises ValueError where this service may not write it."""
        stream = home(message.data)
        if self.service not in stream.writers:
            raise ValueError(f"{self.service} may not write {message.type} to {stream.name}: {stream.writers} may")
        return stream.name

    async def send_raw(
        self, entries: Sequence[tuple[str, bytes | str]], acknowledge: tuple[Stream, bytes] | None = None
    ) -> None:
        """`send` for messages that are encoded already."""
        if not entries and acknowledge is None:
            return
        delay = 0.02
        while True:
            pipeline = self.client.pipeline(transaction=len(entries) + (acknowledge is not None) > 1)
            for stream, body in entries:
                pipeline.xadd(stream, {FIELD: body})
            if acknowledge is not None:
                pipeline.xack(acknowledge[0].name, self.service, acknowledge[1])
            try:
                await pipeline.execute()
                return
            except LOST as error:
                _log.warning("publishing again", error=str(error))
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)

    async def tail(self, stream_name: str, count: int) -> list[Envelope[Message]]:
        """The newest `count` messages of a stream, oldest first; what can't be read is left out."""
        stream = BY_NAME[stream_name]
        found: list[Envelope[Message]] = []
        for _, fields in reversed(await self.client.xrevrange(stream_name, count=count)):
            try:
                found.append(decode(fields[FIELD.encode()], stream.types))
            except (MalformedMessage, KeyError):
                continue
        return found

    async def _trim(self, stop: asyncio.Event) -> None:
        """Now and then cut what is past its retention and acknowledged, from the streams this service writes."""
        while not stop.is_set():
            try:
                for stream in ALL_STREAMS:
                    if self.service == stream.writers[0]:
                        await trim(self.client, stream)
            except LOST as error:
                _log.warning("not trimmed", error=str(error))
            try:
                await asyncio.wait_for(stop.wait(), TRIM_SECONDS)
            except TimeoutError:
                continue
