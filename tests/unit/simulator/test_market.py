"""Price paths, tapes, quotes and depth of stocks."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.core.assembly import make_market, stock_market
from services.simulator.core.bars import DailyBar, DailySeries, day_path
from services.simulator.core.catalogue import stock
from services.simulator.core.increments import increment_of, on_grid, round_down, round_up
from services.simulator.core.market import Market
from services.simulator.core.quotes import MarketTerms
from services.simulator.core.tape import Session

# Monday to Thursday in winter: New York opens at 14:30 UTC
DAYS = (date(2010, 1, 4), date(2010, 1, 5), date(2010, 1, 6), date(2010, 1, 7))
SESSIONS = tuple(
    Session(
        day,
        datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
        datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
    )
    for day in DAYS
)
# cents: open, high, low, close; the first day is history
AAA = (
    DailyBar(DAYS[0], 9900, 10100, 9800, 10000, 390_000),
    DailyBar(DAYS[1], 10000, 11000, 9000, 10500, 391_000),  # rises: low first
    DailyBar(DAYS[2], 12000, 12500, 11500, 11600, 400_001),  # gaps up, falls: high first
    DailyBar(DAYS[3], 11600, 11700, 11000, 11100, 1),
)
BBB = (DailyBar(DAYS[1], 5000, 5100, 4900, 5050, 1000), DailyBar(DAYS[3], 5000, 5050, 4950, 5000, 1000))
A, B = stock("AAA").contract_id, stock("BBB").contract_id


def market(tick_seconds: int = 60, **terms: object) -> Market:
    chosen = MarketTerms(tick_seconds=tick_seconds, **terms)  # type: ignore[arg-type]
    return stock_market(SESSIONS, {"AAA": AAA, "BBB": BBB}, DAYS[1], DAYS[3], chosen)


def minutes(day: int, count: float) -> datetime:
    return SESSIONS[day].open + timedelta(minutes=count)


# -- paths ------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 50_000), min_size=4, max_size=4),
    st.integers(0, 10**9),
    st.integers(8, 500),
    st.booleans(),
    st.sampled_from([0.0, 0.0128, 0.3]),
)
def test_path_goes_exactly_through_the_bar(
    prices: list[int], volume: int, ticks: int, rising: bool, halted: float
) -> None:
    low, first, second, high = sorted(prices)
    opening, close = (first, second) if rising else (second, first)
    path = day_path("AAA", DailyBar(DAYS[1], opening, high, low, close, volume), ticks, halted)
    assert len(path.last) == len(path.volume) == ticks
    assert (path.last[0], path.last[-1]) == (opening, close)
    assert (path.last.max(), path.last.min()) == (high, low)
    assert path.volume[-1] == volume
    assert (np.diff(path.volume) >= 0).all()
    if close > opening > low and high > close:
        assert path.last.argmin() < path.last.argmax(), "a rising day reaches its low first"
    for begins, beyond in path.halts:
        assert 0 < begins < beyond < ticks
        assert len({*path.last[begins - 1 : beyond].tolist()}) == 1
        assert path.volume[begins - 1] == path.volume[beyond - 1]


def test_path_depends_on_symbol_and_date_only() -> None:
    bar, other_day = AAA[1], DailyBar(DAYS[2], *(AAA[1].open, AAA[1].high, AAA[1].low, AAA[1].close), AAA[1].volume)
    path = day_path("AAA", bar, 391)
    assert (path.last == day_path("AAA", bar, 391).last).all()
    assert (path.last != day_path("AAB", bar, 391).last).any()
    assert (path.last != day_path("AAA", other_day, 391).last).any()


def test_auctions_are_the_busiest_ticks() -> None:
    tape = market().tape(A, DAYS[1])
    assert tape is not None
    traded = np.diff(tape.volume, prepend=0)
    assert traded[0] == 391_000 * 2 // 100
    assert traded[-1] == pytest.approx(391_000 * 6 / 100, abs=1)
    assert traded[1] > 2 * traded[195], "busier near the open than at mid-day"
    assert tape.auctions
    assert tape.regular == (0, 390)


# -- quotes and tapes of stocks ---------------------------------------------------------------------------------------


def test_quotes_over_a_session() -> None:
    first = market().quote(A, SESSIONS[1].open)
    assert first is not None
    assert (first.bid, first.last, first.ask) == (Decimal("99.99"), Decimal("100.00"), Decimal("100.01"))
    assert (first.previous_close, first.index, first.halted) == (Decimal("100.00"), 0, False)
    last = market().quote(A, SESSIONS[1].close)
    assert last is not None
    assert (last.open, last.high, last.low, last.last) == tuple(
        Decimal(price) for price in ("100.00", "110.00", "90.00", "105.00")
    )
    assert (last.volume, last.time) == (391_000, SESSIONS[1].close)
    assert last.last_size == pytest.approx(391_000 * 6 / 100, abs=1)


def test_quote_between_ticks_and_out_of_hours_is_the_latest() -> None:
    made = market()
    assert made.quote(A, minutes(1, 5.99)) == made.quote(A, minutes(1, 5))
    assert made.quote(A, SESSIONS[2].open - timedelta(seconds=1)) == made.quote(A, SESSIONS[1].close)
    assert made.quote(A, SESSIONS[0].open - timedelta(seconds=1)) is None


def test_symbol_without_a_bar_keeps_its_last_quote() -> None:
    made = market()
    assert made.quote(B, SESSIONS[1].open - timedelta(seconds=1)) is None
    assert made.tape(B, DAYS[2]) is None
    assert made.quote(B, minutes(2, 100)) == made.quote(B, SESSIONS[1].close)
    assert made.previous_close(B, DAYS[3]) == Decimal("50.50")
    assert made.previous_close(B, DAYS[1]) is None


def test_running_and_next_tapes() -> None:
    made = market()
    days = [
        (made.next_tape(B, time) or made.tape(A, DAYS[0])) for time in (minutes(0, 0), minutes(1, 389), minutes(2, 9))
    ]
    assert [tape.day for tape in days if tape is not None] == [DAYS[1], DAYS[1], DAYS[3]]
    assert made.next_tape(B, SESSIONS[1].close) is made.tape(B, DAYS[3])
    assert made.next_tape(A, SESSIONS[3].close) is None
    assert made.tape_at(A, minutes(1, 0)) is made.tape(A, DAYS[1])
    assert made.tape_at(A, minutes(1, -1)) is None
    assert made.tape_at(A, SESSIONS[1].close) is None
    assert made.latest(A, minutes(2, 30)) == (made.tape(A, DAYS[2]), 30)


def test_extended_hours_surround_the_regular_ones() -> None:
    made = market(extended_hours=True)
    tape, plain = made.tape(A, DAYS[2]), market().tape(A, DAYS[2])
    assert tape is not None
    assert plain is not None
    assert (tape.start, tape.end) == (minutes(2, -330), minutes(2, 630))
    first, final = tape.regular
    assert (tape.time(first), tape.time(final)) == (SESSIONS[2].open, SESSIONS[2].close)
    assert (tape.last[first : final + 1] == plain.last).all()
    assert (tape.last[0], tape.last[-1]) == (10500, 11600), "from the last close, and on at this one"
    assert (np.diff(tape.volume) >= 0).all()
    early = made.quote(A, tape.start)
    assert early is not None
    assert early.previous_close == Decimal("105.00")


def test_ticks_need_not_divide_the_day() -> None:
    tape = market(tick_seconds=1000).tape(A, DAYS[1])
    assert tape is not None
    assert len(tape) == 25
    assert tape.time(24) == tape.end == SESSIONS[1].close
    assert tape.index(SESSIONS[1].close - timedelta(seconds=1)) == 23
    assert (tape.last[0], tape.last[-1], tape.last.max()) == (10000, 10500, 11000)


def test_liquid_stock_shows_more_than_others() -> None:
    bars = {
        name: [DailyBar(DAYS[1], 1000, 1010, 990, 1000, volume)]
        for name, volume in (("BIG", 20_000_000), ("TINY", 500))
    }
    made = stock_market(SESSIONS, bars, DAYS[1], DAYS[3])
    big, tiny = (made.tape(stock(name).contract_id, DAYS[1]) for name in bars)
    assert big is not None
    assert tiny is not None
    assert 500 <= np.median(big.bid_size) <= 2000
    assert tiny.bid_size.min() == 100
    assert ((big.bid_size % 100 == 0) & (big.ask_size > 0)).all()


def test_ladder_begins_at_the_quote_and_leads_away_from_it() -> None:
    made = market()
    tape = made.tape(A, DAYS[1])
    assert tape is not None
    for index in (0, 7, 100, 390):
        bids, asks = made.ladder(tape, index)
        assert (bids, asks) == made.ladder(tape, index)
        assert (bids[0].price, bids[0].size) == (tape.price(int(tape.bid[index])), tape.bid_size[index])
        assert (asks[0].price, asks[0].size) == (tape.price(int(tape.ask[index])), tape.ask_size[index])
        assert [bids[0].price - level.price for level in bids] == [Decimal("0.01") * n for n in range(8)]
        assert [level.price - asks[0].price for level in asks] == [Decimal("0.01") * n for n in range(8)]
        assert all(level.size > 0 and level.size % 100 == 0 for level in (*bids, *asks))


def test_ladder_ends_above_zero() -> None:
    made = stock_market(SESSIONS, {"AAA": [DailyBar(DAYS[1], 4, 4, 3, 3, 100)]}, DAYS[1], DAYS[3])
    tape = made.tape(A, DAYS[1])
    assert tape is not None
    bids, asks = made.ladder(tape, 0)
    assert [level.price for level in bids] == [Decimal("0.03"), Decimal("0.02"), Decimal("0.01")]
    assert len(asks) == 8


def test_penny_stock_trades_in_smaller_steps() -> None:
    penny = stock("PNY", penny=True)
    bar = DailyBar(DAYS[1], 9995, 10100, 9990, 10050, 1000)
    made = make_market(SESSIONS, {penny: DailySeries("PNY", [bar])}, DAYS[1], DAYS[3], MarketTerms())
    quote = made.quote(penny.contract_id, SESSIONS[1].open)
    assert quote is not None
    assert quote.last == Decimal("0.9995")
    assert made.increment(penny.contract_id, Decimal("0.5")) == Decimal("0.0001")
    assert made.increment(penny.contract_id, Decimal(1)) == Decimal("0.01")


def test_increments_and_rounding() -> None:
    assert [increment_of(110, Decimal(price)) for price in ("0.5", "2.99", "3", "-3.5")] == [
        Decimal(step) for step in ("0.01", "0.01", "0.05", "0.05")
    ]
    assert on_grid(110, Decimal("3.05"))
    assert not on_grid(110, Decimal("3.04"))
    assert (round_down(110, Decimal("3.04")), round_up(110, Decimal("3.01"))) == (3, Decimal("3.05"))
    with pytest.raises(KeyError):
        increment_of(4711, Decimal(1))


def test_shares_to_borrow() -> None:
    made = market(hard_to_borrow=frozenset({"BBB"}))
    assert made.shortable(A, DAYS[1]) > 1_000_000
    assert made.shortable(B, DAYS[1]) == 0


def test_sessions_of_the_main_exchange() -> None:
    made = market()
    assert made.session_at(SESSIONS[1].open) == SESSIONS[1]
    assert made.session_at(SESSIONS[1].close) is None
    assert made.next_open(SESSIONS[1].open) == SESSIONS[2].open
    assert made.next_open(datetime(2030, 1, 1, tzinfo=UTC)) is None
    assert made.session_of(DAYS[1]) == SESSIONS[1]
    assert made.session_of(date(2010, 1, 9)) is None
    assert (made.sessions, made.last_close) == (SESSIONS[1:], SESSIONS[3].close)
    with pytest.raises(ValueError, match="start, end: no exchange session"):
        stock_market(SESSIONS, {"AAA": AAA}, date(2011, 1, 1), date(2011, 2, 1))


def test_fingerprint_tells_markets_apart() -> None:
    assert market().fingerprint() == market().fingerprint()
    others = [
        market(tick_seconds=30),
        market(extended_hours=True),
        market(interest_rate=0.02),
        market(hard_to_borrow=frozenset({"AAA"})),
        stock_market(SESSIONS, {"AAA": AAA[1:], "BBB": BBB}, DAYS[1], DAYS[3]),
        stock_market(SESSIONS, {"AAA": AAA}, DAYS[1], DAYS[3]),
    ]
    assert len({market().fingerprint(), *(other.fingerprint() for other in others)}) == 7
