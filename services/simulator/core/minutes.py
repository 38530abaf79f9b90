"""Prices known as bars inside the day, usually of a minute each.

Assumptions about the inside of a bar are those about a day in `bars`: its open, one extreme, the other and its close
lie 0, 1/4, 7/12 and 11/12 of its length into it, joined by straight lines; then the price stays until the next bar.
A tick takes the price at its moment, so that ticks as far apart as bars miss some extremes. A bar's length is the
shortest time from one to the next on its day. A day's bar is made from the bars that touch regular hours, and the first
and last tick of these are its open and its close. A bar's volume counts when it has ended.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from services.simulator.core.bars import DailyBar, DayPath, Frame
from services.simulator.core.tape import IntegerArray, Session

_CORNERS = (0.0, 3 / 12, 7 / 12, 11 / 12)
_MINUTE, _INSTANT = 60, 0.001


@dataclass(frozen=True, slots=True, eq=False)
class MinuteDay:
    """One day's minute bars, in order: `seconds` since the epoch at which each begins, prices in units."""

    seconds: IntegerArray
    open: IntegerArray
    high: IntegerArray
    low: IntegerArray
    close: IntegerArray
    volume: IntegerArray

    @property
    def length(self) -> int:
        """Seconds that a bar lasts."""
        return int(np.diff(self.seconds).min()) if len(self.seconds) > 1 else _MINUTE


class MinuteSeries:
    """Minute bars by day. Days without a bar in the regular hours of `sessions` count as without prices."""

    def __init__(self, days: Mapping[date, MinuteDay], sessions: Sequence[Session]) -> None:
        self._days: dict[date, MinuteDay] = {}
        self._bars: dict[date, DailyBar] = {}
        for session in sessions:
            minutes = days.get(session.day)
            bar = None if minutes is None else _regular_bar(minutes, session)
            if minutes is not None and bar is not None:
                self._days[session.day], self._bars[session.day] = minutes, bar
        self.days = list(self._days)

    def bar(self, day: date) -> DailyBar | None:
        return self._bars.get(day)

    def path(self, frame: Frame) -> DayPath | None:
        minutes, bar = self._days.get(frame.day), self._bars.get(frame.day)
        if minutes is None or bar is None:
            return None
        ticks = len(frame)
        times = frame.start.timestamp() + np.arange(ticks) * frame.step.total_seconds()
        times[-1] = frame.end.timestamp()
        moments, prices = _corners(minutes)
        last = np.rint(np.interp(times, moments, prices)).astype(np.int64)
        first, final = frame.regular
        last[first], last[final] = bar.open, bar.close
        before = bisect_left(minutes.seconds.tolist(), float(times[0]))
        ended = np.maximum(np.searchsorted(minutes.seconds + minutes.length, times, side="right"), before)
        traded = np.concatenate([np.zeros(1, np.int64), np.cumsum(minutes.volume)])
        return DayPath(last, traded[ended] - traded[before])

    def digest(self) -> str:
        digest = hashlib.sha256()
        for day, minutes in self._days.items():
            digest.update(day.isoformat().encode())
            for column in (minutes.seconds, minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume):
                digest.update(column.tobytes())
        return digest.hexdigest()


def _corners(minutes: MinuteDay) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the moments and prices that the path goes through in straight lines."""
    rising = minutes.close >= minutes.open
    early = np.where(rising, minutes.low, minutes.high)
    late = np.where(rising, minutes.high, minutes.low)
    begins = minutes.seconds.astype(np.float64)
    until_next = np.append(np.diff(begins), float(minutes.length)) - _INSTANT
    moments = np.stack([*(begins + corner * minutes.length for corner in _CORNERS), begins + until_next], axis=1)
    prices = np.stack([minutes.open, early, late, minutes.close, minutes.close], axis=1).astype(np.float64)
    return moments.ravel(), prices.ravel()


def _regular_bar(minutes: MinuteDay, session: Session) -> DailyBar | None:
    inside = (minutes.seconds + minutes.length > _epoch(session.open)) & (minutes.seconds < _epoch(session.close))
    if not inside.any():
        return None
    return DailyBar(
        session.day,
        int(minutes.open[inside][0]),
        int(minutes.high[inside].max()),
        int(minutes.low[inside].min()),
        int(minutes.close[inside][-1]),
        int(minutes.volume[inside].sum()),
    )


def _epoch(time: datetime) -> int:
    return int(time.timestamp())
