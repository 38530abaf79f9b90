"""What a transactional service does with a message: decide, commit with the cause, publish with the acknowledgement.

A crash at any point is harmless: before the commit the entry comes back and is decided again; after it the inbox
says so, and what was not published yet is published at the next start, with the same ids.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from shared.bus import Bus, stopping
from shared.db.store import INBOX_MEMORY_DAYS, Row, Store
from shared.messages.base import Envelope
from shared.reader import Lane

FLUSH_SECONDS = 0.5
PURGE_SECONDS = 3600
ALL_IT_KEEPS = timedelta(days=INBOX_MEMORY_DAYS)
LOST_IN_A_CRASH = timedelta(minutes=1)  # a machine that crashes takes the last second of Redis' file with it
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Effects:
    """What a message leads to: rows as they are to stand, and messages to publish."""

    rows: Sequence[Row] = ()
    messages: Sequence[Envelope[Any]] = ()


# The message meant nothing to this service: deciding it again would do no more, so no transaction remembers it.
NOTHING = Effects()

Decide = Callable[[Envelope[Any]], Awaitable[Effects]]


@dataclass
class Transactor:
    bus: Bus
    store: Store

    async def open(self) -> None:
        """Connect to both, and say what a crash, or a Redis that lost its data, left unsaid.

        A marker in Redis holds the run of the server that this service last spoke to. Without it the data are gone;
        with another run the server was restarted since, and the newest data may be gone.
        """
        await self.store.open()
        await self.bus.open()
        marker, run = f"{self.bus.service}.outbox", (await self.bus.client.info("server"))["run_id"].encode()
        known = await self.bus.client.get(marker)
        if known is None:
            await self.store.recall(ALL_IT_KEEPS)
        elif known != run:
            await self.store.recall(LOST_IN_A_CRASH)
        unsaid = await self.store.unpublished()
        if unsaid:
            _log.info("publishing what was committed before the restart", messages=len(unsaid))
        for message_id, stream, body in unsaid:
            await self.bus.send_raw([(stream, body)])
            self.store.note_published([message_id])
        await self.store.flush()
        await self.bus.client.set(marker, run)

    def subscribe(
        self, stream_name: str, decide: Decide, *, gate: asyncio.Event | None = None, lane: Lane | None = None
    ) -> None:
        """Handle a stream so that each message takes effect once, and its consequences are published at least once.

        `gate` and `lane` as of `Bus.subscribe`.
        """

        async def handle(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
            if self.store.seen(envelope.id):
                return ()
            effects = await decide(envelope)
            if effects is NOTHING:
                return ()
            self._check(effects)
            await self.store.commit(envelope, effects.rows, effects.messages)
            return effects.messages

        self.bus.subscribe(stream_name, handle, sent=self._sent, gate=gate, lane=lane)

    async def perform(self, effects: Effects) -> None:
        """Commit and publish something that no message on a stream caused.

        Raises:
            ValueError: the registry does not let this service write one of the messages; nothing is committed.
        """
        self._check(effects)
        await self.store.commit(None, effects.rows, effects.messages)
        await self.bus.publish(effects.messages)
        self._sent(effects.messages)

    def _check(self, effects: Effects) -> None:
        """What must not be published must not be committed either: the next start would publish it."""
        for message in effects.messages:
            self.bus.stream_for(message)

    def _sent(self, messages: Sequence[Envelope[Any]]) -> None:
        self.store.note_published([message.id for message in messages])

    async def run(self, stop: asyncio.Event) -> None:
        """Read all subscriptions until `stop`; note what was published as it goes."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.bus.run(stop))
            group.create_task(stopping(stop, self._housekeeping(stop)))

    async def _housekeeping(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        purge_due = loop.time() + PURGE_SECONDS
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), FLUSH_SECONDS)
            except TimeoutError:
                await self.store.flush()
            if loop.time() > purge_due:
                await self.store.purge()
                purge_due = loop.time() + PURGE_SECONDS

    async def check(self) -> None:
        """A round trip to each; raises what stands in the way."""
        await self.bus.client.ping()
        await self.store.check()

    async def close(self) -> None:
        await self.store.close()
        await self.bus.close()
