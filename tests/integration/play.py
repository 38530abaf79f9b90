"""Playing the services around the one that is tested."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from shared.bus import Bus
from shared.clock import MessageClock
from shared.config import Common
from shared.messages.base import Envelope, Message, originate
from shared.runtime import Service

M = TypeVar("M", bound=Message)
PATIENCE_SECONDS = 40


async def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until `condition()` (which may be asynchronous) gives something true, and return it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            result = condition()
            result = await result if asyncio.iscoroutine(result) else result
            if result:
                return result
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(service: Service, *, crash: bool = False) -> AsyncIterator[Service]:
    """Run a service in this process until the block ends; what it raised is raised here.

    `crash`: at the end it is torn out of whatever it is doing, instead of being asked to stop.
    """
    stop = asyncio.Event()
    work = asyncio.create_task(service.run(stop))
    try:
        await eventually(lambda: work.done() or is_ready(service))
        yield service
    finally:
        stop.set()
        if crash:
            work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def is_ready(service: Service) -> bool:
    try:
        return await service.ready() is None
    except RuntimeError:  # the store is not open yet
        return False


class Process:
    """One service as a process of its own, which can be killed."""

    def __init__(self, name: str, common: Common) -> None:
        self._name = name
        self._environment = os.environ | {
            "MILLRACE_REDIS_URL": common.redis_url,
            "MILLRACE_DATABASE_URL": common.database_url,
            "MILLRACE_HTTP_PORT": "0",
            "MILLRACE_CONSUMER": "test",
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = (sys.executable, "-m", f"services.{self._name}")
        self._process = await asyncio.create_subprocess_exec(*command, env=self._environment)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return await self._process.wait()


class Player:
    """Speaks as any service, and hears everything."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._buses: dict[str, Bus] = {}

    async def say(self, service: str, *envelopes: Envelope[Any]) -> None:
        """Publish as `service`."""
        if service not in self._buses:
            self._buses[service] = Bus(self._common.redis_url, service=service, consumer="player", clock=MessageClock())
            await self._buses[service].open()
        await self._buses[service].publish(envelopes)

    async def tell(self, service: str, message: Message, time: datetime, key: str = "") -> Envelope[Any]:
        """Publish a message without a cause as `service`."""
        envelope = originate(message, source=service, time=time, subject="test", key=f"{key}{time.isoformat()}")
        await self.say(service, envelope)
        return envelope

    async def heard(self, stream: str, kind: type[M]) -> list[Envelope[M]]:
        """Every message of a type on a stream, oldest first, without its repetitions."""
        bus = next(iter(self._buses.values()))
        once: dict[UUID, Envelope[Any]] = {}
        for envelope in await bus.tail(stream, 10_000):
            once.setdefault(envelope.id, envelope)
        return [envelope for envelope in once.values() if isinstance(envelope.data, kind)]

    async def at_rest(self, stream: str, group: str) -> bool:
        """Whether a service has handled everything that is on a stream."""
        client = next(iter(self._buses.values())).client
        newest = (await client.xinfo_stream(stream))["last-generated-id"]
        groups = {found["name"]: found for found in await client.xinfo_groups(stream)}
        found = groups[group.encode()]
        return found["pending"] == 0 and found["last-delivered-id"] == newest

    async def close(self) -> None:
        for bus in self._buses.values():
            await bus.close()


@asynccontextmanager
async def playing(common: Common, *services: str) -> AsyncIterator[Player]:
    """A player with these services' voices."""
    player = Player(common)
    for service in services:
        await player.say(service)
    try:
        yield player
    finally:
        await player.close()


async def count(player: Player, stream: str, kind: type[M], wanted: int) -> Sequence[Envelope[M]]:
    """Wait until there are as many messages of a type on a stream, and return them."""

    async def enough() -> list[Envelope[M]] | None:
        found = await player.heard(stream, kind)
        return found if len(found) >= wanted else None

    return await eventually(enough)
