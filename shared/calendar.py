"""Exchange sessions, from exchange_calendars (XNYS: New York Stock Exchange, regular hours)."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


@lru_cache(maxsize=64)
def _year(year: int) -> dict[date, tuple[datetime, datetime]]:
    """Session date -> (open, close), UTC. One year at a time: a calendar of decades takes seconds to build."""
    import exchange_calendars  # with pandas it takes a second to import, and many processes never ask

    calendar: Any = exchange_calendars.get_calendar("XNYS", start=f"{year}-01-01", end=f"{year}-12-31")  # untyped
    return {
        session.date(): (
            row["open"].to_pydatetime().astimezone(UTC),
            row["close"].to_pydatetime().astimezone(UTC),
        )
        for session, row in calendar.schedule.iterrows()
    }


def session_hours(day: date) -> tuple[datetime, datetime] | None:
    """Regular open and close of that date, UTC; None when the exchange is closed.

    Raises:
        ValueError: the date is past the calendar's end (one year ahead).
    """
    return _year(day.year).get(day)


def is_open(time: datetime) -> bool:
    """Whether regular trading is on: open <= time < close."""
    hours = session_hours(time.astimezone(NEW_YORK).date())
    return hours is not None and hours[0] <= time < hours[1]


def next_session(after: date) -> date:
    """The first session date later than `after`."""
    day = after + timedelta(days=1)
    while session_hours(day) is None:
        day += timedelta(days=1)
    return day


def sessions(first: date, last: date) -> list[date]:
    """Session dates from `first` to `last`, both included."""
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [day for day in days if session_hours(day) is not None]
