"""Quotes into minutes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.marketdata.core.aggregate import MinuteAggregator
from shared.messages.market import Bar, Quote
from shared.types import QuoteQuality

START = datetime(2012, 6, 1, 14, 0, tzinfo=UTC)


def quote(
    seconds: float,
    last: int | None,
    volume: int | None,
    symbol: str = "IBM",
    quality: QuoteQuality = QuoteQuality.LIVE,
) -> Quote:
    return Quote(
        symbol=symbol,
        bid=None,
        ask=None,
        last=None if last is None else Decimal(last),
        bid_size=None,
        ask_size=None,
        volume=None if volume is None else Decimal(volume),
        time=START + timedelta(seconds=seconds),
        quality=quality,
    )


def aggregate(quotes: list[Quote]) -> list[Bar]:
    aggregator = MinuteAggregator()
    return [bar for item in quotes if (bar := aggregator.add(item)) is not None]


def test_a_minute_closes_with_the_first_quote_of_a_later_one():
    quotes = [quote(0, 9, 100), quote(60, 10, 110), quote(70, 13, 120), quote(80, 8, 150), quote(119, 11, 151)]
    assert aggregate(quotes) == []
    [bar] = aggregate([*quotes, quote(121, 20, 500)])
    assert (bar.start, bar.end) == (START + timedelta(minutes=1), START + timedelta(minutes=2))
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (10, 13, 8, 11, 51)


def test_the_minute_in_which_a_symbol_is_first_seen_is_left_out():
    assert aggregate([quote(30, 10, 100), quote(40, 11, 120), quote(60, 12, 130)]) == []


def test_a_minute_without_a_trade_has_no_bar():
    # the same price and volume again: only the bid or the ask has moved
    quotes = [quote(0, 10, 100), quote(60, 10, 100), quote(90, 10, 100), quote(180, 11, 110), quote(240, 11, 110)]
    [bar] = aggregate(quotes)
    assert bar.start == START + timedelta(minutes=3)


def test_symbols_do_not_mix():
    quotes = [quote(0, 10, 1), quote(0, 50, 1, "AAPL"), quote(60, 11, 2), quote(60, 51, 2, "AAPL"), quote(120, 12, 3)]
    [bar] = aggregate(quotes)
    assert (bar.symbol, bar.close) == ("IBM", 11)


def test_volume_begins_again_with_the_session():
    [bar] = aggregate([quote(0, 10, 5000), quote(60, 11, 40), quote(70, 12, 60), quote(120, 12, 60)])
    assert bar.volume == 60


@pytest.mark.parametrize(
    "ignored",
    [
        quote(90, 99, 999, quality=QuoteQuality.STALE),
        quote(90, 99, 999, quality=QuoteQuality.FROZEN),
        quote(90, None, 999),
        quote(59, 99, 999),
    ],
    ids=["stale", "frozen", "no last price", "late"],
)
def test_quotes_that_tell_nothing_new_change_nothing(ignored: Quote):
    quotes = [quote(0, 10, 1), quote(60, 11, 2), ignored, quote(120, 12, 3)]
    [bar] = aggregate(quotes)
    assert (bar.high, bar.volume) == (11, 1)


steps = st.tuples(st.integers(0, 50), st.integers(1, 100), st.integers(1, 50))


@given(st.lists(steps, min_size=2, max_size=60))
def test_bars_hold_every_trade_once(moves: list[tuple[int, int, int]]):
    seconds, volume, quotes = 0, 1000, [quote(0, 50, 1000)]
    for wait, price, traded in moves:
        seconds, volume = seconds + wait, volume + traded
        quotes.append(quote(seconds, price, volume))
    closing = quote((seconds // 60 + 1) * 60, 50, volume)
    bars = aggregate([*quotes, closing])
    in_first_minute = [item for item in quotes if item.time < START + timedelta(minutes=1)]
    assert sum(bar.volume for bar in bars) == volume - (in_first_minute[-1].volume or 0)
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.end - bar.start == timedelta(minutes=1)
    assert [bar.end for bar in bars] == sorted({bar.end for bar in bars})
