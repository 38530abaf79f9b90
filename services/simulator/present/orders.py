"""Orders, executions and commissions as TWS API messages: pure functions from what the engine knows to values.

What an order was sent with and nothing interprets is repeated as it came; what was not sent has the value that a
real gateway shows, which is the layout's default.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from services.simulator.core.account import to_cents
from services.simulator.core.instruments import COMBO_CONTRACT_ID, Instrument
from services.simulator.core.orders import Execution, Order, OrderRequest, Status
from services.simulator.core.what_if import WhatIf
from services.simulator.present.contracts import contract
from services.simulator.present.order_fields import repeated
from services.simulator.present.times import exchange_time
from services.simulator.wire import answers
from services.simulator.wire.layout import UNSET_DOUBLE, UNSET_WHAT_IF, Values, Writable

Lookup: TypeAlias = Callable[[int], Instrument]
"""From a contract id to the instrument; raises KeyError."""
_TRAILING = ("TRAIL", "TRAIL LIMIT")
_ONE = Decimal(1)


def order_contract(request: OrderRequest, lookup: Lookup) -> dict[str, Writable]:
    """Return the contract fields of an order's messages; a combination bears the symbols of its legs."""
    if request.legs:
        symbols = sorted({lookup(leg.contract_id).symbol for leg in request.legs})
        return combo_contract(",".join(symbols))
    found = lookup(request.contract_id)
    return contract(found, found.exchange, right="?")


def combo_contract(symbol: str) -> dict[str, Writable]:
    return {
        "con_id": COMBO_CONTRACT_ID,
        "symbol": symbol,
        "sec_type": "BAG",
        "strike": 0,
        "right": "?",
        "exchange": "SMART",
        "currency": "USD",
        "local_symbol": str(COMBO_CONTRACT_ID),
        "trading_class": "COMB",
    }


def _order_terms(order: Order, lookup: Lookup, known: frozenset[str]) -> dict[str, object]:
    request = order.request
    stop = _trail_stop(order)
    terms: dict[str, object] = {
        **repeated(request.echo),
        **order_contract(request, lookup),
        "combo_legs_description": _legs_description(request),
        "action": request.action,
        "total_quantity": request.quantity,
        "order_type": request.order_type,
        "limit_price": _price(order.working_limit or request.limit_price or request.price_cap),
        "aux_price": _price(request.aux_price),
        "tif": request.time_in_force,
        "oca_group": order.oca_group,
        "oca_type": request.oca_type,
        "account": request.account,
        "order_ref": request.order_ref,
        "perm_id": order.permanent_id,
        "outside_rth": request.outside_regular_hours,
        "trail_stop_price": stop,
        "adjusted_trail_stop_price": UNSET_DOUBLE if stop == "" else stop,
        "status": str(order.status),
    }
    return {name: value for name, value in terms.items() if name in known}


def _legs_description(request: OrderRequest) -> str:
    signs = {"BUY": 1, "SELL": -1}
    return ",".join(f"{leg.contract_id}|{leg.ratio * signs[leg.action]}" for leg in request.legs)


def _price(price: Decimal | None) -> Decimal | str:
    """A real gateway sends 0.0 for a price that an order does not have."""
    return "0.0" if price is None else price


def _trail_stop(order: Order) -> Decimal | str:
    """Where a trailing stop stands; a plain limit order shows a number there too, one away from its limit."""
    request = order.request
    if request.order_type in _TRAILING:
        stop = order.stop or request.trail_stop_price
        return "" if stop is None else stop
    if request.order_type == "LMT" and request.limit_price is not None:
        return request.limit_price + request.sign * _ONE
    return ""


def open_order(order: Order, lookup: Lookup) -> Values:
    """Values of openOrder. Unset numbers and `None`, `?`, `IB` are spelt as a real gateway spells them."""
    request = order.request
    return {
        **_order_terms(order, lookup, answers.OPEN_ORDER.known),
        "order_id": request.order_id,
        "client_id": request.client_id,
        "parent_id": request.parent_id,
        "allocation": f"{order.permanent_id}.0/{request.account}/{request.quantity:f}",
    }  # type: ignore[return-value]


def what_if(request: OrderRequest, found: WhatIf, lookup: Lookup) -> Values:
    """Values of the openOrder that answers a what-if order.

    "No value" is spelt as in Python: a client that compares it as a text would take another spelling for a number.
    """
    before, after = found.before, found.after
    order = Order(request, 0, Status.PRE_SUBMITTED, request.oca_group, request.key, 0)
    return {
        **open_order(order, lookup),
        "allocation": "",
        "what_if": True,
        "initial_margin_before": to_cents(before.initial_margin),
        "maintenance_margin_before": to_cents(before.maintenance_margin),
        "equity_before": to_cents(before.equity_with_loan),
        "initial_margin_change": to_cents(found.initial_margin_change),
        "maintenance_margin_change": to_cents(found.maintenance_margin_change),
        "equity_change": to_cents(found.equity_change),
        "initial_margin_after": to_cents(after.initial_margin),
        "maintenance_margin_after": to_cents(after.maintenance_margin),
        "equity_after": to_cents(after.equity_with_loan),
        "commission": found.commission,
        "minimum_commission": UNSET_WHAT_IF,
        "maximum_commission": UNSET_WHAT_IF,
        "commission_currency": "USD",
    }


def order_bound(order: Order) -> Values:
    return {
        "perm_id": order.permanent_id,
        "client_id": order.request.client_id,
        "order_id": order.request.order_id,
    }


def completed_order(order: Order, lookup: Lookup, parent: Order | None) -> Values:
    assert order.completed_at is not None  # noqa: S101 - set with every final status
    values = {
        **_order_terms(order, lookup, answers.COMPLETED_ORDER.known),
        "filled_quantity": order.filled,
        "completed_time": exchange_time(order.completed_at),
        "completed_status": _completed_status(order),
    }
    if parent is not None:
        values["parent_perm_id"] = parent.permanent_id
    return values  # type: ignore[return-value]


def _completed_status(order: Order) -> str:
    if order.status is Status.FILLED:
        return f"Filled Size: {order.filled:f}"
    if order.completed_reason:
        return f"Cancelled by System:{order.completed_reason}"
    return "Cancelled by Trader"


def order_status(order: Order) -> Values:
    request = order.request
    return {
        "order_id": request.order_id,
        "status": str(order.status),
        "filled": order.filled,
        "remaining": order.remaining,
        "average_fill_price": order.average_price,
        "perm_id": order.permanent_id,
        "parent_id": request.parent_id,
        "last_fill_price": order.last_fill_price,
        "client_id": request.client_id,
        "why_held": order.why_held,
    }


def execution(found: Execution, request_id: int, lookup: Lookup) -> Values:
    """Values of execDetails; `request_id` is -1 for a live fill.

    Of a combination's leg, the cumulative quantity is the leg's, and the average price that of this fill.
    """
    order = found.order
    request = order.request
    ratio = next((leg.ratio for leg in request.legs if found.leg and leg.contract_id == found.contract_id), 1)
    return {
        **execution_contract(found, lookup),
        "request_id": request_id,
        "order_id": request.order_id,
        "execution_id": found.execution_id,
        "time": exchange_time(found.time),
        "account": found.account,
        "venue": found.venue,
        "side": found.side,
        "shares": found.shares,
        "price": found.price,
        "perm_id": order.permanent_id,
        "client_id": request.client_id,
        "cumulative_quantity": order.filled * ratio,
        "average_price": found.price if found.leg else order.average_price,
        "order_ref": request.order_ref,
        "model_code": dict(request.echo).get("model_code", ""),
        "last_liquidity": 1 if found.added_liquidity else 2,
    }


def execution_contract(found: Execution, lookup: Lookup) -> dict[str, Writable]:
    if found.combo:
        return order_contract(found.order.request, lookup)
    return contract(lookup(found.contract_id), found.venue)


def commission(found: Execution) -> Values:
    """Values of the commission report; the realized profit is unset for a fill that closed nothing."""
    return {
        "execution_id": found.execution_id,
        "commission": found.commission,
        "currency": "USD",
        "realized_pnl": UNSET_DOUBLE if found.realized is None else found.realized,
        "yield": UNSET_DOUBLE,
    }
