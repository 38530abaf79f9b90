"""Where each live order is in its trading day: the stretch of ticks it is in or waits for, and its work there."""

from datetime import datetime
from decimal import Decimal

from services.simulator.core.hours import Stretch
from services.simulator.core.matching import Matcher
from services.simulator.core.order_types import ORDER_TYPES, Trigger
from services.simulator.core.orders import Order
from services.simulator.core.work import Work


class Places:
    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._stretches: dict[int, Stretch] = {}
        self._works: dict[int, Work] = {}

    def stretch(self, order: Order, now: datetime) -> Stretch | None:
        """Return when an order may trade: the stretch it is in until it leaves it, or the next one."""
        found = self._stretches.get(order.sequence)
        if found is None:
            found = self._matcher.stretch(order, now)
            if found is not None:
                self._stretches[order.sequence] = found
        return found

    def leave(self, order: Order) -> None:
        """Let an order end its stretch: the day is over, or it begins anew."""
        self._stretches.pop(order.sequence, None)
        self._works.pop(order.sequence, None)

    def work(self, order: Order, now: datetime) -> tuple[Work | None, bool]:
        """Return the work of an order that was admitted, None before its stretch, and whether it begins now."""
        work, stretch = self._works.get(order.sequence), self.stretch(order, now)
        if work is not None or stretch is None or stretch.start > now:
            return work, False
        work = self._works[order.sequence] = self._matcher.begin(order, stretch, now)
        return work, True

    def next_moment(self, order: Order, now: datetime, allowance: Decimal) -> datetime | None:
        """Return the next tick that matters to an order, or the start or the end of its stretch."""
        work, stretch = self._works.get(order.sequence), self.stretch(order, now)
        if stretch is None or stretch.start > now:
            return None if stretch is None else stretch.start
        found = self._matcher.next_time(work) if work is not None and allowance else None
        return found or stretch.end

    def catch_up(self, order: Order, now: datetime) -> None:
        """Take note of the ticks up to now, which did not matter to the order."""
        work = self._works.get(order.sequence)
        if work is not None:
            self._matcher.pass_over(work, min(work.tape.index(now), work.beyond - 1))

    def trail(self, now: datetime) -> None:
        """Move trailing stops to where they are now."""
        for work in self._works.values():
            if ORDER_TYPES[work.order.request.order_type].trigger is Trigger.TRAIL:
                self.catch_up(work.order, now)
