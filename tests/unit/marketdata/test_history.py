"""What is missing, what can be believed, where the gaps are."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.marketdata.core.history import bars_missing, fault, gaps, newest_close, sift
from shared.calendar import session_hours, sessions
from shared.messages.market import Bar
from shared.types import Timeframe

DAYS = sessions(date(2012, 10, 1), date(2012, 12, 31))
NOW = datetime(2012, 12, 31, 23, tzinfo=UTC)


def bar(day: date, **changes: object) -> Bar:
    hours = session_hours(day)
    assert hours is not None
    values = {
        "symbol": "IBM",
        "timeframe": Timeframe.DAY,
        "start": hours[0],
        "end": hours[1],
        "open": Decimal(10),
        "high": Decimal(12),
        "low": Decimal(9),
        "close": Decimal(11),
        "volume": Decimal(100),
    }
    return Bar.model_validate(values | changes)


def ends(days: list[date]) -> set[datetime]:
    return {bar(day).end for day in days}


def test_newest_close_is_known_only_once_the_session_has_closed():
    close = datetime(2012, 11, 23, 18, tzinfo=UTC)  # an early close
    assert newest_close(close) == close
    assert newest_close(close - timedelta(seconds=1)) == datetime(2012, 11, 21, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("have", "wanted"),
    [(DAYS, 0), (DAYS[:-1], 1), (DAYS[:-8], 8), (DAYS[:-30], 20), ([], 20)],
)
def test_as_many_bars_are_asked_for_as_are_missing(have: list[date], wanted: int):
    assert bars_missing(ends(have), NOW, 20) == wanted


def test_new_bars_come_out_oldest_first_and_known_ones_not_at_all():
    answer = [bar(day) for day in reversed(DAYS[:4])]
    assert [found.end for found in sift(answer, ends(DAYS[:1])).new] == [bar(day).end for day in DAYS[1:4]]


@given(st.sets(st.sampled_from(DAYS)), st.lists(st.sampled_from(DAYS), unique=True))
def test_sifting_twice_finds_nothing_more(known_days: set[date], answer: list[date]):
    known = ends(list(known_days))
    first = sift([bar(day) for day in answer], known)
    assert known | {found.end for found in first.new} == known | ends(answer)
    assert sift([bar(day) for day in answer], known | {found.end for found in first.new}).new == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"high": Decimal("10.5")}, "high 10.5"),
        ({"low": Decimal("10.5")}, "low 10.5"),
        ({"low": Decimal(0)}, "not a price"),
        ({"volume": Decimal(-1)}, "volume -1"),
        ({"end": bar(DAYS[0]).start}, "not after start"),
    ],
)
def test_what_cannot_be_a_bar_is_put_aside_with_the_reason(changes: dict[str, object], word: str):
    broken = bar(DAYS[0], **changes)
    assert word in (fault(broken) or "")
    sifted = sift([broken, bar(DAYS[1])], set())
    assert [found for found, _ in sifted.faulty] == [broken]
    assert sifted.new == (bar(DAYS[1]),)


def test_a_second_bar_of_a_session_is_put_aside():
    twice = [bar(DAYS[0]), bar(DAYS[0], close=Decimal(10))]
    sifted = sift(twice, set())
    assert len(sifted.new) == 1
    assert "two bars" in sifted.faulty[0][1]


def test_gaps_are_sessions_only_and_reach_back_to_the_bar_before():
    storm = [day for day in DAYS if day >= date(2012, 10, 26)][:4]  # Friday, then Wednesday after hurricane Sandy
    assert gaps([bar(day) for day in storm], set()) == []
    assert gaps([bar(storm[3])], ends(storm[:1])) == storm[1:3]
    assert gaps([bar(storm[0]), bar(storm[2])], set()) == [storm[1]]
    assert gaps([], ends(storm)) == []
