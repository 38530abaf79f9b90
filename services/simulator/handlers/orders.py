"""Orders: place, change, cancel, and the lists of open orders, completed orders and executions."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from services.simulator import present
from services.simulator.broker import Broker
from services.simulator.core.exchange import EXCHANGE_ZONE
from services.simulator.core.orders import Execution, OrderRequest
from services.simulator.core.rules import LARGEST_NUMBER
from services.simulator.handlers import NO_CONTRACT, Handler, find_contract
from services.simulator.handlers.times import parse_time
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_LARGEST_DOUBLE = Decimal("1.79e308")
_NOT_SIMULATED = {
    "algo_strategy": "algorithms",
    "hedge_type": "hedge orders",
    "good_after_time": "good-after times",
    "good_till_date": "good-till dates",
    "scale_price_increment": "scale orders",
}


def place(broker: Broker, session: ClientSession, request: Request) -> None:
    order_id = request.integer("order_id")
    terms = _order_request(broker, session, request)
    listing = find_contract(broker, request)
    account = request.text("account")
    if listing is None:
        session.error(order_id, 200, NO_CONTRACT)
    elif account not in ("", broker.account):
        text = f"Error validating request.-'bS' : cause - Invalid account code '{account}'."
        session.error(order_id, 321, text)
    elif feature := _unsupported(request):
        session.error(order_id, 201, f"Order rejected - reason:The simulator does not know {feature}")
    else:
        broker.place(terms)


def _unsupported(request: Request) -> str | None:
    if request.flag("what_if"):
        return "what-if orders"
    if request.row.get("conditions"):
        return "order conditions"
    return next((what for name, what in _NOT_SIMULATED.items() if request.text(name)), None)


def _order_request(broker: Broker, session: ClientSession, request: Request) -> OrderRequest:
    """Return the terms of a placeOrder. A price that the order type does not use is left out."""
    order_type = request.text("order_type")
    listing = find_contract(broker, request)
    return OrderRequest(
        client_id=_client_id(session),
        order_id=request.integer("order_id"),
        symbol=listing.symbol if listing else "",
        action=request.text("action"),
        quantity=_number(request, "total_quantity") or Decimal(0),
        order_type=order_type,
        limit_price=_number(request, "limit_price") if order_type == "LMT" else None,
        stop_price=_number(request, "aux_price") if order_type == "STP" else None,
        time_in_force=request.text("tif") or "DAY",
        oca_group=request.text("oca_group"),
        oca_type=request.integer("oca_type") or 3,
        order_ref=request.text("order_ref"),
        transmit=request.flag("transmit"),
        parent_id=request.integer("parent_id"),
        outside_regular_hours=request.flag("outside_rth"),
    )


def _number(request: Request, name: str) -> Decimal | None:
    """Return a decimal field, None if it is empty or TWS's "unset". Raises ValueError for anything else.

    Clients compute in doubles: 213.01000000000002 means 213.01, so what is beyond eight decimals is noise.
    """
    text = request.text(name)
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{name}: {text[:40]!r} is not a number")
    if number >= _LARGEST_DOUBLE:
        return None
    if abs(number) > LARGEST_NUMBER:
        return number  # the engine refuses it; it has too many digits to be rounded
    rounded = round(number, 8)
    return rounded.normalize() if rounded % 1 else rounded.to_integral_value()


def _client_id(session: ClientSession) -> int:
    assert session.client_id is not None  # noqa: S101 - the server starts no handler before startApi
    return session.client_id


def cancel(broker: Broker, session: ClientSession, request: Request) -> None:
    broker.cancel(_client_id(session), request.integer("order_id"))


def cancel_all(broker: Broker, session: ClientSession, request: Request) -> None:
    del session, request
    broker.cancel_all()


def open_orders(broker: Broker, session: ClientSession, request: Request) -> None:
    """The client's own live orders; for reqAllOpenOrders those of every client."""
    everybody = request.message_id == requests.REQUEST_ALL_OPEN_ORDERS
    for order in broker.engine.book.live():
        if everybody or order.request.client_id == session.client_id:
            broker.send_order(session, order)
    session.send(answers.OPEN_ORDER_END, {})


def auto_open_orders(broker: Broker, session: ClientSession, request: Request) -> None:
    """Binding manual orders: there are none, since nobody but API clients trades here."""
    del broker, session
    request.flag("auto_bind")


def completed_orders(broker: Broker, session: ClientSession, request: Request) -> None:
    """Orders of all clients that ended on the exchange's present day."""
    del request
    since = broker.engine.midnight()
    for order in broker.engine.book.orders.values():
        if order.completed_at is not None and order.completed_at >= since:
            listing = broker.engine.instruments.by_symbol[order.request.symbol]
            session.send(answers.COMPLETED_ORDER, present.completed_order(order, listing, broker.account))
    session.send(answers.COMPLETED_ORDERS_END, {})


def executions(broker: Broker, session: ClientSession, request: Request) -> None:
    """The account's executions of the exchange's present day that pass the filter, and their commissions."""
    request_id = request.integer("request_id")
    earliest = max(broker.engine.midnight(), _filter_time(request))
    for execution in broker.engine.executions:
        if execution.time >= earliest and _passes(execution, request, broker.account):
            broker.send_execution(session, execution, request_id)
            session.send(answers.COMMISSION, present.commission(execution))
    session.send(answers.EXECUTIONS_END, {"request_id": request_id})


def _filter_time(request: Request) -> datetime:
    text = request.text("time")
    return parse_time(text, EXCHANGE_ZONE) if text else datetime.min.replace(tzinfo=UTC)


def _passes(execution: Execution, request: Request, account: str) -> bool:
    """An empty filter field, or client id 0, lets everything pass."""
    owner = execution.order.request.client_id
    return (
        request.integer("client_id") in (0, owner)
        and request.text("account") in ("", account)
        and request.text("symbol") in ("", execution.symbol)
        and request.text("sec_type") in ("", "STK")
        and request.text("exchange") in ("", execution.venue)
        and request.text("side") in ("", execution.order.request.action, execution.side)
    )


def next_id(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.send(answers.NEXT_VALID_ID, {"order_id": broker.engine.next_order_id(_client_id(session))})


HANDLERS: dict[int, Handler] = {
    requests.PLACE: place,
    requests.CANCEL_ORDER: cancel,
    requests.GLOBAL_CANCEL: cancel_all,
    requests.REQUEST_OPEN_ORDERS: open_orders,
    requests.REQUEST_ALL_OPEN_ORDERS: open_orders,
    requests.REQUEST_AUTO_OPEN_ORDERS: auto_open_orders,
    requests.REQUEST_COMPLETED_ORDERS: completed_orders,
    requests.REQUEST_EXECUTIONS: executions,
    requests.REQUEST_IDS: next_id,
}
