"""Orders that depend on each other: brackets and OCA groups.

Brackets:
- A child works once its parent has filled something; the quote that did so is not compared with it. While the parent
  is not filled whole, its children on one side together fill no more than it has; afterwards each works in full.
- Children without a group of their own form one, named after the parent's permId, of type 3.
- Cancelling a parent cancels its children, and theirs. If it has filled a part, they stay, cut down to that part, to
  protect the position. (What IBKR does here is not documented.)

One-cancels-all groups (IBKR, "One-Cancels-All"):
- Type 1: any fill cancels the others. Types 2 and 3: a partial fill reduces the others in proportion, rounded against
  them; a complete one cancels them. The type is that of the order that fills.
- An order that was reduced, here or with its parent's cancel, cannot be made larger again: clients that change its
  price often repeat the quantity that they first gave it, and too much would fill. A modification that asks for more
  keeps the quantity. (Our rule; IBKR's is not documented.)
- "With block" (1 and 2) means that IBKR never lets two of them fill at once, which this exchange cannot do anyway: it
  fills one order after the other.
"""

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from services.simulator.core.book import OrderBook
from services.simulator.core.orders import Order, OrderRequest

_CANCEL = 1
ZERO = Decimal(0)


class Desk(Protocol):
    """What the exchange does when one order's fate decides another's."""

    def cancel(self, order: Order, reason: str = "") -> None: ...

    def reconsider(self, order: Order) -> None:
        """The order's terms or what it may fill are new: tell about it and look for its next tick."""
        ...

    def activate(self, order: Order) -> None:
        """A child may fill (more) from the next tick on."""
        ...


class Families:
    def __init__(self, book: OrderBook, desk: Desk) -> None:
        self._book = book
        self._desk = desk

    def allowance(self, order: Order) -> Decimal:
        """Return how much an order may fill now: what remains, and of a child no more than its parent has filled."""
        parent = self._book.parent(order)
        if parent is None or not parent.live:
            return order.remaining
        return min(order.remaining, self._unprotected(parent, order))

    def _unprotected(self, parent: Order, child: Order) -> Decimal:
        """Return what the parent has filled and its children on the side of `child` have not."""
        side = [other for other in self._book.children(parent) if other.request.action == child.request.action]
        return max(parent.filled - sum((other.filled for other in side), ZERO), ZERO)

    @staticmethod
    def within_reduction(order: Order, request: OrderRequest) -> OrderRequest:
        """Return new terms of an order; one that was reduced keeps its quantity if they ask for more."""
        if not order.reduced:
            return request
        return replace(request, quantity=min(request.quantity, order.request.quantity))

    def after_fill(self, order: Order, quantity: Decimal) -> None:
        """Carry out what a fill of `quantity` means for others."""
        for sibling in self._book.oca_siblings(order):
            if not order.remaining or order.request.oca_type == _CANCEL:
                self._desk.cancel(sibling)
            else:
                self._reduce(sibling, quantity / (order.request.quantity + order.reduced))
        for child in self._book.children(order):
            if child.live:
                self._desk.activate(child)

    def after_cancel(self, order: Order) -> None:
        """Carry out what a cancel means for the children."""
        for child in self._book.children(order):
            if not child.live:
                continue
            if not order.filled:
                self._desk.cancel(child)
            elif child.remaining > (most := self._unprotected(order, child)):
                self._resize(child, child.filled + most)

    def _reduce(self, order: Order, fraction: Decimal) -> None:
        whole = order.request.quantity + order.reduced
        lost = (whole * fraction).to_integral_value(ROUND_CEILING)
        self._resize(order, order.request.quantity - lost)

    def _resize(self, order: Order, quantity: Decimal) -> None:
        """Cut an order down to a total of `quantity`; with nothing left it is cancelled."""
        order.reduced += order.request.quantity - quantity
        if quantity <= order.filled:
            self._desk.cancel(order)
            return
        order.request = replace(order.request, quantity=quantity)
        self._desk.reconsider(order)
