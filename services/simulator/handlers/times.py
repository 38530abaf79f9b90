"""The forms in which TWS API clients write a time."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def parse_time(text: str, default_zone: ZoneInfo) -> datetime:
    """Return an aware time from `yyyymmdd[ |-]hh:mm:ss[ zone]`; a dash means UTC, no zone means `default_zone`.

    Raises ValueError for any other text, for an unknown zone, and for a year that leaves no room for time zones.
    """
    moment = _parsed(text, default_zone)
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError(f"time {text[:40]!r}: year {moment.year} is out of range")
    return moment


def _parsed(text: str, default_zone: ZoneInfo) -> datetime:
    if text[8:9] == "-" and " " not in text:
        return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    parts = text.split()
    if len(parts) not in (2, 3):
        raise ValueError(f"time {text[:40]!r} is not yyyymmdd hh:mm:ss, optionally followed by a time zone")
    try:
        zone = ZoneInfo(parts[2]) if len(parts) == 3 else default_zone
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder's name, a name too long for a file
        raise ValueError(f"time {text[:60]!r}: {parts[2]!r} is not a time zone") from None
    return datetime.strptime(f"{parts[0]} {parts[1]}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
