"""What makes stop, trailing and touched orders work: for each trigger when it is reached, and how the tick is found.

Assumptions:
- Triggers watch the last price, whatever trigger method an order asks for.
- Of a trailing stop, a tick is first compared with the stop that earlier ticks have left, and then moves it. The
  distance is at least one price step; a percentage is rounded down to whole steps.
- TRAIL LIMIT gets its limit when it is elected: the stop at that moment, worse by the offset; if no offset is given,
  by the distance between its limit and its initial stop.
"""

from decimal import Decimal
from typing import Protocol

import numpy as np

from services.simulator.core.order_types import ORDER_TYPES, Trigger
from services.simulator.core.orders import OrderRequest
from services.simulator.core.tape import IntegerArray, Tape
from services.simulator.core.work import Work, first_true, signed_units

_PERCENT_SCALE = 10**8


class Watch(Protocol):
    """One kind of trigger."""

    def reached(self, work: Work, index: int) -> bool:
        """Return whether the trigger is reached at a tick that follows `work.considered`."""
        ...

    def next_tick(self, work: Work, first: int) -> int | None:
        """Return the first tick from `first`, which follows `work.considered`, at which it is reached."""
        ...

    def follow(self, work: Work, upto: int) -> None:
        """Take note of the ticks after `work.considered` up to `upto`."""
        ...


class _AtPrice:
    """Stops (direction 1: a buyer's price comes from below) and touches (-1: from above)."""

    def __init__(self, direction: int) -> None:
        self._direction = direction

    def _bound(self, work: Work) -> tuple[int, int]:
        """Return the sign that turns the question into "at or above", and the signed trigger price."""
        price = work.order.request.aux_price
        assert price is not None  # noqa: S101 - validated on arrival
        sign = work.sign * self._direction
        return sign, -signed_units(price, work.tape.unit, -sign)  # rounded up

    def reached(self, work: Work, index: int) -> bool:
        sign, bound = self._bound(work)
        return sign * int(work.tape.last[index]) >= bound

    def next_tick(self, work: Work, first: int) -> int | None:
        sign, bound = self._bound(work)
        last = work.tape.last[first : work.beyond]
        return first_true(last >= bound if sign > 0 else last <= -bound, first)

    def follow(self, work: Work, upto: int) -> None:
        """Nothing moves."""


class _Trailing:
    """Stops that follow: in mirrored prices, where higher is better for the order and the stop lies below."""

    def reached(self, work: Work, index: int) -> bool:
        stop = work.order.stop
        return stop is not None and -work.sign * int(work.tape.last[index]) <= self._units(work, stop)

    def next_tick(self, work: Work, first: int) -> int | None:
        if work.order.stop is None:
            return first if first < work.beyond else None
        price = -work.sign * work.tape.last[first : work.beyond]
        if not len(price):
            return None
        best = np.maximum.accumulate(price)
        stop = np.maximum(best - _distance(work.order.request, work.tape, best), self._units(work, work.order.stop))
        return first_true(price <= stop, first)

    def follow(self, work: Work, upto: int) -> None:
        if upto <= work.considered:
            return
        best = np.max(-work.sign * work.tape.last[work.considered + 1 : upto + 1], keepdims=True)
        stop = int((best - _distance(work.order.request, work.tape, best))[0])
        if work.order.stop is not None:
            stop = max(stop, self._units(work, work.order.stop))
        work.order.stop = work.tape.price(-work.sign * stop)

    @staticmethod
    def _units(work: Work, stop: Decimal) -> int:
        return signed_units(stop, work.tape.unit, -work.sign)


def _distance(request: OrderRequest, tape: Tape, best: IntegerArray) -> IntegerArray:
    if request.trailing_percent is not None:
        part = int(request.trailing_percent / 100 * _PERCENT_SCALE)
        # whole and rest apart, since price times scale may not fit into 64 bits
        whole, rest = np.divmod(np.abs(best), _PERCENT_SCALE)
        return np.maximum(whole * part + rest * part // _PERCENT_SCALE, 1)
    assert request.aux_price is not None  # noqa: S101 - validated on arrival
    return np.full_like(best, max(signed_units(request.aux_price, tape.unit, 1), 1))


def elected_limit(work: Work) -> Decimal | None:
    """Return the limit that an order gets by being elected, None if it keeps the one it has or has none."""
    request, stop = work.order.request, work.order.stop
    if request.order_type != "TRAIL LIMIT" or stop is None:
        return None
    return stop + work.sign * _limit_offset(request)


def _limit_offset(request: OrderRequest) -> Decimal:
    if request.limit_price_offset is not None:
        return request.limit_price_offset
    if request.limit_price is None or request.trail_stop_price is None:
        return Decimal(0)
    return (request.limit_price - request.trail_stop_price) * request.sign


_WATCHES: dict[Trigger, Watch] = {
    Trigger.STOP: _AtPrice(1),
    Trigger.TOUCH: _AtPrice(-1),
    Trigger.TRAIL: _Trailing(),
}


def watch_of(work: Work) -> Watch:
    """Return the trigger of an order that has one."""
    return _WATCHES[ORDER_TYPES[work.order.request.order_type].trigger]
