"""Which orders the broker refuses, with TWS's codes and texts (source: IBKR's message codes, observed gateway logs)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.simulator.core.account import REG_T_INITIAL, Valuation
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import Order, OrderRequest, Status

TICK = Decimal("0.01")
LARGEST_NUMBER = Decimal(1_000_000_000)
"""Largest quantity in shares and price in USD: their product stays exact in Decimal's 28 digits."""
ORDER_TYPES = frozenset({"MKT", "LMT", "STP"})
TIMES_IN_FORCE = frozenset({"DAY", "GTC"})


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    text: str


def refuse_terms(request: OrderRequest) -> Refusal | None:
    """Return why an order's own terms are refused, or None."""
    if request.action not in ("BUY", "SELL"):
        return Refusal(321, "Error validating request.-'bF' : cause - Invalid action was entered")
    if request.order_type not in ORDER_TYPES:
        return Refusal(387, "Unsupported order type for this exchange and security type.")
    if request.time_in_force not in TIMES_IN_FORCE:
        return Refusal(201, f"Order rejected - reason:Time in force {request.time_in_force} is not simulated")
    if request.quantity <= 0:
        return Refusal(434, "The order size cannot be zero.")
    if request.quantity > LARGEST_NUMBER:
        return Refusal(383, f"The following order size exceeds the Size Limit of {LARGEST_NUMBER}.")
    if request.quantity % 1:
        return Refusal(10243, "Fractional-sized order cannot be placed via API. Please use desktop version.")
    return _refuse_price(request)


def _refuse_price(request: OrderRequest) -> Refusal | None:
    needed = {"LMT": request.limit_price, "STP": request.stop_price}
    if request.order_type not in needed:
        return None
    price = needed[request.order_type]
    if price is None or price <= 0:
        return Refusal(321, "Error validating request.-'bF' : cause - Please enter a valid price")
    if price > LARGEST_NUMBER:
        return Refusal(109, "Price is out of the range defined by the Precautionary Settings.")
    if price % TICK:
        return Refusal(110, "The price does not conform to the minimum price variation for this contract.")
    return None


def refuse_change(order: Order, request: OrderRequest) -> Refusal | None:
    """Return why `request` cannot replace the terms of `order`, or None."""
    if order.status is Status.FILLED:
        return Refusal(104, "Cannot modify a filled order.")
    if not order.live:
        return Refusal(103, "Duplicate order id")
    before = order.request
    same = before.symbol == request.symbol and before.action == request.action and before.parent_id == request.parent_id
    if not same:
        return Refusal(105, "Order being modified does not match original order")
    return None


def refuse_cancel(order: Order | None, order_id: int) -> Refusal | None:
    """Return why the order `order_id` cannot be cancelled, or None."""
    if order is None or order.status is Status.HELD:
        return Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
    if not order.live:
        text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
        return Refusal(10148, text)
    return None


def refuse_margin(request: OrderRequest, held: Decimal, price: Decimal, account: Valuation) -> Refusal | None:
    """Return a refusal if the account lacks the margin for an order at `price` on a position of `held` shares.

    Only the part of the order that makes the position larger, in either direction, needs margin. Other working orders
    reserve nothing.
    """
    added = max(abs(held + request.sign * request.quantity) - abs(held), Decimal(0))
    needed = added * price * REG_T_INITIAL
    if needed <= account.available_funds:
        return None
    return Refusal(
        201,
        "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY "
        f"WITH LOAN VALUE [{account.net_liquidation} USD] MUST EXCEED THE INITIAL MARGIN "
        f"[{account.initial_margin + needed} USD]",
    )


def closed_warning(request: OrderRequest, listing: Instrument, opens: datetime) -> Refusal:
    """Return the notice that an order rests until the exchange `opens` (in the exchange's zone)."""
    return Refusal(
        399,
        f"Order Message:\n{request.action} {request.quantity:f} {request.symbol} "
        f"{listing.primary_exchange}.{listing.trading_class}\n"
        f"Warning: Your order will not be placed at the exchange until {opens:%Y-%m-%d %H:%M:%S} US/Eastern.",
    )
