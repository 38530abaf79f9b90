"""The words that every message, table and screen shares."""

from enum import StrEnum


class Mode(StrEnum):
    """Which broker stands behind the gateway; the code is the same in each."""

    SIMULATED = "simulated"
    PAPER = "paper"
    LIVE = "live"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class Leg(StrEnum):
    """What an order is for: to open a position, or one of the two that protect it."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"


class Timeframe(StrEnum):
    """Length of a bar, in IBKR's spelling of bar sizes."""

    MINUTE = "1 min"
    DAY = "1 day"


class QuoteQuality(StrEnum):
    """IBKR's market data types, plus STALE for a quote whose source fell silent."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    STALE = "stale"


class OrderStatus(StrEnum):
    """The life of an order; `services.execution.core.order` holds the table of allowed moves.

    INTENT is written before a byte goes to the broker. UNKNOWN means sent, or perhaps sent, and not answered:
    only the broker's own open, completed and execution reports end it.
    """

    INTENT = "INTENT"
    SUBMITTED = "SUBMITTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


class TradingState(StrEnum):
    """Whether orders may be sent. Every start begins DISABLED; HALTED survives a restart until a human resumes."""

    DISABLED = "DISABLED"
    ACTIVE = "ACTIVE"
    HALTED = "HALTED"


class SessionState(StrEnum):
    """The gateway's connection to the broker; only READY can trade."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    SYNCHRONISING = "SYNCHRONISING"
    READY = "READY"
