"""The engine, its journal, and the clients that hear of what happens.

Every command goes journal, engine, clients, without another command in between, so that all clients and the journal
see one order of things.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol, assert_never

from prometheus_client import Counter, Gauge

from services.simulator.adapters.journal import Journal
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import (
    Event,
    Executed,
    Execution,
    Notice,
    Order,
    OrderCancelled,
    OrderChanged,
    OrderRequest,
    PositionMoved,
)
from services.simulator.entitlement import LIVE, Entitlement
from services.simulator.present import orders as present
from services.simulator.publish import MarketPublisher
from services.simulator.publish_accounts import AccountPublisher
from services.simulator.session import ClientSession
from services.simulator.wire import answers

ORDERS = Counter("millrace_simulator_orders_total", "Orders and changes of orders received")
EXECUTIONS = Counter("millrace_simulator_executions_total", "Fills")
SESSIONS = Gauge("millrace_simulator_clients", "TWS API clients connected")
VIRTUAL_TIME = Gauge("millrace_simulator_time_seconds", "Virtual time, seconds since the epoch")
ACCOUNT_INTERVAL = timedelta(minutes=3)
"""How often TWS updates account values when no position changes (IBKR, account updates)."""


class Interruptions(Protocol):
    """What else happens at certain moments of virtual time."""

    def next_stop(self, after: datetime, until: datetime) -> datetime | None:
        """Return the earliest such moment, `after` or later and not later than `until`."""
        ...

    def reached(self, now: datetime) -> None: ...


def entitled_to_all(session: ClientSession, instrument: Instrument) -> Entitlement:
    """What a client gets of an instrument's market data, if nothing is wrong."""
    del session, instrument
    return LIVE


class Broker:
    """The one place where commands enter. `sessions` are the started clients by client id.

    The clients `overseers`, the first of which is `master_client_id`, hear of every client's orders. With
    `preset_notice`, an order without a time in force is answered as by a TWS whose order presets fill it in.
    """

    def __init__(
        self, engine: Engine, journal: Journal, *, master_client_id: int | None = None, preset_notice: bool = False
    ) -> None:
        self.engine = engine
        self.preset_notice = preset_notice
        self.sessions: dict[int, ClientSession] = {}
        self.accounts = AccountPublisher(engine)
        self.market_data = MarketPublisher(engine)
        self.interruptions: Interruptions | None = None
        self.entitlement = entitled_to_all
        self._journal = journal
        self.overseers: list[int] = [] if master_client_id is None else [master_client_id]
        self._account_published = engine.now

    # -- commands ---------------------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> None:
        """Move virtual time to `to` and queue all events, bars and the last quote per symbol; earlier is no move."""
        to = min(to, self.engine.market.last_close).astimezone(UTC)
        while self.interruptions is not None and (stop := self.interruptions.next_stop(self.engine.now, to)):
            self._advance(stop)
            self.interruptions.reached(stop)
        self._advance(to)

    def _advance(self, to: datetime) -> None:
        before = self.engine.now
        if to <= before or self.engine.finished:
            return
        self._command("advance", to)
        VIRTUAL_TIME.set(self.engine.now.timestamp())
        self.market_data.publish(self.sessions.values(), before)
        if self.engine.now - self._account_published >= ACCOUNT_INTERVAL:
            self._publish_account()
        else:
            self.accounts.publish_profit(self.sessions.values())

    def place(self, request: OrderRequest) -> None:
        ORDERS.inc()
        self._command("place", request)

    def cancel(self, client_id: int, order_id: int) -> None:
        self._command("cancel", client_id, order_id)

    def cancel_all(self) -> None:
        self._command("cancel_all")

    def exercise(self, account: str, contract_id: int, quantity: Decimal, *, lapse: bool, override: bool) -> None:
        """Ask for the exercise of options in the next night, or that they shall not be exercised at expiry."""
        self._command("exercise", account, contract_id, quantity, lapse, override)

    def edit_position(self, account: str, contract_id: int, quantity: Decimal, average_price: Decimal) -> None:
        """Change a position as if it had been traded or transferred somewhere else."""
        self._command("edit_position", account, contract_id, quantity, average_price)

    def correct(self, execution_id: str, price: Decimal) -> None:
        """Let the exchange correct the price of an execution."""
        self._command("correct", execution_id, price)

    def leave(self, client_id: int) -> None:
        """End a client's session; its untransmitted orders go with it."""
        self.sessions.pop(client_id, None)
        SESSIONS.set(len(self.sessions))
        self.drop_held(client_id)

    def drop_held(self, client_id: int) -> None:
        """Forget a client's untransmitted orders."""
        if any(order.request.client_id == client_id for order in self.engine.book.held()):
            self._command("drop_held", client_id)

    def join(self, client_id: int, session: ClientSession) -> None:
        session.client_id = client_id
        self.sessions[client_id] = session
        SESSIONS.set(len(self.sessions))

    def forget_held_orders(self) -> None:
        """After a restart no client is connected, so no untransmitted order can remain."""
        for client_id in sorted({order.request.client_id for order in self.engine.book.held()}):
            self._command("drop_held", client_id)

    def _command(self, name: str, *arguments: object) -> None:
        self._tell(self._journal.carry_out(self.engine, name, *arguments))

    # -- telling ----------------------------------------------------------------------------------------------------

    def _tell(self, events: Sequence[Event]) -> None:
        moved: dict[tuple[str, int], None] = {}
        for event in events:
            self._tell_watchers(event)
            if isinstance(event, PositionMoved):
                moved[event.account, event.contract_id] = None
            elif isinstance(event, Executed) and not event.execution.combo:
                moved[event.execution.account, event.execution.contract_id] = None
        if moved:
            self.accounts.publish_positions(self.sessions.values(), moved)
            self._publish_account()

    def _tell_watchers(self, event: Event) -> None:
        """Tell those who watch the order what happened to it."""
        match event:
            case OrderChanged(order):
                for session in self.watchers(order):
                    self.send_order(session, order)
            case OrderCancelled(order, reason):
                self._send_cancelled(order, reason)
            case Executed(execution):
                self._send_fill(execution)
            case Notice(client_id, order_id, code, text):
                if client_id in self.sessions:
                    self.sessions[client_id].error(order_id, code, text)
            case PositionMoved():
                pass  # no order did it
            case _:
                assert_never(event)

    def watchers(self, order: Order) -> list[ClientSession]:
        """Return who hears of an order: its owner (client 0 if it was entered by hand) and the overseers."""
        ids = dict.fromkeys((order.request.client_id, *self.overseers))
        return [self.sessions[client_id] for client_id in ids if client_id in self.sessions]

    def send_order(self, session: ClientSession, order: Order) -> None:
        """Send openOrder and orderStatus, the pair by which TWS tells of any change."""
        session.send(answers.OPEN_ORDER, present.open_order(order, self.engine.market.instrument))
        session.send(answers.ORDER_STATUS, present.order_status(order))

    def send_bound(self, session: ClientSession, order: Order) -> None:
        """Tell a client by which order id it may change an order that was entered by hand."""
        session.send(answers.ORDER_BOUND, present.order_bound(order))

    def _send_cancelled(self, order: Order, reason: str) -> None:
        for session in self.watchers(order):
            session.send(answers.ORDER_STATUS, present.order_status(order))
            session.error(order.request.order_id, 202, f"Order Canceled - reason:{reason}")

    def _send_fill(self, execution: Execution) -> None:
        """Send execDetails, the order's new state and the commission; a combination's order comes once, with it."""
        EXECUTIONS.inc()
        for session in self.watchers(execution.order):
            self.send_execution(session, execution, -1)
            if not execution.leg:
                self.send_order(session, execution.order)
            self.send_commission(session, execution)

    def send_execution(self, session: ClientSession, execution: Execution, request_id: int) -> None:
        session.send(answers.EXECUTION, present.execution(execution, request_id, self.engine.market.instrument))

    def send_commission(self, session: ClientSession, execution: Execution) -> None:
        """Send the commission report; a combination's own execution has none, its legs have."""
        if not execution.combo:
            session.send(answers.COMMISSION, present.commission(execution))

    def _publish_account(self) -> None:
        self._account_published = self.engine.now
        self.accounts.publish_values(self.sessions.values())
