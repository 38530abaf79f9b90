"""Prices as the matching engine sees them: one tape per instrument and trading day, one element per tick.

Prices on a tape are whole multiples of its `unit`, so that comparisons are exact and whole stretches of ticks can be
searched at once. Any source of prices that can produce tapes can drive the engine: the simulated market, a backtest,
a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.simulator.core.instruments import Instrument

IntegerArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Session:
    """Regular trading hours of one day of the main exchange; `open` and `close` are UTC, `day` is its own date."""

    day: date
    open: datetime
    close: datetime


@lru_cache(maxsize=1 << 16)
def price_of(units: int, unit: Decimal) -> Decimal:
    """Return a tape's price as a Decimal."""
    return units * unit


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """One instrument's trading day. Tick `i` is at `start + i * step`, the last one at `end` at the latest.

    Arrays have one element per tick. Prices are in `unit`s, sizes and volume in shares or contracts.
    """

    contract_id: int
    day: date
    start: datetime
    end: datetime
    step: timedelta
    unit: Decimal
    last: IntegerArray
    bid: IntegerArray
    ask: IntegerArray
    bid_size: IntegerArray
    ask_size: IntegerArray
    volume: IntegerArray
    """Cumulative from the day's first tick."""
    regular: tuple[int, int]
    """Indices of the opening and of the closing tick of regular hours: where the auctions are, if there are any."""
    auctions: bool = True
    """True if the opening and the closing tick of regular hours are single-price auctions at `last`."""
    halts: tuple[tuple[int, int], ...] = ()
    """Stretches of ticks, first and beyond, in which trading is halted: quotes stand still and nothing fills."""

    def __len__(self) -> int:
        return len(self.last)

    def time(self, index: int) -> datetime:
        return min(self.start + index * self.step, self.end)

    def index(self, now: datetime) -> int:
        """Index of the last tick at or before `now`; -1 before the first."""
        if now >= self.end:
            return len(self.last) - 1
        return (now - self.start) // self.step if now >= self.start else -1

    def halted(self, index: int) -> bool:
        return any(first <= index < beyond for first, beyond in self.halts)

    def price(self, units: int) -> Decimal:
        return price_of(int(units), self.unit)


@dataclass(frozen=True, slots=True)
class Level:
    """One price of the book and what is shown at it."""

    price: Decimal
    size: int


class Prices(Protocol):
    """What the engine asks of a market. Every answer is the same for the same arguments, always."""

    @property
    def sessions(self) -> Sequence[Session]:
        """The main exchange's tradable sessions; the first one's day is when time begins, the last close its end."""
        ...

    def instrument(self, contract_id: int) -> Instrument:
        """Raises KeyError for an id that was never listed."""
        ...

    def tape(self, contract_id: int, day: date) -> Tape | None:
        """Return the trading day that belongs to `day`, None if the instrument does not trade in it."""
        ...

    def tape_at(self, contract_id: int, now: datetime) -> Tape | None:
        """Return the tape that is running: `start <= now < end`."""
        ...

    def next_tape(self, contract_id: int, after: datetime) -> Tape | None:
        """Return the running tape or the first one to start later: the first whose `end` is later than `after`."""
        ...

    def latest(self, contract_id: int, now: datetime) -> tuple[Tape, int] | None:
        """Return the tape and index of the last tick at or before `now`, of an earlier day if need be."""
        ...

    def ladder(self, tape: Tape, index: int) -> tuple[Sequence[Level], Sequence[Level]]:
        """Return bids and asks at a tick, best first; the best levels are the tape's own bid and ask."""
        ...

    def increment(self, contract_id: int, price: Decimal) -> Decimal:
        """Return the smallest price step at `price` under the instrument's market rule."""
        ...
