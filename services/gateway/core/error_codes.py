"""What IBKR's error codes do, in the context in which they come.

`order_codes` and `other_codes` list the codes, each with its kind; the table below says what a kind does where.

Invariants:
1. A code that is not listed changes nothing; its effect is UNKNOWN and somebody is alerted.
2. A code that refuses a new order says nothing about an order that the broker has acknowledged: a change was refused
   (STILL_ALIVE), or the order's own status will tell.
"""

from collections.abc import Mapping
from enum import Enum, auto

from services.gateway.core.error_kinds import Kind
from services.gateway.core.order_codes import ORDER_CODES
from services.gateway.core.other_codes import OTHER_CODES
from shared.messages.broker import ErrorEffect

UNDECODABLE = -1
"""Our own: a message of the broker about orders, fills or positions can't be read; everything must be asked again."""
CLIENT_ID_IN_USE = 326
_NOTICES = range(2100, 2200)
"""IBKR's "warning message codes"; those that are not listed are notices, too."""
_PACING_TEXTS = ("pacing violation", "max rate of messages")
_DOES_NOT_END = frozenset({Kind.NOTICE, Kind.DATA_NOTICE, Kind.KEPT})


class Context(Enum):
    """What an error is about."""

    NEW_ORDER = auto()
    """An order that was sent, and that the broker has not acknowledged."""
    LIVE_ORDER = auto()
    CHANGE = auto()
    """An acknowledged order, of which a change is under way."""
    CANCEL = auto()
    """An acknowledged order whose cancel is under way."""
    REQUEST = auto()
    """A question or a stream of data."""
    NOTHING = auto()
    """No number at all, or one that is not known."""


_IN_ORDERS = (Context.NEW_ORDER, Context.LIVE_ORDER, Context.CHANGE, Context.CANCEL)


def _everywhere(effect: ErrorEffect, in_orders: ErrorEffect | None = None) -> Mapping[Context, ErrorEffect]:
    return {context: in_orders or effect if context in _IN_ORDERS else effect for context in Context}


_EFFECTS: Mapping[Kind, Mapping[Context, ErrorEffect]] = {
    Kind.REFUSED: {
        Context.NEW_ORDER: ErrorEffect.ORDER_REJECTED,
        Context.LIVE_ORDER: ErrorEffect.WARNING,
        Context.CHANGE: ErrorEffect.STILL_ALIVE,
        Context.CANCEL: ErrorEffect.STILL_ALIVE,
        Context.REQUEST: ErrorEffect.DATA,
        Context.NOTHING: ErrorEffect.WARNING,
    },
    Kind.USED: {
        Context.NEW_ORDER: ErrorEffect.UNKNOWN,
        Context.LIVE_ORDER: ErrorEffect.STILL_ALIVE,
        Context.CHANGE: ErrorEffect.STILL_ALIVE,
        Context.CANCEL: ErrorEffect.STILL_ALIVE,
        Context.REQUEST: ErrorEffect.DATA,
        Context.NOTHING: ErrorEffect.WARNING,
    },
    Kind.KEPT: _everywhere(ErrorEffect.WARNING, in_orders=ErrorEffect.STILL_ALIVE),
    Kind.CANCELLED: _everywhere(ErrorEffect.WARNING, in_orders=ErrorEffect.ORDER_CANCELLED),
    Kind.NOTICE: _everywhere(ErrorEffect.WARNING),
    Kind.DOUBTFUL: _everywhere(ErrorEffect.UNKNOWN),
    Kind.PACING: _everywhere(ErrorEffect.PACING),
    Kind.LINK: _everywhere(ErrorEffect.LINK),
    Kind.DATA: _everywhere(ErrorEffect.DATA),
    Kind.DATA_NOTICE: _everywhere(ErrorEffect.DATA),
}


def kind(code: int, text: str) -> Kind | None:
    """The kind of a code; None for one that nobody has documented.

    `text` decides where one code means several things: 162 is a pacing violation, no data, or a cancel carried out.
    """
    if any(words in text.lower() for words in _PACING_TEXTS):
        return Kind.PACING
    listed = ORDER_CODES.get(code) or OTHER_CODES.get(code)
    if listed is not None:
        return listed[0]
    return Kind.NOTICE if code in _NOTICES else None


def effect(code: int, text: str, context: Context) -> ErrorEffect:
    """What an error does."""
    found = kind(code, text)
    return ErrorEffect.UNKNOWN if found is None else _EFFECTS[found][context]


def ends_request(code: int, text: str) -> bool:
    """Whether an error that names a request is its answer; notices and warnings only precede the answer."""
    return kind(code, text) not in _DOES_NOT_END


def meaning(code: int) -> str:
    """IBKR's description of a code, or ours of what is known of it; empty for one that nobody has documented."""
    listed = ORDER_CODES.get(code) or OTHER_CODES.get(code)
    return "" if listed is None else listed[1]
