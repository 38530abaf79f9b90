"""Orders and executions as rows of the Web API."""

from collections.abc import Mapping
from decimal import Decimal

from services.simulator.core.instruments import COMBO_CONTRACT_ID, Instrument
from services.simulator.core.market import Market
from services.simulator.core.orders import Execution, Order, OrderRequest, Status
from services.simulator.web.order_terms import WebOrder, original_type, shown_type

_SIDES = {"BUY": "B", "SELL": "S"}
_VERBS = {"BOT": "Bought", "SLD": "Sold"}
_CCP = {
    Status.PRE_SUBMITTED: "Pending Submit", Status.SUBMITTED: "Submitted", Status.FILLED: "Filled",
    Status.CANCELLED: "Cancelled", Status.INACTIVE: "Rejected",
}  # fmt: skip


def order_row(order: Order, market: Market, parent: Order | None) -> dict[str, object]:
    """Return an order as `/iserver/account/orders` and the stream's topic `sor` show it."""
    request = order.request
    moment = order.completed_at or market.sessions[0].open
    row: dict[str, object] = {
        **_contract(request, market),
        "acct": request.account,
        "account": request.account,
        "orderId": order.permanent_id,
        "cashCcy": "USD",
        "sizeAndFills": _size_and_fills(order),
        "orderDesc": description(order, market),
        "remainingQuantity": float(order.remaining),
        "filledQuantity": float(order.filled),
        "totalSize": float(request.quantity),
        "status": str(order.status),
        "order_ccp_status": _CCP.get(order.status, str(order.status)),
        "avgPrice": f"{order.average_price:f}" if order.filled else "",
        "origOrderType": original_type(request.order_type),
        "supportsTaxOpt": "1",
        "lastExecutionTime": f"{moment:%y%m%d%H%M%S}",
        "lastExecutionTime_r": int(moment.timestamp() * 1000),
        "orderType": shown_type(request.order_type),
        "bgColor": "#FFFFFF",
        "fgColor": "#000000",
        "order_ref": request.order_ref,
        "timeInForce": "CLOSE" if request.time_in_force == "DAY" else request.time_in_force,
        "side": request.action,
        "price": _text(request.limit_price or order.working_limit),
        "auxPrice": _text(order.stop or request.aux_price),
        "stop_price": _text(order.stop or request.aux_price),
        "outsideRTH": request.outside_regular_hours,
        "isEventTrading": "0",
    }
    if parent is not None:
        row["parentId"] = parent.permanent_id
    if order.completed_reason:
        row["order_cancellation_by_system_reason"] = row["text"] = order.completed_reason
    return row


def refused_row(order: WebOrder, permanent_id: int, text: str, market: Market) -> dict[str, object]:
    """Return the row of an order that never reached the books."""
    instrument = None if order.legs else market.instrument(order.contract_id)
    return {
        "acct": order.account,
        "account": order.account,
        "conid": order.contract_id,
        "conidex": str(order.contract_id),
        "ticker": instrument.symbol if instrument else "",
        "orderId": permanent_id,
        "remainingQuantity": float(order.quantity),
        "filledQuantity": 0.0,
        "totalSize": float(order.quantity),
        "status": str(Status.INACTIVE),
        "order_ccp_status": "Rejected",
        "order_ref": order.reference,
        "side": order.action,
        "text": text,
    }


def status_row(order: Order, market: Market) -> dict[str, object]:
    """Return an order as `/iserver/account/order/status/{orderId}` shows it."""
    request = order.request
    contract = _contract(request, market)
    final = not order.live
    return {
        "sub_type": None,
        "order_id": order.permanent_id,
        "conidex": contract["conidex"],
        "conid": contract["conid"],
        "symbol": contract["ticker"],
        "side": _SIDES[request.action],
        "contract_description_1": contract["description1"],
        "listing_exchange": contract["listingExchange"],
        "company_name": contract["companyName"],
        "size": _decimal(order.remaining),
        "total_size": _decimal(request.quantity),
        "currency": "USD",
        "account": request.account,
        "order_type": original_type(request.order_type),
        "limit_price": _text(request.limit_price),
        "stop_price": _text(order.stop or request.aux_price),
        "cum_fill": _decimal(order.filled),
        "order_status": str(order.status),
        "order_ccp_status": _CCP.get(order.status, str(order.status)),
        "order_status_description": f"Order {order.status}",
        "tif": request.time_in_force,
        "outside_rth": request.outside_regular_hours,
        "order_not_editable": final,
        "cannot_cancel_order": final,
        "sec_type": contract["secType"],
        "order_description": description(order, market),
        "order_description_with_contract": description(order, market),
        "size_and_fills": _size_and_fills(order),
        "average_price": _text(order.average_price if order.filled else None),
        "order_ref": request.order_ref,
    }


def trade_row(execution: Execution, market: Market) -> dict[str, object]:
    """Return an execution as the stream's topic `str` shows it; of a combination with the combination's contract."""
    request = execution.order.request
    found = None if execution.combo else market.instrument(execution.contract_id)
    multiplier = found.multiplier if found else 1
    verb = _VERBS[execution.side]
    return {
        "execution_id": execution.execution_id,
        "symbol": _symbol(request, market),
        "supports_tax_opt": "1",
        "side": execution.side[0],
        "order_description": f"{verb} {execution.shares:f} @ {execution.price:f} on {execution.venue}",
        "trade_time": f"{execution.time:%Y%m%d-%H:%M:%S}",
        "trade_time_r": int(execution.time.timestamp() * 1000),
        "size": float(execution.shares),
        "price": f"{execution.price:f}",
        "order_ref": request.order_ref,
        "order_id": execution.order.permanent_id,
        "exchange": execution.venue,
        "net_amount": float(execution.shares * execution.price * multiplier),
        "account": execution.account,
        "accountCode": execution.account,
        "company_name": found.long_name if found else "",
        "contract_description_1": _symbol(request, market),
        "sec_type": str(found.security_type) if found else "BAG",
        "listing_exchange": found.primary_exchange if found else "",
        "conid": execution.contract_id if found else COMBO_CONTRACT_ID,
        "conidEx": str(execution.contract_id) if found else _conidex(request),
        "clearing_id": "IB",
        "clearing_name": "IB",
        "liquidation_trade": "0",
        "is_event_trading": "0",
    }


def description(order: Order, market: Market) -> str:
    """Return an order in words, like `Buy 100 AAPL Limit 210.00, GTC`."""
    request = order.request
    prices = " ".join(f"{price:f}" for price in (request.limit_price, request.aux_price) if price is not None)
    words = [request.action.capitalize(), f"{request.quantity:f}", _symbol(request, market)]
    words += [shown_type(request.order_type), *([prices] if prices else [])]
    return f"{' '.join(words)}, {request.time_in_force.capitalize()}"


def _contract(request: OrderRequest, market: Market) -> Mapping[str, object]:
    found: Instrument | None = None if request.legs else market.instrument(request.contract_id)
    symbol = _symbol(request, market)
    return {
        "conid": found.contract_id if found else COMBO_CONTRACT_ID,
        "conidex": str(found.contract_id) if found else _conidex(request),
        "ticker": symbol,
        "description1": symbol,
        "secType": str(found.security_type) if found else "BAG",
        "listingExchange": found.primary_exchange if found else "",
        "companyName": found.long_name if found else "",
    }


def _symbol(request: OrderRequest, market: Market) -> str:
    ids = [leg.contract_id for leg in request.legs] or [request.contract_id]
    return ",".join(sorted({market.instrument(each).symbol for each in ids}))


def _conidex(request: OrderRequest) -> str:
    signs = {"BUY": "", "SELL": "-"}
    legs = ",".join(f"{leg.contract_id}/{signs[leg.action]}{leg.ratio}" for leg in request.legs)
    return f"{COMBO_CONTRACT_ID};;;{legs}"


def _size_and_fills(order: Order) -> str:
    return f"{order.filled:f}/{order.request.quantity:f}" if order.filled else f"{order.request.quantity:f}"


def _decimal(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount % 1 else f"{amount:.1f}"


def _text(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"
