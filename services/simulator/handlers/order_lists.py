"""The lists of open orders, completed orders and executions."""

from datetime import UTC, datetime

from services.simulator.broker import Broker
from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.orders import Execution, Order
from services.simulator.handlers import Handler
from services.simulator.handlers.times import parse_time
from services.simulator.present import orders as present
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_ONLY_CLIENT_0 = "Error validating request.-'b1' : cause - Only the default client (i.e 0) can auto bind orders"


def open_orders(broker: Broker, session: ClientSession, request: Request) -> None:
    """The live orders that the client watches; for reqAllOpenOrders those of every client."""
    everybody = request.message_id == requests.REQUEST_ALL_OPEN_ORDERS
    for order in broker.engine.book.live():
        if everybody or session in broker.watchers(order):
            broker.send_order(session, order)
    session.send(answers.OPEN_ORDER_END, {})


def auto_open_orders(broker: Broker, session: ClientSession, request: Request) -> None:
    """Bind the orders entered by hand to client 0: it is told the order ids by which it may change them."""
    binds = request.flag("auto_bind")
    if binds and session.client_id != 0:
        session.error(-1, 321, _ONLY_CLIENT_0)
    elif binds:
        for order in broker.engine.book.live():
            if order.request.client_id == 0 and order.request.order_id <= 0:
                broker.send_bound(session, order)


def completed_orders(broker: Broker, session: ClientSession, request: Request) -> None:
    """Orders of all clients that ended on the exchange's present day; for `apiOnly` not those entered by hand."""
    api_only = request.flag("api_only")
    since = broker.engine.midnight()
    lookup = broker.engine.market.instrument
    for order in broker.engine.book.orders.values():
        if order.completed_at is None or order.completed_at < since or (api_only and order.request.order_id <= 0):
            continue
        parent = broker.engine.book.parent(order)
        session.send(answers.COMPLETED_ORDER, present.completed_order(order, lookup, parent))
    session.send(answers.COMPLETED_ORDERS_END, {})


def executions(broker: Broker, session: ClientSession, request: Request) -> None:
    """The accounts' executions of the exchange's present day that pass the filter, and their commissions."""
    request_id = request.integer("request_id")
    earliest = max(broker.engine.midnight(), _filter_time(request))
    for execution in broker.engine.executions:
        if execution.time >= earliest and _passes(broker, execution, request):
            broker.send_execution(session, execution, request_id)
            broker.send_commission(session, execution)
    session.send(answers.EXECUTIONS_END, {"request_id": request_id})


def _filter_time(request: Request) -> datetime:
    text = request.text("time")
    return parse_time(text, EXCHANGE_ZONE) if text else datetime.min.replace(tzinfo=UTC)


def _passes(broker: Broker, execution: Execution, request: Request) -> bool:
    """An empty filter field, or client id 0, lets everything pass."""
    order: Order = execution.order
    contract = present.execution_contract(execution, broker.engine.market.instrument)
    return (
        request.integer("client_id") in (0, order.request.client_id)
        and request.text("account") in ("", execution.account)
        and request.text("symbol") in ("", contract["symbol"])
        and request.text("sec_type") in ("", str(contract["sec_type"]))
        and request.text("exchange") in ("", execution.venue)
        and request.text("side") in ("", execution.side, "BUY" if execution.side == "BOT" else "SELL")
    )


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_OPEN_ORDERS: open_orders,
    requests.REQUEST_ALL_OPEN_ORDERS: open_orders,
    requests.REQUEST_AUTO_OPEN_ORDERS: auto_open_orders,
    requests.REQUEST_COMPLETED_ORDERS: completed_orders,
    requests.REQUEST_EXECUTIONS: executions,
}
