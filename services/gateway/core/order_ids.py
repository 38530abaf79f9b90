"""Broker order ids, never used twice, and the order in which a family of orders may be sent."""

from collections.abc import Collection, Sequence

from shared.messages.broker_commands import OrderTerms


def reserve(order_refs: Sequence[str], next_free: int, highest_claimed: int) -> dict[str, int]:
    """An id for each orderRef: above what the broker says is free, and above all that were ever claimed."""
    first = max(next_free, highest_claimed + 1, 1)
    return {order_ref: first + number for number, order_ref in enumerate(order_refs)}


def left_of(orders: Sequence[OrderTerms], withdrawn: Collection[str]) -> tuple[OrderTerms, ...]:
    """What is left to be sent of orders of which some were withdrawn: children go with their parents."""
    gone = set(withdrawn)
    left: list[OrderTerms] = []
    for order in orders:  # parents come before their children
        if order.order_ref in gone or order.parent in gone:
            gone.add(order.order_ref)
        else:
            left.append(order)
    return tuple(left)
