"""Our exchange calendar against hours as contract details write them."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.gateway.adapters.web.requests import hours_of
from services.gateway.core.calendar_check import differences
from services.gateway.core.trading_hours import closed_days, parse_hours
from shared.calendar import NEW_YORK

THANKSGIVING_WEEK = (
    "20261125:0930-20261125:1600;20261126:CLOSED;20261127:0930-20261127:1300;20261128:CLOSED;20261129:CLOSED;"
    "20261130:0930-20261130:1600"
)


def told(text: str, zone: str = "America/New_York") -> dict[date, str]:
    return differences(parse_hours(text, ZoneInfo(zone)), closed_days(text))


def test_a_holiday_a_half_day_and_a_weekend_agree() -> None:
    assert told(THANKSGIVING_WEEK) == {}


@pytest.mark.parametrize(
    ("text", "day", "ours", "theirs"),
    [
        ("20261124:0930-20261124:1300", date(2026, 11, 24), "09:30 to 16:00", "09:30 to 13:00"),
        ("20261127:0930-20261127:1600", date(2026, 11, 27), "09:30 to 13:00", "09:30 to 16:00"),
        ("20261124:1030-20261124:1600", date(2026, 11, 24), "09:30 to 16:00", "10:30 to 16:00"),
        ("20261124:CLOSED", date(2026, 11, 24), "09:30 to 16:00", "closed"),
        ("20261126:0930-20261126:1600", date(2026, 11, 26), "closed", "09:30 to 16:00"),
    ],
    ids=["early close", "no early close", "late open", "holiday", "no holiday"],
)
def test_a_date_that_differs_is_told_with_both_hours(text: str, day: date, ours: str, theirs: str) -> None:
    found = told(f"20261123:0930-20261123:1600;{text}")
    assert list(found) == [day]
    assert f"{day}: our calendar says {ours}, the broker {theirs} (New York)" in found[day]
    assert "exchange_calendars" in found[day]


def test_dates_that_are_not_named_are_not_compared() -> None:
    assert told("20261125:0930-20261125:1600;20261130:0930-20261130:1600") == {}


@pytest.mark.parametrize("zone", ["America/New_York", "US/Eastern"])
@pytest.mark.parametrize(("before", "after"), [("20260306", "20260309"), ("20261030", "20261102")])
def test_the_weeks_in_which_clocks_change_agree(zone: str, before: str, after: str) -> None:
    text = f"{before}:0930-{before}:1600;{after}:0930-{after}:1600"
    assert told(text, zone) == {}
    assert len(told(text, "Etc/GMT+5")) == 1, "only one of them is in winter time"


def test_a_day_of_two_spans_lasts_from_the_first_to_the_last() -> None:
    assert told("20261124:0930-1200,1300-1600") == {}


def test_closed_days_that_cannot_be_read_are_no_answer() -> None:
    assert closed_days(THANKSGIVING_WEEK) == (date(2026, 11, 26), date(2026, 11, 28), date(2026, 11, 29))
    with pytest.raises(ValueError, match="2026-11-26"):
        closed_days("2026-11-26:CLOSED")


@pytest.mark.parametrize(("text", "reason"), [("", "none that can be read"), ("99991231:CLOSED", "out of range")])
def test_no_dates_and_dates_beyond_our_calendar_are_no_agreement(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        told(text)


def test_the_web_api_names_a_day_without_hours_as_closed() -> None:
    opens, closes = (datetime(2026, 11, 27, hour, 30 * (hour == 9), tzinfo=NEW_YORK) for hour in (9, 13))
    hours = {"opening": int(opens.timestamp()), "closing": int(closes.timestamp())}
    schedules: dict[str, Any] = {"20261126": {"liquid_hours": []}, "20261127": {"liquid_hours": [hours]}}
    trading, liquid, closed = hours_of("SPY", {"schedules": schedules})
    assert (trading, closed) == (liquid, (date(2026, 11, 26),))
    assert differences(liquid, closed) == {}


@pytest.mark.parametrize("schedules", [["x"], {"tomorrow": {}}, {"20261127": {"liquid_hours": [{"opening": "9:30"}]}}])
def test_hours_of_the_web_api_that_cannot_be_read_are_none(schedules: object) -> None:
    assert hours_of("SPY", {"schedules": schedules}) == ((), (), ())
