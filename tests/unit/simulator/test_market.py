"""Price paths, quotes, history and the synthetic market."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.core.history import HistoricalBar, bars
from services.simulator.core.market import DailyBar, day_path
from services.simulator.core.synthetic import synthetic_bars
from tests.unit.simulator.world import AAA, DAYS, SESSIONS, make_market, minutes

NEW_YORK = ZoneInfo("America/New_York")


@given(
    st.lists(st.integers(1, 50_000), min_size=4, max_size=4),
    st.integers(0, 10**9),
    st.integers(8, 500),
    st.booleans(),
)
def test_path_goes_exactly_through_the_bar(prices: list[int], volume: int, ticks: int, rising: bool) -> None:
    low, first, second, high = sorted(prices)
    opening, close = (first, second) if rising else (second, first)
    path = day_path("AAA", DailyBar(DAYS[1], opening, high, low, close, volume), ticks)
    assert len(path.last) == len(path.volume) == ticks
    assert (path.last[0], path.last[-1]) == (opening, close)
    assert (path.last.max(), path.last.min()) == (high, low)
    assert (path.high[-1], path.low[-1], path.volume[-1]) == (high, low, volume)
    assert (np.diff(path.volume) >= 0).all()
    if close > opening > low and high > close:
        assert path.last.argmin() < path.last.argmax(), "a rising day reaches its low first"


def test_path_depends_on_symbol_and_date_only() -> None:
    bar, other_day = AAA[1], DailyBar(DAYS[2], *(AAA[1].open, AAA[1].high, AAA[1].low, AAA[1].close), AAA[1].volume)
    path = day_path("AAA", bar, 391)
    assert (path.last == day_path("AAA", bar, 391).last).all()
    assert (path.last != day_path("AAB", bar, 391).last).any()
    assert (path.last != day_path("AAA", other_day, 391).last).any()


def test_quotes_over_a_session() -> None:
    market = make_market()
    first = market.quote("AAA", SESSIONS[1].open)
    assert first is not None
    assert (first.bid, first.last, first.ask) == (Decimal("99.99"), Decimal("100.00"), Decimal("100.01"))
    assert first.previous_close == Decimal("100.00")
    assert first.session_first
    last = market.quote("AAA", SESSIONS[1].close)
    assert last is not None
    assert (last.open, last.high, last.low, last.last) == tuple(
        Decimal(p) for p in ("100.00", "110.00", "90.00", "105.00")
    )
    assert (last.volume, last.time) == (391_000, SESSIONS[1].close)


def test_quote_between_ticks_and_out_of_hours_is_the_latest() -> None:
    market = make_market()
    assert market.quote("AAA", minutes(1, 5) + timedelta(seconds=59)) == market.quote("AAA", minutes(1, 5))
    assert market.quote("AAA", SESSIONS[2].open - timedelta(seconds=1)) == market.quote("AAA", SESSIONS[1].close)
    assert market.quote("AAA", SESSIONS[0].open - timedelta(seconds=1)) is None


def test_symbol_without_a_bar_keeps_its_last_quote() -> None:
    market = make_market()
    assert market.quote("BBB", SESSIONS[1].open - timedelta(seconds=1)) is None
    assert market.quote_at_tick("BBB", SESSIONS[2], 0) is None
    assert market.quote("BBB", minutes(2, 100)) == market.quote("BBB", SESSIONS[1].close)


def history(end: datetime, duration: str, size: str, symbol: str = "AAA") -> list[HistoricalBar]:
    return bars(make_market(), symbol, end, duration, size, NEW_YORK)


def test_daily_history_is_the_source_and_never_beyond_the_end() -> None:
    found = history(SESSIONS[2].close, "10 D", "1 day")
    assert [bar.start for bar in found] == list(DAYS[:3])
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found] == [
        (*(Decimal(price) / 100 for price in (bar.open, bar.high, bar.low, bar.close)), bar.volume) for bar in AAA[:3]
    ]
    assert [bar.start for bar in history(SESSIONS[2].close, "2 D", "1 day")] == list(DAYS[1:3])


def test_unfinished_day_shows_what_has_happened() -> None:
    market, now = make_market(), minutes(1, 30)
    quote = market.quote("AAA", now)
    assert quote is not None
    bar = history(now, "1 D", "1 day")[-1]
    assert (bar.start, bar.open, bar.high, bar.low, bar.close) == (
        DAYS[1],
        quote.open,
        quote.high,
        quote.low,
        quote.last,
    )
    assert bar.volume == quote.volume < AAA[1].volume


@pytest.mark.parametrize(("size", "count"), [("1 min", 390), ("5 mins", 78), ("30 mins", 13), ("1 hour", 7)])
def test_intraday_bars_add_up_to_the_day(size: str, count: int) -> None:
    found = history(SESSIONS[1].close, "1 D", size)
    assert len(found) == count
    assert found[0].start == SESSIONS[1].open
    assert found[0].open == Decimal(100)
    assert found[-1].close == Decimal(105)
    assert max(bar.high for bar in found) == Decimal(110)
    assert min(bar.low for bar in found) == Decimal(90)
    assert sum(bar.volume for bar in found) == 391_000
    assert sum(bar.count for bar in found) == 391
    assert all(bar.low <= bar.average <= bar.high for bar in found)


def test_hours_are_cut_on_the_exchange_clock() -> None:
    starts = [bar.start for bar in history(SESSIONS[1].close, "1 D", "1 hour")]
    assert starts[:2] == [SESSIONS[1].open, SESSIONS[1].open + timedelta(minutes=30)]


def test_intraday_history_ends_before_its_end_and_begins_within_its_duration() -> None:
    found = history(minutes(1, 30), "600 S", "1 min")
    assert [bar.start for bar in found] == [minutes(1, minute) for minute in range(20, 30)]
    assert [bar.close for bar in found] == [
        quote.last for minute in range(20, 30) if (quote := make_market().quote("AAA", minutes(1, minute)))
    ]


def test_symbol_without_bars_has_no_history() -> None:
    assert history(SESSIONS[2].close, "1 D", "1 min", "BBB") == []


@pytest.mark.parametrize(("duration", "size"), [("1 X", "1 day"), ("", "1 day"), ("1 D", "7 mins")])
def test_unknown_duration_or_size_is_named(duration: str, size: str) -> None:
    with pytest.raises(ValueError, match=repr(size if duration == "1 D" else duration)):
        history(SESSIONS[1].close, duration, size)


def test_fingerprint_tells_markets_apart() -> None:
    assert make_market().fingerprint() == make_market().fingerprint()
    assert make_market().fingerprint() != make_market(tick_seconds=30).fingerprint()


DATES = [date(2020, 1, 1) + timedelta(days=number) for number in range(300)]


def test_synthetic_market_is_decided_by_seed_and_symbol() -> None:
    found = synthetic_bars("XYZ", DATES, 7, 0.08, 0.3)
    assert found == synthetic_bars("XYZ", DATES, 7, 0.08, 0.3)
    assert found[:100] == synthetic_bars("XYZ", DATES[:100], 7, 0.08, 0.3)
    assert found != synthetic_bars("XYZ", DATES, 8, 0.08, 0.3)
    assert found != synthetic_bars("XYW", DATES, 7, 0.08, 0.3)


def test_synthetic_market_has_the_volatility_asked_for() -> None:
    found = synthetic_bars("XYZ", DATES * 20, 7, 0.0, 0.3)
    closes = np.array([bar.close for bar in found], dtype=float)
    yearly = float(np.diff(np.log(closes[closes > 500])).std()) * 252**0.5
    assert 0.27 < yearly < 0.33
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in found)


def test_session_lookup() -> None:
    market = make_market()
    assert market.session_at(SESSIONS[1].open) == SESSIONS[1]
    assert market.session_at(SESSIONS[1].close) is None
    assert market.next_open(SESSIONS[1].open) == SESSIONS[2].open
    assert market.next_open(datetime(2030, 1, 1, tzinfo=UTC)) is None
