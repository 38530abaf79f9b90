"""Bars made from the ticks of a tape.

A bar holds the ticks from its start up to just before its end; a day's closing tick belongs to its last bar, so that
the bars of a day have together the day's open, high, low, close and volume. Bars begin at multiples of their length on
the exchange's clock, the first one of a day at the first tick.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.tape import IntegerArray, Tape, price_of
from services.simulator.core.tick_data import Stretch, trade_mask, traded

_PLACES, _QUOTE_PLACES = Decimal("0.0001"), Decimal("0.0000001")
_NONE = Decimal(-1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `start` is an aware UTC time, or a date for bars of a day or more.

    Bars of quotes have -1 for what only trades have: volume, average and count.
    """

    start: datetime | date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int = -1
    average: Decimal = _NONE
    """Volume-weighted; the plain mean of the ticks where nothing traded."""
    count: int = -1


Cuts: TypeAlias = Sequence[int]
"""Where bars begin, as offsets into a stretch of ticks; the first is 0."""
Starts: TypeAlias = Sequence[datetime] | Sequence[date]
Maker: TypeAlias = Callable[[Stretch, Cuts, Starts], list[Bar]]


def cut(stretch: Stretch, seconds: int) -> tuple[Cuts, list[datetime]]:
    """Return where the bars of `seconds` begin in a stretch, and their start times (UTC).

    A stretch that ends with the closing tick, of the day or of its regular hours, has it in the bar before.
    """
    tape, count = stretch.tape, stretch.beyond - stretch.first
    origin = tape.start.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    offset = int((tape.start - origin).total_seconds())
    step = int(tape.step.total_seconds())
    slots: IntegerArray = (offset + np.arange(stretch.first, stretch.beyond, dtype=np.int64) * step) // seconds
    if stretch.beyond == len(tape):
        slots[-1] = (offset + int((tape.end - tape.start).total_seconds()) - 1) // seconds
        if count > 1:
            slots[-1] = slots[-2]
    elif stretch.beyond == tape.regular[1] + 1 and stretch.first >= tape.regular[0] and count > 1:
        slots[-1] = slots[-2]
    cuts = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist()]
    earliest = tape.time(stretch.first if stretch.first == tape.regular[0] else 0)
    start = origin.astimezone(tape.start.tzinfo)
    return cuts, [max(earliest, start + timedelta(seconds=int(slots[place]) * seconds)) for place in cuts]


def _corners(prices: IntegerArray, cuts: Cuts) -> "zip[tuple[int, int, int, int]]":
    """Return first, highest, lowest and last price of each bar."""
    lasts = [*(cut - 1 for cut in cuts[1:]), len(prices) - 1]
    return zip(
        prices[list(cuts)].tolist(),
        np.maximum.reduceat(prices, cuts).tolist(),
        np.minimum.reduceat(prices, cuts).tolist(),
        prices[lasts].tolist(),
        strict=True,
    )


def of_trades(stretch: Stretch, cuts: Cuts, starts: Starts) -> list[Bar]:
    """Return bars of the last price, with what traded."""
    tape, first, beyond = stretch.tape, stretch.first, stretch.beyond
    prices, sizes = tape.last[first:beyond], traded(tape, first, beyond)
    volumes = np.add.reduceat(sizes, cuts).tolist()
    values, sums = np.add.reduceat(prices * sizes, cuts).tolist(), np.add.reduceat(prices, cuts).tolist()
    counts = np.add.reduceat(trade_mask(tape, first, beyond).astype(np.int64), cuts).tolist()
    lengths = np.diff([*cuts, beyond - first]).tolist()
    found: list[Bar] = []
    for number, (opening, high, low, close) in enumerate(_corners(prices, cuts)):
        volume = volumes[number]
        mean = Decimal(values[number]) / volume if volume else Decimal(sums[number]) / lengths[number]
        four = (tape.price(opening), tape.price(high), tape.price(low), tape.price(close))
        average = (mean * tape.unit).quantize(_PLACES)
        found.append(Bar(starts[number], *four, volume, average, counts[number]))
    return found


def of_price(prices_of: Callable[[Tape], IntegerArray], parts: int = 1) -> Maker:
    """Return a maker of bars of one price of the quotes, which comes in so many parts of the tape's unit."""

    def make(stretch: Stretch, cuts: Cuts, starts: Starts) -> list[Bar]:
        unit = stretch.tape.unit / parts
        prices = prices_of(stretch.tape)[stretch.first : stretch.beyond]
        found: list[Bar] = []
        for start, corners in zip(starts, _corners(prices, cuts), strict=True):
            opening, high, low, close = (price_of(units, unit) for units in corners)
            found.append(Bar(start, opening, high, low, close))
        return found

    return make


def of_bid_and_ask(stretch: Stretch, cuts: Cuts, starts: Starts) -> list[Bar]:
    """Return bars of the quotes: average bid, highest ask, lowest bid, average ask (IBKR's BID_ASK)."""
    tape, span = stretch.tape, slice(stretch.first, stretch.beyond)
    bids, asks = tape.bid[span], tape.ask[span]
    lengths = np.diff([*cuts, len(bids)]).tolist()
    columns = zip(
        np.add.reduceat(bids, cuts).tolist(),
        np.maximum.reduceat(asks, cuts).tolist(),
        np.minimum.reduceat(bids, cuts).tolist(),
        np.add.reduceat(asks, cuts).tolist(),
        strict=True,
    )
    return [
        Bar(
            starts[number],
            (bid_sum * tape.unit / lengths[number]).quantize(_QUOTE_PLACES),
            tape.price(high),
            tape.price(low),
            (ask_sum * tape.unit / lengths[number]).quantize(_QUOTE_PLACES),
        )
        for number, (bid_sum, high, low, ask_sum) in enumerate(columns)
    ]


MAKERS: dict[str, Maker] = {
    "TRADES": of_trades,
    "ADJUSTED_LAST": of_trades,
    "MIDPOINT": of_price(lambda tape: tape.bid + tape.ask, parts=2),
    "BID": of_price(lambda tape: tape.bid),
    "ASK": of_price(lambda tape: tape.ask),
    "BID_ASK": of_bid_and_ask,
}
"""By IBKR's whatToShow."""


def merge(bars: Sequence[Bar]) -> Bar:
    """Return one bar of several that follow each other; it has the start of the last one, as IBKR's weeks have."""
    volume = sum(bar.volume for bar in bars)
    if bars[0].volume < 0:
        volume, average, count = -1, _NONE, -1
    else:
        weight = volume or len(bars)
        total = sum((bar.average * (bar.volume if volume else 1) for bar in bars), Decimal(0))
        average, count = (total / weight).quantize(_PLACES), sum(bar.count for bar in bars)
    return Bar(
        bars[-1].start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        volume,
        average,
        count,
    )


def scale(bar: Bar, prices: Decimal, shares: Decimal) -> Bar:
    """Return a bar with its prices multiplied by `prices` and its volume by `shares`."""
    if prices == 1 and shares == 1:
        return bar
    opening, high, low, close = (
        (price * prices).quantize(_PLACES) for price in (bar.open, bar.high, bar.low, bar.close)
    )
    return Bar(
        bar.start,
        opening,
        high,
        low,
        close,
        volume=int(bar.volume * shares) if bar.volume > 0 else bar.volume,
        average=bar.average if bar.average < 0 else (bar.average * prices).quantize(_PLACES),
        count=bar.count,
    )
