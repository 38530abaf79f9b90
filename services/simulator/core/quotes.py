"""What a market is made with, and what it says about an instrument at one moment."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """How the market trades. Spread is in USD to each side of a stock's price, interest a yearly rate."""

    tick_seconds: int = 60
    spread: Decimal = Decimal("0.01")
    extended_hours: bool = False
    interest_rate: float = 0.01
    hard_to_borrow: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Quote:
    """The market in one instrument at one tick. Prices in its currency, sizes and volume in shares or contracts."""

    contract_id: int
    time: datetime
    bid: Decimal
    ask: Decimal
    last: Decimal
    bid_size: int
    ask_size: int
    last_size: int
    volume: int
    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal | None
    halted: bool
    index: int
    """Which tick of its tape; a tape's first tick is where a price may jump."""
