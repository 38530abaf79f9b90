"""One group's reading of one stream: in order, one entry at a time or in lanes, acknowledged when its effects are
published."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from shared import metrics
from shared.connection import FIELD, LOST, connect
from shared.lanes import Entry, Lanes, Postponed, opened, patiently
from shared.messages.alert import DeadLetter
from shared.messages.base import Envelope, MalformedMessage, decode, originate
from shared.streams import Stream

if TYPE_CHECKING:
    from shared.bus import Bus

MAX_DELIVERIES = 5
BATCH = 64
BLOCK_MILLISECONDS = 1000  # less than the socket's time-out
TAKE_OVER_SECONDS = 5.0  # between two looks at what other consumers hold, where there should be none
COMPETING_IDLE_MILLISECONDS = 60_000  # a worker that holds an entry for longer is taken for dead
REMEMBERED_IDS = 20_000
INFRASTRUCTURE = (*LOST, psycopg.OperationalError)

OWN_PENDING = b"0"  # XREADGROUP from here gives the entries this consumer has been handed and not acknowledged
NEW = b">"

Handler = Callable[[Envelope[Any]], Awaitable[Sequence[Envelope[Any]]]]
Lane = Callable[[Envelope[Any]], str]
_log = structlog.get_logger()

__all__ = ["Handler", "Lane", "Postponed", "Reader", "Subscription"]


class GroupVanished(RuntimeError):  # noqa: N818 - it says what happened
    """A stream or group that we read was deleted; only a restart may make it again."""


@dataclass(frozen=True)
class Subscription:
    """What a service wants read, as `Bus.subscribe` describes it."""

    stream: Stream
    handler: Handler
    sent: Callable[[Sequence[Envelope[Any]]], None]
    gate: asyncio.Event | None
    competing: bool
    lane: Lane | None


class Reader:
    def __init__(self, bus: "Bus", subscription: Subscription) -> None:
        self._bus = bus
        self._to = subscription
        self._stream = subscription.stream
        self._types = subscription.stream.types
        self._recent: OrderedDict[UUID, None] = OrderedDict()
        # Its own connection: a read that blocks would hold up everything else.
        self._client = connect(bus.url)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`, then finish the entry in hand; of those in lanes, the one that each has begun.

        Raises:
            GroupVanished: the stream or the group was deleted.
            Exception: whatever the handler raised; from a lane, in an ExceptionGroup.
        """
        try:
            if self._to.lane is None:
                await self._read_on(stop, None)
                return
            async with asyncio.TaskGroup() as group:
                await self._read_on(stop, Lanes(self._process, self._count, group, stop))
        finally:
            await self._client.aclose()

    async def _read_on(self, stop: asyncio.Event, lanes: Lanes | None) -> None:
        cursor = OWN_PENDING
        delay = 0.02
        claim_due = 0.0
        while await self._may_read(stop):
            try:
                if cursor == OWN_PENDING or time.monotonic() > claim_due:
                    if await self._take_over():
                        cursor = OWN_PENDING
                    seconds = COMPETING_IDLE_MILLISECONDS / 2000 if self._to.competing else TAKE_OVER_SECONDS
                    claim_due = time.monotonic() + seconds
                entries = await self._read(cursor)
                deliveries = await self._deliveries(entries, cursor)
                delay = 0.02
            except LOST as error:
                metrics.RECONNECTS.labels(self._stream.name).inc()
                _log.warning("reading again", stream=self._stream.name, error=str(error))
                await asyncio.sleep(delay)
                delay, cursor = min(delay * 2, 1.0), OWN_PENDING
                continue
            for entry_id, fields in entries:
                if not await self._may_read(stop):
                    return
                await self._take(entry_id, fields, deliveries, stop, lanes)
            if cursor != NEW:
                cursor = entries[-1][0] if entries else NEW

    async def _may_read(self, stop: asyncio.Event) -> bool:
        return not stop.is_set() if self._to.gate is None else await opened(self._to.gate, stop)

    async def _take(
        self,
        entry_id: bytes,
        fields: dict[bytes, bytes] | None,
        deliveries: int,
        stop: asyncio.Event,
        lanes: Lanes | None,
    ) -> None:
        """Handle what was read, or put it into its lane; bury what nobody can handle."""
        if lanes is not None and entry_id in lanes.in_hand:  # read again after a lost connection
            await self._count(entry_id, deliveries - 1)
            return
        body = (fields or {}).get(FIELD.encode(), b"")
        try:
            entry = Entry(entry_id, decode(body, self._types), deliveries)
        except MalformedMessage as error:
            await self._bury(entry_id, body, str(error))
            return
        if deliveries > MAX_DELIVERIES:
            await self._bury(entry_id, body, f"delivered {MAX_DELIVERIES} times without success")
        elif lanes is not None and self._to.lane is not None:
            await lanes.put(self._to.lane(entry.envelope), entry)
        else:
            await patiently(self._process, self._count, entry, stop)

    async def _read(self, cursor: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """The next entries. Pending ones come one by one, since each reading of one counts as its delivery."""
        try:
            answer = await self._client.xreadgroup(
                self._bus.service,
                self._bus.consumer,
                {self._stream.name: cursor},
                count=BATCH if cursor == NEW and not self._to.competing else 1,
                block=BLOCK_MILLISECONDS if cursor == NEW else None,
            )
        except ResponseError as error:
            raise self._translated(error) from error
        return answer[0][1] if answer else []

    async def _deliveries(self, entries: Sequence[tuple[bytes, Any]], cursor: bytes) -> int:
        """How often the entry just read has been delivered."""
        if cursor == NEW or not entries:
            return 1
        entry_id = entries[0][0]
        pending = await self._client.xpending_range(self._stream.name, self._bus.service, entry_id, entry_id, 1)
        return pending[0]["times_delivered"] if pending else 1

    def _translated(self, error: ResponseError) -> Exception:
        if "LOADING" in str(error):
            return RedisConnectionError(str(error))
        if "NOGROUP" in str(error) or "UNBLOCKED" in str(error):
            return GroupVanished(
                f"group {self._bus.service!r} of stream {self._stream.name!r} is gone; the restart makes it again"
            )
        return error

    async def _take_over(self) -> bool:
        """Claim what other consumers of this group left: all of it, or only what has long been idle.

        Returns whether there was any. Asked for now and then: a predecessor that was frozen may thaw, and claim with
        its last breath what had been taken over from it.

        Claiming does not count as a delivery, and nothing that counts is sent before this got its answer: however
        often a stalled Redis is asked again, no entry comes nearer to its burial.
        """
        idle = COMPETING_IDLE_MILLISECONDS if self._to.competing else 0
        name, group, me = self._stream.name, self._bus.service, self._bus.consumer
        start, found = "-", False
        while True:
            try:
                pending = await self._client.xpending_range(name, group, start, "+", BATCH, idle=idle)
            except ResponseError as error:
                raise self._translated(error) from error
            left = [entry["message_id"] for entry in pending if entry["consumer"] != me.encode()]
            if left:
                found = True
                await self._client.xclaim(name, group, me, idle, left, justid=True)
            if len(pending) < BATCH:
                return found
            start = f"({pending[-1]['message_id'].decode()}"

    async def _process(self, entry: Entry) -> None:
        began = time.perf_counter()
        envelope = entry.envelope
        answers: Sequence[Envelope[Any]] = ()
        if envelope.id in self._recent:
            metrics.DUPLICATES.labels(self._stream.name).inc()
        else:
            self._bus.clock.observe(envelope.time)
            try:
                answers = await self._to.handler(envelope)
            except INFRASTRUCTURE:
                await self._count(entry.id, 0)  # a delivery that failed for want of a database or Redis
                raise
            self._recent[envelope.id] = None
            if len(self._recent) > REMEMBERED_IDS:
                self._recent.popitem(last=False)
        await self._bus.send(answers, (self._stream, entry.id))
        self._to.sent(answers)
        metrics.MESSAGES.labels(self._stream.name, envelope.type).inc()
        metrics.HANDLING.labels(self._stream.name).observe(time.perf_counter() - began)

    async def _count(self, entry_id: bytes, deliveries: int) -> None:
        """Set how often an entry counts as delivered."""
        name, group, me = self._stream.name, self._bus.service, self._bus.consumer
        try:
            await self._client.xclaim(name, group, me, 0, [entry_id], retrycount=deliveries, justid=True)
        except RedisError as error:
            _log.warning("a delivery is counted wrongly", entry=entry_id.decode(), error=str(error))

    async def _bury(self, entry_id: bytes, body: bytes, reason: str) -> None:
        name, entry = self._stream.name, entry_id.decode()
        _log.error("dead letter", stream=name, entry=entry, reason=reason)
        metrics.DEAD.labels(name).inc()
        text = body.decode(errors="replace")
        letter = originate(
            DeadLetter(stream=name, entry_id=entry, group=self._bus.service, reason=reason, body=text),
            source=self._bus.service,
            time=self._bus.clock.now(),
            subject=name,
            key=f"{name}:{entry}:{self._bus.service}",
        )
        await self._bus.send_raw([(self._stream.dead, letter.encode())], (self._stream, entry_id))
