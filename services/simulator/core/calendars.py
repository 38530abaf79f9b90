"""Trading hours by kind of instrument, as frames of ticks, and the dates that contracts expire on.

- Stocks: the main exchange's regular hours, or 04:00 to 20:00 New York with its regular hours inside them. On days of
  an early close the evening ends four hours after it (NYSE Arca, "Trading hours").
- Indices and options: regular hours.
- Futures (CME Globex): 18:00 on the evening before to 17:00 New York on every day the main exchange is open.
- Currencies: 17:00 to 17:00 New York, days named after their end, Monday to Friday.
- Stock options expire on Fridays at the close, index futures on the third Friday at the open, or on the day before
  if that Friday is a holiday. (Until 2015 monthly options bore the date of the Saturday after; here they do not.)
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.simulator.core.bars import Frame
from services.simulator.core.tape import Session

NEW_YORK = ZoneInfo("America/New_York")
_MORNING, _FUTURES_OPEN, _FUTURES_CLOSE, _CURRENCY_TURN = time(4), time(18), time(17), time(17)
_EVENING = timedelta(hours=4)
_JUNETEENTH_SINCE = 2022


class Hours(StrEnum):
    """The kinds of trading days."""

    REGULAR = "regular"
    EXTENDED = "extended"
    FUTURES = "futures"
    CURRENCIES = "currencies"


def regular_close(day: date) -> datetime:
    """Return the usual close of the main exchange."""
    return new_york(day, time(16))


def new_york(day: date, at: time) -> datetime:
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


class TradingDays:
    """Every trading day of one kind, in order."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self._starts = [frame.start for frame in frames]
        self._ends = [frame.end for frame in frames]
        self._by_day = {frame.day: frame for frame in frames}

    def of_day(self, day: date) -> Frame | None:
        return self._by_day.get(day)

    def unfinished(self, after: datetime) -> int:
        """Return the index of the first frame that ends later than `after`."""
        return bisect_right(self._ends, after)

    def begun(self, now: datetime) -> int:
        """Return the number of frames that begin at `now` or before."""
        return bisect_right(self._starts, now)


def trading_days(hours: Hours, sessions: Sequence[Session], step: timedelta) -> TradingDays:
    """Return the trading days of one kind over the main exchange's `sessions`, of which there is at least one."""
    if hours is not Hours.CURRENCIES:
        return TradingDays([_frame(hours, session, step) for session in sessions])
    first, last = sessions[0].day, sessions[-1].day
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return TradingDays([_currency_frame(day, step) for day in days if day.weekday() < 5])


def _frame(hours: Hours, session: Session, step: timedelta) -> Frame:
    if hours is Hours.EXTENDED:
        start, end = new_york(session.day, _MORNING), session.close + _EVENING
    elif hours is Hours.FUTURES:
        evening_before = session.day - timedelta(days=1)
        start, end = new_york(evening_before, _FUTURES_OPEN), new_york(session.day, _FUTURES_CLOSE)
    else:
        start, end = session.open, session.close
    return inside(session.day, start, end, session.open, session.close, step)


def inside(day: date, start: datetime, end: datetime, opens: datetime, closes: datetime, step: timedelta) -> Frame:
    """Return the frame from `start` to `end` with regular hours from `opens` to `closes` inside it.

    The opening tick is the first one not before the open, the closing tick the last one not after the close.
    """
    first = -(-(opens - start) // step)
    final = -(-(closes - start) // step) if closes >= end else (closes - start) // step
    return Frame(day, start, end, step, (first, final))


def _currency_frame(day: date, step: timedelta) -> Frame:
    start, end = new_york(day - timedelta(days=1), _CURRENCY_TURN), new_york(day, _CURRENCY_TURN)
    return inside(day, start, end, start, end, step)


# -- expiries ---------------------------------------------------------------------------------------------------------


def _good_friday(year: int) -> date:
    """Two days before Easter Sunday, which is found with Gauss's rule in Butcher's form for the Gregorian calendar."""
    golden = year % 19
    century, in_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    moon = (19 * golden + century - leap_centuries - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * century_rest + 2 * (in_century // 4) - moon - in_century % 4) % 7
    correction = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1) - timedelta(days=2)


@lru_cache(maxsize=256)
def _friday_holidays(year: int) -> frozenset[date]:
    """Fridays on which the New York Stock Exchange is closed by its rule 7.2: holidays, and the day before a holiday
    that falls on a Saturday, except New Year's Day."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= _JUNETEENTH_SINCE:
        fixed.append(date(year, 6, 19))
    observed = [day - timedelta(days=1) if day.weekday() == 5 else day for day in fixed]
    return frozenset(day for day in (*observed, date(year, 1, 1), _good_friday(year)) if day.weekday() == 4)


def weekly_expiry(friday: date) -> date:
    """Return the day that contracts of the week of `friday` expire on."""
    return friday - timedelta(days=1) if friday in _friday_holidays(friday.year) else friday


def third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)
