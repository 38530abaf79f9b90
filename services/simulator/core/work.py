"""One order at work on one tape, and the small arithmetic that triggers and trading share.

A buyer and a seller are each other's mirror image. Whatever compares prices multiplies them by the order's sign
first (1 buys, -1 sells), and then speaks of a buyer: `own` is the side it would join, `far` the side it takes from.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.simulator.core.order_types import ORDER_TYPES, PEGGED, Trigger
from services.simulator.core.orders import Order
from services.simulator.core.tape import IntegerArray, Tape


@dataclass(slots=True)
class Work:
    """An order on the tape it is compared with, from tick `first` until before `beyond`."""

    order: Order
    tape: Tape
    first: int
    beyond: int
    considered: int
    """The last tick whose quote and trades the order has been compared with, or that came before it."""
    fresh: bool = True
    """True until it has been compared with a tick: it then meets the market as an incoming order."""
    queue: int = 0
    """What waits ahead of a resting limit order: what was shown at its price before it joined and has not traded."""
    swept: int = -2
    """The last tick at which it took from the book as an incoming order."""

    @property
    def sign(self) -> int:
        return self.order.request.sign


@lru_cache(maxsize=1 << 16)
def signed_units(price: Decimal, unit: Decimal, sign: int) -> int:
    """Return `price` times `sign` in whole units, rounded down: a limit that is between two prices gives way."""
    return int((sign * price / unit).to_integral_value(ROUND_FLOOR))


def far(work: Work, window: slice) -> IntegerArray:
    """Signed prices of the side that the order takes from."""
    return work.tape.ask[window] if work.sign > 0 else -work.tape.bid[window]


def far_size(work: Work, window: slice) -> IntegerArray:
    return work.tape.ask_size[window] if work.sign > 0 else work.tape.bid_size[window]


def own(work: Work, window: slice) -> IntegerArray:
    """Signed prices of the side that the order joins."""
    return work.tape.bid[window] if work.sign > 0 else -work.tape.ask[window]


def own_size(work: Work, window: slice) -> IntegerArray:
    return work.tape.bid_size[window] if work.sign > 0 else work.tape.ask_size[window]


def traded(tape: Tape, window: slice) -> IntegerArray:
    """Volume of each tick of the window by itself; the window has a start."""
    first: int = window.start
    before = int(tape.volume[first - 1]) if first else 0
    return np.diff(tape.volume[window], prepend=before)


def first_true(hits: NDArray[np.bool_], offset: int) -> int | None:
    """Return the index of the first hit, counted from the tape's start, or None."""
    if not len(hits):
        return None
    found = int(hits.argmax())
    return found + offset if hits[found] else None


def limit_of(order: Order) -> Decimal | None:
    """Return the price that an order must not go beyond, None if it has none."""
    request = order.request
    if order.working_limit is not None:
        return order.working_limit
    kind = ORDER_TYPES[request.order_type]
    if "limit_price" in kind.prices:
        return request.limit_price
    if kind.trading in PEGGED:
        return request.price_cap or request.limit_price or None
    return None


def awaits_trigger(order: Order) -> bool:
    return ORDER_TYPES[order.request.order_type].trigger is not Trigger.NONE and not order.triggered
