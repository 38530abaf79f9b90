"""Following the market: the newest quote of each symbol, without groups and acknowledgements.

Two ways to follow. `QuoteBoard` is pulled: a decision first reads everything that was published before it, so it
never uses a quote older than its cause. `follow` is pushed, through FastStream in batches, for who needs every
change as it comes.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.message import RedisBatchStreamMessage
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from shared import metrics
from shared.bus import Bus
from shared.connection import FIELD, LOST, SOCKET_TIMEOUT_SECONDS
from shared.messages.base import Envelope, MalformedMessage, decode
from shared.messages.market import Quote, QuoteBatch
from shared.reader import BATCH, BLOCK_MILLISECONDS
from shared.streams import BY_NAME

QUOTES = BY_NAME["market.quotes"]
# The gateway repeats every symbol's newest quote within this many batches, so a board that begins there is complete.
WARM_UP_BATCHES = 2000
_log = structlog.get_logger()


def _batch(bus: Bus, fields: dict[bytes, bytes]) -> Envelope[QuoteBatch] | None:
    """One entry of the stream; None, and a line in the log, for one that can't be read: the next quote replaces it."""
    try:
        batch = decode(fields.get(FIELD.encode(), b""), QUOTES.types)
    except MalformedMessage as error:
        metrics.DEAD.labels(QUOTES.name).inc()
        _log.error("malformed quotes", reason=str(error))
        return None
    bus.clock.observe(batch.time)
    return cast(Envelope[QuoteBatch], batch)


class QuoteBoard:
    """The newest quote of each symbol, as of the last `catch_up`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._cursor: bytes | None = None
        self.quotes: dict[str, Quote] = {}  # by symbol

    async def catch_up(self) -> dict[str, Quote]:
        """Read what was published since the last call; returns `quotes`. Mostly one round trip.

        Asks again until Redis answers: whoever decides by quotes has nothing better to do without them.
        """
        delay = 0.02
        while True:
            try:
                await self._read()
                return self.quotes
            except LOST as error:
                _log.warning("reading quotes again", error=str(error))
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)

    async def _read(self) -> None:
        if self._cursor is None:
            newest = await self._bus.client.xrevrange(QUOTES.name, count=WARM_UP_BATCHES)
            for _, fields in reversed(newest):
                self._take(fields)
            self._cursor = newest[0][0] if newest else b"0-0"
        while True:
            answer = await self._bus.client.xread({QUOTES.name: self._cursor}, count=BATCH)
            entries: list[tuple[bytes, dict[bytes, bytes]]] = answer[0][1] if answer else []
            for entry_id, fields in entries:
                self._take(fields)
                self._cursor = entry_id
            if len(entries) < BATCH:
                return

    def _take(self, fields: dict[bytes, bytes]) -> None:
        batch = _batch(self._bus, fields)
        for quote in batch.data.quotes if batch else ():
            self.quotes[quote.symbol] = quote


FollowQuotes = Callable[[list[Envelope[QuoteBatch]]], Awaitable[None]]


@asynccontextmanager
async def following(bus: Bus, handler: FollowQuotes) -> AsyncGenerator[None]:
    """Call `handler` with every batch of quotes published from now on, many at a time when it falls behind.

    FastStream's own defaults are changed where they would hurt: it reads from a fixed entry on (with `$` it misses
    what comes between two reads), retries a lost connection after milliseconds (it would sleep 5 s), reads in batches
    (one message at a time is 40 times slower), logs nothing per message, and hands the entries over unparsed.

    Raises:
        ExceptionGroup: of what the handler raised, which also cancels the body; FastStream would swallow it.
    """
    newest = await bus.client.xrevrange(QUOTES.name, count=1)
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handle(entries: list[dict[bytes, bytes]]) -> None:
        batches = [batch for fields in entries if (batch := _batch(bus, fields))]
        try:
            await handler(batches)
        except Exception as error:  # noqa: BLE001 - passed on to the one who follows
            if not failure.done():
                failure.set_exception(error)

    broker = RedisBroker(
        bus.url,
        logger=cast(Any, None),  # allowed, though its annotation forgets it
        apply_types=False,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), 10),
        parser=_parse,
        decoder=_entries,
    )
    subscription = StreamSub(
        QUOTES.name,
        last_id=newest[0][0].decode() if newest else "0-0",
        batch=True,
        max_records=256,
        polling_interval=BLOCK_MILLISECONDS,
    )
    broker.subscriber(stream=subscription)(handle)
    async with asyncio.TaskGroup() as group:
        await broker.start()
        failing = group.create_task(_raise(failure))
        try:
            yield
        finally:
            await broker.stop()
            failing.cancel()


async def _raise(failure: asyncio.Future[None]) -> None:
    await failure


async def _parse(message: Any) -> RedisBatchStreamMessage:
    return RedisBatchStreamMessage(raw_message=message, body=b"", consumer=cast(Any, None), group=None)


async def _entries(message: Any) -> list[dict[bytes, bytes]]:
    return message.raw_message["data"]
