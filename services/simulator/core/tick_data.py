"""Ticks one by one: trades, quotes and midpoints, as they are streamed and as history has them.

Assumptions:
- A tick at which an instrument's volume grew is one trade, of all that volume at the tick's last price. A tick at which
  the last price moved without volume is a trade of size 0, so that the last price of the quotes is always that of the
  latest trade.
- A tick is a new quote if a price or a size of it differs from the tick before; it is a new midpoint if that differs.
  The first tick of a day is always one.
- The times of history are whole seconds, as IBKR's; a tick of any time is streamed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Protocol, TypeAlias

import numpy as np

from services.simulator.core.tape import IntegerArray, Tape


@dataclass(frozen=True, slots=True)
class Trade:
    time: datetime
    price: Decimal
    size: int


@dataclass(frozen=True, slots=True)
class BidAsk:
    time: datetime
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class Midpoint:
    time: datetime
    price: Decimal


Tick: TypeAlias = Trade | BidAsk | Midpoint
Ticks: TypeAlias = Callable[[Tape, int, int], Sequence[Tick]]
"""Tape, first tick, tick beyond the last -> what happened at them."""


class TapeSource(Protocol):
    """Where tapes come from: `core.tape.Prices` is one."""

    def next_tape(self, contract_id: int, after: datetime) -> Tape | None: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ticks of one tape, from `first` until before `beyond`; at least one."""

    tape: Tape
    first: int
    beyond: int


def stretches(source: TapeSource, contract_id: int, after: datetime, until: datetime) -> Iterator[Stretch]:
    """Yield the ticks of an instrument later than `after` and not later than `until`, in order."""
    tape = source.next_tape(contract_id, after)
    while tape is not None and tape.start <= until:
        first, beyond = tape.index(after) + 1, tape.index(until) + 1
        if first < beyond:
            yield Stretch(tape, first, beyond)
        tape = source.next_tape(contract_id, tape.end)


def within_regular(stretch: Stretch) -> Stretch | None:
    """Return the part of a stretch that is inside regular hours, None if there is none."""
    opening, closing = stretch.tape.regular
    first, beyond = max(stretch.first, opening), min(stretch.beyond, closing + 1)
    return Stretch(stretch.tape, first, beyond) if first < beyond else None


def traded(tape: Tape, first: int, beyond: int) -> IntegerArray:
    """Return what traded at each tick."""
    before = int(tape.volume[first - 1]) if first else 0
    return np.diff(tape.volume[first:beyond], prepend=before)


def _moved(prices: IntegerArray, first: int, beyond: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which ticks have another value than the tick before."""
    if first:
        return np.diff(prices[first - 1 : beyond]) != 0
    moved = np.ones(beyond - first, dtype=np.bool_)
    moved[1:] = np.diff(prices[first:beyond]) != 0
    return moved


def trade_mask(tape: Tape, first: int, beyond: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which ticks are trades."""
    return (traded(tape, first, beyond) > 0) | _moved(tape.last, first, beyond)


def trades(tape: Tape, first: int, beyond: int) -> Sequence[Trade]:
    sizes = traded(tape, first, beyond)
    return [
        Trade(tape.time(first + offset), tape.price(tape.last[first + offset]), int(sizes[offset]))
        for offset in np.flatnonzero(trade_mask(tape, first, beyond)).tolist()
    ]


def quotes(tape: Tape, first: int, beyond: int) -> Sequence[BidAsk]:
    arrays = (tape.bid, tape.ask, tape.bid_size, tape.ask_size)
    changed = np.logical_or.reduce([_moved(values, first, beyond) for values in arrays])
    found: list[BidAsk] = []
    for index in (np.flatnonzero(changed) + first).tolist():
        bid, ask = tape.price(tape.bid[index]), tape.price(tape.ask[index])
        found.append(BidAsk(tape.time(index), bid, ask, int(tape.bid_size[index]), int(tape.ask_size[index])))
    return found


def midpoints(tape: Tape, first: int, beyond: int) -> Sequence[Midpoint]:
    doubled = tape.bid + tape.ask
    return [
        Midpoint(tape.time(index), int(doubled[index]) * tape.unit / 2)
        for index in (np.flatnonzero(_moved(doubled, first, beyond)) + first).tolist()
    ]


KINDS: dict[str, Ticks] = {"TRADES": trades, "BID_ASK": quotes, "MIDPOINT": midpoints}
"""By what history calls them."""


class History(TapeSource, Protocol):
    """A source that also knows the last tick before a time: `core.tape.Prices` is one."""

    def latest(self, contract_id: int, now: datetime) -> tuple[Tape, int] | None: ...


_MOMENT = timedelta(microseconds=1)


def ticks_from(
    source: History, contract_id: int, kind: Ticks, start: datetime, until: datetime, count: int, *, regular: bool
) -> list[Tick]:
    """Return the first `count` ticks at or after `start`, none later than `until`."""
    return list(islice(_forward(source, contract_id, kind, start, until, regular=regular), count))


def _forward(
    source: History, contract_id: int, kind: Ticks, start: datetime, until: datetime, *, regular: bool
) -> Iterator[Tick]:
    for stretch in stretches(source, contract_id, start - _MOMENT, until):
        part = within_regular(stretch) if regular else stretch
        if part is not None:
            yield from kind(part.tape, part.first, part.beyond)


def ticks_before(
    source: History, contract_id: int, kind: Ticks, end: datetime, count: int, *, regular: bool
) -> list[Tick]:
    """Return the last `count` ticks at or before `end`, oldest first."""
    found: list[Tick] = []
    place = source.latest(contract_id, end)
    while place is not None and len(found) < count:
        tape, index = place
        whole = Stretch(tape, 0, index + 1)
        part = within_regular(whole) if regular else whole
        if part is not None:
            found = [*kind(part.tape, part.first, part.beyond), *found]
        place = source.latest(contract_id, tape.start - _MOMENT)
    return found[-count:]


def histogram(stretch_list: Sequence[Stretch]) -> list[tuple[Decimal, int]]:
    """Return what traded at each price, lowest price first. All stretches are of one instrument."""
    if not stretch_list:
        return []
    prices = np.concatenate([each.tape.last[each.first : each.beyond] for each in stretch_list])
    sizes = np.concatenate([traded(each.tape, each.first, each.beyond) for each in stretch_list])
    levels, places = np.unique(prices, return_inverse=True)
    totals = np.bincount(places, weights=sizes).astype(np.int64)
    tape = stretch_list[0].tape
    return [(tape.price(level), total) for level, total in zip(levels.tolist(), totals.tolist(), strict=True) if total]
