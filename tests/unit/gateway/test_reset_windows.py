"""The hours in which IBKR has announced resets."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.gateway.core.reset_windows import Region, reset_window

NEW_YORK, ZURICH, HONG_KONG = ZoneInfo("America/New_York"), ZoneInfo("Europe/Zurich"), ZoneInfo("Asia/Hong_Kong")
AMERICA, EUROPE, ASIA = Region.NORTH_AMERICA, Region.EUROPE, Region.ASIA


def at(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("region", "now"),
    [
        (AMERICA, at("2026-11-23 00:15", NEW_YORK)),
        (AMERICA, at("2026-07-06 01:44:59", NEW_YORK)),  # summer time
        (AMERICA, at("2026-11-22 01:00", NEW_YORK)),  # Sunday: the weekly log-out falls into it
        (EUROPE, at("2026-11-23 06:25", ZURICH)),
        (EUROPE, at("2026-07-06 07:44", ZURICH)),
        (ASIA, at("2026-11-23 05:00", HONG_KONG)),
        (ASIA, at("2026-11-23 20:15", HONG_KONG)),
    ],
)
def test_a_daily_reset_is_expected(region: Region, now: datetime) -> None:
    assert reset_window(region, now).startswith("until ")
    far_away = AMERICA if region is ASIA else ASIA
    assert not reset_window(far_away, now)


@pytest.mark.parametrize(
    ("region", "now"),
    [
        (AMERICA, at("2026-11-23 00:14:59", NEW_YORK)),
        (AMERICA, at("2026-11-23 01:45", NEW_YORK)),
        (AMERICA, at("2026-11-23 15:30", NEW_YORK)),
        (EUROPE, at("2026-11-23 07:45", ZURICH)),
        (ASIA, at("2026-11-23 06:05", HONG_KONG)),
        (AMERICA, at("2026-11-28 03:00", NEW_YORK)),  # Saturday has no daily reset
        (EUROPE, at("2026-11-28 06:30", ZURICH).replace(hour=9, minute=30)),
        (ASIA, at("2026-11-28 20:30", HONG_KONG)),
    ],
)
def test_other_hours_are_not_announced(region: Region, now: datetime) -> None:
    assert reset_window(region, now) == ""


@pytest.mark.parametrize("region", Region)
def test_the_end_of_the_week_is_announced_for_all(region: Region) -> None:
    friday = at("2026-11-27 23:00", NEW_YORK)
    saturday = at("2026-11-28 02:59", NEW_YORK)
    assert reset_window(region, friday) == reset_window(region, saturday) == "until 03:00 New York"
    assert not reset_window(region, friday - timedelta(minutes=1))


def test_the_words_name_the_end_and_its_place() -> None:
    assert reset_window(AMERICA, at("2026-11-23 00:30", NEW_YORK)) == "until 01:45 New York"
    assert reset_window(ASIA, at("2026-11-23 20:30", HONG_KONG)) == "until 21:15 Hong Kong"


def test_the_programs_own_restart_is_announced_for_some_minutes_also_over_midnight() -> None:
    restart = time(23, 58)
    for text, expected in (
        ("2026-11-23 23:57:59", False),
        ("2026-11-23 23:58", True),
        ("2026-11-24 00:02", True),
        ("2026-11-24 00:03", False),
    ):
        assert bool(reset_window(EUROPE, at(text, NEW_YORK), restart)) is expected, text
