"""The simulated market: sessions, daily bars, and the price path that each day takes through its bar.

Assumptions about the inside of a day, since daily bars do not tell it:
- A rising day (close at or above open) reaches its low before its high, a falling day its high before its low: the
  usual order when only the four prices are known, and on average the shorter path.
- Prices move in straight lines between open, the two extremes and close, on the 0.01 grid, so that all four prices
  are reached exactly and nothing lies outside them. When the extremes are reached is drawn from symbol and date.
- There is one price per tick (`tick_seconds`), the first at the open, the last at the close. Volume grows evenly.
- Bid and ask lie a fixed spread to each side of the last price.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IntegerArray: TypeAlias = NDArray[np.int64]

_PATHS_KEPT = 2048


@dataclass(frozen=True, slots=True)
class Session:
    """One regular trading session; `open` and `close` are aware UTC times, `day` is the exchange's date."""

    day: date
    open: datetime
    close: datetime


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One session's prices in whole cents and its volume in shares."""

    day: date
    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The market in one symbol at one tick. Prices in USD, sizes and volume in shares."""

    symbol: str
    time: datetime
    bid: Decimal
    ask: Decimal
    last: Decimal
    bid_size: int
    ask_size: int
    last_size: int
    volume: int
    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal | None
    session_first: bool
    """True at the first tick of a session, the only place where the price may jump."""


@dataclass(frozen=True, slots=True)
class DayPath:
    """A day's prices in cents and its volume so far, one element per tick."""

    last: IntegerArray
    high: IntegerArray
    low: IntegerArray
    volume: IntegerArray


@lru_cache(maxsize=1 << 16)
def dollars(cents: int) -> Decimal:
    """Return a price given in cents as USD with two decimals."""
    return Decimal(cents).scaleb(-2)


def day_path(symbol: str, bar: DailyBar, ticks: int) -> DayPath:
    """Return the path through `bar` in `ticks` (at least 4) steps; the same for the same arguments, always."""
    draw = hashlib.sha256(f"{symbol} {bar.day.isoformat()}".encode()).digest()
    last_tick = ticks - 1
    first_extreme = 1 + int.from_bytes(draw[:4]) % max(1, last_tick // 2 - 1)
    room = last_tick - first_extreme - 1
    second_extreme = first_extreme + 1 + int.from_bytes(draw[4:8]) % max(1, room)
    extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    corners = (0, first_extreme, second_extreme, last_tick)
    line = np.interp(np.arange(ticks), corners, (bar.open, *extremes, bar.close))
    last = np.rint(line).astype(np.int64)
    volume = (np.arange(1, ticks + 1, dtype=np.int64) * bar.volume) // ticks
    return DayPath(last, np.maximum.accumulate(last), np.minimum.accumulate(last), volume)


class Market:
    """Prices of a fixed set of symbols over a fixed stretch of sessions.

    `sessions` covers history as well; trading is possible from `start` to `end`, both inclusive dates. A session for
    which a symbol has no bar has no ticks in that symbol. Spread is in USD to each side, a multiple of 0.01.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        bars: Mapping[str, Sequence[DailyBar]],
        start: date,
        end: date,
        tick_seconds: int,
        spread: Decimal,
    ) -> None:
        self.symbols = tuple(bars)
        self.tick = timedelta(seconds=tick_seconds)
        self.spread_cents = int(spread.scaleb(2))
        self.all_sessions = tuple(sessions)
        self.sessions = tuple(session for session in sessions if start <= session.day <= end)
        if not self.sessions:
            raise ValueError(f"start, end: no exchange session from {start} to {end}; widen the dates")
        self._opens = [session.open for session in self.all_sessions]
        self._tradable_opens = [session.open for session in self.sessions]
        self._closes = [session.close for session in self.sessions]
        self._by_day = {session.day: session for session in self.all_sessions}
        self.bars = {
            symbol: tuple(bar for bar in of_symbol if bar.day in self._by_day and bar.day <= end)
            for symbol, of_symbol in bars.items()
        }
        self._bar_days = {symbol: [bar.day for bar in of_symbol] for symbol, of_symbol in self.bars.items()}
        self.path = lru_cache(maxsize=_PATHS_KEPT)(self._path)

    @property
    def last_close(self) -> datetime:
        """The end of the data: nothing moves after it."""
        return self.sessions[-1].close

    def fingerprint(self) -> str:
        """Return a digest of everything that decides the prices."""
        digest = hashlib.sha256(f"{self.tick} {self.spread_cents} {self.sessions}".encode())
        for symbol in self.symbols:
            digest.update(f"{symbol} {self.bars[symbol]}".encode())
        return digest.hexdigest()

    def session_of(self, day: date) -> Session:
        return self._by_day[day]

    def session_at(self, now: datetime) -> Session | None:
        """Return the session open at `now` (from its open until just before its close), else None."""
        index = bisect_right(self._opens, now) - 1
        if index < 0 or now >= self.all_sessions[index].close:
            return None
        return self.all_sessions[index]

    def next_open(self, now: datetime) -> datetime | None:
        """Return the first open after `now`, or None after the last session known."""
        index = bisect_right(self._opens, now)
        return self._opens[index] if index < len(self._opens) else None

    def sessions_between(self, after: datetime, until: datetime) -> tuple[Session, ...]:
        """Return the tradable sessions that have ticks later than `after` and not later than `until`."""
        first = bisect_right(self._closes, after)
        return self.sessions[first : bisect_right(self._tradable_opens, until, lo=first)]

    def ticks(self, session: Session) -> int:
        """Number of ticks of a session, the open and the close included."""
        return -(-(session.close - session.open) // self.tick) + 1

    def tick_time(self, session: Session, index: int) -> datetime:
        return min(session.open + index * self.tick, session.close)

    def last_tick(self, session: Session, now: datetime) -> int:
        """Index of the last tick at or before `now`; -1 before the session's open."""
        if now >= session.close:
            return self.ticks(session) - 1
        return (now - session.open) // self.tick if now >= session.open else -1

    def bar(self, symbol: str, day: date) -> DailyBar | None:
        days = self._bar_days[symbol]
        index = bisect_left(days, day)
        return self.bars[symbol][index] if index < len(days) and days[index] == day else None

    def _path(self, symbol: str, day: date) -> DayPath | None:
        bar = self.bar(symbol, day)
        return None if bar is None else day_path(symbol, bar, self.ticks(self._by_day[day]))

    def quote_at_tick(self, symbol: str, session: Session, index: int) -> Quote | None:
        """Return the quote of one tick, or None if the symbol does not trade in that session."""
        path = self.path(symbol, session.day)
        if path is None:
            return None
        last = int(path.last[index])
        before = bisect_left(self._bar_days[symbol], session.day) - 1
        volume = int(path.volume[index])
        return Quote(
            symbol=symbol,
            time=self.tick_time(session, index),
            bid=dollars(last - self.spread_cents),
            ask=dollars(last + self.spread_cents),
            last=dollars(last),
            bid_size=100 * (1 + index * 7 % 9),
            ask_size=100 * (1 + index * 5 % 9),
            last_size=volume - (int(path.volume[index - 1]) if index else 0),
            volume=volume,
            open=dollars(int(path.last[0])),
            high=dollars(int(path.high[index])),
            low=dollars(int(path.low[index])),
            previous_close=dollars(self.bars[symbol][before].close) if before >= 0 else None,
            session_first=index == 0,
        )

    def quote(self, symbol: str, now: datetime) -> Quote | None:
        """Return the latest quote at or before `now`, of an earlier session if need be; None before the first."""
        days = self._bar_days[symbol]
        index = bisect_right(self._opens, now) - 1
        while index >= 0:
            session = self.all_sessions[index]
            if session.day < (days[0] if days else date.max):
                return None
            if self.bar(symbol, session.day) is not None:
                return self.quote_at_tick(symbol, session, self.last_tick(session, now))
            index -= 1
        return None
