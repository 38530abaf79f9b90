"""Market data lines: changed fields in, quotes out. Fields are kept as IBKR wrote them and converted once per batch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.gateway.adapters.web import convert
from services.gateway.core.conflation import Conflation
from shared.instruments import Instrument
from shared.messages.market import Greeks, GreeksSource, Quote
from shared.types import QuoteQuality, SecurityType

# Field numbers: "Market Data Fields" of https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/
LAST, BID, ASK, BID_SIZE, ASK_SIZE, VOLUME, EXACT_VOLUME = "31", "84", "86", "88", "85", "87", "7762"
AVAILABILITY, DELTA, GAMMA, THETA, VEGA, VOLATILITY = "6509", "7308", "7309", "7310", "7311", "7633"
FIELDS = (LAST, BID, ASK, BID_SIZE, ASK_SIZE, VOLUME, EXACT_VOLUME, AVAILABILITY)
OPTION_FIELDS = (*FIELDS, DELTA, GAMMA, THETA, VEGA, VOLATILITY)
_QUOTED = frozenset(OPTION_FIELDS)
_COMPLETE = (BID, ASK, LAST)
_STOCK_LOT = Decimal(100)
"""Sizes of US stocks are told in hundreds ("For US stocks, the number displayed is divided by 100")."""


@dataclass(slots=True)
class Line:
    """One instrument's stream: the newest value of each field, when it was heard, and what it is worth."""

    instrument: Instrument
    contract_id: int
    opened_at: float
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    heard: set[str] = field(default_factory=set[str])
    heard_at: float | None = None
    time: datetime | None = None
    stale: bool = False

    @property
    def symbol(self) -> str:
        return self.instrument.name


class Quotes:
    """All lines of one connection, by contract id.

    Args:
        now: the time of what is heard.
        broker_time: take IBKR's time of an update for the quote's, in a market whose time is not ours.
    """

    def __init__(self, now: Callable[[], datetime], *, broker_time: bool) -> None:
        self._now = now
        self._broker_time = broker_time
        self._by_id: dict[int, Line] = {}
        self._by_symbol: dict[str, Line] = {}
        self._conflation = Conflation()

    def open(self, line: Line) -> None:
        self._by_id[line.contract_id] = self._by_symbol[line.symbol] = line

    def close(self, symbol: str) -> Line | None:
        line = self._by_symbol.pop(symbol, None)
        if line is not None:
            del self._by_id[line.contract_id]
            self._conflation.changed.discard(symbol)
        return line

    def line(self, symbol: str) -> Line | None:
        return self._by_symbol.get(symbol)

    def lines(self) -> tuple[Line, ...]:
        return tuple(self._by_symbol.values())

    def heard(self, told: dict[str, Any], at: float) -> Line | None:
        """One message of the stream, at `at` seconds of a clock that only rises; its line, None without one."""
        line = self._by_id.get(int(told.get("conid") or 0))
        if line is None:
            return None
        news = {name: value for name, value in told.items() if name in _QUOTED}
        line.fields |= news
        if news.keys() - {AVAILABILITY}:
            line.heard |= news.keys()
            line.heard_at, line.stale = at, False
            told_at = told.get("_updated")
            line.time = convert.milliseconds(told_at) if self._broker_time and told_at else self._now()
        if news:
            self._conflation.changed.add(line.symbol)
        return line

    def mark_stale(self, symbol: str) -> None:
        line = self._by_symbol.get(symbol)
        if line is not None and not line.stale:
            line.stale = True
            self._conflation.changed.add(symbol)

    def complete(self, symbol: str) -> bool:
        line = self._by_symbol.get(symbol)
        return line is not None and line.heard.issuperset(_COMPLETE)

    @property
    def changed(self) -> bool:
        return bool(self._conflation.changed)

    def take(self, now: float) -> list[Quote]:
        symbols = sorted(self._conflation.take(now))
        return [self._quote(self._by_symbol[symbol], now) for symbol in symbols if symbol in self._by_symbol]

    def _quote(self, line: Line, now: float) -> Quote:
        told = line.fields
        lot = _STOCK_LOT if line.instrument.security_type is SecurityType.STOCK else Decimal(1)
        quality = convert.quality(told.get(AVAILABILITY, "R"))
        return Quote(
            symbol=line.symbol,
            bid=convert.price(told.get(BID)),
            ask=convert.price(told.get(ASK)),
            last=convert.price(told.get(LAST)),
            bid_size=_times(convert.number(told.get(BID_SIZE)), lot),
            ask_size=_times(convert.number(told.get(ASK_SIZE)), lot),
            volume=convert.number(told.get(EXACT_VOLUME, told.get(VOLUME))),
            time=line.time or self._now(),
            quality=QuoteQuality.STALE if line.stale or quality is None else quality,
            age_seconds=max(now - line.heard_at, 0.0) if line.heard_at is not None else 0.0,
            greeks=self._greeks(line),
        )

    def _greeks(self, line: Line) -> Greeks | None:
        """IBKR's own, where it has told all of them and the price of the underlying is streamed as well."""
        told = [convert.number(line.fields.get(name)) for name in (VOLATILITY, DELTA, GAMMA, VEGA, THETA)]
        volatility, delta, gamma, vega, theta = (None if value is None else float(value) for value in told)
        underlying = self._by_symbol.get(line.instrument.symbol)
        price = convert.price(underlying.fields.get(LAST)) if underlying is not None else None
        if volatility is None or delta is None or gamma is None or vega is None or theta is None or price is None:
            return None
        return Greeks(
            implied_volatility=volatility / 100,  # told in percent
            delta=delta,
            gamma=gamma,
            vega=vega,
            theta=theta,
            underlying_price=price,
            source=GreeksSource.BROKER,
        )


def _times(value: Decimal | None, factor: Decimal) -> Decimal | None:
    return None if value is None else value * factor
