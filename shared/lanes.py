"""Entries of one stream side by side: in order within a lane, each lane by itself.

Redis counts a reading of an entry as its delivery, and buries what was delivered too often. Here an entry may wait
long before it is handled, behind others of its lane or for what its handler needs; a process that is killed meanwhile
must not bring it nearer to its burial. So a delivery counts from when handling begins: `count` takes it back for the
time of waiting.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.messages.base import Envelope

MOST_IN_HAND = 500


class Postponed(Exception):  # noqa: N818 - it says what happened
    """A handler's "not now": it has done nothing, and wants the same entry again once `until` is set."""

    def __init__(self, until: asyncio.Event) -> None:
        super().__init__("postponed")
        self.until = until


@dataclass(frozen=True, slots=True)
class Entry:
    """`deliveries`: how often it has been handed out, this time included."""

    id: bytes
    envelope: Envelope[Any]
    deliveries: int


async def opened(gate: asyncio.Event, stop: asyncio.Event) -> bool:
    """Wait until the gate is open (True) or the process is to stop (False)."""
    if not gate.is_set() and not stop.is_set():
        waits = [asyncio.create_task(gate.wait()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
    return not stop.is_set()


Handle = Callable[[Entry], Awaitable[None]]
Count = Callable[[bytes, int], Awaitable[None]]


async def patiently(handle: Handle, count: Count, entry: Entry, stop: asyncio.Event, *, waited: bool = False) -> bool:
    """Handle an entry as soon as its handler can; returns whether it did before the process was to stop.

    Args:
        count: sets how often an entry counts as delivered.
        waited: the delivery was taken back already.
    """
    while True:
        if waited:
            await count(entry.id, entry.deliveries)
        try:
            await handle(entry)
        except Postponed as postponed:
            waited = True
            await count(entry.id, entry.deliveries - 1)
            if not await opened(postponed.until, stop):
                return False
        else:
            return True


class Lanes:
    """The entries in hand. A task for each lane that has some; what fails in one sets `stop` and fails the group."""

    def __init__(self, handle: Handle, count: Count, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        self._handle = handle
        self._count = count
        self._group = group
        self._stop = stop
        self._queues: dict[str, deque[Entry]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self.in_hand: set[bytes] = set()

    async def put(self, lane: str, entry: Entry) -> None:
        """Add an entry to the end of its lane; waits while there are too many in hand."""
        if not await opened(self._room, self._stop):
            return
        self.in_hand.add(entry.id)
        if len(self.in_hand) >= MOST_IN_HAND:
            self._room.clear()
        if lane in self._queues:
            self._queues[lane].append(entry)
            await self._count(entry.id, entry.deliveries - 1)
        else:
            self._queues[lane] = deque([entry])
            self._group.create_task(self._drain(lane))

    async def _drain(self, lane: str) -> None:
        queue, waited = self._queues[lane], False
        try:
            while queue and not self._stop.is_set():
                if not await patiently(self._handle, self._count, queue[0], self._stop, waited=waited):
                    return
                self.in_hand.discard(queue.popleft().id)
                self._room.set()
                waited = True  # those behind it
        except BaseException:
            self._stop.set()
            raise
        finally:
            del self._queues[lane]
