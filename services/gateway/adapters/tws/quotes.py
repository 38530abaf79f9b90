"""Market data lines: ticks in, quotes out. A tick only stores floats; they are converted once per batch."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import Counter

from services.gateway.adapters.convert import price_or_none, size_or_none
from services.gateway.core.conflation import Conflation
from shared.messages.market import Quote
from shared.types import QuoteQuality

RECEIVED = Counter("millrace_gateway_ticks_total", "Market data ticks received from the broker")

# Tick types, live and delayed: https://interactivebrokers.github.io/tws-api/tick_types.html
BID, ASK, LAST = (1, 66), (2, 67), (4, 68)
BID_SIZE, ASK_SIZE, VOLUME = (0, 69), (3, 70), (8, 74)
LAST_TIMESTAMP = (45, 88)
_QUALITIES = {1: QuoteQuality.LIVE, 2: QuoteQuality.FROZEN, 3: QuoteQuality.DELAYED, 4: QuoteQuality.DELAYED}


@dataclass(slots=True)
class Line:
    """One symbol's subscription and its newest ticks, as the wire has them."""

    symbol: str
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    volume: float | None = None
    traded_at: datetime | None = None
    heard_at: datetime | None = None
    quality: QuoteQuality = QuoteQuality.LIVE


class Lines:
    """All lines of one connection, by request id.

    Args:
        now: the time of a tick that carries none.
        trade_time: take the time of the last trade for the quote's: right for a simulated market, where every tick is
            a trade; a real bid or ask can be much newer than the last trade.
    """

    def __init__(self, now: Callable[[], datetime], *, trade_time: bool) -> None:
        self._now = now
        self._trade_time = trade_time
        self._by_request: dict[int, Line] = {}
        self._by_symbol: dict[str, Line] = {}
        self._conflation = Conflation()
        self._ticks = 0

    @property
    def changed(self) -> bool:
        return bool(self._conflation.changed)

    def open(self, request_id: int, symbol: str) -> None:
        self._by_request[request_id] = self._by_symbol[symbol] = Line(symbol)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._by_symbol

    def symbol_of(self, request_id: int) -> str | None:
        line = self._by_request.get(request_id)
        return line.symbol if line else None

    def price(self, request_id: int, tick_type: int, price: float, size: float) -> None:
        line = self._by_request.get(request_id)
        if line is None:
            return
        self._ticks += 1
        if tick_type in BID:
            line.bid, line.bid_size = price, size
        elif tick_type in ASK:
            line.ask, line.ask_size = price, size
        elif tick_type in LAST:
            line.last = price
        else:
            return
        self._conflation.changed.add(line.symbol)

    def size(self, request_id: int, tick_type: int, size: float) -> None:
        line = self._by_request.get(request_id)
        if line is None:
            return
        self._ticks += 1
        if tick_type in BID_SIZE:
            line.bid_size = size
        elif tick_type in ASK_SIZE:
            line.ask_size = size
        elif tick_type in VOLUME:
            line.volume = size
        else:
            return
        self._conflation.changed.add(line.symbol)

    def text(self, request_id: int, tick_type: int, value: str) -> datetime | None:
        """A text tick; returns the time it carries."""
        line = self._by_request.get(request_id)
        if line is None or tick_type not in LAST_TIMESTAMP or not value.isdigit() or value == "0":
            return None
        line.traded_at = datetime.fromtimestamp(int(value), UTC)
        self._conflation.changed.add(line.symbol)
        return line.traded_at

    def quality(self, request_id: int, market_data_type: int) -> None:
        line = self._by_request.get(request_id)
        if line is not None:
            line.quality = _QUALITIES.get(market_data_type, QuoteQuality.STALE)

    def stamp(self) -> None:
        """What waits for the next batch was heard just now."""
        RECEIVED.inc(self._ticks)
        self._ticks = 0
        now = self._now()
        for symbol in self._conflation.changed:
            self._by_symbol[symbol].heard_at = now

    def take(self, now: float) -> list[Quote]:
        return [self._quote(self._by_symbol[symbol]) for symbol in sorted(self._conflation.take(now))]

    def _quote(self, line: Line) -> Quote:
        time = line.traded_at if self._trade_time and line.traded_at else line.heard_at
        return Quote(
            symbol=line.symbol,
            bid=price_or_none(line.bid),
            ask=price_or_none(line.ask),
            last=price_or_none(line.last),
            bid_size=size_or_none(line.bid_size),
            ask_size=size_or_none(line.ask_size),
            volume=size_or_none(line.volume),
            time=time or self._now(),
            quality=line.quality,
        )
