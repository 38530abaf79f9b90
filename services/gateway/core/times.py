"""The forms in which IBKR writes a moment, and the names it has for time zones."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NAMES = {
    "America/New_York": ("EST", "EDT", "EST5EDT", "US/Eastern", "Eastern Standard Time"),
    "America/Chicago": ("CST", "CDT", "CST6CDT", "US/Central", "Central Standard Time"),
    "America/Denver": ("MST", "MDT", "MST7MDT", "US/Mountain", "Mountain Standard Time"),
    "America/Los_Angeles": ("PST", "PDT", "PST8PDT", "US/Pacific", "Pacific Standard Time"),
    "UTC": ("GMT", "Greenwich Mean Time"),
    "Europe/London": ("BST", "GB", "GB-Eire", "British Summer Time"),
    "Europe/Berlin": ("MET", "CET", "CEST", "Middle Europe Time", "Central European Standard Time"),
    "Asia/Tokyo": ("JST", "Japan", "Japan Standard Time"),
    "Asia/Hong_Kong": ("HKT", "Hong Kong Standard Time"),
    "Asia/Kolkata": ("IST", "India Standard Time"),
    "Australia/Sydney": ("AET", "AEST", "Australian Eastern Standard Time"),
}
"""Java's and IBKR's own names, which the IANA list lacks or means otherwise: there, EST has no summer time. IBKR's mean
the place with its summer time (assumed: contract hours name EST5EDT and US/Eastern alike)."""
_ALIASES = {alias: name for name, aliases in _NAMES.items() for alias in aliases}
_FORMS = ("%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")
_EPOCH_DIGITS = range(9, 11)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name or one of IBKR's; None for any other text."""
    try:
        return ZoneInfo(_ALIASES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, or one that is too long
        return None


def parse_time(text: str, default: ZoneInfo) -> datetime | None:
    """A moment in UTC; None for what can't be read.

    Forms: `20261120 15:30:00 US/Eastern`, the same without a zone (then it is `default`), `20261120-15:30:00` (UTC,
    https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/ error 10330), seconds since 1970.
    """
    text = " ".join(text.split())
    if text.isdigit() and len(text) in _EPOCH_DIGITS:
        return datetime.fromtimestamp(int(text), UTC)
    if text[8:9] == "-":
        return _read(text.replace("-", " ", 1), ZoneInfo("UTC"))
    day, _, rest = text.partition(" ")
    clock, _, name = rest.partition(" ")
    place = zone(name) if name else default
    return None if place is None else _read(f"{day} {clock}", place)


def _read(text: str, place: ZoneInfo) -> datetime | None:
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=place).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
