"""Words on orders: what we say where the broker says nothing, and what its last word says already."""

from decimal import Decimal

from services.gateway.core.verdicts import Claim
from shared.messages.broker import BrokerErrorReported, ErrorEffect, OrderReported
from shared.messages.broker_commands import ModifyOrder
from shared.types import OrderStatus


def own_word(claim: Claim, status: OrderStatus, reason: str) -> OrderReported:
    """Our own report of an order that has not filled, as far as we know."""
    return OrderReported(
        order_ref=claim.order_ref,
        status=status,
        filled=Decimal(0),
        remaining=claim.quantity,
        average_price=None,
        limit_price=None,
        broker_order_id=claim.broker_order_id or 0,
        perm_id=0,
        reason=reason,
    )


def silence(order_ref: str, request: str) -> BrokerErrorReported:
    """The broker did not answer a change or a cancel: its order is as it was, for all we know."""
    text = f"the broker did not answer {request} of {order_ref}"
    return BrokerErrorReported(code=0, text=text, effect=ErrorEffect.UNKNOWN, order_ref=order_ref)


def says_already(change: ModifyOrder, known: OrderReported) -> bool:
    """Whether an order is as a change wants it, as far as the broker reports its terms."""
    wanted = {name: value for name, value in change if name != "order_ref" and value is not None}
    told = {
        "quantity": known.filled + known.remaining,
        "limit_price": known.limit_price,
        "trigger_price": known.trigger_price,
    }
    return all(told.get(name) == value for name, value in wanted.items())
