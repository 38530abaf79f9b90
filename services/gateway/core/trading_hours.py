"""Trading hours as contract details write them.

`20261123:0400-20261123:2000;20261124:CLOSED`, in the contract's own time zone; until 2018 an end had no date of its
own, and a day could have several spans: `20180323:1700-1515,1530-1615`
(https://interactivebrokers.github.io/tws-api/classIBApi_1_1ContractDetails.html, TradingHours).
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.calendar import NEW_YORK

_DAY = timedelta(days=1)
_CLOSED = "CLOSED"
Span = tuple[datetime, datetime]


def parse_hours(text: str, zone: ZoneInfo = NEW_YORK) -> tuple[Span, ...]:
    """The spans of trading, UTC, in order of time; an empty text has none.

    Raises:
        ValueError: a part can't be understood; the text says which.
    """
    spans: list[Span] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        day, _, hours = part.partition(":")
        if hours == _CLOSED:
            continue
        try:
            spans += [_span(day, each, zone) for each in hours.split(",")]
        except ValueError:
            raise ValueError(f"trading hours {part[:60]!r} are not yyyymmdd:hhmm-yyyymmdd:hhmm") from None
    return tuple(sorted(spans))


def closed_days(text: str) -> tuple[date, ...]:
    """The dates that are named as closed.

    Raises:
        ValueError: one of them can't be understood; the text says which.
    """
    parts = (part.strip().partition(":") for part in text.split(";"))
    return tuple(sorted(datetime.strptime(day, "%Y%m%d").date() for day, _, hours in parts if hours == _CLOSED))  # noqa: DTZ007 - a date has no zone


def _span(day: str, hours: str, zone: ZoneInfo) -> Span:
    first, _, last = hours.partition("-")
    start = _moment(day, first, zone)
    last_day, colon, last_clock = last.partition(":")
    if colon:
        return start, _moment(last_day, last_clock, zone)
    end = _moment(day, last, zone)
    if end <= start:  # begun on the evening before
        start -= _DAY
    return start, end


def _moment(day: str, clock: str, zone: ZoneInfo) -> datetime:
    if clock == "2400":
        return _moment(day, "0000", zone) + _DAY
    return datetime.strptime(f"{day} {clock}", "%Y%m%d %H%M").replace(tzinfo=zone).astimezone(UTC)
