"""Historical bars, made from the same paths and daily bars that are streamed, never from beyond `now`.

A bar holds the ticks from its start up to just before its end; the closing tick belongs to the session's last bar, so
that the bars of a day have together the day's open, high, low, close and volume.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from services.simulator.core.market import DayPath, Market, Session, dollars

_UNITS = {"secs": 1, "min": 60, "mins": 60, "hour": 3600, "hours": 3600}
_INTRADAY_SIZES = {
    "secs": (1, 5, 10, 15, 30),
    "min": (1,),
    "mins": (2, 3, 5, 10, 15, 20, 30),
    "hour": (1,),
    "hours": (2, 3, 4, 8),
}
_BAR_SECONDS: dict[str, int | None] = {
    f"{number} {unit}": number * _UNITS[unit] for unit, numbers in _INTRADAY_SIZES.items() for number in numbers
} | {"1 day": None}
_DURATION = re.compile(r"(\d{1,6}) ([SDWMY])")
_DURATION_DAYS = {"W": 7, "M": 30.4375, "Y": 365.25}
_FOUR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class HistoricalBar:
    """One bar; `start` is an aware UTC time, or a date for daily bars. Prices in USD, volume in shares."""

    start: datetime | date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    average: Decimal
    """Volume-weighted over the ticks; for a finished day the mean of its four prices."""
    count: int


def seconds_of(bar_size: str) -> int | None:
    """Return the length of an intraday bar, None for `1 day`. Raises ValueError for a size IBKR does not have."""
    if bar_size not in _BAR_SECONDS:
        raise ValueError(f"bar size {bar_size!r} is not one of {', '.join(_BAR_SECONDS)}")
    return _BAR_SECONDS[bar_size]


def first_session(market: Market, end: datetime, duration: str) -> tuple[int, datetime]:
    """Return the index of the first session of a request and the earliest bar start in it.

    `end` is later than the first session's open. `duration` is IBKR's: `N S|D|W|M|Y`, where D counts sessions.
    Raises ValueError when it cannot be read.
    """
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise ValueError(f"duration {duration!r} is not a number and one of S, D, W, M, Y, such as '30 D'")
    number, unit = int(match[1]), match[2]
    begun = sum(session.open < end for session in market.all_sessions)
    if unit == "D":
        index = max(0, begun - number)
        return index, market.all_sessions[index].open
    span = timedelta(seconds=number) if unit == "S" else timedelta(days=number * _DURATION_DAYS[unit])
    earliest = end - min(span, end - market.all_sessions[0].open)
    index = sum(session.close <= earliest for session in market.all_sessions)
    return index, earliest


def bars(
    market: Market, symbol: str, end: datetime, duration: str, bar_size: str, zone: ZoneInfo
) -> list[HistoricalBar]:
    """Return the bars of `symbol` that begin before `end`, oldest first; the last one may be unfinished.

    `zone` is the exchange's, whose clock the bars are aligned to. Raises ValueError for a bar size or a duration that
    IBKR does not have.
    """
    seconds = seconds_of(bar_size)
    if end <= market.all_sessions[0].open:
        return []
    index, earliest = first_session(market, end, duration)
    found: list[HistoricalBar] = []
    for session in market.all_sessions[index:]:
        if session.open >= end:
            break
        path = market.path(symbol, session.day)
        if path is None:
            continue
        if seconds is None:
            found.append(_daily(market, symbol, session, path, end))
        else:
            found += _intraday(market, session, path, end, seconds, zone, earliest)
    return found


def _daily(market: Market, symbol: str, session: Session, path: DayPath, end: datetime) -> HistoricalBar:
    if end < session.close:
        return _aggregate(session.day, path, 0, market.last_tick(session, end) + 1)
    bar = market.bar(symbol, session.day)
    assert bar is not None  # noqa: S101 - the path was made from it
    return HistoricalBar(
        start=session.day,
        open=dollars(bar.open),
        high=dollars(bar.high),
        low=dollars(bar.low),
        close=dollars(bar.close),
        volume=bar.volume,
        average=(Decimal(bar.open + bar.high + bar.low + bar.close) / 400).quantize(_FOUR_PLACES),
        count=len(path.last),
    )


def _intraday(
    market: Market,
    session: Session,
    path: DayPath,
    end: datetime,
    seconds: int,
    zone: ZoneInfo,
    earliest: datetime,
) -> list[HistoricalBar]:
    """Cut a session's ticks before `end` at multiples of `seconds` on the exchange's clock."""
    midnight = datetime.combine(session.day, datetime.min.time(), zone)
    offset = int((session.open - midnight).total_seconds())
    tick_seconds = int(market.tick.total_seconds())
    count = market.last_tick(session, end) + 1
    if end < session.close and market.tick_time(session, count - 1) == end:
        count -= 1  # a tick at `end` belongs to the next bar
    slots = (offset + np.arange(count) * tick_seconds) // seconds
    if count == market.ticks(session) and count > 1:
        slots[-1] = slots[-2]  # the closing tick
    cuts = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), count] if count else [0]
    found: list[HistoricalBar] = []
    for first, beyond in pairwise(cuts):
        start = max(session.open, midnight + timedelta(seconds=int(slots[first]) * seconds))
        if start >= earliest:
            found.append(_aggregate(start, path, first, beyond))
    return found


def _aggregate(start: datetime | date, path: DayPath, first: int, beyond: int) -> HistoricalBar:
    prices = path.last[first:beyond]
    volumes = np.diff(path.volume[first:beyond], prepend=path.volume[first - 1] if first else 0)
    volume = int(volumes.sum())
    value = Decimal(int((prices * volumes).sum())) if volume else Decimal(int(prices.sum()))
    weight = volume if volume else beyond - first
    return HistoricalBar(
        start,
        dollars(int(prices[0])),
        dollars(int(prices.max())),
        dollars(int(prices.min())),
        dollars(int(prices[-1])),
        volume,
        (value / weight / 100).quantize(_FOUR_PLACES),
        beyond - first,
    )
