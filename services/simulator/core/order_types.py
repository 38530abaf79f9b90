"""The order types: what makes each one work, how it then trades, and which prices it must bring.

What is told here in one row each is carried out by `triggers` (the second column) and `trading` (the third).
IBKR's algorithms are treated as the order type that they are given with; PEG PRIM is REL by another name, and
PEG BEST competes as REL does.

Not simulated, and refused: PEG STK, PEG BENCH and VOL. Their prices follow another contract's quote, and an order here
is compared with the tape of its own contract alone; to treat them as another type would fill them at prices that
their owner never asked for. (Source of types and prices: IBKR, TWS API, "Order Types".)
"""

from dataclasses import dataclass
from enum import Enum, auto


class Trigger(Enum):
    """What the last price must do before an order works."""

    NONE = auto()
    STOP = auto()
    """Reach the stop from the better side: up to a buyer's, down to a seller's."""
    TRAIL = auto()
    """Reach a stop that follows the best last price so far at a distance."""
    TOUCH = auto()
    """Reach the trigger from the worse side: down to a buyer's, up to a seller's."""


class Trading(Enum):
    """How a working order meets the market."""

    MARKET = auto()
    LIMIT = auto()
    MARKET_TO_LIMIT = auto()
    """Market at the best price, and what is left a limit order at that price."""
    CLOSE = auto()
    """In the closing auction; with a limit price not beyond it."""
    PRIMARY = auto()
    """Pegged to the own side of the quote, better by the offset."""
    OPPOSITE = auto()
    """Pegged to the other side of the quote, worse by the offset."""
    MIDPOINT = auto()
    """Pegged to the middle of the quote, worse by the offset."""


PEGGED = frozenset({Trading.PRIMARY, Trading.OPPOSITE, Trading.MIDPOINT})


@dataclass(frozen=True, slots=True)
class OrderType:
    trigger: Trigger
    trading: Trading
    prices: tuple[str, ...] = ()
    """Names of OrderRequest's prices that must be given and be above zero."""
    outside: bool = True
    """False if `outside_regular_hours` means nothing to it."""
    combo: bool = False
    """True if a combination may be ordered so."""


ORDER_TYPES = {
    "MKT": OrderType(Trigger.NONE, Trading.MARKET, outside=False, combo=True),
    "LMT": OrderType(Trigger.NONE, Trading.LIMIT, ("limit_price",), combo=True),
    "STP": OrderType(Trigger.STOP, Trading.MARKET, ("aux_price",), outside=False),
    "STP LMT": OrderType(Trigger.STOP, Trading.LIMIT, ("aux_price", "limit_price")),
    "TRAIL": OrderType(Trigger.TRAIL, Trading.MARKET, outside=False),
    "TRAIL LIMIT": OrderType(Trigger.TRAIL, Trading.LIMIT),
    "MIT": OrderType(Trigger.TOUCH, Trading.MARKET, ("aux_price",), outside=False),
    "LIT": OrderType(Trigger.TOUCH, Trading.LIMIT, ("aux_price", "limit_price")),
    "MTL": OrderType(Trigger.NONE, Trading.MARKET_TO_LIMIT, outside=False),
    "MOC": OrderType(Trigger.NONE, Trading.CLOSE, outside=False),
    "LOC": OrderType(Trigger.NONE, Trading.CLOSE, ("limit_price",), outside=False),
    "REL": OrderType(Trigger.NONE, Trading.PRIMARY),
    "PEG PRIM": OrderType(Trigger.NONE, Trading.PRIMARY),
    "PEG BEST": OrderType(Trigger.NONE, Trading.PRIMARY),
    "PEG MKT": OrderType(Trigger.NONE, Trading.OPPOSITE),
    "PEG MID": OrderType(Trigger.NONE, Trading.MIDPOINT),
    "MIDPRICE": OrderType(Trigger.NONE, Trading.MIDPOINT, outside=False),
}
NOT_SIMULATED = frozenset({"PEG STK", "PEG BENCH", "VOL"})
"""IBKR's own order types that are refused here: see above."""
TIMES_IN_FORCE = frozenset({"DAY", "GTC", "GTD", "IOC", "FOK", "OPG"})
