"""The bus while Redis stalls, crashes and comes back. Each test has a Redis of its own."""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from cli.servers import RedisServer
from shared.bus import Bus
from shared.messages.base import Envelope
from tests.tools import eventually, make_bar, make_bus, running

BARS = "market.bars"


def reading(url: str) -> tuple[Bus, list[int]]:
    """A reader of bars and the numbers of those it handled."""
    got: list[int] = []

    async def handle(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        got.append(int(envelope.data.volume))
        return ()

    bus = make_bus(url, "strategy")
    bus.subscribe(BARS, handle)
    return bus, got


async def publish_until(bus: Bus, stop: asyncio.Event) -> int:
    """Publish bars one after another; returns how many."""
    number = 0
    while not stop.is_set():
        number += 1
        await bus.publish([make_bar(number)])
        await asyncio.sleep(0.002)  # the load, not a synchronisation
    return number


async def test_a_stall_of_twelve_seconds_loses_nothing_and_doubles_nothing(redis_server: RedisServer) -> None:
    bus, got = reading(redis_server.url)
    writer = make_bus(redis_server.url, "marketdata")
    stop = asyncio.Event()
    async with running(bus), asyncio.TaskGroup() as group:
        publishing = group.create_task(publish_until(writer, stop))
        await eventually(lambda: len(got) > 50)
        os.kill(redis_server.pid, signal.SIGSTOP)
        await asyncio.sleep(12)  # the length of the fault
        os.kill(redis_server.pid, signal.SIGCONT)
        before = len(got)
        await eventually(lambda: len(got) > before + 50, 20)
        stop.set()
        count = await publishing
        await eventually(lambda: len(got) >= count)
        entries = await bus.client.xlen(BARS)
        dead = await bus.client.xlen(f"{BARS}.dead")
    await writer.close()
    assert got == list(range(1, count + 1)), "each once, in order"
    assert entries >= count  # more where a reply was lost and the entry published again
    assert dead == 0


async def test_a_killed_redis_comes_back_with_everything_in_order(redis_server: RedisServer) -> None:
    bus, got = reading(redis_server.url)
    writer = make_bus(redis_server.url, "marketdata")
    stop = asyncio.Event()
    async with running(bus), asyncio.TaskGroup() as group:
        publishing = group.create_task(publish_until(writer, stop))
        for _ in range(3):
            before = len(got)
            await eventually(lambda n=before: len(got) > n + 100)
            redis_server.kill()
            await asyncio.sleep(0.3)  # the length of the fault
            redis_server.start()
        before = len(got)
        await eventually(lambda: len(got) > before + 100)
        stop.set()
        count = await publishing
        await eventually(lambda: len(got) >= count)
    await writer.close()
    assert got == list(range(1, count + 1)), "each once, in order"


async def test_a_service_waits_for_a_redis_that_is_not_there_yet(redis_server: RedisServer) -> None:
    redis_server.kill()
    bus = make_bus(redis_server.url, "strategy")
    opening = asyncio.create_task(bus.open())
    await asyncio.sleep(0.3)  # the length of the fault
    assert not opening.done()
    redis_server.start()
    await asyncio.wait_for(opening, 5)
    async with Redis.from_url(redis_server.url) as client:
        assert [group["name"] for group in await client.xinfo_groups(BARS)] == [b"strategy"]
    await bus.close()


async def test_long_stalls_bring_no_entry_nearer_to_its_burial(redis_server: RedisServer) -> None:
    """What a stalled Redis is asked it does later: each asking again must not count as one more delivery."""
    writer = make_bus(redis_server.url, "marketdata")
    bus, got = reading(redis_server.url)
    await bus.open()
    await writer.publish([make_bar(1)])
    await bus.client.xreadgroup("strategy", "predecessor", {BARS: ">"})  # pending
    os.kill(redis_server.pid, signal.SIGSTOP)
    stop = asyncio.Event()
    reader = asyncio.create_task(bus.run(stop))
    await asyncio.sleep(11)  # two time-outs of the socket and more
    os.kill(redis_server.pid, signal.SIGCONT)
    await eventually(lambda: got == [1])
    stop.set()
    await reader
    await writer.close()
    await bus.close()
