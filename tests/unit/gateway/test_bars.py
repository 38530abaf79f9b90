"""Historical bars: durations, ends, half-days, time zones; and trading hours."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async.objects import BarData

from services.gateway.adapters.tws import bars
from services.gateway.core import bar_times
from services.gateway.core.trading_hours import parse_hours
from shared.calendar import NEW_YORK, session_hours, sessions
from shared.messages.market_requests import FetchHistory, HistoryKind
from shared.types import SecurityType, Timeframe

NOW = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)  # a Monday, 13:00 in New York
HALF_DAY = date(2026, 11, 27)  # the day after Thanksgiving; closes at 13:00


def request(timeframe: Timeframe, count: int = 2, symbol: str = "AAPL", **fields: Any) -> FetchHistory:
    return FetchHistory(symbol=symbol, timeframe=timeframe, count=count, **fields)


def told(at: str, close: float = 10.0, volume: float = 5.0) -> BarData:
    return BarData(date=at, open=10.0, high=12.0, low=9.0, close=close, volume=volume, average=10.0, barCount=1)  # type: ignore[arg-type]


def epoch(moment: datetime) -> str:
    return str(int(moment.timestamp()))


@pytest.mark.parametrize(
    ("timeframe", "count", "expected"),
    [
        (Timeframe.DAY, 1, "2 D"),
        (Timeframe.DAY, 364, "365 D"),
        (Timeframe.DAY, 365, "2 Y"),
        (Timeframe.DAY, 2000, "9 Y"),
        (Timeframe.HOUR, 7, "3 D"),
        (Timeframe.MINUTE, 2000, "8 D"),
        (Timeframe.FIVE_SECONDS, 2000, "3 D"),
    ],
)
def test_durations_are_trading_days_and_beyond_a_year_years(timeframe: Timeframe, count: int, expected: str) -> None:
    assert bars.end_and_duration(request(timeframe, count), NOW) == ("", expected)


def test_an_end_in_the_past_is_asked_for_in_utc_and_one_in_the_future_is_now() -> None:
    past = request(Timeframe.DAY, end=datetime(2026, 11, 20, 16, 0, tzinfo=NEW_YORK))
    assert bars.end_and_duration(past, NOW) == ("20261120-21:00:00", "3 D")
    future = request(Timeframe.DAY, end=NOW + timedelta(days=1))
    assert bars.end_and_duration(future, NOW) == ("", "3 D")


def test_adjusted_prices_have_no_end_at_ibkr_so_more_days_are_asked_for() -> None:
    adjusted = request(Timeframe.DAY, kind=HistoryKind.ADJUSTED_LAST, end=NOW - timedelta(days=10))
    assert bars.end_and_duration(adjusted, NOW) == ("", "14 D")


@given(st.sampled_from(sorted(bar_times.LENGTHS)), st.integers(1, 2000), st.dates(date(2025, 1, 6), date(2026, 11, 20)))
@settings(deadline=None)  # building a calendar takes a while
def test_the_days_asked_for_hold_the_bars_wanted(timeframe: Timeframe, count: int, day: date) -> None:
    """Of regular hours, counted back from before the open of any day, half-days included."""
    closed = sessions(day - timedelta(days=900), day - timedelta(days=1))[-bar_times.days_for(timeframe, count) + 1 :]
    held = 0
    for one in closed:
        hours = session_hours(one)
        assert hours is not None
        held += ceil((hours[1] - hours[0]) / bar_times.LENGTHS[timeframe])
    assert held >= count


def test_a_daily_bar_spans_its_session_also_a_short_one() -> None:
    found, doubtful = bars.closed(request(Timeframe.DAY, 5), [told("20261125"), told("20261127")], NOW)
    assert [(bar.start, bar.end) for bar in found] == [session_hours(date(2026, 11, 25)), session_hours(HALF_DAY)]
    assert found[-1].end == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    assert not doubtful


def test_bars_that_are_not_closed_or_too_many_are_left_out() -> None:
    days = ["20261123", "20261124", "20261125", "20261127", "20261130"]
    found, _ = bars.closed(request(Timeframe.DAY, 2), [told(day) for day in days], NOW)
    assert [bar.start.date() for bar in found] == [date(2026, 11, 25), HALF_DAY]  # the 30th has not closed
    earlier = request(Timeframe.DAY, 2, end=datetime(2026, 11, 25, 20, 59, tzinfo=UTC))
    found, _ = bars.closed(earlier, [told(day) for day in days], NOW)
    assert [bar.start.day for bar in found] == [23, 24]


def test_a_day_without_a_session_and_an_unreadable_date_are_told_apart_from_the_rest() -> None:
    found, doubtful = bars.closed(request(Timeframe.DAY, 5), [told("20261126"), told("soon"), told("20261127")], NOW)
    assert [bar.start.date() for bar in found] == [HALF_DAY]
    assert doubtful == ["20261126", "soon"]


@pytest.mark.parametrize(
    "written",
    ["1795789800", "20261127 09:30:00 US/Eastern", "20261127 09:30:00 EST5EDT", "20261127  09:30:00",
     "20261127-14:30:00"],
)  # fmt: skip
def test_a_time_means_the_same_in_each_form(written: str) -> None:
    [bar], _ = bars.closed(request(Timeframe.HOUR, 1), [told(written)], NOW)
    assert (bar.start, bar.end) == (
        datetime(2026, 11, 27, 14, 30, tzinfo=UTC),
        datetime(2026, 11, 27, 15, 0, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("timeframe", "start", "end"),
    [
        (Timeframe.FIVE_SECONDS, "14:30:05", "14:30:10"),
        (Timeframe.MINUTE, "17:59:00", "18:00:00"),
        (Timeframe.THIRTY_MINUTES, "17:30:00", "18:00:00"),
        (Timeframe.HOUR, "14:30:00", "15:00:00"),
        (Timeframe.HOUR, "17:00:00", "18:00:00"),
    ],
)
def test_bars_within_a_half_day(timeframe: Timeframe, start: str, end: str) -> None:
    begun = datetime.fromisoformat(f"2026-11-27T{start}+00:00")
    span = bar_times.span(SecurityType.STOCK, timeframe, begun, regular_hours=True)
    assert span == (begun, datetime.fromisoformat(f"2026-11-27T{end}+00:00"))


def test_a_bar_over_an_odd_close_ends_with_it() -> None:
    """Whatever its length says."""
    hours = session_hours(HALF_DAY)
    assert hours is not None
    begun = hours[1] - timedelta(minutes=30)
    span = bar_times.span(SecurityType.STOCK, Timeframe.HOUR, begun, regular_hours=True)
    assert span == (begun, hours[1])


@pytest.mark.parametrize(
    ("kind", "regular", "start", "end"),
    [
        (SecurityType.STOCK, True, "2026-11-25T09:30", "2026-11-25T16:00"),
        (SecurityType.STOCK, False, "2026-11-25T04:00", "2026-11-25T20:00"),
        (SecurityType.INDEX, False, "2026-11-25T09:30", "2026-11-25T16:00"),
        (SecurityType.FUTURE, True, "2026-11-24T18:00", "2026-11-25T17:00"),
        (SecurityType.CURRENCY, False, "2026-11-24T17:00", "2026-11-25T17:00"),
    ],
)
def test_what_a_day_is_depends_on_the_instrument(kind: SecurityType, *, regular: bool, start: str, end: str) -> None:
    span = bar_times.span(kind, Timeframe.DAY, date(2026, 11, 25), regular_hours=regular)
    expected = (datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert span == tuple(moment.replace(tzinfo=NEW_YORK).astimezone(UTC) for moment in expected)


@given(st.sampled_from(list(Timeframe)), st.floats(0, 16 * 365 * 86_400))
@settings(deadline=None)
def test_no_bar_ends_between_a_time_and_its_floor(timeframe: Timeframe, seconds: float) -> None:
    aware = datetime(2010, 1, 4, tzinfo=UTC) + timedelta(seconds=seconds)
    floor = bar_times.floor(aware, timeframe)
    assert floor <= aware
    for kind in SecurityType:
        told: date | datetime = floor.astimezone(NEW_YORK).date() if timeframe is Timeframe.DAY else floor
        span = bar_times.span(kind, timeframe, told, regular_hours=True)
        assert span is None or not floor < span[1] <= aware


def test_values_are_exact_and_quotes_have_no_volume() -> None:
    [bar], _ = bars.closed(request(Timeframe.DAY, 1), [told("20261127", close=10.1, volume=-1.0)], NOW)
    assert (bar.close, bar.volume) == (Decimal("10.1"), Decimal(0))


def hours(text: str) -> list[tuple[str, str]]:
    spans = parse_hours(text, ZoneInfo("America/Chicago"))
    return [(start.isoformat(), end.isoformat()) for start, end in spans]


def test_trading_hours_of_today_and_of_old_gateways() -> None:
    expected = [("2026-11-22T23:00:00+00:00", "2026-11-23T22:00:00+00:00")]
    assert hours("20261122:1700-20261123:1600;20261126:CLOSED") == expected
    assert hours("20261123:1700-1600") == expected
    assert hours("20261123:1700-1515,1530-1600") == [
        ("2026-11-22T23:00:00+00:00", "2026-11-23T21:15:00+00:00"),
        ("2026-11-23T21:30:00+00:00", "2026-11-23T22:00:00+00:00"),
    ]
    assert hours("20261123:0000-20261123:2400;") == [("2026-11-23T06:00:00+00:00", "2026-11-24T06:00:00+00:00")]
    assert hours("") == []


@pytest.mark.parametrize("text", ["20261123", "20261123:0930", "2026-11-23:0930-1600", "20261123:0930-20261123:2560"])
def test_hours_that_cannot_be_read_say_which(text: str) -> None:
    with pytest.raises(ValueError, match="trading hours '2026"):
        hours(text)
