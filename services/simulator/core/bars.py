"""Where prices come from: a series of daily or of minute bars, and the path that a day takes through them.

Assumptions about the inside of a day when only its daily bar is known:
- A rising day (close at or above open) reaches its low before its high, a falling day its high before its low: the
  usual order when only the four prices are known, and on average the shorter path.
- Prices move in straight lines between open, the two extremes and close, on the price grid, so that all four prices
  are reached exactly and nothing lies outside them. When the extremes are reached is drawn from symbol and date.
- 2 % of the day's volume trade in the opening auction and 6 % in the closing one; the rest is three times as dense
  at open and close as at mid-day. (The NYSE reports 5 to 10 % of the volume in its closing auction.)
- Outside regular hours prices go straight from the last close to the open, and stay at the close afterwards; a
  hundredth of the day's volume trades in all that time, on top of the bar's.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.simulator.core.tape import IntegerArray

_OPENING_SHARE, _CLOSING_SHARE, _OUTSIDE_SHARE = 0.02, 0.06, 0.01


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One trading day's prices in units of its series and its volume in shares or contracts."""

    day: date
    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The ticks of one trading day, before there are prices: tick `i` is at `start + i * step`, the last at `end`."""

    day: date
    start: datetime
    end: datetime
    step: timedelta
    regular: tuple[int, int]
    """Indices of the opening and of the closing tick of regular hours."""

    def __len__(self) -> int:
        return ticks_between(self.start, self.end, self.step)


def ticks_between(start: datetime, end: datetime, step: timedelta) -> int:
    """Number of ticks from `start` to `end`, both included."""
    return -(-(end - start) // step) + 1


@dataclass(frozen=True, slots=True)
class DayPath:
    """A day's prices in units and its volume so far, one element per tick, and the stretches of ticks halted."""

    last: IntegerArray
    volume: IntegerArray
    halts: tuple[tuple[int, int], ...] = ()


class Series(Protocol):
    """One instrument's past and future prices. Bars and paths agree with each other."""

    @property
    def days(self) -> Sequence[date]:
        """The days that have prices, in order."""
        ...

    def bar(self, day: date) -> DailyBar | None:
        """Return the prices of a day's regular hours."""
        ...

    def path(self, frame: Frame) -> DayPath | None: ...

    def digest(self) -> str:
        """Return a text that differs whenever any price does."""
        ...


@lru_cache(maxsize=64)
def volume_shares(ticks: int) -> NDArray[np.float64]:
    """Return the share of a day's volume that has traded by each tick, both auctions included; the last is 1."""
    position = np.linspace(-1.0, 1.0, ticks)
    density = 1.0 + 2.0 * position**2
    density[[0, -1]] = 0.0
    shares = density * ((1.0 - _OPENING_SHARE - _CLOSING_SHARE) / density.sum())
    shares[0], shares[-1] = _OPENING_SHARE, _CLOSING_SHARE
    cumulative = np.cumsum(shares)
    cumulative[-1] = 1.0
    return cumulative


def corners(key: str, bar: DailyBar, ticks: int) -> tuple[int, int, int, int]:
    """Return the ticks of open, first extreme, second extreme and close; drawn from `key` and the bar's date."""
    draw = hashlib.sha256(f"{key} {bar.day.isoformat()}".encode()).digest()
    last_tick = ticks - 1
    first_extreme = 1 + int.from_bytes(draw[:4]) % max(1, last_tick // 2 - 1)
    room = last_tick - first_extreme - 1
    second_extreme = first_extreme + 1 + int.from_bytes(draw[4:8]) % max(1, room)
    return 0, first_extreme, second_extreme, last_tick


def day_path(key: str, bar: DailyBar, ticks: int, halt_share: float = 0.0) -> DayPath:
    """Return the path through `bar` in `ticks` (at least 4) steps; the same for the same arguments, always.

    A halt lasts `halt_share` of the day and begins just after the first extreme, as a pause for volatility does; it
    is left out if the second extreme comes before it would end.
    """
    at = corners(key, bar, ticks)
    extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    line = np.interp(np.arange(ticks), at, (bar.open, *extremes, bar.close))
    last = np.rint(line).astype(np.int64)
    volume = np.floor(volume_shares(ticks) * bar.volume).astype(np.int64)
    volume[-1] = bar.volume
    halted = max(1, round(halt_share * ticks)) if halt_share > 0 else 0
    first, beyond = at[1] + 1, at[1] + 1 + halted
    if not halted or beyond >= at[2]:
        return DayPath(last, volume)
    last[first:beyond] = last[first - 1]
    volume[first:beyond] = volume[first - 1]
    return DayPath(last, volume, ((first, beyond),))


def straight(first: float, last: float, ticks: int) -> NDArray[np.float64]:
    """Return `ticks` prices from `first` straight towards `last`, which would be the next one."""
    return first + (last - first) / max(1, ticks) * np.arange(ticks, dtype=np.float64)


def with_outside_hours(frame: Frame, inner: DayPath, previous_close: int, volume: int) -> DayPath:
    """Return the path of a whole frame around the path of its regular hours."""
    first, final = frame.regular
    before, after = first, len(frame) - 1 - final
    if not before and not after:
        return inner
    rise = straight(previous_close, int(inner.last[0]), before)
    last = np.concatenate([np.rint(rise).astype(np.int64), inner.last, np.full(after, inner.last[-1])])
    extra = np.linspace(0.0, volume * _OUTSIDE_SHARE, before + after + 1).astype(np.int64)
    cumulative = np.concatenate(
        [extra[:before], extra[before] + inner.volume, inner.volume[-1] + extra[before + 1 :]],
    )
    halts = tuple((start + first, beyond + first) for start, beyond in inner.halts)
    return DayPath(last, cumulative, halts)


class DailySeries:
    """Prices known as daily bars. `key` decides the paths, by convention the symbol; `halts` says how large a share
    of a day trading is halted."""

    def __init__(self, key: str, bars: Sequence[DailyBar], halts: Mapping[date, float] | None = None) -> None:
        self.key = key
        self.bars = bars
        self.days = [bar.day for bar in bars]
        self.halts = halts or {}

    def bar(self, day: date) -> DailyBar | None:
        index = bisect_left(self.days, day)
        return self.bars[index] if index < len(self.bars) and self.days[index] == day else None

    def path(self, frame: Frame) -> DayPath | None:
        bar = self.bar(frame.day)
        if bar is None:
            return None
        first, final = frame.regular
        inner = day_path(self.key, bar, final - first + 1, self.halts.get(frame.day, 0.0))
        index = bisect_left(self.days, frame.day)
        previous = self.bars[index - 1].close if index else bar.open
        return with_outside_hours(frame, inner, previous, bar.volume)

    def digest(self) -> str:
        return hashlib.sha256(f"{self.key} {self.bars} {sorted(self.halts.items())}".encode()).hexdigest()
