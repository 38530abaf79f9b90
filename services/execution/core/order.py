"""The life of an order as one table.

Invariants:
1. A status moves only as `MOVES` allows; anything else the broker says leaves the status as it is.
2. A filled order never changes; its fills are booked once each, by execution id.
3. UNKNOWN ends only by the broker's own word.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from shared.messages.broker import OrderReported
from shared.types import Leg, OrderStatus, Side, TimeInForce

S = OrderStatus

MOVES: dict[OrderStatus, frozenset[OrderStatus]] = {
    S.INTENT: frozenset(S) - {S.INTENT},
    S.SUBMITTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.UNKNOWN}),
    S.PARTIALLY_FILLED: frozenset({S.FILLED, S.CANCELLED, S.UNKNOWN}),
    S.UNKNOWN: frozenset(S) - {S.INTENT, S.UNKNOWN},
    # A fill can cross a cancel on the wire, and a code that reads like a refusal can precede a live order.
    S.CANCELLED: frozenset({S.PARTIALLY_FILLED, S.FILLED}),
    S.REJECTED: frozenset({S.SUBMITTED, S.PARTIALLY_FILLED, S.FILLED}),
    S.EXPIRED: frozenset({S.PARTIALLY_FILLED, S.FILLED}),
    S.FILLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Order:
    """One order at the broker. Fields are the columns of the table `orders`; prices in USD, quantities in shares."""

    order_ref: str
    order_id: str
    leg: Leg
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce
    status: OrderStatus
    filled: Decimal
    average_price: Decimal | None
    broker_order_id: int | None
    perm_id: int | None
    reason: str | None
    created_at: datetime
    changed_at: datetime


def apply(order: Order, report: OrderReported, now: datetime) -> Order:
    """What the order is after the broker's report; the same object when nothing changed."""
    status = report.status if report.status in MOVES[order.status] else order.status
    changed = replace(
        order,
        status=status,
        filled=max(order.filled, report.filled),
        average_price=report.average_price if report.filled > order.filled else order.average_price,
        limit_price=report.limit_price if order.leg is not Leg.STOP and report.limit_price else order.limit_price,
        stop_price=report.trigger_price or order.stop_price,
        broker_order_id=report.broker_order_id or order.broker_order_id,
        perm_id=report.perm_id or order.perm_id,
        reason=report.reason or order.reason,
    )
    return order if changed == order else replace(changed, changed_at=now)
