"""Closing what an entry opened when no order at the broker does that already."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from services.execution.core.order import Order
from services.execution.core.position import ZERO, Position
from shared.messages.broker_commands import ComboLeg, OrderTerms, SubmitOrder
from shared.messages.order import ClosePosition
from shared.types import Leg, OrderType, Side, TimeInForce

BUY, EXIT, LIMIT, DAY = Side.BUY, Leg.EXIT, OrderType.LIMIT, TimeInForce.DAY  # looked up once: a call in Python 3.11

LIFETIME = timedelta(minutes=2)
"""An exit that is not sent by then is dead, because its price is old; the next ClosePosition sends another."""


def reference(order_id: str, number: int) -> str:
    """The orderRef of the first, second ... exit of an entry."""
    return f"{order_id}.exit{number}" if number > 1 else f"{order_id}.exit"


def closing(orders: Mapping[str, Order], order_id: str) -> Iterator[Order]:
    """The orders that close what the entry of this id opened, dead ones too: stop, target, and exits, oldest first."""
    for protection in (".stop", ".target"):
        if order := orders.get(order_id + protection):
            yield order
    order, number = orders.get(order_id + ".exit"), 1
    while order is not None:
        yield order
        number += 1
        order = orders.get(reference(order_id, number))


def held(
    entry: Order, closed_by: Sequence[Order], legs: Sequence[ComboLeg], positions: Mapping[str, Position]
) -> Decimal:
    """Shares, or whole combinations, of an entry that are still there: never more than the positions, which a person
    may have closed, or an assignment."""
    left = entry.filled
    for order in closed_by:
        left -= order.filled
    if not legs:
        return min(left, _there(positions, entry.symbol, entry.side))
    for leg in legs:
        side = entry.side if leg.side is BUY else entry.side.opposite
        left = min(left, _there(positions, leg.symbol, side) // leg.ratio)
    return left


def _there(positions: Mapping[str, Position], symbol: str, side: Side) -> Decimal:
    """Shares or contracts held on one side, below zero on the other."""
    position = positions.get(symbol)
    if position is None:
        return ZERO
    return position.quantity if side is BUY else -position.quantity


def exit_order(
    entry: Order, closed_by: Sequence[Order], command: ClosePosition, quantity: Decimal, now: datetime
) -> SubmitOrder:
    """The entry's next exit. It lives for a day: tomorrow's has tomorrow's price."""
    number = 1 + len([order for order in closed_by if order.leg is EXIT])
    terms = OrderTerms.trusted(
        order_ref=reference(entry.order_id, number),
        symbol=entry.symbol,
        side=entry.side.opposite,
        quantity=quantity,
        order_type=LIMIT,
        legs=command.legs,
        limit_price=command.limit_price,
        net_price=command.net_price,
        time_in_force=DAY,
    )
    return SubmitOrder.trusted(orders=(terms,), expires_at=now + LIFETIME)
