"""The simulated broker's orders and contracts in our words, and our numbers as they reach it."""

from decimal import Decimal

from services.gateway.core.book import order_status
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import Order
from shared.messages.broker import OrderReported
from shared.messages.broker_commands import OrderTerms
from shared.types import OrderStatus, SecurityType

ZERO = Decimal(0)
_WIRE_DECIMALS = 8


def name_of(instrument: Instrument) -> str:
    """Our name of a contract of the simulated broker."""
    match instrument.security_type:
        case SecurityType.INDEX:
            return f"^{instrument.local_symbol}"
        case SecurityType.FUTURE:
            return f"/{instrument.local_symbol}"
        case _:
            return instrument.local_symbol


def reported_order(order: Order) -> OrderReported:
    """An order as the gateway reports it."""
    request = order.request
    return OrderReported(
        order_ref=request.order_ref,
        status=order_status(order.status, order.filled),
        filled=order.filled,
        remaining=order.remaining,
        average_price=order.average_price if order.filled else None,
        limit_price=request.limit_price,
        broker_order_id=request.order_id,
        perm_id=order.permanent_id,
        reason=order.completed_reason or None,
        trigger_price=request.aux_price,
    )


def refused_order(terms: OrderTerms, reason: str) -> OrderReported:
    """An order that the broker did not take."""
    return OrderReported(
        order_ref=terms.order_ref,
        status=OrderStatus.REJECTED,
        filled=ZERO,
        remaining=terms.quantity,
        average_price=None,
        limit_price=None,
        broker_order_id=0,
        perm_id=0,
        reason=reason,
    )


def as_written(number: Decimal) -> Decimal:
    """The number as it arrives at the broker: written out, and read without trailing zeros."""
    rounded = round(Decimal(format(number, "f")), _WIRE_DECIMALS)
    return rounded.normalize() if rounded % 1 else rounded.to_integral_value()
