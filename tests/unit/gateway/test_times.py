from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.gateway.core.times import parse_time, zone

SUMMER = datetime(2026, 7, 1, 14, 30, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    "text",
    [
        "20260701 10:30:00 US/Eastern",
        "20260701 10:30:00 America/New_York",
        "20260701 10:30:00 EST",
        "20260701 10:30:00 EST5EDT",
        "20260701 10:30:00 Eastern Standard Time",
        "20260701 09:30:00 Central Standard Time",
        "20260701 16:30:00 MET",
        "20260701 23:30:00 JST",
        "20260701 14:30:00 GMT",
        "20260701 10:30:00",
        "20260701  10:30:00",
        "20260701 10:30",
        "20260701-14:30:00",
        "2026-07-01 10:30:00.0",
        "1782916200",
    ],
)
def test_forms(text: str) -> None:
    assert parse_time(text, NEW_YORK) == SUMMER


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "20260701", "20261301 10:30:00", "20260701 10:30:00 Mars/Phobos", "20260701 10:30:00 /etc"],
)
def test_what_cannot_be_read(text: str) -> None:
    assert parse_time(text, NEW_YORK) is None


def test_no_zone_is_a_folder_or_too_long() -> None:
    assert [zone(name) for name in ("America", "x" * 300, "")] == [None, None, None]
