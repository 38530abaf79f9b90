"""Streams of market data over the TWS API."""

from collections.abc import Callable, Sequence

from ib_async.contract import Contract

from services.gateway.adapters.tws.connection import Connection
from services.gateway.adapters.tws.line_callbacks import DEPTH_ROWS, LineCallbacks, Other
from services.gateway.adapters.tws.names import SMART
from services.gateway.adapters.tws.quotes import Line
from services.gateway.adapters.tws.requests import Requests
from services.gateway.core.line_queue import Stream
from services.gateway.ports import Urgency
from shared.messages.market import Quote
from shared.messages.market_requests import Feed
from shared.types import SecurityType

_FROZEN, _DELAYED_FROZEN = 2, 4
"""Market data types: live data; where there are none now, the last ones, and with the second of them, where there is no
subscription, delayed ones (https://interactivebrokers.github.io/tws-api/market_data_type.html)."""
_ONLY_NEWS = "mdoff,292"
"""No quotes, and headlines of every provider that the account has subscribed to."""


class Lines:
    """Implements `ports.Lines`. `delayed`: take delayed data of what is not subscribed to."""

    def __init__(self, connection: Connection, requests: Requests, *, delayed: bool) -> None:
        self._connection = connection
        self._requests = requests
        self._delayed = delayed

    @property
    def _callbacks(self) -> LineCallbacks:
        return self._connection.session.lines

    async def open(self, symbol: str, feed: Feed) -> None:
        contract = await self._requests.qualified(symbol)

        def write() -> None:
            if self._callbacks.find(symbol, feed) is None:
                self._ask(symbol, feed, contract)

        await self._connection.send(Urgency.DATA, write, 1 + self._type_is_due)

    async def close(self, symbol: str, feed: Feed) -> None:
        if self._callbacks.find(symbol, feed) is None:
            return

        def write() -> None:
            found = self._callbacks.find(symbol, feed)
            if found is not None:
                self._cancel(found)
                self._callbacks.close(found)

        await self._connection.send(Urgency.DATA, write)

    async def reopen(self, symbol: str, feed: Feed) -> None:
        contract = await self._requests.qualified(symbol)

        def write() -> None:
            found = self._callbacks.find(symbol, feed)
            if found is not None:
                self._cancel(found)
                self._ask(symbol, feed, contract)

        await self._connection.send(Urgency.DATA, write, 2 + self._type_is_due)

    def opened(self) -> frozenset[Stream]:
        return self._callbacks.opened()

    def heard_at(self, symbol: str, feed: Feed) -> float | None:
        return self._callbacks.heard_at(symbol, feed)

    def complete(self, symbol: str) -> bool:
        line = self._callbacks.quotes.by_symbol.get(symbol)
        return line is not None and line.complete

    def mark_stale(self, symbol: str) -> None:
        quotes = self._callbacks.quotes
        if line := quotes.by_symbol.get(symbol):
            quotes.mark_stale(line)

    def take_quotes(self, now: float) -> Sequence[Quote]:
        return self._callbacks.quotes.take(now)

    @property
    def _type_is_due(self) -> bool:
        """Whether nothing has been said on this connection of the kind of data wanted."""
        return not self._callbacks.type_asked

    def _ask(self, symbol: str, feed: Feed, contract: Contract) -> None:
        """Write the request for a stream, the first time after a word on the kind of data."""
        client, callbacks = self._connection.client, self._callbacks
        if self._type_is_due:
            callbacks.type_asked = True
            client.reqMarketDataType(_DELAYED_FROZEN if self._delayed else _FROZEN)
        request = self._connection.request_id()
        callbacks.open(request, symbol, feed, contract)
        match feed:
            case Feed.QUOTES:
                client.reqMktData(request, contract, "", False, False, [])
            case Feed.NEWS:
                client.reqMktData(request, contract, _ONLY_NEWS, False, False, [])
            case Feed.TRADES:
                client.reqTickByTickData(request, contract, "AllLast", 0, False)
            case Feed.BIDS_AND_ASKS:
                client.reqTickByTickData(request, contract, "BidAsk", 0, False)
            case Feed.DEPTH:
                client.reqMktDepth(request, contract, DEPTH_ROWS, contract.exchange == SMART, [])
            case Feed.FIVE_SECOND_BARS:
                show = "MIDPOINT" if contract.secType == SecurityType.CURRENCY else "TRADES"
                client.reqRealTimeBars(request, contract, 5, show, False, [])

    def _cancel(self, found: Line | Other) -> None:
        client, request = self._connection.client, found.request_id
        feed = found.feed if isinstance(found, Other) else Feed.QUOTES
        if isinstance(found, Other) and feed is Feed.DEPTH:
            client.cancelMktDepth(request, found.smart)
            return
        cancels: dict[Feed, Callable[[int], None]] = {
            Feed.QUOTES: client.cancelMktData,
            Feed.NEWS: client.cancelMktData,
            Feed.TRADES: client.cancelTickByTickData,
            Feed.BIDS_AND_ASKS: client.cancelTickByTickData,
            Feed.FIVE_SECOND_BARS: client.cancelRealTimeBars,
        }
        cancels[feed](request)
