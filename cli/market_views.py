"""What `millrace market` prints."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from cli.inquiry import Heard
from cli.text import moment, money, number, plain_table
from shared.clock import wall_age
from shared.instruments import parse
from shared.messages.base import Message
from shared.messages.market import (
    Bar,
    BidAskTick,
    DepthBook,
    LiveBar,
    NewsHeadline,
    Quote,
    QuoteBatch,
    TickBatch,
    TradeTick,
)
from shared.messages.market_requests import ContractFacts, Feed, OptionChain
from shared.types import QuoteQuality, SecurityType

SETTLE_SECONDS = 2  # Greeks follow the first quote, and a delayed quote the notice that it is delayed
GREEKS = ("volatility", "delta", "gamma", "vega", "theta", "by")
HOURS_SHOWN = 3
Tick = TradeTick | BidAskTick | Bar | DepthBook


def _shown(value: Decimal | None, how: Callable[[Decimal], str]) -> str:
    return "" if value is None else how(value)


class QuoteTable:
    """The newest quote of each symbol, and what the broker said about those that have none. `words` are its errors."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = symbols
        self._options = {name for name in symbols if parse(name).security_type is SecurityType.OPTION}
        self._quotes: dict[str, tuple[Quote, datetime]] = {}
        self._first_heard: dict[str, float] = {}
        self.words: dict[str, str] = {}

    def take(self, heard: Heard) -> list[Quote]:
        """Returns the quotes among what was heard that belong here."""
        batch, found = heard.envelope.data, list[Quote]()
        if (word := heard.word_on(self._symbols)) is not None:
            self.words[word[0]] = word[1]
            self._first_heard.setdefault(word[0], time.monotonic())
        elif isinstance(batch, QuoteBatch):
            found = [quote for quote in batch.quotes if quote.symbol in self._symbols]
        for quote in found:
            self._quotes[quote.symbol] = quote, heard.published
            self._first_heard.setdefault(quote.symbol, time.monotonic())
        return found

    @property
    def missing(self) -> list[str]:
        return [symbol for symbol in self._symbols if symbol not in self._quotes]

    @property
    def newest(self) -> list[Quote]:
        return [self._quotes[symbol][0] for symbol in self._symbols if symbol in self._quotes]

    @property
    def settled(self) -> bool:
        """Whether nothing more than changes is to be expected of any symbol."""
        now = time.monotonic()
        return all(
            self._whole(symbol) or now - self._first_heard.get(symbol, now) > SETTLE_SECONDS for symbol in self._symbols
        )

    def _whole(self, symbol: str) -> bool:
        quote, _ = self._quotes.get(symbol, (None, None))
        return quote is not None and (symbol not in self._options or quote.greeks is not None)

    def table(self) -> Table:
        columns = ("bid", "ask", "last", "bid size", "ask size", "volume")
        greeks = GREEKS if self._options else ()
        table = plain_table("symbol", *columns, "quality", "age", *greeks, right=(*columns, "age", *greeks[:-1]))
        for symbol in self._symbols:
            if symbol in self._quotes:
                table.add_row(*_quote_row(*self._quotes[symbol]))
        return table

    def screen(self) -> Group:
        """The table, and the words below it."""
        return Group(self.table(), *(f"[yellow]{escape(word)}[/yellow]" for word in self.words.values()))


def _quote_row(quote: Quote, published: datetime) -> list[str]:
    prices = [_shown(price, money) for price in (quote.bid, quote.ask, quote.last)]
    sizes = [_shown(size, number) for size in (quote.bid_size, quote.ask_size, quote.volume)]
    colour = "green" if quote.quality is QuoteQuality.LIVE else "yellow"
    age = quote.age_seconds + max(0.0, wall_age(published).total_seconds())
    row = [quote.symbol, *prices, *sizes, f"[{colour}]{quote.quality}[/{colour}]", f"{age:,.0f} s"]
    if (greeks := quote.greeks) is not None:
        row += [f"{greeks.implied_volatility:.1%}", f"{greeks.delta:+.3f}", f"{greeks.gamma:.4f}"]
        row += [f"{greeks.vega:.3f}", f"{greeks.theta:+.3f}", str(greeks.source)]
    return row


def tick_line(tick: TradeTick | BidAskTick | Bar) -> str:
    """One line of `millrace market ticks`."""
    match tick:
        case TradeTick():
            details = f"{money(tick.price):>10}  {number(tick.size):>9}  {tick.exchange:8} {tick.conditions}"
            return f"{moment(tick.time)}  {escape(details.rstrip())}"
        case BidAskTick():
            sides = f"{money(tick.bid):>10}  {money(tick.ask):>10}"
            return f"{moment(tick.time)}  {sides}  {number(tick.bid_size):>9}  {number(tick.ask_size):>9}"
        case Bar():
            prices = "  ".join(f"{money(price):>10}" for price in (tick.open, tick.high, tick.low, tick.close))
            return f"{moment(tick.start)}  {prices}  {number(tick.volume):>9}"


def depth_table(book: DepthBook) -> Table:
    """Best prices first, bids to the left of asks."""
    columns = ("size", "bid", "ask", "size")
    table = plain_table("at", *columns, "at", right=columns)
    for row in range(max(len(book.bids), len(book.asks))):
        bid, ask = ([*side[row : row + 1], None][0] for side in (book.bids, book.asks))
        table.add_row(
            *((escape(bid.market_maker), number(bid.size), money(bid.price)) if bid else ("", "", "")),
            *((money(ask.price), number(ask.size), escape(ask.market_maker)) if ask else ("", "", "")),
        )
    return table


def bars_table(bars: Sequence[Bar]) -> Table:
    columns = ("open", "high", "low", "close", "volume")
    table = plain_table("from", *columns, right=columns)
    for bar in bars:
        prices = (money(price) for price in (bar.open, bar.high, bar.low, bar.close))
        table.add_row(moment(bar.start), *prices, number(bar.volume))
    return table


def contract_table(facts: ContractFacts) -> Table:
    """What the broker says of an instrument; hours in exchange time."""
    increments = ", ".join(
        f"{step.increment.normalize():f} from {step.from_price.normalize():f}" for step in facts.increments
    )
    sizes = f"at least {number(facts.minimum_size)}, in steps of {number(facts.size_increment)}"
    hours = facts.liquid_hours[:HOURS_SHOWN]
    return _pairs(
        ("symbol", facts.symbol),
        ("name", facts.long_name),
        ("type", facts.security_type),
        ("contract id", str(facts.contract_id)),
        (
            "exchange",
            f"{facts.exchange}, listed on {facts.primary_exchange}" if facts.primary_exchange else facts.exchange,
        ),
        ("currency", facts.currency),
        ("multiplier", number(facts.multiplier)),
        ("underlying", facts.underlying or ""),
        ("prices", f"multiples of {increments}"),
        ("sizes", sizes),
        ("liquid hours", "\n".join(f"{moment(opens)} to {moment(closes)}" for opens, closes in hours)),
        ("order types", ", ".join(facts.order_types)),
    )


def chain_table(chain: OptionChain) -> Table:
    return _pairs(
        ("trading class", f"{chain.trading_class} on {chain.exchange}, multiplier {number(chain.multiplier)}"),
        ("expiries", ", ".join(expiry.isoformat() for expiry in chain.expiries)),
        ("strikes", ", ".join(number(strike) for strike in chain.strikes)),
    )


def news_table(headlines: Sequence[NewsHeadline]) -> Table:
    table = plain_table("time", "provider", "headline", wrap=("headline",))
    for news in headlines:
        table.add_row(moment(news.time), escape(news.provider), escape(news.headline))
    return table


def _pairs(*rows: tuple[str, str]) -> Table:
    table = plain_table("", "", wrap=("",))
    table.show_header = False
    for name, value in rows:
        if value:
            table.add_row(name, escape(value))
    return table


def ticks_of(message: Message, feed: Feed, symbol: str) -> list[Tick]:
    """What a message says about a symbol, if it is of this feed."""
    told: tuple[Tick, ...] = ()
    match feed, message:
        case Feed.TRADES, TickBatch(trades=told):
            pass
        case Feed.BIDS_AND_ASKS, TickBatch(bids_and_asks=told):
            pass
        case Feed.DEPTH, DepthBook():
            told = (message,)
        case Feed.FIVE_SECOND_BARS, LiveBar(bar=bar):
            told = (bar,)
        case _:
            pass
    return [tick for tick in told if tick.symbol == symbol]


def print_json(*messages: Message) -> None:
    """One line each."""
    for message in messages:
        print(message.model_dump_json(), flush=True)
