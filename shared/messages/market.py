"""Prices: quotes, bars, and what is streamed on request."""

from datetime import UTC
from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.types import QuoteQuality, Timeframe


class GreeksSource(StrEnum):
    BROKER = "broker"
    MODEL = "model"


class Greeks(Message):
    """Sensitivities of an option. Implied volatility is yearly (0.25 = 25 %); delta and gamma per USD of the
    underlying, vega per percentage point of volatility, theta per day. `source` says who computed them."""

    implied_volatility: float
    delta: float
    gamma: float
    vega: float
    theta: float
    underlying_price: Decimal
    source: GreeksSource


class Quote(Message):
    """The newest state of one instrument (`shared.instruments` says how symbols are written).

    Prices in USD per share, sizes in shares or contracts; None where the broker has none. `time` is when the newest
    tick was heard; `age_seconds` is how old that is in this batch, which repeats quiet symbols now and then.
    """

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    volume: Decimal | None
    time: AwareDatetime
    quality: QuoteQuality
    age_seconds: float = Field(default=0, ge=0)
    greeks: Greeks | None = None


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


class TradeTick(Message):
    """One trade, tick by tick; IBKR leaves none out. `conditions` are the exchange's sale conditions."""

    symbol: str
    time: AwareDatetime
    price: Decimal
    size: Decimal
    exchange: str
    conditions: str


class BidAskTick(Message):
    """One change of the best bid and ask, tick by tick."""

    symbol: str
    time: AwareDatetime
    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


class TickBatch(Message):
    """Ticks in the order in which the broker told them; none is left out."""

    trades: tuple[TradeTick, ...] = ()
    bids_and_asks: tuple[BidAskTick, ...] = ()


class DepthLevel(Message):
    """One row of a book; `market_maker` is the exchange in a SMART book."""

    price: Decimal
    size: Decimal
    market_maker: str


class DepthBook(Message):
    """The whole book of one instrument as it is now, best prices first."""

    symbol: str
    time: AwareDatetime
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]


class LiveBar(Message):
    """A five-second bar as the broker streams it; `bar.end` has just passed."""

    bar: Bar


class NewsHeadline(Message):
    """One headline. Its article can be fetched by provider and id."""

    symbol: str
    time: AwareDatetime
    provider: str
    article_id: str
    headline: str
