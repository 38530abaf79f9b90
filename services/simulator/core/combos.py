"""Combinations: several legs ordered at one net price.

A combination's net price is that of its legs, bought and sold by their ratios, in units of the largest multiplier
among them: for option spreads simply the sum of the premiums. What is quoted for it is what the legs' quotes come to,
and its size is what all best quotes have. Trading hours are those that all legs share.

Assumption: combinations are guaranteed, so at one tick whole combinations fill, at the legs' best quotes, or nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from services.simulator.core.instruments import COMBO_CONTRACT_ID
from services.simulator.core.liquidity import Liquidity, Pool, Side
from services.simulator.core.orders import Leg
from services.simulator.core.tape import IntegerArray, Prices, Tape

TickOf: TypeAlias = Callable[[int], Liquidity | None]
"""Returns what an instrument offers at a tick, by contract id."""

_DAYS_LOOKED_AHEAD = 10
_KEPT = 64


@dataclass(frozen=True, slots=True)
class LegPrice:
    """What a leg trades at when one combination is bought or sold."""

    leg: Leg
    sign: int
    """1 if the leg is bought, -1 if it is sold."""
    price: Decimal
    pool: Pool


def leg_sign(leg: Leg) -> int:
    return 1 if leg.action == "BUY" else -1


class Combinations:
    """Net tapes of combinations, put together from those of their legs."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._tapes: dict[tuple[object, ...], Tape] = {}

    def weights(self, legs: Sequence[Leg]) -> list[Decimal]:
        """Return how much each leg's price adds to the net price that a buyer of the combination pays."""
        multipliers = [self._prices.instrument(leg.contract_id).multiplier for leg in legs]
        return [
            Decimal(leg_sign(leg) * leg.ratio * multiplier) / max(multipliers)
            for leg, multiplier in zip(legs, multipliers, strict=True)
        ]

    def next_tape(self, legs: Sequence[Leg], after: datetime) -> Tape | None:
        """Return the net tape that is running or starts next, None if the legs share no trading day soon."""
        for _ in range(_DAYS_LOOKED_AHEAD):
            found = [self._prices.next_tape(leg.contract_id, after) for leg in legs]
            tapes = [tape for tape in found if tape is not None]
            if len(tapes) < len(legs):
                return None
            day = max(tape.day for tape in tapes)
            start, end = max(tape.start for tape in tapes), min(tape.end for tape in tapes)
            if all(tape.day == day for tape in tapes) and start < end and end > after:
                return self._net_tape(tuple(legs), tapes)
            after = min(tape.end for tape in tapes)
        return None

    def at_tick(self, legs: Sequence[Leg], tape: Tape, index: int, tick_of: TickOf) -> "NetLiquidity":
        """Return what a tick offers in whole combinations; `tick_of` returns a leg's own tick, None in a halt."""
        parts = {sign: self._leg_prices(legs, sign, tick_of) for sign in (1, -1)}
        return NetLiquidity(tape, index, self._side(legs, parts[-1]), self._side(legs, parts[1]), parts)

    def _leg_prices(self, legs: Sequence[Leg], sign: int, tick_of: TickOf) -> list[LegPrice]:
        """Return the best price of each leg for a buyer or seller of the combination; nothing if one has no quote."""
        prices: list[LegPrice] = []
        for leg in legs:
            tick = tick_of(leg.contract_id)
            best = tick.best(sign * leg_sign(leg)) if tick else None
            if best is None:
                return []
            prices.append(LegPrice(leg, sign * leg_sign(leg), best.price, best.pool))
        return prices

    def _side(self, legs: Sequence[Leg], prices: Sequence[LegPrice]) -> Side:
        if not prices:
            return []
        weighted = zip(self.weights(legs), prices, strict=True)
        net = sum((weight * item.price for weight, item in weighted), Decimal(0))
        return [(net, Pool(min(item.pool.left // item.leg.ratio for item in prices)))]

    def _net_tape(self, legs: tuple[Leg, ...], tapes: Sequence[Tape]) -> Tape:
        key = (legs, tapes[0].day)
        if key not in self._tapes:
            if len(self._tapes) >= _KEPT:
                del self._tapes[next(iter(self._tapes))]
            self._tapes[key] = self._build(legs, tapes)
        return self._tapes[key]

    def _build(self, legs: Sequence[Leg], tapes: Sequence[Tape]) -> Tape:
        start, end, step = max(tape.start for tape in tapes), min(tape.end for tape in tapes), tapes[0].step
        count = -(-(end - start) // step) + 1
        weights = self.weights(legs)
        unit = min(tape.unit * abs(weight) for tape, weight in zip(tapes, weights, strict=True))
        unit = Decimal(1).scaleb(unit.adjusted() - 2)  # fine enough for every leg's weighted price
        bid, ask, last = (np.zeros(count, np.int64) for _ in range(3))
        sizes = {1: np.full(count, np.iinfo(np.int64).max), -1: np.full(count, np.iinfo(np.int64).max)}
        for leg, weight, tape in zip(legs, weights, tapes, strict=True):
            at = _indices(tape, start, count)
            factor = int((weight * tape.unit / unit).to_integral_value())
            near, other = (tape.bid, tape.ask) if weight > 0 else (tape.ask, tape.bid)
            bid, ask, last = bid + factor * near[at], ask + factor * other[at], last + factor * tape.last[at]
            _limit_sizes(sizes, leg, tape, at)
        return Tape(
            contract_id=COMBO_CONTRACT_ID,
            day=tapes[0].day,
            start=start,
            end=end,
            step=step,
            unit=unit,
            last=last,
            bid=bid,
            ask=ask,
            bid_size=sizes[-1],
            ask_size=sizes[1],
            volume=np.zeros(count, np.int64),
            regular=_shared_hours(tapes, start, count),
            auctions=False,
        )


def _limit_sizes(sizes: dict[int, IntegerArray], leg: Leg, tape: Tape, at: IntegerArray) -> None:
    """Lower what can be bought (1) and sold (-1) of the combination to what the leg's quotes have."""
    halted = np.zeros(len(tape), np.bool_)
    for first, beyond in tape.halts:
        halted[first:beyond] = True
    for sign, of_sign in sizes.items():
        price, size = (tape.ask, tape.ask_size) if sign * leg_sign(leg) > 0 else (tape.bid, tape.bid_size)
        usable = np.where((price > 0) & ~halted, size, 0)
        sizes[sign] = np.minimum(of_sign, usable[at] // leg.ratio)


def _indices(tape: Tape, start: datetime, count: int) -> IntegerArray:
    """Return the tape's tick at each tick of the combination."""
    offset = (start - tape.start) / tape.step
    return np.minimum(np.floor(np.arange(count) + offset).astype(np.int64), len(tape) - 1)


def _shared_hours(tapes: Sequence[Tape], start: datetime, count: int) -> tuple[int, int]:
    opens = max(tape.time(tape.regular[0]) for tape in tapes)
    closes = min(tape.time(tape.regular[1]) for tape in tapes)
    step = tapes[0].step
    return max(0, -((start - opens) // step)), min(count - 1, -((start - closes) // step))


class NetLiquidity(Liquidity):
    """What one tick offers in whole combinations; what is taken of them must also be taken of the legs' pools."""

    def __init__(self, tape: Tape, index: int, bids: Side, asks: Side, legs: Mapping[int, Sequence[LegPrice]]) -> None:
        super().__init__(tape, index, bids, asks)
        self.legs = legs
        """By the sign of the order: what each leg trades at."""
