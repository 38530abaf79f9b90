"""Our books against the broker's.

Invariants:
1. No difference is explained away: each is a Break, and a Break keeps trading disabled.
2. An order that is only INTENT is no difference: its command may be on its way.
3. A position that was opened with a stop has a working one, or it is a Break.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from services.execution.core.order import Order
from services.execution.core.position import ZERO, Position
from shared.messages.broker import BrokerPosition
from shared.messages.order import Break
from shared.types import Leg, OrderStatus


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
    orders = list(orders)
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
    yield from _unprotected(orders, ours)


def _unprotected(orders: Iterable[Order], positions: Mapping[str, Decimal]) -> Iterator[Break]:
    families: dict[str, list[Order]] = {}
    for order in orders:
        families.setdefault(order.order_id, []).append(order)
    for order_id, family in families.items():
        legs = {order.leg: order for order in family}
        entry, stop = legs.get(Leg.ENTRY), legs.get(Leg.STOP)
        if entry is None or stop is None or not stop.status.is_final or not entry.filled:
            continue
        closed = sum((_closed(order) for order in family if order.leg is not Leg.ENTRY), ZERO)
        left = entry.filled - closed
        if left > 0 and positions.get(entry.symbol, ZERO) * entry.side.sign > 0:
            ours = f"{left} {entry.symbol} open, its stop {stop.status}"
            subject = f"protection of {order_id}"
            yield Break(subject=subject, ours=ours, broker="no working stop", unprotected=order_id)


def _closed(exit_order: Order) -> Decimal:
    return exit_order.quantity if exit_order.status is OrderStatus.FILLED else exit_order.filled
