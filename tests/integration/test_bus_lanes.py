"""Entries of one stream handled side by side, against a real Redis."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared import lanes, reader
from shared.bus import Bus
from shared.messages.base import Envelope
from shared.reader import MAX_DELIVERIES, Postponed
from tests.tools import eventually, make_bar, make_bus, pending, publish, running

BARS = "market.bars"


@pytest.fixture(autouse=True)
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices only between two reads that it is to stop; a second each would make these tests slow."""
    monkeypatch.setattr(reader, "BLOCK_MILLISECONDS", 100)


class Gates:
    """A handler that finishes a bar once its gate is open; `begun` and `done` are bars' numbers, in order."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.gates: dict[int, asyncio.Event] = {}

    def hold(self, *numbers: int) -> None:
        self.gates |= {number: asyncio.Event() for number in numbers}

    async def __call__(self, envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        number = int(envelope.data.volume)
        self.begun.append(number)
        if number in self.gates:
            await self.gates[number].wait()
        self.done.append(number)
        return ()


class Postponing(Gates):
    """As Gates, and gives back what it can't do yet."""

    async def __call__(self, envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        number = int(envelope.data.volume)
        self.begun.append(number)
        if number in self.gates and not self.gates[number].is_set():
            raise Postponed(self.gates[number])
        self.done.append(number)
        return ()


def by_symbol(envelope: Envelope[Any]) -> str:
    return envelope.data.symbol


def laned(url: str, handler: Callable[..., Any]) -> Bus:
    bus = make_bus(url, "strategy")
    bus.subscribe(BARS, handler, lane=by_symbol)
    return bus


async def left(bus: Bus, count: int) -> bool:
    return await pending(bus.client, BARS, "strategy") == count


async def deliveries(bus: Bus) -> list[int]:
    entries = await bus.client.xpending_range(BARS, "strategy", "-", "+", 100)
    return [entry["times_delivered"] for entry in entries]


async def test_a_lane_overtakes_another_and_is_acknowledged_by_itself(redis_url: str) -> None:
    handler = Gates()
    handler.hold(1)
    bus = laned(redis_url, handler)
    slow = [make_bar(number, "SLOW") for number in (1, 2)]
    await publish(redis_url, [*slow, *(make_bar(number, "FAST") for number in range(3, 8))])
    async with running(bus):
        await eventually(lambda: handler.done == [3, 4, 5, 6, 7])
        await eventually(lambda: left(bus, 2))
        assert handler.begun.count(2) == 0, "in order within a lane"
        handler.gates[1].set()
        await eventually(lambda: left(bus, 0))
    assert handler.done == [3, 4, 5, 6, 7, 1, 2]


async def test_a_postponed_entry_comes_back_when_it_can_be_handled(redis_url: str) -> None:
    handler = Postponing()
    handler.hold(1)
    bus = laned(redis_url, handler)
    await publish(redis_url, [make_bar(1, "SLOW"), make_bar(2, "SLOW"), make_bar(3, "FAST")])
    async with running(bus):
        await eventually(lambda: handler.done == [3])
        await eventually(lambda: left(bus, 2))
        handler.gates[1].set()
        await eventually(lambda: left(bus, 0))
    assert handler.done == [3, 1, 2]
    assert handler.begun.count(1) == 2


async def test_a_service_that_has_postponed_entries_stops_and_leaves_them_pending(redis_url: str) -> None:
    handler = Postponing()
    handler.hold(1)
    bus = laned(redis_url, handler)
    await publish(redis_url, [make_bar(1, "SLOW"), make_bar(2, "SLOW")])
    async with running(bus):
        await eventually(lambda: handler.begun == [1])
    assert handler.done == []
    successor = Gates()
    bus = laned(redis_url, successor)
    async with running(bus):
        await eventually(lambda: successor.done == [1, 2])


async def test_waiting_brings_no_entry_nearer_to_its_burial(redis_url: str) -> None:
    """However often the process is killed while entries wait: for a gate, or behind others of their lane."""
    await publish(redis_url, [make_bar(number, "SLOW") for number in (1, 2, 3)])
    for _ in range(MAX_DELIVERIES + 2):
        handler = Postponing()
        handler.hold(1)
        bus = laned(redis_url, handler)
        await bus.open()
        killed = asyncio.create_task(bus.run(asyncio.Event()))
        await eventually(lambda h=handler: h.begun == [1])
        await eventually(lambda b=bus: _all_zero(b, 3))
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        await bus.close()
    handler = Postponing()
    bus = laned(redis_url, handler)
    async with running(bus):
        await eventually(lambda: handler.done == [1, 2, 3])
        assert await bus.client.xlen(f"{BARS}.dead") == 0


async def _all_zero(bus: Bus, count: int) -> bool:
    return await deliveries(bus) == [0] * count


async def test_a_failing_entry_is_buried_in_lanes_too(redis_url: str) -> None:
    await publish(redis_url, [make_bar(1, "BAD"), make_bar(2, "BAD")])
    handled: list[int] = []

    async def fail_at_one(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        handled.append(int(envelope.data.volume))
        if handled[-1] == 1:
            raise ArithmeticError("told to fail")
        return ()

    crashes = 0
    while handled[-1:] != [2]:
        bus = laned(redis_url, fail_at_one)
        try:
            async with running(bus):
                await eventually(lambda: handled[-1:] == [2])
                await eventually(lambda b=bus: left(b, 0))
                assert await bus.client.xlen(f"{BARS}.dead") == 1
        except* ArithmeticError:
            crashes += 1
    assert crashes == MAX_DELIVERIES
    assert handled == [*[1] * MAX_DELIVERIES, 2]


async def test_a_lost_connection_hands_nothing_out_twice(redis_url: str) -> None:
    handler = Gates()
    handler.hold(1, 2)
    bus = laned(redis_url, handler)
    await publish(redis_url, [make_bar(1, "ONE"), make_bar(2, "TWO"), make_bar(3, "TWO")])
    async with running(bus):
        await eventually(lambda: handler.begun == [1, 2])
        for number in (4, 5, 6):
            await bus.client.client_kill_filter(_type="normal", skipme=True)
            await publish(redis_url, [make_bar(number, "NEW")])
            await eventually(lambda n=number: handler.done[-1:] == [n])
        for gate in handler.gates.values():
            gate.set()
        await eventually(lambda: left(bus, 0))
    assert sorted(handler.begun) == [1, 2, 3, 4, 5, 6]
    assert handler.done.index(2) < handler.done.index(3)


async def test_no_more_are_taken_in_hand_than_there_is_room_for(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MOST_IN_HAND", 3)
    handler = Gates()
    handler.hold(*range(1, 11))
    bus = laned(redis_url, handler)
    await publish(redis_url, [make_bar(number, f"LANE{number}") for number in range(1, 11)])
    async with running(bus):
        for number in range(1, 11):
            await eventually(lambda n=number: n in handler.begun)
            assert len(handler.begun) - len(handler.done) <= 3
            handler.gates[number].set()
        await eventually(lambda: left(bus, 0))
    assert handler.begun == list(range(1, 11))
