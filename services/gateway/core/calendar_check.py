"""Our exchange calendar against the regular hours that the broker tells of a US stock."""

from collections.abc import Iterable
from datetime import date

from services.gateway.core.trading_hours import Span
from shared.calendar import NEW_YORK, session_hours


def differences(hours: Iterable[Span], closed: Iterable[date]) -> dict[date, str]:
    """What to tell of each date on which the two disagree. A date that the broker does not name is not compared.

    Raises:
        ValueError: the broker names no date at all, or one that our calendar can't tell of.
    """
    told: dict[date, Span | None] = dict.fromkeys(closed)
    for start, end in hours:
        day = start.astimezone(NEW_YORK).date()
        known = told.get(day) or (start, end)
        told[day] = min(known[0], start), max(known[1], end)
    if not told:
        raise ValueError("it tells none that can be read")
    found: dict[date, str] = {}
    for day, theirs in sorted(told.items()):
        ours = session_hours(day)
        if ours != theirs:
            found[day] = (
                f"{day}: our calendar says {_words(ours)}, the broker {_words(theirs)} (New York): update the package"
                " exchange_calendars and restart, or do not trade on that day"
            )
    return found


def _words(span: Span | None) -> str:
    if span is None:
        return "closed"
    start, end = (time.astimezone(NEW_YORK) for time in span)
    return f"{start:%H:%M} to {end:%H:%M}"
