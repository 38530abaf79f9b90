"""When bars begin and end, and how many trading days hold so many of them.

- Bars within a day begin at multiples of their length on the exchange's clock; the first of a day begins with trading,
  so that an hour's bar that begins at 09:30 ends at 10:00.
- A day's bar ends when what it covers ends: the regular session of our calendar, half-days included; of stocks outside
  regular hours too, 20:00; of futures and currencies 17:00, when their day changes (assumed to hold on every weekday:
  CME Globex and IDEALPRO).
"""

from datetime import UTC, date, datetime, time, timedelta
from math import ceil

from shared.calendar import NEW_YORK, session_hours
from shared.types import SecurityType, Timeframe

LENGTHS: dict[Timeframe, timedelta] = {
    Timeframe.FIVE_SECONDS: timedelta(seconds=5),
    Timeframe.FIFTEEN_SECONDS: timedelta(seconds=15),
    Timeframe.THIRTY_SECONDS: timedelta(seconds=30),
    Timeframe.MINUTE: timedelta(minutes=1),
    Timeframe.FIVE_MINUTES: timedelta(minutes=5),
    Timeframe.FIFTEEN_MINUTES: timedelta(minutes=15),
    Timeframe.THIRTY_MINUTES: timedelta(minutes=30),
    Timeframe.HOUR: timedelta(hours=1),
}
_HOUR = timedelta(hours=1)
_SESSION = timedelta(hours=6.5)
_HALF_DAY_EVERY = 20  # sessions, at most: the day after Thanksgiving, Christmas Eve
_EXTENDED_HOURS = time(4), time(20)
_ROUND_THE_CLOCK = {SecurityType.FUTURE: time(18), SecurityType.CURRENCY: time(17)}  # of the day before
_DAY_CHANGES = time(17)

Span = tuple[datetime, datetime]


def span(kind: SecurityType, timeframe: Timeframe, told: date | datetime, *, regular_hours: bool) -> Span | None:
    """Start and end of a bar, UTC.

    Args:
        told: its start; of a day's bar its date, or a time on it.

    Returns:
        None for a day's bar on a day on which our calendar has no session.
    """
    if timeframe is Timeframe.DAY:
        day = told.astimezone(NEW_YORK).date() if isinstance(told, datetime) else told
        return _of_day(kind, day, regular_hours=regular_hours)
    start = told if isinstance(told, datetime) else datetime.combine(told, time(), NEW_YORK)
    start = start.astimezone(UTC)
    end = floor(start, timeframe) + LENGTHS[timeframe]
    if regular_hours and kind not in _ROUND_THE_CLOCK:
        hours = session_hours(start.astimezone(NEW_YORK).date())
        if hours is not None and start < hours[1]:
            end = min(end, hours[1])
    return start, end


def _of_day(kind: SecurityType, day: date, *, regular_hours: bool) -> Span | None:
    if (begins := _ROUND_THE_CLOCK.get(kind)) is not None:
        return _at(day - timedelta(days=1), begins), _at(day, _DAY_CHANGES)
    hours = session_hours(day)
    if hours is None or regular_hours or kind is not SecurityType.STOCK:
        return hours
    return _at(day, _EXTENDED_HOURS[0]), _at(day, _EXTENDED_HOURS[1])


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)


def floor(moment: datetime, timeframe: Timeframe) -> datetime:
    """The newest time, not after `moment`, at which a bar can end; a day's bar ends on the hour."""
    length = LENGTHS.get(timeframe, _HOUR)
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % length


def days_for(timeframe: Timeframe, count: int) -> int:
    """Trading days that hold at least `count` closed bars of regular hours besides the day that is under way."""
    if timeframe is Timeframe.DAY:
        return count + 1
    days = ceil(count / ceil(_SESSION / LENGTHS[timeframe]))
    return days + 1 + ceil(days / _HALF_DAY_EVERY)
