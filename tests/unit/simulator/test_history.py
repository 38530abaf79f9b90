"""Historical bars of every size and kind, and that they are what was streamed."""

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.core.aggregate import Bar, merge
from services.simulator.core.assembly import make_market as assemble
from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.history import (
    BAR_SECONDS,
    LONG_BARS,
    HistoryQuery,
    NoDataError,
    bars,
    head,
    schedule,
    updates,
)
from services.simulator.core.market import Market
from services.simulator.core.real_time import five_second_bars
from services.simulator.core.tick_data import BidAsk, Midpoint, Stretch, Trade, midpoints, quotes, stretches, trades
from tests.unit.simulator.data_world import CLOSE, DAY, KINDS, OPEN, instrument, make_market, minutes

MARKET = make_market()


def ask(
    name: str, end: datetime = CLOSE, duration: str = "1 D", size: str = "1 min", show: str = "TRADES",
    regular: bool = True, market: Market = MARKET,
) -> list[Bar]:  # fmt: skip
    query = HistoryQuery(instrument(market, name).contract_id, end, duration, size, show, regular)
    return bars(market, query, end.date())


@pytest.mark.parametrize("size", BAR_SECONDS)
def test_bars_of_every_size_add_up_to_the_day(size: str) -> None:
    (day,) = ask("AAA", size="1 day")
    found = ask("AAA", size=size)
    assert found[0].open == day.open
    assert found[-1].close == day.close
    assert max(bar.high for bar in found) == day.high
    assert min(bar.low for bar in found) == day.low
    assert sum(bar.volume for bar in found) == day.volume
    assert sum(bar.count for bar in found) == day.count
    value = sum(bar.average * bar.volume for bar in found) / day.volume
    assert abs(value - day.average) < Decimal("0.001")
    starts = [bar.start for bar in found]
    assert starts[0] == OPEN
    assert all(earlier < later for earlier, later in pairwise(starts))  # type: ignore[operator]
    first_bar = -(-(9 * 3600 + 1800 + 1) // BAR_SECONDS[size])
    assert len(found) == (-(-16 * 3600 // BAR_SECONDS[size]) - first_bar + 1 if BAR_SECONDS[size] > 60 else 390)


@pytest.mark.parametrize(("size", "starts"), [("1 hour", [0, 30, 90, 150]), ("4 hours", [0, 150]), ("8 hours", [0])])
def test_long_bars_begin_on_the_exchange_clock(size: str, starts: list[int]) -> None:
    assert [bar.start for bar in ask("AAA", size=size)][: len(starts)] == [minutes(count) for count in starts]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("show", ["TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"])
@pytest.mark.parametrize("regular", [True, False])
def test_every_kind_of_data(name: str, show: str, regular: bool) -> None:
    kind = instrument(MARKET, name).security_type
    missing = (
        (kind == "CASH" and show in ("TRADES", "ADJUSTED_LAST"))
        or (kind == "IND" and show != "TRADES")
        or (kind != "STK" and show == "ADJUSTED_LAST")
    )
    if missing:
        with pytest.raises(NoDataError):
            ask(name, show=show, regular=regular)
        return
    end = CLOSE + timedelta(hours=1)
    minute_bars = ask(name, end=end, show=show, regular=regular)
    (day,) = ask(name, end=end, size="1 day", show=show, regular=regular)[-1:]
    assert day.start == DAY
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in minute_bars)
    assert max(bar.high for bar in minute_bars) == day.high
    assert min(bar.low for bar in minute_bars) == day.low
    assert (day.volume == -1) == (show not in ("TRADES", "ADJUSTED_LAST"))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS), st.sampled_from([1, 5, 60]), st.sampled_from(["5 secs", "1 min", "15 mins", "1 hour"]),
    st.sampled_from(["TRADES", "MIDPOINT", "BID", "ASK"]), st.lists(st.integers(1, 4000), min_size=1, max_size=6),
)  # fmt: skip
def test_history_is_what_was_streamed(name: str, step: int, size: str, show: str, pauses: list[int]) -> None:
    """Bars rebuilt from the ticks that a client got, in any steps of time, are those of history."""
    market = make_market(step)
    one = instrument(market, name)
    if (one.security_type == "CASH" and show == "TRADES") or (one.security_type == "IND" and show != "TRADES"):
        return
    tape = market.tape(one.contract_id, DAY)
    assert tape is not None
    now, streamed = tape.start - timedelta(microseconds=1), list[tuple[datetime, Decimal]]()
    for pause in pauses:
        before, now = now, now + timedelta(seconds=pause)
        for stretch in stretches(market, one.contract_id, before, now):
            streamed += _ticks(show, stretch)
    query = HistoryQuery(one.contract_id, now, "1 D", size, show, regular=False)
    found, times = bars(market, query, DAY), [time for time, _ in streamed]
    for bar, following in zip(found, [*found[1:], None], strict=True):
        first = bisect_right(times, _moment(bar)) - 1
        beyond = bisect_left(times, now if following is None else _moment(following))
        prices = [price for _, price in streamed[first:beyond]]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])


def _moment(bar: Bar) -> datetime:
    assert isinstance(bar.start, datetime)
    return bar.start


def _ticks(show: str, stretch: Stretch) -> list[tuple[datetime, Decimal]]:
    """What a client sees of a kind of price: when it changed, and to what."""
    ticks = stretch.tape, stretch.first, stretch.beyond
    if show == "TRADES":
        return [(tick.time, tick.price) for tick in trades(*ticks)]
    if show == "MIDPOINT":
        return [(tick.time, tick.price) for tick in midpoints(*ticks)]
    return [(tick.time, tick.bid if show == "BID" else tick.ask) for tick in quotes(*ticks)]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["AAA", "ES", "option"]), st.sampled_from([1, 5, 60]), st.lists(st.integers(1, 1200), max_size=12)
)
def test_five_second_bars_are_those_of_history(name: str, step: int, pauses: list[int]) -> None:
    """Whatever the steps of time, each bar comes once, complete, and as history has it."""
    market = make_market(step)
    contract_id = instrument(market, name).contract_id
    now = start = OPEN - timedelta(seconds=7)
    found: list[Bar] = []
    for pause in pauses:
        before, now = now, now + timedelta(seconds=pause)
        found += five_second_bars(market, contract_id, "TRADES", before, now, regular=True)
    whole = list(five_second_bars(market, contract_id, "TRADES", start, now, regular=True))
    assert found == whole
    query = HistoryQuery(contract_id, CLOSE + timedelta(hours=2), "1 D", "5 secs", "TRADES", True)
    by_start = {bar.start: bar for bar in bars(market, query, DAY)}
    for bar in found:
        assert by_start[bar.start] == bar


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["AAA", "EUR.USD", "ES"]),
    st.sampled_from(["5 secs", "1 min", "10 mins", "1 hour", "1 day", "1 week"]),
    st.lists(st.integers(1, 5000), min_size=1, max_size=8),
)
def test_updates_end_as_history(name: str, size: str, pauses: list[int]) -> None:
    show = "MIDPOINT" if name == "EUR.USD" else "TRADES"
    contract_id = instrument(MARKET, name).contract_id
    query = HistoryQuery(contract_id, OPEN, "1 D", size, show, True)
    now, kept = OPEN - timedelta(seconds=30), dict[object, Bar]()
    for pause in pauses:
        before, now = now, now + timedelta(seconds=pause)
        for bar in updates(MARKET, query, before, now, DAY):
            kept[bar.start] = bar
    end = now + timedelta(microseconds=1)  # so that a tick at the very end is part of its bar
    finished = HistoryQuery(contract_id, end, "2 D", size, show, True)
    expected = {bar.start: bar for bar in bars(MARKET, finished, DAY)}
    assert all(expected[start] == bar for start, bar in kept.items())


def test_weeks_and_months_are_made_of_days() -> None:
    end = datetime(2010, 1, 13, 22, tzinfo=UTC)
    days = ask("AAA", end, "1 M", "1 day")
    weeks = ask("AAA", end, "1 M", "1 week")
    months = ask("AAA", end, "2 M", "1 month")
    assert weeks[-1].start == date(2010, 1, 13)
    assert weeks[-2].start == date(2010, 1, 8)
    assert weeks[-2] == merge([bar for bar in days if date(2010, 1, 4) <= bar.start <= date(2010, 1, 8)])  # type: ignore[operator]
    assert months[-1].start == date(2010, 1, 13)
    assert months[-2].start == date(2009, 12, 31)
    assert months[-2] == merge([bar for bar in ask("AAA", end, "2 M", "1 day") if "2009-12" in f"{bar.start}"])


def test_nothing_comes_from_beyond_the_end() -> None:
    found = ask("AAA", end=minutes(100), size="1 min")
    assert found[-1].start == minutes(99)
    (day,) = ask("AAA", end=minutes(100), size="1 day")
    assert day.close != ask("AAA", size="1 day")[0].close
    assert ask("AAA", end=datetime(2000, 1, 3, tzinfo=UTC)) == []
    assert [bar.start for bar in ask("AAA", end=minutes(30), duration="600 S", size="5 mins")] == [
        minutes(20),
        minutes(25),
    ]


def test_extended_hours_are_left_out_of_regular_ones() -> None:
    market = make_market(extended_hours=True)
    evening = CLOSE + timedelta(hours=4)
    regular = ask("AAA", evening, size="30 mins", market=market)
    everything = ask("AAA", evening, size="30 mins", regular=False, market=market)
    assert (regular[0].start, regular[-1].start) == (OPEN, CLOSE - timedelta(minutes=30))
    assert len(regular) == 13
    assert everything[0].start == datetime(2010, 1, 6, 9, tzinfo=UTC)
    assert everything[-1].start == evening - timedelta(minutes=30)
    assert len(everything) == 32


def test_volatilities_of_stocks_and_indices() -> None:
    for show in ("HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"):
        found = ask("AAA", show=show, size="1 day", duration="5 D")
        assert len(found) == 5
        assert all(Decimal("0.05") < bar.close < 3 for bar in found)
        with pytest.raises(NoDataError):
            ask("ES", show=show, size="1 day")
    during = ask("AAA", end=minutes(10), show="HISTORICAL_VOLATILITY", size="1 day")[-1]
    assert during.close == during.open, "the day's own close is not known yet"


def test_prices_are_adjusted_for_what_has_happened_since() -> None:
    """A split of two for one on the 6th, a dividend of 1 USD on the 7th."""
    one = instrument(MARKET, "AAA")
    actions = [
        CorporateAction(date(2010, 1, 6), ActionKind.SPLIT, Decimal(2)),
        CorporateAction(date(2010, 1, 7), ActionKind.DIVIDEND, Decimal(1)),
    ]
    listed = {one: MARKET.series(one.contract_id)}
    market = assemble(
        MARKET.all_sessions, listed, date(2010, 1, 5), date(2010, 1, 15), MARKET.terms, (), False,
        {one.contract_id: actions},
    )  # fmt: skip

    def day(show: str, today: date) -> Bar:
        end = datetime(2010, 1, 5, 21, tzinfo=UTC)
        return bars(market, HistoryQuery(one.contract_id, end, "1 D", "1 day", show, True), today)[0]

    raw, split, both = day("TRADES", date(2010, 1, 5)), day("TRADES", DAY), day("ADJUSTED_LAST", date(2010, 1, 7))
    assert (split.close, split.volume) == (raw.close / 2, raw.volume * 2)
    assert day("TRADES", date(2010, 1, 7)) == split
    assert day("ADJUSTED_LAST", DAY) == split
    before = market.previous_close(one.contract_id, date(2010, 1, 7))
    assert before is not None
    assert both.close == (raw.close / 2 * (1 - 1 / before)).quantize(Decimal("0.0001"))


@pytest.mark.parametrize(("duration", "size", "error"), [
    ("1 X", "1 min", "duration"), ("D", "1 min", "duration"), ("1 D", "7 mins", "bar size"), ("1 D", "", "bar size"),
])  # fmt: skip
def test_what_ibkr_does_not_have_is_named(duration: str, size: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        ask("AAA", duration=duration, size=size)
    with pytest.raises(ValueError, match="whatToShow"):
        ask("AAA", show="NOTHING")
    with pytest.raises(ValueError, match="Time length exceed max"):
        ask("AAA", duration="20000 D", size="1 secs", market=make_market(1))


@pytest.mark.parametrize("size", LONG_BARS)
def test_long_bars_are_dated(size: str) -> None:
    assert all(type(bar.start) is date for bar in ask("SPX", size=size, duration="2 W"))


def test_schedule_and_head() -> None:
    query = HistoryQuery(instrument(MARKET, "AAA").contract_id, CLOSE, "2 D", "1 day", "SCHEDULE", True)
    assert schedule(MARKET, query)[-1] == (OPEN, CLOSE, DAY)
    first = head(MARKET, instrument(MARKET, "AAA").contract_id, regular=True)
    assert first == MARKET.all_sessions[0].open


def test_ticks_are_of_their_kind() -> None:
    (stretch,) = stretches(MARKET, instrument(MARKET, "AAA").contract_id, minutes(0), minutes(5))
    assert stretch.beyond - stretch.first == 5
    for found, kind in ((trades, Trade), (quotes, BidAsk), (midpoints, Midpoint)):
        ticks = found(stretch.tape, stretch.first, stretch.beyond)
        assert ticks
        assert all(isinstance(tick, kind) for tick in ticks)
