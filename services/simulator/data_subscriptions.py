"""What one client has subscribed to, of the market's data, and what it was last sent of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.simulator.core.history import HistoryQuery
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import Leg
from services.simulator.core.scans import ScanQuery


@dataclass(slots=True)
class QuoteLine:
    """A market data line; `generic` are the ids of further ticks. A combination has `legs`.

    `sent` is what the client has, by tick type; `place` is the tick it was sent last.
    """

    instrument: Instrument
    legs: tuple[Leg, ...] = ()
    generic: frozenset[int] = frozenset()
    providers: frozenset[str] = frozenset()
    """News providers whose headlines are sent."""
    delayed: bool = False
    keeps_last: bool = False
    """The client wants the last values while the market is closed: frozen data."""
    data_type: int = 0
    """What it was told that its values are; 0 before the first word."""
    sent: dict[int, object] = field(default_factory=dict[int, object])
    place: datetime | None = None


@dataclass(slots=True)
class TickStream:
    """Tick-by-tick data: `kind` is Last, AllLast, BidAsk or MidPoint."""

    instrument: Instrument
    kind: str
    ignore_size: bool = False


@dataclass(slots=True)
class SecondsStream:
    """Five-second bars of `show`, which is TRADES, MIDPOINT, BID or ASK."""

    instrument: Instrument
    show: str = "TRADES"
    regular: bool = True


@dataclass(slots=True)
class DepthLine:
    """The book of an instrument; `shown` are the rows the client has of bids (1) and asks (0)."""

    instrument: Instrument
    rows: int
    smart: bool
    shown: dict[int, list[tuple[Decimal, int, str]]] = field(
        default_factory=lambda: {1: list[tuple[Decimal, int, str]](), 0: list[tuple[Decimal, int, str]]()}
    )


@dataclass(slots=True)
class LiveHistory:
    """Historical bars that are kept up to date."""

    query: HistoryQuery
    format_date: int


@dataclass(slots=True)
class ScannerLine:
    """A scan that is repeated; `sent` are the contract ids of the rows the client has, in order."""

    query: ScanQuery
    sent: tuple[int, ...] = ()
    next_at: datetime | None = None


@dataclass(slots=True)
class DataSubscriptions:
    """Everything by request id. Nothing here is told to the engine: losing it harms no order."""

    quotes: dict[int, QuoteLine] = field(default_factory=dict[int, QuoteLine])
    ticks: dict[int, TickStream] = field(default_factory=dict[int, TickStream])
    seconds: dict[int, SecondsStream] = field(default_factory=dict[int, SecondsStream])
    depth: dict[int, DepthLine] = field(default_factory=dict[int, DepthLine])
    history: dict[int, LiveHistory] = field(default_factory=dict[int, LiveHistory])
    scanners: dict[int, ScannerLine] = field(default_factory=dict[int, ScannerLine])
    bulletins: bool = False
    groups: dict[int, int] = field(default_factory=dict[int, int])
    """Display groups watched, by request id."""
    shown_in_groups: dict[int, str] = field(default_factory=dict[int, str])

    def lines(self) -> Iterator[tuple[int, Instrument]]:
        """Yield every open market data line."""
        for request_id, line in self.quotes.items():
            yield request_id, line.instrument

    def instrument_of(self, request_id: int) -> Instrument | None:
        """Return what a subscription is about, None if there is none of that id."""
        for kept in (self.quotes, self.ticks, self.seconds, self.depth):
            if request_id in kept:
                return kept[request_id].instrument
        return None

    def forget(self) -> None:
        """End every subscription without a word, as TWS does before it says 1101."""
        for kept in (self.quotes, self.ticks, self.seconds, self.depth, self.history, self.scanners):
            kept.clear()

    def resend(self) -> None:
        """Let the next publication send all values anew: they may not have arrived."""
        for line in self.quotes.values():
            line.sent.clear()
            line.place = None
        for book in self.depth.values():
            book.shown = {1: [], 0: []}
