"""What the broker streams of the market."""

# ruff: noqa: N802 - names and arguments are those of ib_async's decoder

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ib_async.contract import Contract

from services.gateway.adapters.tws.convert import decimal
from services.gateway.adapters.tws.names import SMART
from services.gateway.adapters.tws.quotes import Line, Quotes
from services.gateway.core.depth import ASKS, BIDS, Book, Row
from services.gateway.core.line_queue import Stream
from services.gateway.ports import Listener
from shared.clock import Clock
from shared.messages.market import (
    Bar,
    BidAskTick,
    DepthBook,
    DepthLevel,
    LiveBar,
    NewsHeadline,
    TickBatch,
    TradeTick,
)
from shared.messages.market_requests import Feed
from shared.types import Timeframe

DEPTH_ROWS = 10
COMPETING, DEPTH_RESET = 10197, 317
GONE = frozenset({300, 310})
"""The answers to a cancel of what the broker has ended itself."""
# Warnings: part is missing, delayed data follow, the book begins anew, another login has the data for now.
_LIVES_ON = frozenset({10090, 10091, 10167, COMPETING, DEPTH_RESET})
_NOTICES = range(2100, 2200)
_FIVE_SECONDS = timedelta(seconds=5)


@dataclass(slots=True)
class Other:
    """A stream of anything but quotes; `heard` is when the newest part came, in seconds of `time.monotonic`."""

    request_id: int
    symbol: str
    feed: Feed
    smart: bool
    heard: float | None = None
    book: Book = field(default_factory=lambda: Book(DEPTH_ROWS))


class LineCallbacks:
    """The streams of one connection, and what comes of them: quotes in batches, the rest is heard."""

    def __init__(self, quotes: Quotes, listener: Listener, clock: Clock) -> None:
        self.quotes = quotes
        self.type_asked = False
        self._listener = listener
        self._clock = clock
        self._others: dict[int, Other] = {}
        self._by_name: dict[Stream, Other] = {}
        self._cancelled: deque[int] = deque(maxlen=1000)
        self._trades: list[TradeTick] = []
        self._bids_and_asks: list[BidAskTick] = []
        self._books: dict[int, Other] = {}

    # Streams

    def find(self, symbol: str, feed: Feed) -> Line | Other | None:
        return self.quotes.by_symbol.get(symbol) if feed is Feed.QUOTES else self._by_name.get((symbol, feed))

    def opened(self) -> frozenset[Stream]:
        return frozenset((*((symbol, Feed.QUOTES) for symbol in self.quotes.by_symbol), *self._by_name))

    def heard_at(self, symbol: str, feed: Feed) -> float | None:
        found = self.find(symbol, feed)
        return None if found is None or (isinstance(found, Line) and found.cut) else found.heard

    def open(self, request_id: int, symbol: str, feed: Feed, contract: Contract) -> None:
        """A stream is asked for, or asked for again under a new number."""
        found = self.find(symbol, feed)
        if found is not None:
            self._cancelled.append(found.request_id)
        if feed is Feed.QUOTES:
            self.quotes.open(request_id, symbol, contract, time.monotonic())
            return
        if isinstance(found, Other):
            del self._others[found.request_id]
        other = Other(request_id, symbol, feed, smart=contract.exchange == SMART)
        self._others[request_id] = self._by_name[symbol, feed] = other

    def close(self, found: Line | Other) -> None:
        """A stream has ended."""
        self._cancelled.append(found.request_id)
        if isinstance(found, Line):
            self.quotes.close(found)
        else:
            del self._others[found.request_id], self._by_name[found.symbol, found.feed]
            self._books.pop(found.request_id, None)

    def expected(self, request_id: int, code: int) -> bool:
        """Whether an error only says that a stream we ended had ended already."""
        return code in GONE and request_id in self._cancelled

    def refused(self, request_id: int, code: int) -> str | None:
        """An error that names a stream; returns its symbol, None for another request. Most end the stream."""
        found = self.quotes.by_request.get(request_id) or self._others.get(request_id)
        if found is None:
            return None
        if code not in _LIVES_ON and code not in _NOTICES:
            self.close(found)
        elif code == COMPETING and isinstance(found, Line):
            self.quotes.cut(found)
        elif code == COMPETING and isinstance(found, Other):
            found.heard = None
        elif code == DEPTH_RESET and isinstance(found, Other):
            found.book.clear()
            self._books[request_id] = found
        return found.symbol

    def processed(self) -> None:
        """All messages that came together are decoded."""
        if self.quotes.ticked:
            self.quotes.stamp(time.monotonic())
        if self.quotes.changed:
            self._listener.quotes_changed()
        if self._trades or self._bids_and_asks:
            self._listener.heard(TickBatch(trades=tuple(self._trades), bids_and_asks=tuple(self._bids_and_asks)))
            self._trades.clear()
            self._bids_and_asks.clear()
        if self._books:
            for other in self._books.values():
                self._listener.heard(self._book(other))
            self._books.clear()

    def _other(self, request_id: int) -> Other | None:
        """Whose part has come just now."""
        other = self._others.get(request_id)
        if other is not None:
            other.heard = time.monotonic()
        return other

    # Parts of streams; times are whole seconds since 1970 where no unit is said

    def tickByTickAllLast(
        self,
        request_id: int,
        tick_type: int,
        seconds: int,
        price: float,
        size: float,
        attributes: Any,
        exchange: str,
        conditions: str,
    ) -> None:
        del tick_type, attributes
        if (other := self._other(request_id)) is not None:
            self._trades.append(
                TradeTick(
                    symbol=other.symbol,
                    time=_time(seconds),
                    price=decimal(price),
                    size=decimal(size),
                    exchange=exchange,
                    conditions=conditions,
                )
            )

    def tickByTickBidAsk(
        self, request_id: int, seconds: int, bid: float, ask: float, bid_size: float, ask_size: float, attributes: Any
    ) -> None:
        del attributes
        if (other := self._other(request_id)) is not None:
            self._bids_and_asks.append(
                BidAskTick(
                    symbol=other.symbol,
                    time=_time(seconds),
                    bid=decimal(bid),
                    ask=decimal(ask),
                    bid_size=decimal(bid_size),
                    ask_size=decimal(ask_size),
                )
            )

    def updateMktDepth(
        self, request_id: int, position: int, operation: int, side: int, price: float, size: float
    ) -> None:
        self.updateMktDepthL2(request_id, position, "", operation, side, price, size)

    def updateMktDepthL2(
        self,
        request_id: int,
        position: int,
        market_maker: str,
        operation: int,
        side: int,
        price: float,
        size: float,
        smart: bool = False,
    ) -> None:
        del smart
        if (other := self._other(request_id)) is not None:
            other.book.change(side, operation, position, Row(price, size, market_maker))
            self._books[request_id] = other

    def realtimeBar(
        self,
        request_id: int,
        seconds: int,
        open_: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        average: float,
        count: int,
    ) -> None:
        del average, count
        if (other := self._other(request_id)) is not None:
            bar = Bar(
                symbol=other.symbol,
                timeframe=Timeframe.FIVE_SECONDS,
                start=_time(seconds),
                end=_time(seconds) + _FIVE_SECONDS,
                open=decimal(open_),
                high=decimal(high),
                low=decimal(low),
                close=decimal(close),
                volume=decimal(max(volume, 0.0)),
            )
            self._listener.heard(LiveBar(bar=bar))

    def tickNews(
        self, request_id: int, milliseconds: int, provider: str, article: str, headline: str, extra: str
    ) -> None:
        del extra
        if (other := self._other(request_id)) is not None:
            self._listener.heard(
                NewsHeadline(
                    symbol=other.symbol,
                    time=_time(milliseconds / 1000),
                    provider=provider,
                    article_id=article,
                    headline=headline,
                )
            )

    def _book(self, other: Other) -> DepthBook:
        bids, asks = (_levels(other.book.sides[side]) for side in (BIDS, ASKS))
        return DepthBook(symbol=other.symbol, time=self._clock.now(), bids=bids, asks=asks)


def _levels(rows: Sequence[Row]) -> tuple[DepthLevel, ...]:
    return tuple(
        DepthLevel(price=decimal(row.price), size=decimal(row.size), market_maker=row.market_maker) for row in rows
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
