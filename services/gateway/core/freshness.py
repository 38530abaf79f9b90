"""Streams that have fallen silent, whatever the broker says of its connections.

A stream is silent when nothing came for `silence_seconds` while its market is open, or when nothing ever came since
it was opened. It is opened again at once, and while it stays silent after twice as long each time.

Silence counts only as far as both clocks have moved: the machine's (`now`, seconds that only rise) and the gateway's
(`time`), which in a simulated market stands still while the market does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.gateway.core.line_queue import Stream
from shared.calendar import NEW_YORK, session_hours

LONGEST_BACKOFF_SECONDS = 900.0
Hours = Sequence[tuple[datetime, datetime]]


@dataclass(slots=True)
class _Watch:
    """`heard`: the newest tick when it was seen, None before the first; `due`: the silence that is too long."""

    heard: float | None
    since: float
    time: datetime
    due: float
    backoff: float
    silence: float = 0.0


def regular_hours(time: datetime) -> Hours:
    """The US session of that day, for what has no hours of its own."""
    hours = session_hours(time.astimezone(NEW_YORK).date())
    return [hours] if hours else []


class Freshness:
    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._watched: dict[Stream, _Watch] = {}

    def silent(self, stream: Stream, heard: float | None, now: float, time: datetime) -> bool:
        """Whether a stream has been silent so long that it is to be looked after now, if its market is open."""
        watch = self._watched.get(stream)
        if watch is None or (heard is not None and heard != watch.heard):
            since, longest = now if heard is None else heard, self._silence_seconds
            self._watched[stream] = watch = _Watch(heard, since, time, due=longest, backoff=longest)
        if heard is None and watch.heard is not None:  # the broker's permission was lost
            watch.heard, watch.since, watch.time = None, now, time
        watch.silence = min(now - watch.since, (time - watch.time).total_seconds())
        return watch.silence >= watch.due

    def to_be_reopened(self, stream: Stream, hours: Hours, time: datetime) -> bool:
        """Whether a silent stream's market has been open long enough for its silence to mean something.

        Then the next time is after a longer silence.
        """
        watch = self._watched[stream]
        opened = [start for start, end in hours if start <= time < end]
        # even a closed market has a last price to tell, so a stream that never told anything is no matter of hours
        if watch.heard is not None and (not opened or (time - max(opened)).total_seconds() < self._silence_seconds):
            return False
        watch.due, watch.backoff = watch.silence + watch.backoff, min(watch.backoff * 2, LONGEST_BACKOFF_SECONDS)
        return True

    def keep(self, streams: Iterable[Stream]) -> None:
        """Forget all others."""
        self._watched = {stream: self._watched[stream] for stream in streams if stream in self._watched}
