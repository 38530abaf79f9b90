"""Daily bars: what is missing, what can be believed, where the gaps are.

A daily bar is known by its `end`, the close of its session (UTC).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.calendar import NEW_YORK, session_hours, sessions
from shared.messages.market import Bar

LOOK_BACK_DAYS = 10  # no exchange holiday is longer


@dataclass(frozen=True, slots=True)
class Sifted:
    """An answer taken apart: bars that are new, oldest first, and those that can't be believed, each with why."""

    new: tuple[Bar, ...]
    faulty: tuple[tuple[Bar, str], ...]


def newest_close(now: datetime) -> datetime:
    """The close of the last session that has closed by `now`, UTC."""
    today = _day(now)
    closes = (_close(day) for day in reversed(sessions(today - timedelta(days=LOOK_BACK_DAYS), today)))
    return next(close for close in closes if close <= now)


def bars_missing(ends: Collection[datetime], now: datetime, wanted: int) -> int:
    """How many closed sessions the store lacks at its new end; `wanted` at most, and when it is empty."""
    if not ends:
        return wanted
    return min(wanted, len(sessions(_day(max(ends)) + timedelta(days=1), _day(newest_close(now)))))


def sift(bars: Iterable[Bar], known: Collection[datetime]) -> Sifted:
    """Sort an answer by time, leave out what is `known`, and put aside what can't be a bar."""
    new: dict[datetime, Bar] = {}
    faulty: list[tuple[Bar, str]] = []
    for bar in sorted(bars, key=lambda bar: bar.end):
        reason = fault(bar) or ("two bars with this end in one answer" if bar.end in new else None)
        if reason is not None:
            faulty.append((bar, reason))
        elif bar.end not in known:
            new[bar.end] = bar
    return Sifted(tuple(new.values()), tuple(faulty))


def fault(bar: Bar) -> str | None:
    """Why this can't be a bar, None when it can."""
    if bar.end <= bar.start:
        return f"end {bar.end.isoformat()} is not after start {bar.start.isoformat()}"
    if bar.low <= 0:
        return f"low {bar.low} is not a price"
    if bar.high < max(bar.open, bar.close, bar.low):
        return f"high {bar.high} is below open {bar.open}, close {bar.close} or low {bar.low}"
    if bar.low > min(bar.open, bar.close):
        return f"low {bar.low} is above open {bar.open} or close {bar.close}"
    if bar.volume < 0:
        return f"volume {bar.volume} is negative"
    return None


def gaps(new: Iterable[Bar], known: Collection[datetime]) -> list[date]:
    """Sessions without a bar between the new bars, and between them and their nearest known neighbour before."""
    ends = [bar.end for bar in new]
    if not ends:
        return []
    first = max((end for end in known if end < min(ends)), default=min(ends))
    have = {_day(end) for end in known} | {_day(end) for end in ends}
    return [day for day in sessions(_day(first), _day(max(ends))) if day not in have]


def _day(time: datetime) -> date:
    return time.astimezone(NEW_YORK).date()


def _close(day: date) -> datetime:
    hours = session_hours(day)
    assert hours is not None  # noqa: S101 - asked for session days only
    return hours[1]
