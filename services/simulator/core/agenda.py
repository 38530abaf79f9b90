"""When each live order needs attention next."""

from datetime import datetime
from heapq import heappop, heappush

from services.simulator.core.orders import Order


class Agenda:
    """One moment per order; a new one takes the old one's place."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int]] = []
        self._due: dict[int, tuple[datetime, Order]] = {}
        """By the order's sequence; what the heap says else is out of date."""

    def enter(self, order: Order, due: datetime | None) -> None:
        """Set when the order needs attention; None for never."""
        if due is None:
            self._due.pop(order.sequence, None)
        else:
            self._due[order.sequence] = (due, order)
            heappush(self._heap, (due, order.sequence))

    def next(self) -> datetime | None:
        """Return the earliest moment, None if there is none."""
        while self._heap:
            due, sequence = self._heap[0]
            entry = self._due.get(sequence)
            if entry is not None and entry[0] == due:
                return due
            heappop(self._heap)
        return None

    def take(self, moment: datetime) -> list[Order]:
        """Return the orders that are due at `moment` or before, and strike them off."""
        orders: list[Order] = []
        while (due := self.next()) is not None and due <= moment:
            orders.append(self._due.pop(heappop(self._heap)[1])[1])
        return orders
