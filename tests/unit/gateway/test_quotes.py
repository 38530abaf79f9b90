"""Ticks in, quotes out: what is shown when, and how it is labelled."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from ib_async.contract import Contract

from services.gateway.adapters.tws.quotes import GREEKS_PER_BATCH, PATIENCE_SECONDS, Quotes
from shared.clock import MessageClock
from shared.messages.market import GreeksSource, Quote
from shared.types import QuoteQuality

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
BID, ASK, LAST, VOLUME, TIME, MODEL = 1, 2, 4, 8, 45, 13


class Feed:
    """One connection's quotes; the request id of a line is its place among `names`."""

    def __init__(self, *names: str, trade_time: bool = False) -> None:
        self.clock = MessageClock()
        self.clock.observe(NOW)
        self.quotes = Quotes(self.clock, trade_time=trade_time, rate=0.04)
        self.at = 100.0
        for number, name in enumerate(names):
            underlying = name[:6].strip() if len(name) == 21 else name
            self.quotes.open(number, name, Contract(symbol=underlying), self.at)

    def tick(self, request: int = 0, bid: float = 10.0, ask: float = 10.02, last: float = 10.01) -> None:
        for tick_type, price in ((BID, bid), (ASK, ask), (LAST, last)):
            self.quotes.priceSizeTick(request, tick_type, price, 100.0)
        self.quotes.stamp(self.at)

    def take(self) -> dict[str, Quote]:
        return {quote.symbol: quote for quote in self.quotes.take(self.at)}


def test_a_new_line_is_shown_when_it_is_complete_or_after_a_while() -> None:
    feed = Feed("A", "B")
    feed.quotes.priceSizeTick(0, BID, 10.0, 100.0)
    feed.quotes.priceSizeTick(1, BID, 10.0, 100.0)
    feed.quotes.stamp(feed.at)
    assert feed.take() == {}
    feed.tick(0)
    assert feed.take().keys() == {"A"}
    feed.at += PATIENCE_SECONDS
    shown = feed.take()
    assert shown["B"].bid == Decimal("10")
    assert shown["B"].ask is None


@pytest.mark.parametrize(
    ("name", "ticks", "complete"),
    [
        ("A", (BID, ASK), False),
        ("A", (BID, ASK, LAST), True),
        ("^SPX", (LAST,), True),
        ("EUR.USD", (BID, ASK), True),
        ("EUR.USD", (BID,), False),
    ],
)
def test_complete_is_what_its_kind_of_instrument_has(name: str, ticks: tuple[int, ...], complete: bool) -> None:
    feed = Feed(name)
    for tick_type in ticks:
        feed.quotes.priceSizeTick(0, tick_type, -1.0, 0.0)  # an empty side was told as well
    assert feed.quotes.by_symbol[name].complete is complete


def test_the_last_word_of_a_closed_line_still_goes_out_and_then_it_is_forgotten() -> None:
    feed = Feed("A", "B")
    feed.quotes.priceSizeTick(0, BID, 10.0, 100.0)
    feed.quotes.close(feed.quotes.by_symbol["A"])  # not even stamped yet
    feed.tick(1)
    shown = feed.take()
    assert shown["A"].bid == Decimal("10")
    feed.quotes.priceSizeTick(0, BID, 11.0, 100.0)
    feed.quotes.stamp(feed.at)
    feed.at += 60
    assert feed.take().keys() == {"B"}, "the repetition of all symbols knows only those that are streamed"


@pytest.mark.parametrize(
    ("told", "label"),
    [
        (1, QuoteQuality.LIVE),
        (2, QuoteQuality.FROZEN),
        (3, QuoteQuality.DELAYED),
        (4, QuoteQuality.DELAYED),
        (9, QuoteQuality.STALE),
    ],
)
def test_a_quote_bears_the_brokers_label(told: int, label: QuoteQuality) -> None:
    feed = Feed("A")
    feed.tick()
    assert feed.take()["A"].quality is QuoteQuality.LIVE
    feed.quotes.marketDataType(0, told)
    assert feed.take()["A"].quality is label


def test_stale_until_the_next_tick_with_its_age() -> None:
    feed = Feed("A", "B")
    feed.tick(0)
    feed.tick(1)
    feed.take()
    feed.at += 7.5
    line = feed.quotes.by_symbol["A"]
    feed.quotes.mark_stale(line)
    shown = feed.take()["A"]
    assert (shown.quality, shown.age_seconds, shown.bid) == (QuoteQuality.STALE, 7.5, Decimal("10"))
    feed.tick(1)
    assert line.stale, "another symbol's tick is none of this one"
    feed.tick(0)
    shown = feed.take()["A"]
    assert (shown.quality, shown.age_seconds) == (QuoteQuality.LIVE, 0)


def test_a_line_asked_for_again_keeps_its_quote_as_stale_and_hears_only_the_new_number() -> None:
    feed = Feed("A")
    feed.tick(0)
    feed.take()
    feed.quotes.open(7, "A", Contract(symbol="A"), feed.at)
    feed.tick(0, bid=20.0)
    shown = feed.take()["A"]
    assert (shown.quality, shown.bid) == (QuoteQuality.STALE, Decimal("10"))
    feed.tick(7, bid=20.0, ask=20.02)
    shown = feed.take()["A"]
    assert (shown.quality, shown.bid) == (QuoteQuality.LIVE, Decimal("20"))


def test_a_cut_line_is_stale_and_as_good_as_never_heard() -> None:
    feed = Feed("A")
    feed.tick()
    line = feed.quotes.by_symbol["A"]
    feed.quotes.cut(line)
    assert line.cut
    assert feed.take()["A"].quality is QuoteQuality.STALE
    feed.tick()
    assert not line.cut


def test_time_is_the_trades_in_a_simulated_market_and_the_ticks_in_a_real_one() -> None:
    trade, later = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)
    for trade_time, expected in ((True, trade), (False, later)):
        feed = Feed("A", trade_time=trade_time)
        feed.tick()
        for value in (str(int(trade.timestamp())), "0", "nonsense"):
            feed.quotes.tickString(0, TIME, value)
        feed.quotes.stamp(feed.at)
        assert feed.clock.now() == trade
        feed.clock.observe(later)
        feed.tick(bid=10.01)
        assert feed.take()["A"].time == expected


def test_prices_and_sizes_that_are_none() -> None:
    feed = Feed("A")
    feed.quotes.priceSizeTick(0, BID, -1.0, 0.0)
    feed.quotes.priceSizeTick(0, ASK, 0.0, 0.0)
    feed.quotes.priceSizeTick(0, LAST, 1.7976931348623157e308, 0.0)
    feed.quotes.tickSize(0, VOLUME, -1.0)
    feed.quotes.priceSizeTick(99, BID, 5.0, 1.0)  # of a line that is closed
    feed.quotes.tickSize(99, VOLUME, 5.0)
    feed.quotes.stamp(feed.at)
    shown = feed.take()["A"]
    assert (shown.bid, shown.ask, shown.last, shown.volume) == (None, None, None, None)


def computation(feed: Feed, request: int, **values: Any) -> None:
    told = {"implied_volatility": 0.3, "delta": 0.5, "gamma": 0.02, "vega": 0.2, "theta": -0.1, "underlying": 200.0}
    told |= values
    feed.quotes.tickOptionComputation(
        request,
        MODEL,
        0,
        told["implied_volatility"],
        told["delta"],
        5.0,
        0.0,
        told["gamma"],
        told["vega"],
        told["theta"],
        told["underlying"],
    )
    feed.quotes.stamp(feed.at)


def test_the_brokers_greeks_come_before_our_own() -> None:
    option = "AAPL  261218C00200000"
    feed = Feed(option, "AAPL")
    feed.tick(0, bid=5.0, ask=5.2, last=5.1)
    assert feed.take()[option].greeks is None, "nobody knows what the underlying costs"
    feed.tick(1, bid=200.0, ask=200.02, last=200.0)
    feed.at += 2
    feed.tick(0, bid=5.0, ask=5.2, last=5.1)
    ours = feed.take()[option].greeks
    assert ours is not None
    assert (ours.source, ours.underlying_price) == (GreeksSource.MODEL, Decimal("200.01"))
    computation(feed, 0, implied_volatility=-1.0)
    kept = feed.take()[option].greeks
    assert kept == ours
    computation(feed, 0)
    told = feed.take()[option].greeks
    assert told is not None
    assert (told.source, told.implied_volatility) == (GreeksSource.BROKER, 0.3)


def test_greeks_are_computed_for_a_few_options_at_a_time_and_only_when_something_changed() -> None:
    options = [f"AAPL  261218C00{strike}000" for strike in range(190, 190 + 3 * GREEKS_PER_BATCH)]
    feed = Feed(*options, "AAPL")
    feed.tick(len(options), bid=200.0, ask=200.02)
    known: list[int] = []
    for _ in range(4):
        for number in range(len(options)):
            feed.tick(number, bid=15.0, ask=15.2)
        known.append(sum(quote.greeks is not None for quote in feed.take().values()))
        feed.at += 0.1
    assert known == [GREEKS_PER_BATCH, 2 * GREEKS_PER_BATCH, len(options), len(options)]
    line = feed.quotes.by_symbol[options[0]]
    computed_at = line.greeks_at
    feed.at += 60
    feed.tick(0, bid=15.0, ask=15.2)
    feed.take()
    assert line.greeks_at == computed_at
    feed.tick(0, bid=15.1, ask=15.3)
    feed.take()
    assert line.greeks_at == feed.at
