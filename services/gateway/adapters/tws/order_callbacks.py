"""What the broker says of orders and executions."""

# ruff: noqa: ARG002, N802 - names and arguments are those of ib_async's decoder

import asyncio
from collections import defaultdict
from zoneinfo import ZoneInfo

from ib_async.contract import Contract
from ib_async.objects import CommissionReport, Execution
from ib_async.order import Order, OrderState

from services.gateway.adapters.tws import reports
from services.gateway.adapters.tws.answers import COMPLETED_ORDERS, OPEN_ORDERS, Answers
from services.gateway.adapters.tws.convert import decimal_or_none, number
from services.gateway.adapters.tws.names import COMBINATION
from services.gateway.core.book import ZERO, Book, Status, order_status
from services.gateway.core.executions import Executions
from services.gateway.core.times import parse_time
from services.gateway.ports import BrokerLost, Listener
from shared.clock import Clock
from shared.messages.broker import BrokerErrorReported, CommissionReported, ErrorEffect, OrderReported
from shared.types import OrderStatus

SECOND_ANSWER_SECONDS = 2.0
"""A gateway may answer a what-if order twice: first with nothing but a warning, then with the figures."""
_DECIDES = frozenset(
    {ErrorEffect.ORDER_REJECTED, ErrorEffect.ORDER_CANCELLED, ErrorEffect.STILL_ALIVE, ErrorEffect.UNKNOWN}
)
_EXECUTION_ID, _TIME = 14, 15
"""Fields of execDetails, counted from the message's number."""
_UTC = ZoneInfo("UTC")


class OrderCallbacks:
    """`echoes` are IBKR's own order objects, needed to change them, by permId; `combinations` are orderRefs.

    Args:
        client_id: ours; an order id of another client is none of ours.
    """

    def __init__(self, answers: Answers, listener: Listener, clock: Clock, client_id: int) -> None:
        self.book = Book()
        self.fills = Executions()
        self.echoes: dict[int, tuple[Contract, Order]] = {}
        self.combinations: set[str] = set()
        self.live_executions = 0
        self._answers = answers
        self._listener = listener
        self._clock = clock
        self._client_id = client_id
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._doubled: set[str] = set()

    # Orders

    def openOrder(self, order_id: int, contract: Contract, order: Order, state: OrderState) -> None:
        if order.whatIf:
            self._what_if(order_id, state)
            return
        if not order.orderRef or order.clientId != self._client_id:
            return
        if order.permId:
            self.echoes[order.permId] = (contract, order)
        if contract.secType == COMBINATION:
            self.combinations.add(order.orderRef)
        self._tell(self.book.terms(reports.open_order(order)))

    def _what_if(self, order_id: int, state: OrderState) -> None:
        self._answers.add(order_id, state)
        if reports.unset_figures(state):
            asyncio.get_running_loop().call_later(SECOND_ANSWER_SECONDS, self._answers.done, order_id)
        else:
            self._answers.done(order_id)

    def openOrderEnd(self) -> None:
        self._answers.done(OPEN_ORDERS)

    def orderStatus(
        self,
        order_id: int,
        status: str,
        filled: float,
        remaining: float,
        average_price: float,
        permanent_id: int,
        parent_id: int,
        last_fill_price: float,
        client_id: int,
        *_: object,
    ) -> None:
        told = Status(
            order_id if client_id == self._client_id else 0,
            status,
            number(filled),
            number(remaining),
            decimal_or_none(average_price),
            permanent_id,
        )
        if order_status(told.word, told.filled) is OrderStatus.UNKNOWN:
            self._alert(f"order {order_id}, permId {permanent_id}: the broker's status {status!r} is not known")
        self._tell(self.book.status(told))

    def completedOrder(self, contract: Contract, order: Order, state: OrderState) -> None:
        if order.orderRef:
            self._tell(self.book.completed(reports.completed_order(order, state)))

    def completedOrdersEnd(self) -> None:
        self._answers.done(COMPLETED_ORDERS)

    def refused(self, order_id: int, code: int, reason: str) -> tuple[ErrorEffect, str | None, OrderReported | None]:
        """What an error means, which order it names, and that order's new state if it has one."""
        effect, order_ref, report = self.book.error(order_id, code, reason)
        if order_ref is not None and effect in _DECIDES:
            self._word(order_ref)
        return effect, order_ref, report

    # Executions

    def execDetails(self, request_id: int, contract: Contract, told: Execution) -> None:
        self.live_executions += request_id < 0
        execution, doubt = self.fills.executed(reports.execution(contract, told))
        self._clock.observe(execution.time)
        self._listener.heard(execution)
        if doubt is not None:
            self._alert(doubt)
        if (commission := self.fills.charge_of(execution.execution_id)) is not None:
            self._listener.heard(commission)
        if execution.order_ref and told.clientId == self._client_id:
            # a leg's execution tells how much of the leg is filled
            whole = execution.combination or execution.order_ref not in self.combinations
            filled = number(told.cumQty) if whole else ZERO
            average = decimal_or_none(told.avgPrice)
            self._tell(self.book.filled(execution.order_ref, execution.perm_id, filled, average))
            self._word(execution.order_ref)

    def execDetailsEnd(self, request_id: int) -> None:
        self._answers.done(request_id)

    def commissionReport(self, told: CommissionReport) -> None:
        amount = decimal_or_none(told.commission)
        if amount is None or told.currency not in ("USD", ""):
            self._alert(f"the commission of execution {told.execId} is {told.commission} {told.currency}, not USD")
        if amount is None:
            return
        heard = self.fills.charged(CommissionReported(execution_id=told.execId, commission=amount))
        if heard is not None:
            self._listener.heard(heard)

    def readable(self, fields: list[str]) -> list[str]:
        """The fields of an execDetails with its time in the one form that ib_async reads in every zone: seconds.

        An execution whose time can't be read is kept, at the time when it was first heard of, and somebody is told:
        ib_async would drop it.
        """
        execution_id, text = fields[_EXECUTION_ID], fields[_TIME]
        time = parse_time(text, _UTC)
        if time is None:
            known = self.fills.executions.get(execution_id)
            time = self._clock.now() if known is None else known.time
            self._alert(
                f"execution {execution_id} has the unreadable time {text!r}; it is kept with {time.isoformat()}"
            )
        return [*fields[:_TIME], str(int(time.timestamp())), *fields[_TIME + 1 :]]

    # Who listens

    def expect(self, order_ref: str) -> "asyncio.Future[None]":
        """As `ports.Orders.answered`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[order_ref].append(future)
        return future

    def fail(self, reason: str) -> None:
        """The connection has ended."""
        for future in (one for waiting in self._waiting.values() for one in waiting):
            if not future.done():
                future.set_exception(BrokerLost(reason))
                future.exception()  # whoever waits may be gone as well
        self._waiting.clear()

    def _alert(self, text: str) -> None:
        self._listener.heard(BrokerErrorReported(code=0, text=text, effect=ErrorEffect.UNKNOWN))

    def _tell(self, report: OrderReported | None) -> None:
        if report is None:
            return
        self._listener.heard(report)
        self._word(report.order_ref)
        working = self.book.working(report.order_ref)
        if len(working) > 1 and report.order_ref not in self._doubled:
            self._doubled.add(report.order_ref)
            numbers = [one.perm_id for one in working]
            self._alert(
                f"{len(working)} orders work at the broker for {report.order_ref}, permIds {numbers}; cancel it"
            )

    def _word(self, order_ref: str) -> None:
        """The broker decided something about an order: whoever waits for its answer need not wait any longer."""
        for future in self._waiting.pop(order_ref, ()):
            if not future.done():  # its asker may have given up
                future.set_result(None)
