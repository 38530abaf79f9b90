"""The life of an order as one table.

Invariants:
1. A status moves only as `MOVES` allows; anything else the broker says leaves the status as it is.
2. A filled order never changes; its fills are booked once each, by execution id.
3. UNKNOWN ends only by the broker's own word.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from shared.messages.broker import OrderReported
from shared.messages.broker_commands import OrderTerms
from shared.types import Leg, OrderStatus, OrderType, Side, TimeInForce

S = OrderStatus
ZERO = Decimal(0)
# Looked up once: Python 3.11 calls a function for every access to an enum's member, and these are in every order's way.
INTENT, ENTRY, STOP, EXIT = OrderStatus.INTENT, Leg.ENTRY, Leg.STOP, Leg.EXIT

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


class Order(NamedTuple):
    """One order at the broker; a report makes a new one. Fields are the columns of the table `orders`.

    Prices in USD, quantities in shares.
    The limit of a combination is its net price with the sign that IBKR gives it, its quantity in units of it.
    """

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


def intended(terms: OrderTerms, order_id: str, strategy: str, now: datetime) -> Order:
    """An order that is about to be sent. `order_id`: of the entry, its own or that of the position it closes."""
    return Order(
        terms.order_ref,
        order_id,
        _leg(terms, order_id),
        strategy,
        terms.symbol,
        terms.side,
        terms.quantity,
        terms.net_price.signed(terms.side) if terms.net_price else terms.limit_price,
        terms.trigger_price,
        terms.time_in_force,
        INTENT,
        ZERO,
        None,
        None,
        None,
        None,
        now,
        now,
    )


def _leg(terms: OrderTerms, order_id: str) -> Leg:
    if terms.order_ref == order_id:
        return ENTRY
    if terms.parent is None:
        return EXIT
    return STOP if terms.order_type is OrderType.STOP else Leg.TARGET


def apply(order: Order, report: OrderReported, now: datetime) -> Order:
    """What the order is after the broker's report; the same object when nothing changed."""
    more = report.filled > order.filled
    after = Order(
        order.order_ref,
        order.order_id,
        order.leg,
        order.strategy,
        order.symbol,
        order.side,
        order.quantity,
        report.limit_price if report.limit_price and order.leg is not STOP else order.limit_price,
        report.trigger_price or order.stop_price,
        order.time_in_force,
        report.status if report.status in MOVES[order.status] else order.status,
        report.filled if more else order.filled,
        report.average_price if more else order.average_price,
        report.broker_order_id or order.broker_order_id,
        report.perm_id or order.perm_id,
        report.reason or order.reason,
        order.created_at,
        now,
    )
    return order if after[:-1] == order[:-1] else after
