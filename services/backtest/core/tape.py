"""The prices that both gears of the BARS way of filling trade on: whole multiples of PRICE_UNIT, on one axis of steps.

A step is the moment at which bars end, all that end together. Bars of a day carry the date, New York, of their start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.backtest.core.model import PRICE_UNIT, History
from services.strategy.core.strategy import Floats
from shared.calendar import NEW_YORK
from shared.config import ConfigError

Integers = NDArray[np.int64]
Times = NDArray[np.datetime64]

UNITS = int(1 / PRICE_UNIT)
"""How many make one USD."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOWEST_PRICE_TICKS = 3
"""Below this a quote with spread and slippage taken off could be rounded down to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One symbol's bars that trade: arrays of shape (n,), prices in PRICE_UNIT, `volume` in whole shares.

    They are the bars `first` to `first + n - 1` of `history`; `step` is the index of each into the steps of the tape.
    """

    history: History
    first: int
    step: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """All symbols: `end` of each step and the `start` of its (earliest) bar, datetime64[us] in UTC, shape (k,).

    `days` holds the index of the first step of each New York date that has one.
    """

    start: Times
    end: Times
    days: Integers
    series: tuple[Series, ...]


def make_tape(histories: Sequence[History], first: date, last: date, tick_size: Decimal) -> Tape:
    """The bars from `first` to `last`, both included; earlier ones are for indicators only.

    Raises:
        ConfigError: there are none, or prices or times are no good; the text names symbol, bar and value.
    """
    timeframes = sorted({history.timeframe for history in histories})
    if len(timeframes) > 1:
        raise ConfigError(
            f"fills = bars trades one timeframe, not {' and '.join(timeframes)}; back-test these strategies apart"
        )
    for history in histories:
        _check(history, tick_size)
    cuts = [np.searchsorted(history.start, _midnights(first, last)[[0, -1]]) for history in histories]
    starts = [history.start[begin:end] for history, (begin, end) in zip(histories, cuts, strict=True)]
    ends = [history.bars.end[begin:end] for history, (begin, end) in zip(histories, cuts, strict=True)]
    end, step = _steps(ends)
    if not len(end):
        names = ", ".join(history.symbol for history in histories) or "no symbol"
        raise ConfigError(f"there is no bar of {names} from first = {first} to last = {last}; move the dates")
    start = np.full(len(end), np.datetime64(2**62, "us"))
    for symbol_starts, steps in zip(starts, step, strict=True):
        start[steps] = np.minimum(start[steps], symbol_starts)
    days = np.unique(np.searchsorted(start, _midnights(first, last)[:-1]))
    series = [
        _series(history, begin, finish, steps)
        for history, (begin, finish), steps in zip(histories, cuts, step, strict=True)
    ]
    return Tape(start, end, days[days < len(end)], tuple(series))


def to_units(prices: Floats) -> Integers:
    """USD to multiples of PRICE_UNIT, half to even."""
    return np.rint(prices * UNITS).astype(np.int64)


def to_datetime(moment: np.datetime64) -> datetime:
    """The same moment, aware."""
    return EPOCH + moment.astype("datetime64[us]").view("timedelta64[us]").item()


def _steps(ends: Sequence[Times]) -> tuple[Times, list[Integers]]:
    """The distinct ends in order, and for each symbol's bars which of them is theirs."""
    if all(len(one) == len(ends[0]) and (one == ends[0]).all() for one in ends):  # else sorting takes its time
        return ends[0], [np.arange(len(ends[0]))] * len(ends)
    every = np.unique(np.concatenate(ends))
    return every, [np.searchsorted(every, one) for one in ends]


def _series(history: History, begin: int, end: int, step: Integers) -> Series:
    bars = history.bars
    part = slice(begin, end)
    return Series(
        history,
        int(begin),
        step,
        to_units(bars.open[part]),
        to_units(bars.high[part]),
        to_units(bars.low[part]),
        to_units(bars.close[part]),
        bars.volume[part].astype(np.int64),
    )


def _check(history: History, tick_size: Decimal) -> None:
    """Raise ConfigError unless times ascend and prices are such as can be traded."""
    bars, lowest = history.bars, float(tick_size) * LOWEST_PRICE_TICKS
    if len(history.start) != len(bars):
        raise ConfigError(f"{history.symbol}: {len(history.start)} starts for {len(bars)} bars; give one for each")
    for name, times in (("start", history.start), ("end", bars.end)):
        unsorted = np.flatnonzero(times[1:] <= times[:-1])
        if unsorted.size:
            raise ConfigError(
                f"{history.symbol}: bar {unsorted[0] + 1} has {name} {times[unsorted[0] + 1]}, which is not after the"
                f" one before it; sort the bars and leave each in once"
            )
    for name, prices in (("open", bars.open), ("high", bars.high), ("low", bars.low), ("close", bars.close)):
        bad = np.flatnonzero(~((prices >= lowest) & (prices < np.inf)))
        if bad.size:
            raise ConfigError(
                f"{history.symbol}: {name} of the bar that ends {bars.end[bad[0]]} is {prices[bad[0]]} USD; fills ="
                f" bars needs at least {LOWEST_PRICE_TICKS} ticks of tick_size = {tick_size}: lower risk.tick_size, or"
                " leave the symbol out"
            )
    if not (bars.volume >= 0).all():
        bad = np.flatnonzero(~(bars.volume >= 0))
        raise ConfigError(
            f"{history.symbol}: volume of the bar that ends {bars.end[bad[0]]} is {bars.volume[bad[0]]};"
            " give 0 or more shares"
        )


@lru_cache(maxsize=16)
def _midnights(first: date, last: date) -> Times:
    """The beginning of each New York date from `first` to the one after `last`, UTC; one array, do not change it."""
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 2))
    utc = (datetime.combine(day, time(), NEW_YORK).astimezone(UTC).replace(tzinfo=None) for day in days)
    return np.array(list(utc), dtype="datetime64[us]")
