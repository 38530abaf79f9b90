"""Prices: quotes, bars, and the requests for them."""

from datetime import UTC
from decimal import Decimal

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.types import QuoteQuality, Timeframe


class Quote(Message):
    """The newest state of one symbol. Prices in USD per share, sizes in shares; None where the broker has none."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    volume: Decimal | None
    time: AwareDatetime
    quality: QuoteQuality


class QuoteBatch(Message):
    """The symbols that changed since the batch before, one quote each."""

    quotes: tuple[Quote, ...] = Field(min_length=1)


class Bar(Message):
    """A closed bar. Published after `end`; covers [start, end)."""

    symbol: str
    timeframe: Timeframe
    start: AwareDatetime
    end: AwareDatetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def key(self) -> str:
        """Names this bar among all bars."""
        return f"{self.symbol}:{self.timeframe}:{self.end.astimezone(UTC).isoformat()}"


class Subscribe(Message):
    """Stream quotes of these symbols until told otherwise."""

    symbols: tuple[str, ...]


class FetchHistory(Message):
    """Fetch `count` closed bars of one symbol that end no later than now."""

    symbol: str
    timeframe: Timeframe
    count: int = Field(ge=1, le=2000)
