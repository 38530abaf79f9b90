"""Which orders the broker refuses by their terms, with TWS's codes and texts.

Source of codes and texts: IBKR, TWS API, "Message Codes", and logs of gateways that users published. Where TWS's text
is not known, the reason after "Order rejected - reason:" is our own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.order_types import NOT_SIMULATED, ORDER_TYPES, PEGGED, TIMES_IN_FORCE, Trading, Trigger
from services.simulator.core.orders import Condition, ConditionKind, Order, OrderRequest, Status
from services.simulator.core.tape import Prices

LARGEST_NUMBER = Decimal(1_000_000_000)
"""Largest quantity in shares and price in USD: their product stays exact in Decimal's 28 digits."""
MOST_ACTIVE_ORDERS = 20
"""Per contract, side and account (IBKR, "Order Limitations": "a maximum of 20 active orders per contract per side")."""
_CUT_OFF = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    text: str


_UNSUPPORTED = Refusal(387, "Unsupported order type for this exchange and security type.")


def rejected(reason: str) -> Refusal:
    return Refusal(201, f"Order rejected - reason:{reason}")


def _invalid(cause: str) -> Refusal:
    return Refusal(321, f"Error validating request.-'bF' : cause - {cause}")


def refuse_terms(request: OrderRequest, prices: Prices, now: datetime) -> Refusal | None:
    """Return why an order's own terms are refused, or None. What can change later is checked elsewhere."""
    return (
        _refuse_kind(request)
        or _refuse_quantity(request)
        or _refuse_contract(request, prices)
        or _refuse_times(request, now)
        or _refuse_prices(request, prices)
        or _refuse_conditions(request.conditions)
    )


def _refuse_kind(request: OrderRequest) -> Refusal | None:
    if request.action not in ("BUY", "SELL"):
        return _invalid("Invalid action was entered")
    kind = ORDER_TYPES.get(request.order_type)
    if request.order_type in NOT_SIMULATED:
        return Refusal(387, f"{_UNSUPPORTED.text} {request.order_type} is not simulated.")
    if kind is None or (request.legs and not kind.combo):
        return _UNSUPPORTED
    if request.time_in_force not in TIMES_IN_FORCE:
        return rejected(f"Time in force {request.time_in_force} is not simulated")
    if request.time_in_force == "OPG" and request.order_type not in ("MKT", "LMT"):
        return _UNSUPPORTED
    if request.oca_type not in (1, 2, 3):
        return _invalid(f"Invalid OCA type {request.oca_type} was entered")
    return None


def _refuse_quantity(request: OrderRequest) -> Refusal | None:
    if request.quantity <= 0:
        return Refusal(434, "The order size cannot be zero.")
    if request.quantity > LARGEST_NUMBER:
        return Refusal(383, f"The following order size exceeds the Size Limit of {LARGEST_NUMBER}.")
    if request.quantity % 1:
        return Refusal(10243, "Fractional-sized order cannot be placed via API. Please use desktop version.")
    least = request.minimum_quantity
    if least is not None and least > request.quantity:
        return _invalid("The minimum quantity exceeds the order size")
    return None


def _refuse_contract(request: OrderRequest, prices: Prices) -> Refusal | None:
    contracts = [leg.contract_id for leg in request.legs] or [request.contract_id]
    for contract_id in contracts:
        instrument = prices.instrument(contract_id)
        if instrument.security_type is SecurityType.INDEX:
            return rejected("This contract is not available for trading")
        if request.quantity % instrument.size_increment:
            return Refusal(383, f"The order size is not a multiple of {instrument.size_increment}.")
    if any(leg.ratio < 1 or leg.action not in ("BUY", "SELL") for leg in request.legs):
        return _invalid("Invalid combination leg was entered")
    return None


def _refuse_times(request: OrderRequest, now: datetime) -> Refusal | None:
    if request.time_in_force == "GTD":
        if request.good_till is None:
            return _invalid("A good-till date must be entered for the time in force GTD")
        if request.good_till <= now:
            return rejected("The good-till date has passed")
    return None


def _refuse_prices(request: OrderRequest, prices: Prices) -> Refusal | None:
    kind = ORDER_TYPES[request.order_type]
    given = {name: getattr(request, name) for name in kind.prices}
    if any(price is None for price in given.values()):
        return _invalid("Please enter a valid price")
    if request.legs:
        return None  # net prices may be negative, and their step is finer than a leg's
    if any(price <= 0 for price in given.values()):
        return _invalid("Please enter a valid price")
    if kind.trigger is Trigger.TRAIL and (cause := _refuse_trail(request)):
        return cause
    cap = request.price_cap if kind.trading in PEGGED else None
    watched = [price for price in (*given.values(), request.trail_stop_price, cap) if price is not None]
    if any(abs(price) > LARGEST_NUMBER for price in (*watched, request.aux_price or Decimal(0))):
        return Refusal(109, "Price is out of the range defined by the Precautionary Settings.")
    if any(price % prices.increment(request.contract_id, price) for price in watched if price > 0):
        return Refusal(110, "The price does not conform to the minimum price variation for this contract.")
    return None


def _refuse_trail(request: OrderRequest) -> Refusal | None:
    percent, amount = request.trailing_percent, request.aux_price
    if percent is not None:
        return None if 0 < percent < 100 else _invalid("Trailing percent is out of range")
    return None if amount is not None and amount > 0 else _invalid("Please enter a trailing amount or percent")


def _refuse_conditions(conditions: Iterable[Condition]) -> Refusal | None:
    for condition in conditions:
        if condition.kind is ConditionKind.TIME:
            complete = condition.time is not None
        elif condition.kind is ConditionKind.EXECUTION:
            complete = bool(condition.symbol)
        else:
            complete = condition.value is not None
        if not complete:
            return _invalid("Invalid order condition was entered")
    return None


def refuse_auction(request: OrderRequest, prices: Prices, now: datetime) -> Refusal | None:
    """Return why an order for an auction is refused, or None.

    Orders for the close are taken until ten minutes before it, as on the NYSE (rule 7.35B).
    """
    closing = ORDER_TYPES[request.order_type].trading is Trading.CLOSE
    tape = prices.next_tape(request.contract_id, now) if closing or request.time_in_force == "OPG" else None
    if tape is None:
        return None
    if not tape.auctions:
        return _UNSUPPORTED
    closes = tape.time(tape.regular[1])
    late = closing and closes - _CUT_OFF < now < closes
    return rejected("Orders for the closing auction are accepted until ten minutes before it") if late else None


def refuse_change(order: Order, request: OrderRequest) -> Refusal | None:
    """Return why `request` cannot replace the terms of `order`, or None."""
    if order.status is Status.FILLED:
        return Refusal(104, "Cannot modify a filled order.")
    if not order.live:
        return Refusal(103, "Duplicate order id")
    before = order.request
    fixed = ("contract_id", "legs", "action", "parent_id", "account")
    if any(getattr(before, name) != getattr(request, name) for name in fixed):
        return Refusal(105, "Order being modified does not match original order")
    if request.quantity <= order.filled:
        return rejected("The order size is not more than what has been filled")
    return None


def refuse_cancel(order: Order | None, order_id: int) -> Refusal | None:
    """Return why the order `order_id` cannot be cancelled, or None."""
    if order is None or order.status is Status.HELD:
        return Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
    if not order.live:
        text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
        return Refusal(10148, text)
    return None


def refuse_number(active: int) -> Refusal | None:
    """Return a refusal if an account has as many `active` orders on a side of a contract as are allowed."""
    if active < MOST_ACTIVE_ORDERS:
        return None
    return rejected(f"The contract already has {MOST_ACTIVE_ORDERS} active orders on this side")


def closed_warning(request: OrderRequest, instrument: Instrument | None, opens: datetime) -> Refusal:
    """Return the notice that an order rests until the exchange `opens` (in the exchange's zone)."""
    name = "combination" if instrument is None else f"{instrument.symbol} {_market_name(instrument)}"
    return Refusal(
        399,
        f"Order Message:\n{request.action} {request.quantity:f} {name}\n"
        f"Warning: Your order will not be placed at the exchange until {opens:%Y-%m-%d %H:%M:%S} US/Eastern.",
    )


def _market_name(instrument: Instrument) -> str:
    if instrument.security_type is SecurityType.STOCK:
        return f"{instrument.primary_exchange}.{instrument.trading_class}"
    return instrument.local_symbol


OUTSIDE_IGNORED = Refusal(
    2109,
    "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored based on the order type and destination. "
    "PlaceOrder is now being processed.",
)
LOCATING = Refusal(404, "Order held while securities are located.")


def ignores_outside_hours(request: OrderRequest, instrument: Instrument | None) -> bool:
    """Return whether the order asks for hours that its type does not have; futures and currencies have all of them."""
    around_the_clock = instrument is not None and instrument.security_type in (
        SecurityType.FUTURE,
        SecurityType.CURRENCY,
    )
    kind = ORDER_TYPES[request.order_type]
    return request.outside_regular_hours and not around_the_clock and not kind.outside
