"""The kinds of error codes."""

from enum import Enum, auto


class Kind(Enum):
    """What an error says; `error_codes` says what that does to whatever it names."""

    REFUSED = auto()
    """What was asked is refused: a new order, a change, a request."""
    USED = auto()
    """The order id was used before, perhaps for this very order."""
    KEPT = auto()
    """A change or a cancel was not carried out: the order is as it was."""
    CANCELLED = auto()
    """The order is cancelled."""
    NOTICE = auto()
    """The order or request goes on."""
    DOUBTFUL = auto()
    """Documented, but not whether the order goes on: nothing changes, and somebody is alerted."""
    PACING = auto()
    """Too much or too often; not carried out."""
    LINK = auto()
    """About a connection: ours to the gateway program, or the program's to IBKR."""
    DATA = auto()
    """A stream or question of market data has ended, or a data farm."""
    DATA_NOTICE = auto()
    """Market data come, but not as asked; the request goes on."""
