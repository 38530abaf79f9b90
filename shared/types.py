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
    """What an order is for: to open a position, one of the two that protect it, or to close one that has neither."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class TimeInForce(StrEnum):
    """How long an order lives, in IBKR's spelling. GTD needs a date, OPG trades only in the opening auction."""

    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"
    OPG = "OPG"


class OrderType(StrEnum):
    """IBKR's order types, in its spelling (https://www.interactivebrokers.com/campus/ibkr-api-page/order-types/)."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP LMT"
    TRAILING_STOP = "TRAIL"
    TRAILING_STOP_LIMIT = "TRAIL LIMIT"
    MARKET_IF_TOUCHED = "MIT"
    LIMIT_IF_TOUCHED = "LIT"
    MARKET_TO_LIMIT = "MTL"
    MARKET_ON_CLOSE = "MOC"
    LIMIT_ON_CLOSE = "LOC"
    RELATIVE = "REL"
    PEGGED_TO_MARKET = "PEG MKT"
    PEGGED_TO_MIDPOINT = "PEG MID"
    PEGGED_TO_BEST = "PEG BEST"
    MIDPRICE = "MIDPRICE"


class Timeframe(StrEnum):
    """Length of a bar, in IBKR's spelling of bar sizes."""

    FIVE_SECONDS = "5 secs"
    FIFTEEN_SECONDS = "15 secs"
    THIRTY_SECONDS = "30 secs"
    MINUTE = "1 min"
    FIVE_MINUTES = "5 mins"
    FIFTEEN_MINUTES = "15 mins"
    THIRTY_MINUTES = "30 mins"
    HOUR = "1 hour"
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
        return self in _FINAL


_FINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


class TradingState(StrEnum):
    """Whether orders may be sent. Every start begins DISABLED; HALTED survives a restart until a human resumes."""

    DISABLED = "DISABLED"
    ACTIVE = "ACTIVE"
    HALTED = "HALTED"


class SessionState(StrEnum):
    """The gateway's connection to the broker; only READY can trade. `services.gateway.core.states` holds the moves."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    AWAITING_LOGIN = "AWAITING_LOGIN"
    """The gateway program answers, and has no login: two-factor authentication, or the weekly log-out."""
    SYNCHRONISING = "SYNCHRONISING"
    READY = "READY"
    DEGRADED = "DEGRADED"
    """Connected, and part of IBKR can't be reached: the link to IBKR (1100), or a data farm."""
    COMPETING = "COMPETING"
    """Another login of the same user has taken the market data or the session (10197)."""


class SecurityType(StrEnum):
    """IBKR's kinds of contracts, as far as they are known here."""

    STOCK = "STK"
    OPTION = "OPT"
    INDEX = "IND"
    FUTURE = "FUT"
    CURRENCY = "CASH"


class Right(StrEnum):
    CALL = "C"
    PUT = "P"
