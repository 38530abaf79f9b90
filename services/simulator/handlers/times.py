"""The forms in which TWS API clients write a time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def parse_time(text: str, default_zone: ZoneInfo) -> datetime:
    """Return an aware time from `yyyymmdd[ |-]hh:mm:ss[ zone]`; a dash means UTC, no zone means `default_zone`.

    Raises ValueError for any other text and for an unknown zone.
    """
    if text[8:9] == "-" and " " not in text:
        return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    parts = text.split()
    if len(parts) not in (2, 3):
        raise ValueError(f"time {text[:40]!r} is not yyyymmdd hh:mm:ss, optionally followed by a time zone")
    try:
        zone = ZoneInfo(parts[2]) if len(parts) == 3 else default_zone
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"time {text[:60]!r}: {parts[2]!r} is not a time zone") from None
    return datetime.strptime(f"{parts[0]} {parts[1]}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
