"""Quotes of market data lines: ticks in, quotes out. A tick only stores floats; they are converted once per batch."""

# ruff: noqa: N802 - the ticks' methods have the names of ib_async's decoder

from dataclasses import dataclass
from datetime import UTC, datetime

from ib_async.contract import Contract
from prometheus_client import Counter

from services.gateway.adapters.tws.convert import price_or_none, size_or_none
from services.gateway.core import greeks
from services.gateway.core.conflation import Conflation
from shared.clock import Clock
from shared.instruments import Instrument, parse
from shared.messages.market import Greeks, Quote
from shared.types import QuoteQuality, SecurityType

RECEIVED = Counter("millrace_gateway_ticks_total", "Market data ticks received from the broker")
MODELLED = Counter("millrace_gateway_greeks_total", "Options' Greeks that were computed because the broker sent none")

# Tick types, live and delayed: https://interactivebrokers.github.io/tws-api/tick_types.html
BID, ASK, LAST = (1, 66), (2, 67), (4, 68)
BID_SIZE, ASK_SIZE, VOLUME = (0, 69), (3, 70), (8, 74)
LAST_TIMESTAMP = (45, 88)
MODEL = (13, 83)
_QUALITIES = {1: QuoteQuality.LIVE, 2: QuoteQuality.FROZEN, 3: QuoteQuality.DELAYED, 4: QuoteQuality.DELAYED}

PATIENCE_SECONDS = 1.0
"""A line that has just been opened is not shown before it has bid, ask and last, or for so long."""
GREEKS_PER_BATCH, GREEKS_SECONDS = 4, 1.0
"""At most so many computations for a batch (a millisecond each), and for an option one in so many seconds."""


@dataclass(slots=True, eq=False)
class Line:
    """One symbol's subscription and its newest ticks, as the wire has them.

    `opened` and `heard` are in seconds of `time.monotonic`, `heard` that of the newest tick. `cut`: the broker has
    said that nothing comes for now. `whole`: it may be shown.
    """

    request_id: int
    symbol: str
    instrument: Instrument
    underlying: str
    opened: float
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    volume: float | None = None
    traded_at: str = ""
    heard: float | None = None
    heard_at: datetime | None = None
    quality: QuoteQuality = QuoteQuality.LIVE
    stale: bool = False
    cut: bool = False
    whole: bool = False
    computation: greeks.Computation | None = None
    greeks: Greeks | None = None
    greeks_of: tuple[float, float] = (0.0, 0.0)
    greeks_at: float = float("-inf")

    @property
    def complete(self) -> bool:
        """Whether all was heard that its kind of instrument has: currencies do not trade, indices are not quoted."""
        kind = self.instrument.security_type
        quoted = kind is SecurityType.INDEX or (self.bid is not None and self.ask is not None)
        return quoted and (kind is SecurityType.CURRENCY or self.last is not None)

    def middle(self) -> float | None:
        """Between bid and ask where there are both."""
        if self.bid is None or self.ask is None or self.bid <= 0 or self.ask <= 0:
            return None
        return (self.bid + self.ask) / 2

    def price(self) -> float | None:
        """What it is worth now: the middle, or the last price."""
        return self.middle() or (self.last if self.last and self.last > 0 else None)


class Quotes:
    """All lines with quotes of one connection, by request id and by symbol.

    Args:
        clock: gives the time of ticks, which carry none, and learns that of trades, which do.
        trade_time: take the time of the last trade for the quote's: right for a simulated market, where every tick is
            a trade; a real bid or ask can be much newer than the last trade.
        rate: yearly rate of interest for Greeks that are computed here.
    """

    def __init__(self, clock: Clock, *, trade_time: bool, rate: float) -> None:
        self._clock = clock
        self._trade_time = trade_time
        self._rate = rate
        self.by_request: dict[int, Line] = {}
        self.by_symbol: dict[str, Line] = {}
        self._conflation = Conflation()
        self._ticked: set[Line] = set()
        self._leaving: dict[str, Line] = {}
        self._ticks = 0
        self._newest_trade = ""

    # Lines

    def open(self, request_id: int, symbol: str, contract: Contract, now: float) -> None:
        """A line is asked for. Where there is one, it goes on under a new number, its quote stale until a tick."""
        line = self.by_symbol.get(symbol)
        if line is None:
            line = self.by_symbol[symbol] = Line(request_id, symbol, parse(symbol), contract.symbol, now)
        else:
            del self.by_request[line.request_id]
            line.request_id, line.opened = request_id, now
            self.mark_stale(line)
        self.by_request[request_id] = line

    def close(self, line: Line) -> None:
        """Forget a line; what it has told since the last batch still goes out."""
        if line in self._ticked:
            self._heard(line, line.opened if line.heard is None else line.heard, self._clock.now())
            self._ticked.discard(line)
        if line.symbol in self._conflation.changed:
            self._leaving[line.symbol] = line
        self._conflation.forget(line.symbol)
        del self.by_request[line.request_id], self.by_symbol[line.symbol]

    def mark_stale(self, line: Line) -> None:
        """Stale until the next tick."""
        line.stale = True
        self._conflation.changed.add(line.symbol)

    # Ticks

    def priceSizeTick(self, request_id: int, tick_type: int, price: float, size: float) -> None:
        line = self.by_request.get(request_id)
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
        self._ticked.add(line)

    def tickSize(self, request_id: int, tick_type: int, size: float) -> None:
        line = self.by_request.get(request_id)
        if line is None:
            return
        self._ticks += 1
        if tick_type in VOLUME:
            line.volume = size
        elif tick_type in BID_SIZE:
            line.bid_size = size
        elif tick_type in ASK_SIZE:
            line.ask_size = size
        else:
            return
        self._ticked.add(line)

    def tickString(self, request_id: int, tick_type: int, value: str) -> None:
        line = self.by_request.get(request_id)
        if line is None:
            return
        self._ticks += 1
        if tick_type in LAST_TIMESTAMP and value.isdecimal() and value != "0":
            line.traded_at = value
            self._newest_trade = max(self._newest_trade, value)  # equally long for centuries
            self._ticked.add(line)

    def tickOptionComputation(
        self,
        request_id: int,
        tick_type: int,
        attribute: int,
        implied_volatility: float,
        delta: float,
        price: float,
        dividends: float,
        gamma: float,
        vega: float,
        theta: float,
        underlying_price: float,
    ) -> None:
        """Of the broker's computations the model's own counts; others follow from bid, ask and last."""
        del attribute, price, dividends
        line = self.by_request.get(request_id)
        if line is None:
            return
        self._ticks += 1
        if tick_type in MODEL:
            line.computation = greeks.Computation(implied_volatility, delta, gamma, vega, theta, underlying_price)
            self._ticked.add(line)

    def marketDataType(self, request_id: int, market_data_type: int) -> None:
        line = self.by_request.get(request_id)
        if line is not None:
            line.quality = _QUALITIES.get(market_data_type, QuoteQuality.STALE)
            self._conflation.changed.add(line.symbol)

    def cut(self, line: Line) -> None:
        """Nothing will come of this line for now; it is as good as never heard."""
        line.cut = True
        self._ticked.discard(line)
        self.mark_stale(line)

    def stamp(self, now: float) -> None:
        """What was told since the last call was heard just now."""
        RECEIVED.inc(self._ticks)
        self._ticks = 0
        if self._newest_trade:
            self._clock.observe(_time(self._newest_trade))
            self._newest_trade = ""
        time = self._clock.now()
        for line in self._ticked:
            self._heard(line, now, time)
        self._ticked.clear()

    def _heard(self, line: Line, now: float, time: datetime) -> None:
        line.heard, line.heard_at = now, time
        line.stale = line.cut = False
        self._conflation.changed.add(line.symbol)

    @property
    def changed(self) -> bool:
        return bool(self._conflation.changed)

    @property
    def ticked(self) -> bool:
        return bool(self._ticks)

    # Quotes

    def take(self, now: float) -> list[Quote]:
        """The next batch; `now` is in seconds of `time.monotonic`."""
        leaving, self._leaving = self._leaving, {}
        symbols = self._conflation.take(now)
        lines = leaving | {symbol: self.by_symbol[symbol] for symbol in symbols}
        shown: list[Line] = []
        for symbol in sorted(lines):
            line = lines[symbol]
            line.whole = line.whole or line.complete or symbol in leaving or now - line.opened >= PATIENCE_SECONDS
            if line.whole:
                shown.append(line)
            else:
                self._conflation.changed.add(symbol)
        self._find_greeks(shown, now)
        return [self._quote(line, now) for line in shown]

    def _quote(self, line: Line, now: float) -> Quote:
        traded = _time(line.traded_at) if self._trade_time and line.traded_at else None
        return Quote(
            symbol=line.symbol,
            bid=price_or_none(line.bid),
            ask=price_or_none(line.ask),
            last=price_or_none(line.last),
            bid_size=size_or_none(line.bid_size),
            ask_size=size_or_none(line.ask_size),
            volume=size_or_none(line.volume),
            time=traded or line.heard_at or self._clock.now(),
            quality=QuoteQuality.STALE if line.stale else line.quality,
            age_seconds=max(0.0, now - (line.opened if line.heard is None else line.heard)),
            greeks=line.greeks,
        )

    def _find_greeks(self, lines: list[Line], now: float) -> None:
        """The broker's Greeks, or our own of those options whose turn it is to be computed."""
        left = GREEKS_PER_BATCH
        for line in lines:
            if line.instrument.security_type is not SecurityType.OPTION:
                continue
            told = greeks.told(line.computation) if line.computation else None
            if told is not None:
                line.greeks = told
            elif left and now - line.greeks_at >= GREEKS_SECONDS:
                left -= self._compute(line, now)

    def _compute(self, line: Line, now: float) -> bool:
        """Compute an option's Greeks, unless nothing has changed; returns whether that was work."""
        underlying = self.by_symbol.get(line.underlying) or self.by_symbol.get(f"^{line.underlying}")
        middle, spot = line.middle(), underlying.price() if underlying else None
        if middle is None or spot is None:
            line.greeks = None
            return False
        if line.greeks_of == (middle, spot) and line.greeks_at > float("-inf"):
            return False
        line.greeks_of, line.greeks_at = (middle, spot), now
        line.greeks = greeks.computed(line.instrument, middle, spot, self._clock.now(), self._rate)
        MODELLED.inc()
        return True


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
