"""Historical bars: what is asked in IBKR's words, and what it answers in ours.

Durations are in days, which IBKR counts as trading days: a span in seconds would be empty on a Sunday. It takes days
for bars of 5 seconds to 1 hour, and years for days
(https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/, "Historical data: duration, step sizes").
"""

from datetime import UTC, date, datetime
from decimal import Decimal

from ib_async.objects import BarData

from services.gateway.adapters.tws.convert import decimal
from services.gateway.core import bar_times
from services.gateway.core.times import parse_time
from shared.calendar import NEW_YORK
from shared.instruments import parse
from shared.messages.market import Bar
from shared.messages.market_requests import FetchHistory, HistoryKind
from shared.types import SecurityType

LONGEST_DAYS = 365  # of a duration in days; IBKR wants years beyond it
SESSIONS_OF_A_YEAR = 250  # at least
EPOCH_SECONDS = 2  # the form of dates that is asked for: no time zone to misread


def end_and_duration(request: FetchHistory, until: datetime) -> tuple[str, str]:
    """IBKR's end and duration of a request; an empty end is now, the only one that adjusted prices have."""
    days = bar_times.days_for(request.timeframe, request.count)
    end = request.end if request.end is not None and request.end < until else None
    if end is None or request.kind is HistoryKind.ADJUSTED_LAST:
        return "", _duration(days + (until - end).days + 1 if end else days)
    return f"{end.astimezone(UTC):%Y%m%d-%H:%M:%S}", _duration(days)


def _duration(days: int) -> str:
    return f"{days} D" if days <= LONGEST_DAYS else f"{-(-days // SESSIONS_OF_A_YEAR)} Y"


def closed(request: FetchHistory, told: list[BarData], until: datetime) -> tuple[list[Bar], list[str]]:
    """The newest `request.count` closed bars, and the dates of those that could not be placed in time."""
    end = until if request.end is None else min(request.end, until)
    kind = parse(request.symbol).security_type
    found: list[Bar] = []
    doubtful: list[str] = []
    for one in told:
        placed = bar(request, kind, one)
        if placed is None:
            doubtful.append(str(one.date))
        elif placed.end <= end:
            found.append(placed)
    return found[-request.count :], doubtful


def bar(request: FetchHistory, kind: SecurityType, told: BarData) -> Bar | None:
    """One historical bar; None for one whose date can't be read, or is no session of our calendar."""
    start = _start(str(told.date))
    if start is None:
        return None
    span = bar_times.span(kind, request.timeframe, start, regular_hours=request.regular_hours)
    if span is None:
        return None
    return Bar(
        symbol=request.symbol,
        timeframe=request.timeframe,
        start=span[0],
        end=span[1],
        open=decimal(told.open),
        high=decimal(told.high),
        low=decimal(told.low),
        close=decimal(told.close),
        volume=max(decimal(told.volume), Decimal(0)),  # -1 for bars of anything but trades
    )


def _start(text: str) -> date | datetime | None:
    if len(text) != len("yyyymmdd"):
        return parse_time(text, NEW_YORK)
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None
