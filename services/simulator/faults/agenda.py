"""What is to happen later: at a virtual time, or after a stretch of real time."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

Action: TypeAlias = Callable[[], None]


class Agenda:
    """Actions to come. `failed` is told of an action that raises.

    Real seconds are multiplied by `scale`, so that a test need not wait.
    """

    def __init__(self, failed: Callable[[Exception], None], scale: float = 1) -> None:
        self._failed = failed
        self._scale = scale
        self._virtual: list[tuple[datetime, int, Action]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._order = count()

    def at(self, time: datetime, action: Action) -> None:
        """Do something when virtual time reaches `time`."""
        heappush(self._virtual, (time, next(self._order), action))

    def later(self, seconds: float, action: Action) -> None:
        """Do something after real seconds; must be called inside the event loop."""

        def due() -> None:
            self._timers.discard(timer)
            self.do(action)

        timer = asyncio.get_running_loop().call_later(seconds * self._scale, due)
        self._timers.add(timer)

    def do(self, action: Action) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - no caller could take it; it must end the service
            self._failed(error)

    def next_time(self, until: datetime) -> datetime | None:
        """Return the earliest virtual time of an action, if it is not later than `until`."""
        return self._virtual[0][0] if self._virtual and self._virtual[0][0] <= until else None

    def reached(self, now: datetime) -> None:
        """Do what was due by `now`; what it appends for the same time is done too."""
        while self._virtual and self._virtual[0][0] <= now:
            self.do(heappop(self._virtual)[2])

    def clear(self) -> None:
        self._virtual.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
