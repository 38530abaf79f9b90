"""Workers that share a group, and the trimming that no group may lose by."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from shared import connection, reader
from shared.bus import FIELD, Bus
from shared.messages.base import Envelope, originate
from shared.messages.scan import ScanShard
from shared.reader import NEW
from shared.streams import BY_NAME
from tests.tools import Collector, calls, eventually, make_bar, make_bus, pending, publish, running

BARS = "market.bars"


@pytest.fixture(autouse=True)
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices only between two reads that it is to stop; a second each would make these tests slow."""
    monkeypatch.setattr(reader, "BLOCK_MILLISECONDS", 100)


async def test_competing_workers_share_the_entries(redis_url: str) -> None:
    shards = [_shard(number) for number in range(40)]
    await publish(redis_url, shards)
    done: dict[str, list[str]] = {"one": [], "two": []}

    def worker(name: str) -> Bus:
        async def work(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
            done[name].append(envelope.data.symbols[0])
            await asyncio.sleep(0.002)  # the work
            return ()

        bus = make_bus(redis_url, "scanner", name)
        bus.subscribe("scan.commands", work, competing=True)
        return bus

    async with running(worker("one")), running(worker("two")):
        await eventually(lambda: sum(map(len, done.values())) == len(shards))
    assert sorted(done["one"] + done["two"], key=int) == [str(number) for number in range(40)]
    assert min(map(len, done.values())) > 5


def _shard(number: int) -> Envelope[Any]:
    shard = ScanShard(symbols=(str(number),))
    return originate(shard, source="scheduler", time=make_bar(1).time, subject="scan", key=str(number))


async def test_a_competing_worker_takes_over_what_a_dead_one_left(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "COMPETING_IDLE_MILLISECONDS", 400)
    await publish(redis_url, [_shard(1)])
    survivor = make_bus(redis_url, "scanner", "survivor")
    await survivor.open()
    await survivor.client.xreadgroup("scanner", "dead", {"scan.commands": NEW}, count=10)
    await survivor.client.config_resetstat()
    collector = Collector()
    survivor.subscribe("scan.commands", collector, competing=True)
    async with running(survivor):
        await eventually(lambda: len(collector.got) == 1)
        assert await calls(survivor.client, "xclaim") == 1


async def test_what_a_thawed_predecessor_took_is_taken_back(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "TAKE_OVER_SECONDS", 0.2)
    collector = Collector()
    successor = make_bus(redis_url, "strategy", "successor")
    successor.subscribe(BARS, collector)
    async with running(successor):
        await publish(redis_url, [make_bar(1)])
        await eventually(lambda: collector.numbers == [1])
        for number in range(2, 20):  # some of them the predecessor gets first
            await publish(redis_url, [make_bar(number)])
            await successor.client.xreadgroup("strategy", "thawed", {BARS: NEW}, count=1)
        await eventually(lambda: sorted(collector.numbers) == list(range(1, 20)))
        await eventually(lambda: nothing_pending(successor.client))


async def nothing_pending(client: Any) -> bool:
    return await pending(client, BARS, "strategy") == 0


async def _old_entries(client: Any, first: int, count: int) -> None:
    pipeline = client.pipeline()
    for number in range(first, first + count):
        pipeline.xadd(BARS, {FIELD: make_bar(number).encode()}, id=f"{number}-0")
    await pipeline.execute()


async def test_trimming_keeps_what_nobody_has_acknowledged(redis_url: str) -> None:
    bus = make_bus(redis_url, "strategy")
    await bus.open()
    await _old_entries(bus.client, 1, 1000)  # ids of 1970: all past their retention
    assert await connection.trim(bus.client, BY_NAME[BARS]) == 0, "nothing was delivered yet"
    await bus.client.xreadgroup("strategy", "test", {BARS: NEW}, count=700)
    await bus.client.xack(BARS, "strategy", *[f"{number}-0" for number in range(1, 501) if number != 301])
    await connection.trim(bus.client, BY_NAME[BARS])
    kept = {entry_id.decode() for entry_id, _ in await bus.client.xrange(BARS)}
    assert {"301-0", *(f"{number}-0" for number in range(501, 1001))} <= kept
    assert len(kept) < 1000
    await bus.close()


async def test_trimming_waits_for_a_group_that_is_missing(redis_url: str) -> None:
    bus = make_bus(redis_url, "strategy")
    await _old_entries(bus.client, 1, 500)
    await bus.client.xgroup_create(BARS, "stranger", id="$")
    assert await connection.trim(bus.client, BY_NAME[BARS]) == 0
    await bus.close()


async def test_trimming_removes_what_is_acknowledged_and_past_retention(redis_url: str) -> None:
    collector = Collector()
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, collector)
    await _old_entries(bus.client, 1, 500)
    await publish(redis_url, [make_bar(501)])
    async with running(bus):
        await eventually(lambda: len(collector.got) == 501)
        await eventually(lambda: nothing_pending(bus.client))
        assert await connection.trim(bus.client, BY_NAME[BARS]) >= 400
        assert (await bus.tail(BARS, 1))[0].data.volume == 501
