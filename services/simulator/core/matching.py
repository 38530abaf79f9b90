"""Orders at work, compared with ticks: which tick is the next that matters, and what an order takes from it.

How each order type is triggered and trades is told in `order_types`, `triggers` and `trading`, what a tick offers in
`liquidity`, when an order may trade in `hours`.

Assumptions:
- A tick in which an instrument is halted is as if it were not there.
- An order that must fill whole (all-or-none, FOK) or with a minimum at first takes nothing from a tick that offers
  less. Display sizes and discretionary amounts are accepted and change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from services.simulator.core.combos import Combinations, LegPrice, NetLiquidity
from services.simulator.core.hours import Stretch, next_stretch
from services.simulator.core.liquidity import Liquidity, Offer, at_tick
from services.simulator.core.order_types import ORDER_TYPES, Trigger
from services.simulator.core.orders import Order
from services.simulator.core.tape import Prices, Tape
from services.simulator.core.trading import way_of
from services.simulator.core.triggers import watch_of
from services.simulator.core.work import Work, awaits_trigger


@dataclass(frozen=True, slots=True)
class Fill:
    """What an order takes at one price. `legs` are a combination's, for one of it."""

    price: Decimal
    quantity: Decimal
    resting: bool
    legs: Sequence[LegPrice] = ()


def priority(order: Order) -> tuple[bool, int]:
    """Sort key of orders that compete for one tick: stops first, which is the worse order of things."""
    stop = ORDER_TYPES[order.request.order_type].trigger in (Trigger.STOP, Trigger.TRAIL)
    return not (stop and awaits_trigger(order)), order.sequence


class Matcher:
    """Finds and compares. What our orders have taken of an instrument's present tick is remembered here."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._combinations = Combinations(prices)
        self._ticks: dict[int, Liquidity] = {}

    def stretch(self, order: Order, now: datetime) -> Stretch | None:
        """Return when and on which tape the order may trade, now or next."""
        request = order.request
        if request.legs:
            return next_stretch(lambda after: self._combinations.next_tape(request.legs, after), request, now)
        return next_stretch(lambda after: self._prices.next_tape(request.contract_id, after), request, now)

    def begin(self, order: Order, stretch: Stretch, now: datetime) -> Work:
        """Put an order to work; `stretch` is running. It is compared with the present tick unless it came after it."""
        tape = stretch.tape
        index = tape.index(now)
        too_late = order.active_after is not None and tape.time(index) <= order.active_after
        return Work(order, tape, stretch.first, stretch.beyond, considered=index if too_late else index - 1)

    def next_time(self, work: Work) -> datetime | None:
        """Return the time of the next tick that matters to the order, None if there is none on its tape."""
        index = self._next_tick(work, work.considered + 1)
        while index is not None:
            beyond = next((beyond for first, beyond in work.tape.halts if first <= index < beyond), None)
            if beyond is None:
                return work.tape.time(index)
            index = self._next_tick(work, beyond)
        return None

    @staticmethod
    def _next_tick(work: Work, first: int) -> int | None:
        if first >= work.beyond:
            return None
        if work.fresh:
            return first
        if awaits_trigger(work.order):
            return watch_of(work).next_tick(work, first)
        return way_of(work.order).next_tick(work, first)

    @staticmethod
    def pass_over(work: Work, upto: int) -> None:
        """Take note of the ticks up to `upto`, none of which mattered."""
        if upto > work.considered:
            if awaits_trigger(work.order):
                watch_of(work).follow(work, upto)
            else:
                way_of(work.order).pass_over(work, upto)
            work.considered = upto

    def reached(self, work: Work, index: int) -> bool:
        """Return whether the order's trigger is reached at a tick; true if it has none, or was elected before."""
        return not awaits_trigger(work.order) or watch_of(work).reached(work, index)

    def take(self, work: Work, index: int, most: Decimal) -> list[Fill]:
        """Take up to `most` of what a tick offers to an order that needs no trigger (any more)."""
        tick = self.tick(work, index)
        incoming = work.fresh or work.swept == index - 1
        offers = way_of(work.order).offers(work, tick)
        portions = _portions(offers, int(most))
        if sum(quantity for _, quantity in portions) < _least(work.order):
            return []
        legs = tick.legs[work.sign] if isinstance(tick, NetLiquidity) else ()
        fills: list[Fill] = []
        for offer, quantity in portions:
            offer.pool.left -= quantity
            for item in legs:
                item.pool.left -= quantity * item.leg.ratio
            fill = Fill(offer.price, Decimal(quantity), offer.resting, legs)
            if fills and fills[-1].price == fill.price and fills[-1].resting == fill.resting:
                fills[-1] = replace(fill, quantity=fills[-1].quantity + quantity)
            else:
                fills.append(fill)
        if fills and incoming:
            work.swept = index
        return fills

    def rest(self, work: Work, index: int) -> None:
        """Take note of a tick that left something of the order."""
        self.pass_over(work, index)
        if work.fresh and not awaits_trigger(work.order):
            way_of(work.order).join(work, self.tick(work, index))
        work.fresh = False

    def tick(self, work: Work, index: int) -> Liquidity:
        """Return what a tick of the order's tape still offers."""
        legs, now = work.order.request.legs, work.tape.time(index)
        if not legs:
            return self._tick(work.tape, index)

        def tick_of(contract_id: int) -> Liquidity | None:
            tape = self._prices.tape(contract_id, work.tape.day)
            return None if tape is None or tape.halted(tape.index(now)) else self._tick(tape, tape.index(now))

        return self._combinations.at_tick(legs, work.tape, index, tick_of)

    def _tick(self, tape: Tape, index: int) -> Liquidity:
        found = self._ticks.get(tape.contract_id)
        if found is None or found.index != index or found.tape.day != tape.day:
            found = self._ticks[tape.contract_id] = at_tick(self._prices, tape, index)
        return found


def _portions(offers: Sequence[Offer], most: int) -> list[tuple[Offer, int]]:
    """Return how much of each offer to take, in turn; two offers may draw on one pool."""
    portions: list[tuple[Offer, int]] = []
    drawn: dict[int, int] = {}
    for offer in offers:
        pool = id(offer.pool)
        quantity = min(most, offer.most, offer.pool.left - drawn.get(pool, 0))
        if quantity > 0:
            portions.append((offer, quantity))
            drawn[pool] = drawn.get(pool, 0) + quantity
            most -= quantity
    return portions


def _least(order: Order) -> int:
    """Return the least that the order takes at once."""
    request = order.request
    if request.all_or_none or request.time_in_force == "FOK":
        return int(order.remaining)
    if request.minimum_quantity is not None and not order.filled:
        return int(request.minimum_quantity)
    return 1
