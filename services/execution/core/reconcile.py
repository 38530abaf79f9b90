"""Our books against the broker's.

Invariants:
1. No difference is explained away: each is a Break, and a Break keeps trading disabled.
2. An order that is only INTENT is no difference: its command may be on its way.
"""

from collections.abc import Collection, Iterable, Iterator

from services.execution.core.order import Order
from services.execution.core.position import ZERO, Position
from shared.messages.broker import BrokerPosition
from shared.messages.order import Break
from shared.types import OrderStatus


def compare(
    orders: Iterable[Order],
    positions: Iterable[Position],
    held: Iterable[BrokerPosition],
    reported: Collection[str],
) -> Iterator[Break]:
    """Yield what differs.

    Args:
        held: the broker's positions.
        reported: orderRefs of all orders, open and completed, that the broker reported.
    """
    ours = {position.symbol: position.quantity for position in positions if position.quantity}
    theirs = {position.symbol: position.quantity for position in held if position.quantity}
    for symbol in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(symbol, ZERO), theirs.get(symbol, ZERO)
        if mine != other:
            yield Break(subject=f"position {symbol}", ours=str(mine), broker=str(other))
    for order in orders:
        alive = not order.status.is_final and order.status is not OrderStatus.INTENT
        if alive and order.order_ref not in reported:
            yield Break(subject=f"order {order.order_ref}", ours=order.status, broker="not reported")
