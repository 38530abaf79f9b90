"""The engine, its journal, and the clients that hear of what happens.

Every command goes journal, engine, clients, without another command in between, so that all clients and the journal
see one order of things.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from prometheus_client import Counter, Gauge

from services.simulator import present
from services.simulator.adapters.journal import Journal
from services.simulator.core.engine import Engine
from services.simulator.core.market import Quote
from services.simulator.core.orders import (
    Event,
    Executed,
    Execution,
    Notice,
    Order,
    OrderCancelled,
    OrderChanged,
    OrderRequest,
    Status,
)
from services.simulator.publish import AccountPublisher, send_quote
from services.simulator.session import ClientSession
from services.simulator.wire import answers

ORDERS = Counter("millrace_simulator_orders_total", "Orders and changes of orders received")
EXECUTIONS = Counter("millrace_simulator_executions_total", "Fills")
SESSIONS = Gauge("millrace_simulator_clients", "TWS API clients connected")
VIRTUAL_TIME = Gauge("millrace_simulator_time_seconds", "Virtual time, seconds since the epoch")
ACCOUNT_INTERVAL = timedelta(minutes=3)
"""How often TWS updates account values when no position changes (IBKR, account updates)."""


class Broker:
    """The one place where commands enter. `sessions` are the started clients by client id."""

    def __init__(self, engine: Engine, journal: Journal, account: str) -> None:
        self.engine = engine
        self.account = account
        self.sessions: dict[int, ClientSession] = {}
        self.publisher = AccountPublisher(engine, account)
        self._journal = journal
        self._account_published = engine.now

    # -- commands ---------------------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> None:
        """Move virtual time to `to` and queue all events, bars and the last quote per symbol; earlier is no move."""
        before = self.engine.now
        if to <= before or self.engine.finished:
            return
        self._tell(self._journal.advance(self.engine, to))
        VIRTUAL_TIME.set(self.engine.now.timestamp())
        self._send_market_data(before)
        if self.engine.now - self._account_published >= ACCOUNT_INTERVAL:
            self._publish_account()

    def place(self, request: OrderRequest) -> None:
        ORDERS.inc()
        self._tell(self._journal.place(self.engine, request))

    def cancel(self, client_id: int, order_id: int) -> None:
        self._tell(self._journal.cancel(self.engine, client_id, order_id))

    def cancel_all(self) -> None:
        self._tell(self._journal.cancel_all(self.engine))

    def leave(self, client_id: int) -> None:
        """End a client's session; its untransmitted orders go with it."""
        self.sessions.pop(client_id, None)
        SESSIONS.set(len(self.sessions))
        self._drop_held(client_id)

    def join(self, client_id: int, session: ClientSession) -> None:
        session.client_id = client_id
        self.sessions[client_id] = session
        SESSIONS.set(len(self.sessions))

    def forget_held_orders(self) -> None:
        """After a restart no client is connected, so no untransmitted order can remain."""
        for client_id in {order.request.client_id for order in self._held()}:
            self._drop_held(client_id)

    def _drop_held(self, client_id: int) -> None:
        if any(order.request.client_id == client_id for order in self._held()):
            self._tell(self._journal.drop_held(self.engine, client_id))

    def _held(self) -> list[Order]:
        return [order for order in self.engine.book.orders.values() if order.status is Status.HELD]

    # -- telling ----------------------------------------------------------------------------------------------------

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case OrderChanged(order):
                    self.send_order(self._owner(order), order)
                case OrderCancelled(order):
                    self._send_cancelled(order)
                case Executed(execution):
                    self._send_fill(execution)
                case Notice(client_id, order_id, code, text):
                    session = self.sessions.get(client_id)
                    if session is not None:
                        session.error(order_id, code, text)
                case _:
                    assert_never(event)
        traded = dict.fromkeys(event.execution.symbol for event in events if isinstance(event, Executed))
        if traded:
            self._publish_positions(traded)
            self._publish_account()

    def _owner(self, order: Order) -> ClientSession | None:
        return self.sessions.get(order.request.client_id)

    def send_order(self, session: ClientSession | None, order: Order) -> None:
        """Send openOrder and orderStatus, the pair by which TWS tells of any change."""
        if session is not None:
            listing = self.engine.instruments.by_symbol[order.request.symbol]
            session.send(answers.OPEN_ORDER, present.open_order(order, listing, self.account))
            session.send(answers.ORDER_STATUS, present.order_status(order))

    def _send_cancelled(self, order: Order) -> None:
        session = self._owner(order)
        if session is not None:
            session.send(answers.ORDER_STATUS, present.order_status(order))
            session.error(order.request.order_id, 202, "Order Canceled - reason:")

    def _send_fill(self, execution: Execution) -> None:
        EXECUTIONS.inc()
        session = self._owner(execution.order)
        if session is not None:
            self.send_execution(session, execution, -1)
            self.send_order(session, execution.order)
            session.send(answers.COMMISSION, present.commission(execution))

    def send_execution(self, session: ClientSession, execution: Execution, request_id: int) -> None:
        listing = self.engine.instruments.by_symbol[execution.symbol]
        session.send(answers.EXECUTION, present.execution(execution, request_id, listing, self.account))

    def _publish_positions(self, symbols: Iterable[str]) -> None:
        for session in self.sessions.values():
            if session.positions:
                self.publisher.send_positions(session, symbols)

    def _publish_account(self) -> None:
        self._account_published = self.engine.now
        for session in self.sessions.values():
            self.publisher.send_account(session)

    def _send_market_data(self, before: datetime) -> None:
        quotes: dict[str, Quote | None] = {}
        for session in self.sessions.values():
            for request_id, line in session.quotes.items():
                if line.symbol not in quotes:
                    quotes[line.symbol] = self.engine.market.quote(line.symbol, self.engine.now)
                quote = quotes[line.symbol]
                if quote is not None:
                    send_quote(session, request_id, quote, line.sent)
            for request_id, symbol in session.real_time_bars.items():
                self.publisher.send_real_time_bars(session, request_id, symbol, before)
