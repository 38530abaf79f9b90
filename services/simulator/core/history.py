"""Historical bars, made from the same tapes that are streamed, never from beyond the time that is asked for.

- A duration in days counts trading days, any other is a span of time before the end; months and years are average
  ones. Bars that begin before it are left out.
- Weeks end on Sunday; a week's or a month's bar is dated after its last trading day. The first one is whole even if
  the duration begins inside it.
- Prices are adjusted for the splits known on the day of the request, ADJUSTED_LAST for dividends as well: prices
  before a dividend are multiplied by one minus its share of the last close before it (IBKR, "Historical data").
- Volatilities come from `volatility`; a day's bar opens with the day before's value, and has no more inside it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from services.simulator.core import volatility
from services.simulator.core.aggregate import MAKERS, Bar, Starts, cut, merge, scale
from services.simulator.core.bars import Frame
from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.instruments import SecurityType
from services.simulator.core.market import Market
from services.simulator.core.tape import Tape
from services.simulator.core.tick_data import Stretch, stretches, within_regular

_UNITS = {"secs": 1, "min": 60, "mins": 60, "hour": 3600, "hours": 3600}
_INTRADAY_SIZES = {
    "secs": (1, 5, 10, 15, 30),
    "min": (1,),
    "mins": (2, 3, 5, 10, 15, 20, 30),
    "hour": (1,),
    "hours": (2, 3, 4, 8),
}
BAR_SECONDS: dict[str, int] = {
    f"{number} {unit}": number * _UNITS[unit] for unit, numbers in _INTRADAY_SIZES.items() for number in numbers
}
LONG_BARS = ("1 day", "1 week", "1 month")
_ALIASES = {"1 sec": "1 secs", "1 mins": "1 min", "1 hours": "1 hour", "1W": "1 week", "1M": "1 month"}
_DURATION = re.compile(r"(\d{1,6}) ?([SDWMY])")
_DURATION_DAYS = {"W": 7, "M": 30.4375, "Y": 365.25}
MOST_BARS = 200_000
VOLATILITIES = ("HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY")
SHOWS = (*MAKERS, *VOLATILITIES)


class NoDataError(ValueError):
    """There is nothing of the kind that was asked for."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What a client asks for, in IBKR's words. `end` is an aware time; `regular` = regular hours only."""

    contract_id: int
    end: datetime
    duration: str
    bar_size: str
    show: str
    regular: bool


def bar_size_of(text: str) -> str:
    """Return the name of a bar size. Raises ValueError for one that IBKR does not have."""
    size = _ALIASES.get(text, text)
    if size not in BAR_SECONDS and size not in LONG_BARS:
        names = ", ".join((*BAR_SECONDS, *LONG_BARS))
        raise ValueError(f"Historical data bar size setting {text!r} is invalid. Legal ones are: {names}")
    return size


def check_kind(market: Market, contract_id: int, show: str) -> None:
    """Raise NoDataError if the instrument has no prices of a kind, ValueError if nothing has."""
    kind = market.instrument(contract_id).security_type
    if show not in SHOWS:
        raise ValueError(f"whatToShow {show[:40]!r} is not one of {', '.join((*SHOWS, 'SCHEDULE'))}")
    quotes_only = kind is SecurityType.CURRENCY and show in ("TRADES", "ADJUSTED_LAST")
    trades_only = kind is SecurityType.INDEX and show not in ("TRADES", *VOLATILITIES)
    no_volatility = kind not in (SecurityType.STOCK, SecurityType.INDEX) and show in VOLATILITIES
    not_adjusted = kind is not SecurityType.STOCK and show == "ADJUSTED_LAST"
    if quotes_only or trades_only or no_volatility or not_adjusted:
        raise NoDataError(f"no {show} data for {kind}")


def bars(market: Market, query: HistoryQuery, today: date) -> list[Bar]:
    """Return the bars that begin before the query's end, oldest first; the last one may be unfinished.

    `today` decides which splits and dividends are known. Raises ValueError for a bar size, a duration or a kind of
    data that IBKR does not have, NoDataError for one that the instrument does not have.
    """
    size = bar_size_of(query.bar_size)
    check_kind(market, query.contract_id, query.show)
    frames, earliest = frames_of(market, query)
    if size in ("1 week", "1 month"):
        frames = _from_period_start(market, query, frames, size)
    if size in BAR_SECONDS:
        _refuse_too_many(frames, BAR_SECONDS[size], query, earliest)
    daily = size not in BAR_SECONDS
    found: list[Bar] = []
    for frame in frames:
        tape = market.tape(query.contract_id, frame.day)
        stretch = _part(tape, query, daily=daily) if tape is not None else None
        if stretch is not None:
            made = _of_stretch(market, query, stretch, size, today)
            found += made if daily else [bar for bar in made if _begins(bar) >= earliest]
    return _grouped(found, size)


def updates(market: Market, query: HistoryQuery, after: datetime, now: datetime, today: date) -> list[Bar]:
    """Return the bars that ticks later than `after` and not later than `now` belong to, as they are now."""
    size = bar_size_of(query.bar_size)
    if size in ("1 week", "1 month"):
        fresh = HistoryQuery(query.contract_id, now, "1 D", size, query.show, query.regular)
        moved = any(True for _ in stretches(market, query.contract_id, after, now))
        return bars(market, fresh, today)[-1:] if moved else []
    found: list[Bar] = []
    for stretch in stretches(market, query.contract_id, after, now):
        part = within_regular(stretch) if query.regular else stretch
        if part is None:
            continue
        opening = part.tape.regular[0] if query.regular else 0
        whole = Stretch(part.tape, opening, part.beyond)
        made = _of_stretch(market, query, whole, size, today)
        if size in BAR_SECONDS:
            _, starts = cut(whole, BAR_SECONDS[size])
            since = part.tape.time(part.first)
            touched = sum(start <= since for start in starts) - 1
            made = made[max(0, min(touched, len(made) - 1)) :]
        found += made
    return found


def frames_of(market: Market, query: HistoryQuery) -> tuple[Sequence[Frame], datetime]:
    """Return the trading days of a request and the earliest start of a bar in them.

    Raises ValueError when the duration, which is IBKR's `N S|D|W|M|Y`, cannot be read.
    """
    match = _DURATION.fullmatch(query.duration)
    if match is None:
        raise ValueError(f"duration {query.duration[:40]!r} is not a number and one of S, D, W, M, Y, such as '30 D'")
    number, unit = int(match[1]), match[2]
    days = market.trading_days(query.contract_id)
    begun = days.begun(query.end)
    while begun and _hours(market, query, days.frames[begun - 1])[0] >= query.end:
        begun -= 1
    if not begun:
        return (), query.end
    if unit == "D":
        first = max(0, begun - number)
        return days.frames[first:begun], _hours(market, query, days.frames[min(first, begun - 1)])[0]
    span = timedelta(seconds=number) if unit == "S" else timedelta(days=number * _DURATION_DAYS[unit])
    earliest = query.end - min(span, query.end - days.frames[0].start)
    return days.frames[days.unfinished(earliest) : begun], earliest


def _hours(market: Market, query: HistoryQuery, frame: Frame) -> tuple[datetime, datetime]:
    """Return when a day that the request covers begins and ends."""
    own = market.frame(query.contract_id, frame.day) or frame
    if not query.regular:
        return own.start, own.end
    first, final = own.regular
    return own.start + first * own.step, min(own.start + final * own.step, own.end)


def _begins(bar: Bar) -> datetime:
    assert isinstance(bar.start, datetime)  # noqa: S101 - bars shorter than a day begin at a time
    return bar.start


def _refuse_too_many(frames: Sequence[Frame], seconds: int, query: HistoryQuery, earliest: datetime) -> None:
    if not frames:
        return
    day = min(frames[0].end - frames[0].start, query.end - earliest)
    if len(frames) * day / timedelta(seconds=max(seconds, frames[0].step.total_seconds())) > MOST_BARS:
        raise ValueError("Time length exceed max.")


def _part(tape: Tape, query: HistoryQuery, *, daily: bool) -> Stretch | None:
    """Return the ticks of a day that the request covers; a tick at its end belongs to the next bar."""
    opening, closing = tape.regular if query.regular else (0, len(tape) - 1)
    beyond = min(tape.index(query.end) + 1, closing + 1)
    if not daily and beyond <= closing and beyond and tape.time(beyond - 1) == query.end:
        beyond -= 1
    return Stretch(tape, opening, beyond) if opening < beyond else None


def _of_stretch(market: Market, query: HistoryQuery, stretch: Stretch, size: str, today: date) -> list[Bar]:
    day = stretch.tape.day
    cuts, starts = cut(stretch, BAR_SECONDS[size]) if size in BAR_SECONDS else ([0], [day])
    if query.show in VOLATILITIES:
        finished = size not in BAR_SECONDS and stretch.beyond > stretch.tape.regular[1]
        return _volatility_bars(market, query, day, starts, finished=finished)
    made = MAKERS[query.show](stretch, cuts, starts)
    prices, shares = _factors(market, query, day, today)
    return [scale(bar, prices, shares) for bar in made] if prices != 1 or shares != 1 else made


def _volatility_bars(market: Market, query: HistoryQuery, day: date, starts: Starts, *, finished: bool) -> list[Bar]:
    """Return bars of the value at the day's open, or of both values for a day that is `finished`."""
    measure = volatility.realized if query.show == "HISTORICAL_VOLATILITY" else volatility.implied
    before = measure(market, query.contract_id, day, open_of_day=True)
    value = measure(market, query.contract_id, day) if finished else before
    if value is None:
        return []
    opening = value if before is None else before
    return [Bar(start, opening, max(opening, value), min(opening, value), value) for start in starts]


def _factors(market: Market, query: HistoryQuery, day: date, today: date) -> tuple[Decimal, Decimal]:
    """Return by what prices and volumes of a day are multiplied on account of what happened between it and today."""
    prices = shares = Decimal(1)
    for action in market.actions(query.contract_id):
        if not day < action.day <= today:
            continue
        if action.kind == "split":
            prices, shares = prices / action.value, shares * action.value
        elif query.show == "ADJUSTED_LAST":
            close = market.previous_close(query.contract_id, action.day)
            prices *= 1 - action.value / close if close else Decimal(1)
    return prices, shares


def _period(day: date, size: str) -> tuple[int, int]:
    return day.isocalendar()[:2] if size == "1 week" else (day.year, day.month)


def _from_period_start(market: Market, query: HistoryQuery, frames: Sequence[Frame], size: str) -> Sequence[Frame]:
    if not frames:
        return frames
    period = _period(frames[0].day, size)
    days = market.trading_days(query.contract_id)
    earlier = days.frames[: days.unfinished(frames[0].start)]
    whole: list[Frame] = []
    for frame in reversed(earlier):
        if _period(frame.day, size) != period:
            break
        whole.insert(0, frame)
    return [*whole, *frames]


def _grouped(found: list[Bar], size: str) -> list[Bar]:
    if size not in ("1 week", "1 month"):
        return found
    return [merge(list(group)) for _, group in groupby(found, key=lambda bar: _period(_day(bar), size))]


def _day(bar: Bar) -> date:
    return bar.start.astimezone(NEW_YORK).date() if isinstance(bar.start, datetime) else bar.start


def schedule(market: Market, query: HistoryQuery) -> list[tuple[datetime, datetime, date]]:
    """Return start, end and date of every trading session of a request that begins before its end."""
    frames, _ = frames_of(market, query)
    return [(*_hours(market, query, frame), frame.day) for frame in frames]


def head(market: Market, contract_id: int, *, regular: bool) -> datetime | None:
    """Return when the earliest data of an instrument begin."""
    for frame in market.trading_days(contract_id).frames:
        tape = market.tape(contract_id, frame.day)
        if tape is not None:
            return tape.time(tape.regular[0]) if regular else tape.start
    return None
