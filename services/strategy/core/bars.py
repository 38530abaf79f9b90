"""One symbol's closed bars as arrays, and the same bars seen on a longer timeframe."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.calendar import next_session, session_hours, sessions
from shared.messages.market import Bar
from shared.types import Timeframe

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Times: TypeAlias = NDArray[np.datetime64]

SECONDS = {  # of a bar; a day is a session, which has no fixed length
    Timeframe.FIVE_SECONDS: 5,
    Timeframe.FIFTEEN_SECONDS: 15,
    Timeframe.THIRTY_SECONDS: 30,
    Timeframe.MINUTE: 60,
    Timeframe.FIVE_MINUTES: 300,
    Timeframe.FIFTEEN_MINUTES: 900,
    Timeframe.THIRTY_MINUTES: 1800,
    Timeframe.HOUR: 3600,
}
_LEAST_NIGHT_TO_CLOSE = 20 * 3600  # seconds from one session's close to the next one's, at least


class UnfitBarsError(ValueError):
    """The bars are of a timeframe that can't be worked on; the text says why."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's closed bars, oldest first: arrays of one shape (n,). Prices in USD per share, volume in shares.

    `end` holds the bars' ends, datetime64[us] in UTC. The arrays become read-only: no strategy spoils them for another.
    """

    end: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        for column in (self.end, self.open, self.high, self.low, self.close, self.volume):
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.end)

    def part(self, start: int, stop: int) -> "Bars":
        """The bars from index `start` up to, not including, `stop`."""
        cut = slice(start, stop)
        return Bars(
            self.end[cut], self.open[cut], self.high[cut], self.low[cut], self.close[cut], self.volume[cut]
        )  # fmt: skip

    def first(self, count: int) -> "Bars":
        """The oldest `count` bars."""
        return self.part(0, count)

    def resample(self, timeframe: Timeframe) -> "Bars":
        """These bars joined to longer ones, as far as those are complete.

        A day ends with its New York session, and what trades after that counts to the next; shorter bars end at round
        times. The newest is there once its end has come. The oldest is left out: it may have begun before these bars.

        Raises:
            UnfitBarsError: these bars are not shorter than `timeframe`.
        """
        ends = period_ends(self.end, timeframe)
        begins = np.flatnonzero(np.append(True, ends[1:] != ends[:-1])) if len(self) else np.zeros(0, np.intp)
        edges = np.append(begins, len(self))[1:]
        complete = edges[:-1][ends[edges[:-1]] <= self.end[-1]] if len(edges) > 1 else edges[:0]
        if not len(complete):
            return self.first(0)
        stop = int(edges[len(complete)])
        return Bars(
            ends[complete],
            self.open[complete],
            np.maximum.reduceat(self.high[:stop], complete),
            np.minimum.reduceat(self.low[:stop], complete),
            self.close[edges[1 : len(complete) + 1] - 1],
            np.add.reduceat(self.volume[:stop], complete),
        )

    def align(self, higher: "Bars", values: Floats) -> Floats:
        """One value for each of these bars: that of the last bar of `higher` that had closed by then, else NaN.

        `values` has the shape of `higher`, the answer that of these bars.
        """
        place = np.searchsorted(higher.end, self.end, side="right") - 1
        return np.append(values, np.nan)[place]  # place -1, before the first, is the NaN

    @staticmethod
    def of(bars: Sequence[Bar]) -> "Bars":
        """Turn exact bars into arrays for indicators; the only place where prices become floats."""
        ends = [round(bar.end.timestamp() * 1_000_000) for bar in bars]
        rows = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
        columns = np.ascontiguousarray(np.array(rows, dtype=np.float64).reshape(-1, 5).T)
        return Bars(np.array(ends, dtype="datetime64[us]"), *columns)


def period_ends(ends: Times, timeframe: Timeframe) -> Times:
    """When the longer bar ends that each bar belongs to; both arrays of shape (n,), datetime64[us] in UTC.

    Raises:
        UnfitBarsError: no two bars are closer than `timeframe` is long.
    """
    step = np.timedelta64(SECONDS.get(timeframe, _LEAST_NIGHT_TO_CLOSE), "s")
    if len(ends) > 1 and np.diff(ends).min() >= step:
        raise UnfitBarsError(f"these bars can't be joined to bars of {timeframe}: they are as long already")
    if timeframe is Timeframe.DAY:
        closes = _session_closes(ends)
        return closes[np.searchsorted(closes, ends)]
    beyond = (ends - np.datetime64(0, "us")) % step
    return np.where(beyond == np.timedelta64(0), ends, ends - beyond + step).astype("datetime64[us]")


def _session_closes(ends: Times) -> Times:
    """The closes of all sessions from the first of `ends` to the last, and the next if that comes later."""
    if not len(ends):
        return ends
    first, last = ends[[0, -1]].astype("datetime64[D]").tolist()
    days = sessions(first, last)
    closes = [_close(day) for day in days]
    if not closes or closes[-1] < ends[-1]:
        closes.append(_close(next_session(days[-1] if days else last - timedelta(days=1))))
    return np.array(closes, dtype="datetime64[us]")


def _close(session: date) -> np.datetime64:
    hours = session_hours(session)
    assert hours is not None  # noqa: S101 - it is a session
    return np.datetime64(hours[1].replace(tzinfo=None), "us")
