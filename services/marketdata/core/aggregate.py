"""Quotes into one-minute bars.

A minute closes when a quote of a later minute arrives. The minute in which a symbol is first seen is left out, since
its beginning was missed. A minute without a trade has no bar.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from shared.messages.market import Bar, Quote
from shared.types import QuoteQuality, Timeframe

MINUTE = timedelta(minutes=1)
ZERO = Decimal(0)


@dataclass(slots=True)
class _Building:
    """One symbol's minute in the making. `last` and `day_volume` are the newest quote's."""

    minute: datetime
    last: Decimal
    day_volume: Decimal
    whole: bool = False  # seen from its beginning
    prices: tuple[Decimal, Decimal, Decimal, Decimal] | None = None  # open, high, low, close
    volume: Decimal = ZERO

    def take(self, last: Decimal, day_volume: Decimal) -> None:
        """Count a trade: the last price moved, or the day's volume grew (it begins again at 0 with each session)."""
        if (last, day_volume) != (self.last, self.day_volume):
            grown = day_volume - self.day_volume
            self.volume += grown if grown >= 0 else day_volume
            if self.prices is None:
                self.prices = (last, last, last, last)
            else:
                opened, high, low, _ = self.prices
                self.prices = (opened, max(high, last), min(low, last), last)
        self.last, self.day_volume = last, day_volume

    def close(self, symbol: str) -> Bar | None:
        if not self.whole or self.prices is None:
            return None
        opened, high, low, last = self.prices
        return Bar(
            symbol=symbol,
            timeframe=Timeframe.MINUTE,
            start=self.minute,
            end=self.minute + MINUTE,
            open=opened,
            high=high,
            low=low,
            close=last,
            volume=self.volume,
        )


class MinuteAggregator:
    """The minutes in the making, one per symbol."""

    def __init__(self) -> None:
        self._minutes: dict[str, _Building] = {}

    def add(self, quote: Quote) -> Bar | None:
        """Take a quote; returns the bar of the minute that it closes. Quotes without a fresh last price are ignored."""
        if quote.last is None or quote.quality in (QuoteQuality.STALE, QuoteQuality.FROZEN):
            return None
        minute = quote.time.replace(second=0, microsecond=0)
        building = self._minutes.get(quote.symbol)
        if building is None:
            self._minutes[quote.symbol] = _Building(minute, quote.last, quote.volume or ZERO)
            return None
        if minute < building.minute:
            return None
        day_volume = building.day_volume if quote.volume is None else quote.volume
        closed = None
        if minute > building.minute:
            closed = building.close(quote.symbol)
            building = _Building(minute, building.last, building.day_volume, whole=True)
            self._minutes[quote.symbol] = building
        building.take(quote.last, day_volume)
        return closed
