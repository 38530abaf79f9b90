"""What the gateway is asked about the market, and its answers. Each answer names its question's symbol."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.messages.market import Bar, NewsHeadline
from shared.types import SecurityType, Timeframe


class Feed(StrEnum):
    """What can be streamed of an instrument. QUOTES come on market.quotes, the rest on market.ticks."""

    QUOTES = "quotes"
    TRADES = "trades"
    BIDS_AND_ASKS = "bids_and_asks"
    DEPTH = "depth"
    FIVE_SECOND_BARS = "five_second_bars"
    NEWS = "news"


class LinePriority(StrEnum):
    """Who may keep a market data line when there are too few (highest first).

    HELD: positions and working orders; never taken away. WATCHED: streamed if a line is free after those.
    SCANNED: takes turns on what is left, a quote every so often.
    """

    HELD = "held"
    WATCHED = "watched"
    SCANNED = "scanned"


class Subscribe(Message):
    """Stream these symbols for the sender until it unsubscribes. Asking again changes the priority."""

    symbols: tuple[str, ...]
    feed: Feed = Feed.QUOTES
    priority: LinePriority = LinePriority.WATCHED


class Unsubscribe(Message):
    """The sender needs these symbols no more; others who asked for them keep them."""

    symbols: tuple[str, ...]
    feed: Feed = Feed.QUOTES


class HistoryKind(StrEnum):
    """IBKR's "what to show"."""

    TRADES = "TRADES"
    MIDPOINT = "MIDPOINT"
    BID = "BID"
    ASK = "ASK"
    BID_ASK = "BID_ASK"
    ADJUSTED_LAST = "ADJUSTED_LAST"
    HISTORICAL_VOLATILITY = "HISTORICAL_VOLATILITY"
    OPTION_IMPLIED_VOLATILITY = "OPTION_IMPLIED_VOLATILITY"


class FetchHistory(Message):
    """Fetch the newest `count` closed bars of one symbol that end no later than `end`, or now."""

    symbol: str
    timeframe: Timeframe
    count: int = Field(ge=1, le=2000)
    end: AwareDatetime | None = None
    kind: HistoryKind = HistoryKind.TRADES
    regular_hours: bool = True


class HistoryOutcome(StrEnum):
    """Why there are bars, or none."""

    BARS = "bars"
    NO_DATA = "no_data"
    PACED = "paced"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"


class HistoryFetched(Message):
    """The answer to FetchHistory. `error` says why there are no bars; then `bars` is empty."""

    symbol: str
    timeframe: Timeframe
    bars: tuple[Bar, ...]
    error: str | None = None
    outcome: HistoryOutcome = HistoryOutcome.BARS


class FetchContract(Message):
    """Ask what the broker knows about an instrument."""

    symbol: str


class PriceIncrement(Message):
    """Prices from `from_price` (USD) up are multiples of `increment`."""

    from_price: Decimal
    increment: Decimal


class ContractFacts(Message):
    """An instrument as the broker defines it.

    `increments` are those of its market rule on SMART (or its one exchange), lowest price first. Hours are the
    broker's, of the next days; `closed_days` are those that it names as without liquid hours. `size_increment` is in
    shares or contracts. `underlying` is an option's.
    """

    symbol: str
    contract_id: int
    security_type: SecurityType
    long_name: str
    exchange: str
    primary_exchange: str
    currency: str
    multiplier: Decimal
    increments: tuple[PriceIncrement, ...] = Field(min_length=1)
    minimum_size: Decimal
    size_increment: Decimal
    time_zone: str
    trading_hours: tuple[tuple[AwareDatetime, AwareDatetime], ...]
    liquid_hours: tuple[tuple[AwareDatetime, AwareDatetime], ...]
    order_types: tuple[str, ...]
    underlying: str | None = None
    closed_days: tuple[date, ...] = ()


class ContractFetched(Message):
    """The answer to FetchContract; `error` says why there are no facts."""

    symbol: str
    facts: ContractFacts | None
    error: str | None = None


class FetchOptionChain(Message):
    """Ask for the expiries and strikes listed on an underlying."""

    symbol: str


class OptionChain(Message):
    """What is listed on one exchange for one trading class. Not every strike exists at every expiry."""

    symbol: str
    exchange: str
    trading_class: str
    multiplier: Decimal
    expiries: tuple[date, ...]
    strikes: tuple[Decimal, ...]


class OptionChainFetched(Message):
    """The answer to FetchOptionChain; `error` says why there is no chain."""

    symbol: str
    chain: OptionChain | None
    error: str | None = None


class ScanMarket(Message):
    """Run one of IBKR's own scanners, such as TOP_PERC_GAIN, once. `filters` are IBKR's filter codes and values."""

    scan_code: str
    instrument: str = "STK"
    location: str = "STK.US.MAJOR"
    rows: int = Field(default=50, ge=1, le=50)
    above_price: Decimal | None = None
    below_price: Decimal | None = None
    above_volume: int | None = None
    filters: dict[str, str] = Field(default_factory=dict)


class MarketScanned(Message):
    """The answer to ScanMarket: symbols, best first; `error` says why there are none."""

    scan_code: str
    symbols: tuple[str, ...]
    error: str | None = None


class FetchNews(Message):
    """Ask for the newest headlines about a symbol."""

    symbol: str
    count: int = Field(default=10, ge=1, le=300)


class NewsFetched(Message):
    """The answer to FetchNews, newest first; `error` says why there are none."""

    symbol: str
    headlines: tuple[NewsHeadline, ...]
    error: str | None = None
