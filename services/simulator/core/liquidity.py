"""What one tick of one instrument offers to our orders.

Assumptions:
- An incoming order can take what the ladder shows at that tick, level by level; a new tick shows a new ladder.
- A resting order can get what the other side of the ladder shows at its price or better, and what has traded there.
- What one of our orders has taken at a tick is gone for the others. Our orders do not trade with each other, and
  the market does not react to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from services.simulator.core.tape import Level, Prices, Tape

UNLIMITED = 1 << 62


@dataclass(slots=True)
class Pool:
    """Shares or contracts that are left to be had."""

    left: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A price at which an order can trade now, at most `most` out of `pool`."""

    price: Decimal
    pool: Pool
    most: int = UNLIMITED
    resting: bool = False
    """True if the order was there first and the other side came to it."""

    @property
    def available(self) -> int:
        return min(self.pool.left, self.most)


Side: TypeAlias = list[tuple[Decimal, Pool]]
"""Prices and what is left at each, best first."""


class Liquidity:
    """One tick: the levels of both sides and the trades, less what our orders took of them."""

    def __init__(self, tape: Tape, index: int, bids: Side, asks: Side) -> None:
        self.tape = tape
        self.index = index
        self._levels = {1: asks, -1: bids}
        before = int(tape.volume[index - 1]) if index else 0
        self.traded = int(tape.volume[index]) - before
        self._trades = Pool(self.traded)

    def levels(self, sign: int, limit: Decimal | None) -> list[Offer]:
        """Return what an incoming order can take, best first: a buyer (`sign` 1) from the asks, not beyond `limit`."""
        return [
            Offer(price, pool) for price, pool in self._levels[sign] if limit is None or (limit - price) * sign >= 0
        ]

    def best(self, sign: int) -> Offer | None:
        """Return the best price on the other side, None if nobody quotes it."""
        return next(iter(self.levels(sign, None)), None)

    def resting(self, sign: int, price: Decimal, units: int, queue: int) -> list[Offer]:
        """Return what comes to an order that rests at `price` (`units` on the tape) behind `queue` others."""
        offers = [Offer(price, offer.pool, resting=True) for offer in self.levels(sign, price)]
        beyond = (units - int(self.tape.last[self.index])) * sign
        if beyond > 0:
            offers.append(Offer(price, self._trades, resting=True))
        elif beyond == 0:
            offers.append(Offer(price, self._trades, max(self.traded - queue, 0), resting=True))
        return offers

    def shown(self, sign: int, price: Decimal) -> int:
        """Return how much waits ahead of an order of side `sign` that joins at `price`.

        Nothing if it betters the quote; beyond the ladder's end as much as at its last level.
        """
        own = self._levels[-sign]
        for level, pool in own:
            if (price - level) * sign >= 0:
                return pool.left if price == level else 0
        return own[-1][1].left if own else 0


def at_tick(prices: Prices, tape: Tape, index: int) -> Liquidity:
    """Return what a tick of an instrument offers before anything was taken."""
    bids, asks = prices.ladder(tape, index)
    return Liquidity(tape, index, _side(bids), _side(asks))


def _side(levels: Sequence[Level]) -> Side:
    return [(level.price, Pool(level.size)) for level in levels if level.size > 0 and level.price > 0]
