"""What else is streamed: ticks one by one, books, five-second bars, headlines; and what is asked for once."""

from datetime import timedelta

import pytest

from services.gateway.ports import Ability, RequestRefused
from services.simulator.core.news import NewsDesk
from services.simulator.core.tape import Tape
from services.simulator.core.tick_data import quotes as quotes_of
from services.simulator.core.tick_data import trades
from shared.messages.market import DepthBook, LiveBar, NewsHeadline, TickBatch
from shared.messages.market_requests import Feed, ScanMarket
from shared.types import Timeframe
from tests.broker_port.stage import Desk, Stage, until
from tests.conformance.market import CLOSE, DAY, MINUTE, OPEN

TICKS = pytest.mark.needs(Ability.TICK_BY_TICK)


async def asked(stage: Stage, feed: Feed, symbol: str = "AAPL") -> None:
    """Open a stream; the broker has read that when this returns."""
    await stage.broker.lines.open(symbol, feed)
    await stage.settle()


def after_now(stage: Stage, minutes: int) -> tuple[Tape, int, int]:
    """The market's ticks of the next minutes: their tape, the first, and the one beyond the last."""
    coming = stage.future()
    return coming.tape, coming.first + 1, coming.first + 1 + minutes


@TICKS
async def test_trades_are_told_one_by_one(stage: Stage) -> None:
    await asked(stage, Feed.TRADES)
    expected = [(one.time, one.price, one.size) for one in trades(*after_now(stage, 30))]
    stage.advance(stage.now + 30 * MINUTE)

    def heard() -> list[tuple[object, ...]]:
        batches = stage.heard.of(TickBatch)
        return [(one.time, one.price, one.size) for batch in batches for one in batch.trades if one.symbol == "AAPL"]

    await until(lambda: len(heard()) >= len(expected), "all trades")
    assert heard()[-len(expected) :] == expected


@TICKS
async def test_bids_and_asks_are_told_one_by_one(stage: Stage) -> None:
    await asked(stage, Feed.BIDS_AND_ASKS)
    expected = [(one.time, one.bid, one.ask, one.bid_size, one.ask_size) for one in quotes_of(*after_now(stage, 30))]
    stage.advance(stage.now + 30 * MINUTE)

    def heard() -> list[tuple[object, ...]]:
        batches = stage.heard.of(TickBatch)
        return [
            (one.time, one.bid, one.ask, one.bid_size, one.ask_size) for batch in batches for one in batch.bids_and_asks
        ]

    await until(lambda: len(heard()) >= len(expected), "all quotes")
    assert heard()[-len(expected) :] == expected


@pytest.mark.needs(Ability.DEPTH)
async def test_book_is_whole_and_sorted(stage: Stage) -> None:
    await asked(stage, Feed.DEPTH)
    stage.advance(stage.now + 3 * MINUTE)
    coming = stage.future()
    bids, asks = stage.simulator.engine.market.ladder(coming.tape, coming.first)

    def newest() -> DepthBook | None:
        return next(iter(reversed(stage.heard.of(DepthBook))), None)

    def right() -> bool:
        book = newest()
        return book is not None and bool(book.bids and book.asks) and book.asks[0].price == asks[0].price

    await until(right, f"a book that begins with {bids[0]} and {asks[0]}, the newest is {newest()}")
    book = newest()
    assert book is not None
    assert book.symbol == "AAPL"
    assert book.bids[0].price == bids[0].price
    assert [level.price for level in book.bids] == sorted((level.price for level in book.bids), reverse=True)
    assert [level.price for level in book.asks] == sorted(level.price for level in book.asks)
    assert all(level.size > 0 for level in (*book.bids, *book.asks))


@pytest.mark.needs(Ability.FIVE_SECOND_BARS)
async def test_five_second_bars(stage: Stage) -> None:
    await asked(stage, Feed.FIVE_SECOND_BARS)
    coming = stage.future()
    stage.advance(stage.now + 5 * MINUTE)
    await until(lambda: len(stage.heard.of(LiveBar)) >= 5, "a bar of every tick")
    for number, one in enumerate(stage.heard.of(LiveBar)[:5], coming.first + 1):
        assert (one.bar.symbol, one.bar.timeframe) == ("AAPL", Timeframe.FIVE_SECONDS)
        assert one.bar.end - one.bar.start == timedelta(seconds=5)
        assert one.bar.close == coming.tape.price(int(coming.tape.last[number]))


@pytest.mark.needs(Ability.NEWS)
async def test_headlines_come_as_they_happen(stage: Stage) -> None:
    await asked(stage, Feed.NEWS)
    before = stage.now
    stage.advance(CLOSE + MINUTE)
    stories = list(NewsDesk(stage.simulator.engine.market).between(stage.listed("AAPL").contract_id, before, stage.now))
    assert stories, "the close is always news"
    await until(lambda: len(stage.heard.of(NewsHeadline)) >= len(stories), "all headlines")
    heard = stage.heard.of(NewsHeadline)
    assert [(one.symbol, one.provider, one.article_id, one.headline) for one in heard] == [
        ("AAPL", story.provider, story.article_id, story.headline) for story in stories
    ]


@pytest.mark.needs(Ability.NEWS)
async def test_newest_headlines(stage: Stage) -> None:
    stage.advance(OPEN + 2 * DAY)
    desk, contract_id = NewsDesk(stage.simulator.engine.market), stage.listed("AAPL").contract_id
    stories = list(desk.between(contract_id, stage.now - 60 * DAY, stage.now))
    found = await stage.broker.requests.news("AAPL", 3)
    assert {one.article_id for one in found} == {story.article_id for story in stories[-3:]}
    assert {one.symbol for one in found} == {"AAPL"}
    assert await stage.broker.requests.news("AAPL", 1)


@pytest.mark.parametrize(
    "feed",
    [
        pytest.param(Feed.TRADES, marks=TICKS),
        pytest.param(Feed.BIDS_AND_ASKS, marks=TICKS),
        pytest.param(Feed.DEPTH, marks=pytest.mark.needs(Ability.DEPTH)),
        pytest.param(Feed.FIVE_SECOND_BARS, marks=pytest.mark.needs(Ability.FIVE_SECOND_BARS)),
    ],
)
async def test_closed_feed_is_silent(stage: Stage, feed: Feed) -> None:
    lines = stage.broker.lines
    await lines.open("AAPL", feed)
    await asked(stage, feed, "IBM")
    assert lines.opened() == {("AAPL", feed), ("IBM", feed)}
    await lines.close("AAPL", feed)
    await stage.settle()
    before = len(stage.heard.messages)
    stage.advance(stage.now + 10 * MINUTE)
    await until(lambda: any("'IBM'" in repr(one) for one in stage.heard.messages[before:]), "IBM's feed goes on")
    await stage.settle()
    assert not [one for one in stage.heard.messages[before:] if "'AAPL'" in repr(one)]


async def test_scan_ranks_the_market(stage: Stage) -> None:
    def gain(symbol: str) -> float:
        quote = stage.market(symbol)
        assert quote.previous_close is not None
        return float((quote.last - quote.previous_close) / quote.previous_close)

    risen = [symbol for symbol in ("AAPL", "IBM", "MSFT") if gain(symbol) > 0]
    ranked = sorted(risen, key=gain, reverse=True)
    assert len(ranked) > 1
    found = await stage.broker.requests.scan(ScanMarket(scan_code="TOP_PERC_GAIN"))
    assert [symbol for symbol in found if symbol != "SPY"] == ranked
    assert list(await stage.broker.requests.scan(ScanMarket(scan_code="TOP_PERC_GAIN", rows=1))) == list(found[:1])


async def test_scan_leaves_out_what_its_bounds_exclude(stage: Stage) -> None:
    prices = {symbol: stage.market(symbol).last for symbol in ("AAPL", "IBM", "MSFT")}
    dearest = max(prices, key=lambda symbol: prices[symbol])
    scan = ScanMarket(scan_code="MOST_ACTIVE", above_price=prices[dearest] - 1)
    found = await stage.broker.requests.scan(scan)
    assert dearest in found
    assert not set(found) & {symbol for symbol in prices if prices[symbol] < prices[dearest] - 1}


async def test_scan_that_does_not_exist(desk: Desk) -> None:
    with pytest.raises(RequestRefused):
        await desk.broker.requests.scan(ScanMarket(scan_code="NO_SUCH_SCAN"))
