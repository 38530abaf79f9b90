"""What the broker says of streams that are not quotes, and which errors end a stream."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from ib_async.contract import Contract

from services.gateway.adapters.tws.line_callbacks import LineCallbacks
from services.gateway.adapters.tws.quotes import Quotes
from shared.clock import MessageClock
from shared.messages.base import Message
from shared.messages.market import DepthBook, LiveBar, NewsHeadline, TickBatch
from shared.messages.market_requests import Feed

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
INSERT, DELETE, ASK, BID = 0, 2, 0, 1


class Heard:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.quotes = 0

    def heard(self, message: Message) -> None:
        self.messages.append(message)

    def quotes_changed(self) -> None:
        self.quotes += 1


def streams(*feeds: Feed) -> tuple[LineCallbacks, Heard]:
    """One stream of AAPL for each feed; its request id is its place."""
    heard, clock = Heard(), MessageClock()
    clock.observe(NOW)
    lines = LineCallbacks(Quotes(clock, trade_time=False, rate=0.04), heard, clock)
    for number, feed in enumerate(feeds):
        lines.open(number, "AAPL", feed, Contract(symbol="AAPL", exchange="SMART"))
    return lines, heard


def test_ticks_of_one_read_go_out_together_in_their_order() -> None:
    lines, heard = streams(Feed.TRADES, Feed.BIDS_AND_ASKS)
    lines.tickByTickAllLast(0, 2, SECONDS, 10.25, 100.0, None, "NASDAQ", "T")
    lines.tickByTickBidAsk(1, SECONDS, 10.24, 10.26, 300.0, 200.0, None)
    lines.tickByTickAllLast(0, 2, SECONDS, 10.26, 5.0, None, "IEX", "")
    lines.tickByTickAllLast(9, 2, SECONDS, 99.0, 5.0, None, "IEX", "")  # of a stream that is closed
    assert heard.messages == []
    lines.processed()
    (batch,) = heard.messages
    assert isinstance(batch, TickBatch)
    assert [(tick.price, tick.size, tick.exchange, tick.conditions, tick.time) for tick in batch.trades] == [
        (Decimal("10.25"), Decimal("100"), "NASDAQ", "T", NOW),
        (Decimal("10.26"), Decimal("5"), "IEX", "", NOW),
    ]
    (quote,) = batch.bids_and_asks
    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == tuple(
        map(Decimal, ("10.24", "10.26", "300", "200"))
    )
    lines.processed()
    assert len(heard.messages) == 1


def test_a_book_is_told_whole_once_for_each_read_and_begins_anew_after_a_reset() -> None:
    lines, heard = streams(Feed.DEPTH)
    lines.updateMktDepthL2(0, 0, "NSDQ", INSERT, BID, 10.0, 100.0, True)
    lines.updateMktDepthL2(0, 1, "ARCA", INSERT, BID, 9.99, 200.0, True)
    lines.updateMktDepth(0, 0, INSERT, ASK, 10.01, 300.0)
    lines.processed()
    lines.updateMktDepth(0, 0, DELETE, BID, 0.0, 0.0)
    lines.processed()
    assert lines.refused(0, 317) == "AAPL"
    lines.processed()
    books = [message for message in heard.messages if isinstance(message, DepthBook)]
    assert [[row.price for row in book.bids] for book in books] == [[10, Decimal("9.99")], [Decimal("9.99")], []]
    assert books[0].bids[1].market_maker == "ARCA"
    assert [len(book.asks) for book in books] == [1, 1, 0]
    assert ("AAPL", Feed.DEPTH) in lines.opened()


def test_bars_and_headlines_are_told_as_they_come() -> None:
    lines, heard = streams(Feed.FIVE_SECOND_BARS, Feed.NEWS)
    lines.realtimeBar(0, SECONDS, 10.0, 10.5, 9.5, 10.25, -1.0, 10.1, 0)
    lines.tickNews(1, SECONDS * 1000 + 250, "BRFG", "BRFG$1", "Something happened", "")
    live, news = heard.messages
    assert isinstance(live, LiveBar)
    assert (live.bar.start, (live.bar.end - live.bar.start).seconds, live.bar.volume) == (NOW, 5, 0)
    assert isinstance(news, NewsHeadline)
    assert (news.symbol, news.provider, news.article_id, news.time.microsecond) == ("AAPL", "BRFG", "BRFG$1", 250_000)
    assert lines.heard_at("AAPL", Feed.NEWS) is not None
    assert lines.heard_at("AAPL", Feed.TRADES) is None


@pytest.mark.parametrize("feed", [Feed.QUOTES, Feed.DEPTH])
@pytest.mark.parametrize(
    ("code", "ends"),
    [
        (101, True),
        (200, True),
        (309, True),
        (316, True),
        (354, True),
        (420, True),
        (10089, True),
        (10168, True),
        (10189, True),
        (10190, True),
        (10225, True),
        (12345, True),
        (10090, False),
        (10167, False),
        (10197, False),
        (2119, False),
        (2186, False),
    ],
)
def test_which_errors_end_a_stream(feed: Feed, code: int, ends: bool) -> None:
    lines, _ = streams(feed)
    assert lines.refused(0, code) == "AAPL"
    assert (("AAPL", feed) not in lines.opened()) is ends
    assert lines.refused(77, code) is None


def test_nothing_counts_as_heard_while_another_login_has_the_data() -> None:
    lines, heard = streams(Feed.QUOTES, Feed.FIVE_SECOND_BARS)
    lines.quotes.priceSizeTick(0, 1, 10.0, 100.0)
    lines.realtimeBar(1, SECONDS, 10.0, 10.5, 9.5, 10.25, 5.0, 10.1, 3)
    lines.processed()
    assert heard.quotes == 1
    for request, feed in ((0, Feed.QUOTES), (1, Feed.FIVE_SECOND_BARS)):
        assert lines.heard_at("AAPL", feed) is not None
        lines.refused(request, 10197)
        assert lines.heard_at("AAPL", feed) is None
    lines.quotes.priceSizeTick(0, 1, 10.0, 100.0)
    lines.processed()
    assert lines.heard_at("AAPL", Feed.QUOTES) is not None


def test_the_answer_to_our_own_cancel_is_expected_and_to_nobody_elses() -> None:
    lines, _ = streams(Feed.QUOTES, Feed.DEPTH)
    assert not lines.expected(0, 300)
    lines.open(5, "AAPL", Feed.QUOTES, Contract(symbol="AAPL"))  # asked for again: number 0 was cancelled
    found = lines.find("AAPL", Feed.DEPTH)
    assert found is not None
    lines.close(found)
    assert lines.expected(0, 300)
    assert lines.expected(1, 310)
    assert not lines.expected(0, 354)
    assert not lines.expected(5, 300)
    assert lines.opened() == {("AAPL", Feed.QUOTES)}
