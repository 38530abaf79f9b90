"""The only reader of the wall clock.

Live and paper services live on wall time. In simulated mode the simulator's market decides what time it is, so a
service's clock is the newest time on any message it has seen: a run depends on the messages alone, however
fast or slow the machine is, and whatever is restarted meanwhile.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from shared.types import Mode


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, UTC and aware."""
        ...

    def observe(self, time: datetime) -> None:
        """Learn that a message carried this time."""
        ...


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def observe(self, time: datetime) -> None:
        pass


class MessageClock:
    """Never goes back; begins at the epoch, before which no message can be."""

    def __init__(self) -> None:
        self._now = datetime.fromtimestamp(0, UTC)

    def now(self) -> datetime:
        return self._now

    def observe(self, time: datetime) -> None:
        self._now = max(self._now, time)


def clock_for(mode: Mode) -> Clock:
    return MessageClock() if mode is Mode.SIMULATED else WallClock()


def wall_age(time: datetime) -> timedelta:
    """How long ago, in real time, `time` was."""
    return datetime.now(UTC) - time
