"""The lanes' signals in the order in which they are carried out, each with all that this takes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.backtest.core.bar_fills import to_price
from services.backtest.core.lanes import Lane
from services.backtest.core.tape import EPOCH, Tape, Times, to_units
from shared.messages.market import Bar

CHUNK = 256
"""Signals that become Python objects at once: a strategy may signal at every bar, and these are large."""


class Signal(NamedTuple):
    """A wish of a lane at the open of its series' bar number `bar`; `known` is the bar at whose close it arose.

    `opening` in USD. `stop` and `target` are distances in USD. What is bought now is sold at the open of the bar
    `leaves_at` by the next exit signal (the number of bars where there is none), and is too old from `too_old_at` on.
    """

    step: int
    time: datetime
    lane: Lane
    bar: int
    leaving: bool
    strength: float
    opening: Decimal
    stop: Decimal | None
    target: Decimal | None
    leaves_at: int
    too_old_at: int
    known: Bar


def in_order(tape: Tape, lanes: Sequence[Lane], max_holding_days: int) -> Iterator[Signal]:
    """By step, and within one by lane."""
    if not lanes:
        return
    tables = [_columns(tape, lane, number, max_holding_days) for number, lane in enumerate(lanes)]
    columns = [np.concatenate(column) for column in zip(*tables, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    for begin in range(0, len(order), CHUNK):
        rows = order[begin : begin + CHUNK]
        for row in zip(*(column[rows].tolist() for column in columns), strict=True):
            yield _signal(tape, lanes, row)


def _columns(tape: Tape, lane: Lane, number: int, max_holding_days: int) -> Sequence[NDArray[Any]]:
    """One array of each field that a signal is made of, in the order of `_signal`."""
    series = tape.series[lane.series]
    starts, exits, bar = tape.start[series.step], lane.bar[lane.leaving], lane.bar
    leaves_at = np.append(exits, len(starts))[np.searchsorted(exits, bar, side="right")]
    too_old_at = np.searchsorted(starts, starts[bar] + np.timedelta64(max_holding_days, "D"))
    closed, bars = series.first + bar - 1, series.history.bars
    prices = (to_units(column[closed]) for column in (bars.open, bars.high, bars.low, bars.close))
    return (
        series.step[bar],
        np.full(len(bar), number),
        _since_epoch(starts[bar]),
        bar,
        lane.leaving,
        lane.strength,
        series.open[bar],
        lane.stop,
        lane.target,
        leaves_at,
        too_old_at,
        _since_epoch(series.history.start[closed]),
        _since_epoch(bars.end[closed]),
        *prices,
        bars.volume[closed].astype(np.int64),
    )


def _since_epoch(times: Times) -> NDArray[np.timedelta64]:
    """To add to EPOCH, which is how an array's times become aware ones fastest."""
    return times.astype("datetime64[us]").view("timedelta64[us]")


def _signal(tape: Tape, lanes: Sequence[Lane], row: tuple[Any, ...]) -> Signal:
    (step, number, time, bar, leaving, strength, opening, stop, target, leaves_at, too_old_at,
     start, end, first, high, low, close, volume) = row  # fmt: skip
    lane: Lane = lanes[int(number)]
    history = tape.series[lane.series].history
    known = Bar.trusted(
        symbol=history.symbol,
        timeframe=history.timeframe,
        start=EPOCH + start,
        end=EPOCH + end,
        open=to_price(first),
        high=to_price(high),
        low=to_price(low),
        close=to_price(close),
        volume=Decimal(volume),
    )
    return Signal(
        step,
        EPOCH + time,
        lane,
        bar,
        leaving,
        strength,
        to_price(opening),
        to_price(stop) if stop else None,
        to_price(target) if target else None,
        leaves_at,
        too_old_at,
        known,
    )
