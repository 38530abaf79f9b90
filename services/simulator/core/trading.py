"""How working orders trade: for each way what it can take at a tick, and how the next tick that matters is found.

Assumptions, chosen so that the simulator never flatters a strategy:
- A market order takes the ladder level by level; what is left goes on at the next tick.
- A limit order that arrives takes the levels up to its limit, at their prices; so does one that meets its first tick
  of a day or the first after a halt, where prices may jump, and one that is still sweeping the book. Otherwise prices
  are a sampled continuous path, which must have touched the limit on its way: it gets its limit, no more than what is
  shown at the limit or better. It also gets what trades beyond its limit, and what trades at its limit after all
  that was shown there before it has traded.
- An auction fills an order whole, at the auction's price, if that is not beyond its limit.
- A pegged order rests at the price that the quote before gave it. It gets what a limit order there would get, behind
  all that is shown at its price; it takes from the book when its price reaches the other side.
- Of several orders that one tick would fill, stops go first, then the order of arrival.
"""

from decimal import Decimal
from typing import Protocol

import numpy as np

from services.simulator.core.liquidity import UNLIMITED, Liquidity, Offer, Pool
from services.simulator.core.order_types import ORDER_TYPES, Trading
from services.simulator.core.orders import Order
from services.simulator.core.tape import IntegerArray
from services.simulator.core.work import (
    Work,
    far,
    far_size,
    first_true,
    limit_of,
    own,
    own_size,
    signed_units,
    traded,
)


class Way(Protocol):
    """One way to trade."""

    def offers(self, work: Work, tick: Liquidity) -> list[Offer]:
        """Return what the order can take, best first."""
        ...

    def next_tick(self, work: Work, first: int) -> int | None:
        """Return the first tick from `first`, which follows `work.considered`, that offers something."""
        ...

    def join(self, work: Work, tick: Liquidity) -> None:
        """Take note of the book in which a fresh order begins to rest."""

    def pass_over(self, work: Work, upto: int) -> None:
        """Take note of the ticks after `work.considered` up to `upto`."""


class _Market(Way):
    """The ladder; of a market-to-limit order only its best level."""

    def __init__(self, levels: int | None) -> None:
        self._levels = levels

    def offers(self, work: Work, tick: Liquidity) -> list[Offer]:
        return tick.levels(work.sign, None)[: self._levels]

    def next_tick(self, work: Work, first: int) -> int | None:
        return first_true(far_size(work, slice(first, work.beyond)) > 0, first)


class _Limit(Way):
    """The ladder up to the limit; while it rests, the limit."""

    def offers(self, work: Work, tick: Liquidity) -> list[Offer]:
        limit = limit_of(work.order)
        assert limit is not None  # noqa: S101 - validated on arrival
        if work.fresh or work.swept == tick.index - 1:
            return tick.levels(work.sign, limit)
        return tick.resting(work.sign, limit, work.sign * self._bound(work), work.queue)

    def next_tick(self, work: Work, first: int) -> int | None:
        window, bound = slice(first, work.beyond), self._bound(work)
        beyond = work.sign * work.tape.last[window] - bound
        volume = traded(work.tape, window)
        hits = ((far(work, window) <= bound) & (far_size(work, window) > 0)) | ((beyond < 0) & (volume > 0))
        at_price = beyond == 0
        if at_price.any():
            hits |= at_price & (np.cumsum(np.where(at_price, volume, 0)) > work.queue)
        return first_true(hits, first)

    def join(self, work: Work, tick: Liquidity) -> None:
        limit = limit_of(work.order)
        assert limit is not None  # noqa: S101 - validated on arrival
        work.queue = tick.shown(work.sign, limit)

    def pass_over(self, work: Work, upto: int) -> None:
        window = slice(work.considered + 1, upto + 1)
        if work.queue and upto > work.considered:
            at_price = work.sign * work.tape.last[window] == self._bound(work)
            passed = int(np.where(at_price, traded(work.tape, window), 0).sum())
            work.queue = max(work.queue - passed, 0)

    @staticmethod
    def _bound(work: Work) -> int:
        limit = limit_of(work.order)
        assert limit is not None  # noqa: S101 - validated on arrival
        return signed_units(limit, work.tape.unit, work.sign)


class _Combination(Way):
    """Whole combinations at what the legs' quotes come to, if that is not beyond the limit, also while it rests."""

    def offers(self, work: Work, tick: Liquidity) -> list[Offer]:
        return tick.levels(work.sign, limit_of(work.order))

    def next_tick(self, work: Work, first: int) -> int | None:
        window, limit = slice(first, work.beyond), limit_of(work.order)
        hits = far_size(work, window) > 0
        if limit is not None:
            hits &= far(work, window) <= signed_units(limit, work.tape.unit, work.sign)
        return first_true(hits, first)


class _Auction(Way):
    """The auction at the opening (0) or the closing (1) tick of regular hours."""

    def __init__(self, which: int) -> None:
        self._which = which

    def offers(self, work: Work, tick: Liquidity) -> list[Offer]:
        price, limit = tick.tape.price(int(tick.tape.last[tick.index])), limit_of(work.order)
        if tick.index != tick.tape.regular[self._which] or (limit is not None and (limit - price) * work.sign < 0):
            return []
        return [Offer(price, Pool(UNLIMITED), resting=True)]

    def next_tick(self, work: Work, first: int) -> int | None:
        at = work.tape.regular[self._which]
        return at if first <= at < work.beyond else None


class _Pegged(Way):
    """Like a limit order whose limit is what the quote of the tick before says."""

    def offers(self, work: Work, tick: Liquidity) -> list[Offer]:
        index, sign = tick.index, work.sign
        now = self._price(work, index)
        taking = [] if now is None else tick.levels(sign, now)
        before = None if work.fresh or not index else self._price(work, index - 1)
        if before is None:
            return taking
        queue = int(self._queue(work, slice(index - 1, index))[0])
        rested = tick.resting(sign, before, sign * signed_units(before, work.tape.unit, sign), queue)
        return rested + taking

    def next_tick(self, work: Work, first: int) -> int | None:
        window, before = slice(first, work.beyond), slice(max(first - 1, 0), work.beyond - 1)
        other, quoted = far(work, window), far_size(work, window) > 0
        taking = (other <= self._prices(work, window)) & quoted & (own_size(work, window) > 0)
        rested = self._prices(work, before)
        if len(rested) < len(taking):  # the tape's first tick has none before it
            return 0 if first == 0 and taking[0] else self.next_tick(work, 1)
        valid = (own_size(work, before) > 0) & (far_size(work, before) > 0)
        beyond = work.sign * work.tape.last[window] - rested
        volume = traded(work.tape, window)
        reached = (other <= rested) & quoted
        reached |= (beyond < 0) & (volume > 0)
        reached |= (beyond == 0) & (volume > self._queue(work, before))
        return first_true(taking | (valid & reached), first)

    def _price(self, work: Work, index: int) -> Decimal | None:
        window = slice(index, index + 1)
        if not (own_size(work, window)[0] and far_size(work, window)[0]):
            return None
        return work.tape.price(work.sign * int(self._prices(work, window)[0]))

    @staticmethod
    def _prices(work: Work, window: slice) -> IntegerArray:
        """Signed prices that the quotes of the window give the order."""
        request = work.order.request
        offset = signed_units(request.aux_price or Decimal(0), work.tape.unit, 1)
        match ORDER_TYPES[request.order_type].trading:
            case Trading.PRIMARY:
                prices = own(work, window) + offset
            case Trading.OPPOSITE:
                prices = far(work, window) - offset
            case _:
                prices = (own(work, window) + far(work, window)) // 2 - offset
        cap = limit_of(work.order)
        return prices if cap is None else np.minimum(prices, signed_units(cap, work.tape.unit, work.sign))

    def _queue(self, work: Work, window: slice) -> IntegerArray:
        """What is shown at the order's price at each tick of the window."""
        return np.where(self._prices(work, window) == own(work, window), own_size(work, window), 0)


OPENING: Way = _Auction(0)
CLOSING: Way = _Auction(1)
MARKET: Way = _Market(None)
MARKET_TO_LIMIT: Way = _Market(1)
LIMIT: Way = _Limit()
PEGGED: Way = _Pegged()
COMBINATION: Way = _Combination()

_WAYS = {
    Trading.MARKET: MARKET,
    Trading.LIMIT: LIMIT,
    Trading.CLOSE: CLOSING,
    Trading.PRIMARY: PEGGED,
    Trading.OPPOSITE: PEGGED,
    Trading.MIDPOINT: PEGGED,
}


def way_of(order: Order) -> Way:
    """Return how an order trades as it stands: once a trigger that it has was reached."""
    if order.request.legs:
        return COMBINATION
    if order.request.time_in_force == "OPG":
        return OPENING
    trading = ORDER_TYPES[order.request.order_type].trading
    if trading is Trading.MARKET_TO_LIMIT:
        return MARKET_TO_LIMIT if order.working_limit is None else LIMIT
    return _WAYS[trading]
