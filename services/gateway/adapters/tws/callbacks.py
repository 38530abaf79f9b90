"""What ib_async's decoder calls for each message of the broker: raw words in, facts out, in the order received.

This stands in the place of `ib_async.wrapper.Wrapper`, which is made for people: it calls a live order Cancelled on any
error code that it does not list, leaves out executions of orders it has not seen, drops a commission that precedes
its execution, and never ends a request that is refused with error 321. Source: its `Wrapper.error`, `.execDetails` and
`.commissionReport`, version 2.1.

ib_async logs and swallows exceptions of these methods, so they do nothing that can fail on valid messages.
"""

# ruff: noqa: ARG002, N802, N815 - names and arguments are those of ib_async's decoder

import asyncio
from collections import defaultdict, deque
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ib_async.contract import Contract, ContractDetails
from ib_async.objects import BarData, CommissionReport, Execution
from ib_async.order import Order, OrderState
from ib_async.util import parseIBDatetime

from services.gateway.adapters import convert
from services.gateway.adapters.quotes import Lines
from services.gateway.core.book import ZERO, Book
from services.gateway.core.ib_map import CLIENT_ID_IN_USE, ends_request, order_status
from services.gateway.ports import BrokerLost, Listener, RequestRefused
from shared.clock import Clock
from shared.messages.broker import (
    BrokerErrorReported,
    BrokerPosition,
    CommissionReported,
    ErrorEffect,
    OrderReported,
)

Key = int | str
CURRENT_TIME, POSITIONS, OPEN_ORDERS, COMPLETED_ORDERS = "current time", "positions", "open orders", "completed orders"


def order_key(order_ref: str) -> Key:
    """The request key of the broker's next word on an order."""
    return f"order {order_ref}"


class Callbacks:
    """The state of one connection. `orders` are IBKR's own order objects, needed to change them, by orderRef."""

    # The decoder asks for these two: execution times without a zone are UTC (seen from gateways of 2026).
    defaultTimezone = UTC
    ib = SimpleNamespace(TimezoneTWS="UTC")

    def __init__(self, listener: Listener, clock: Clock, lines: Lines) -> None:
        self.client: Any = None
        self.book = Book()
        self.lines = lines
        self.orders: dict[str, tuple[Contract, Order]] = {}
        self.closed = asyncio.Event()
        self.refused_login = ""
        self.live_executions = 0
        self.listener = listener
        self._clock = clock
        self._waiting: defaultdict[Key, deque[asyncio.Future[list[Any]]]] = defaultdict(deque)
        self._answers: defaultdict[Key, list[Any]] = defaultdict(list)

    # Requests

    def expect(self, key: Key) -> "asyncio.Future[list[Any]]":
        """The answer to a request that is about to be sent. Those with the same key are answered in order."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if key not in self._waiting:
            self._answers.pop(key, None)  # an update that nobody asked for
        self._waiting[key].append(future)
        return future

    def _answered(self, key: Key, error: Exception | None = None) -> bool:
        waiting = self._waiting.get(key)
        answer = self._answers.pop(key, [])
        if not waiting:
            return False
        future = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        if not future.done():  # its asker may have given up
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(error)
        return True

    # The connection

    def connectAck(self) -> None: ...

    def setEventsDone(self) -> None: ...

    def connectionClosed(self) -> None:
        self.close("the connection was closed")

    def close(self, reason: str) -> None:
        self.closed.set()
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(BrokerLost(reason))
                    future.exception()  # whoever asked may be gone as well
        self._waiting.clear()

    def currentTime(self, seconds: int) -> None:
        now = datetime.fromtimestamp(seconds, UTC)
        self._clock.observe(now)
        self._answers[CURRENT_TIME].append(now)
        self._answered(CURRENT_TIME)

    def error(self, request_id: int, code: int, text: str, advanced: str) -> None:
        if code == CLIENT_ID_IN_USE:
            self.refused_login = f"{code} {text}"
            return
        reason = f"{text} {advanced}".strip()
        if ends_request(code) and self._answered(request_id, RequestRefused(f"{code} {reason}")):
            return
        self._word(request_id)
        effect, order_ref, report = self.book.error(request_id, code, reason)
        symbol = self.lines.symbol_of(request_id)
        told = f"{symbol}: {reason}" if symbol and order_ref is None else reason
        self.listener.heard(BrokerErrorReported(code=code, text=told, effect=effect, order_ref=order_ref))
        self._tell(report)

    def tcpDataProcessed(self) -> None:
        if self.lines.changed:
            self.lines.stamp()
            self.listener.quotes_changed()

    # Market data

    def priceSizeTick(self, request_id: int, tick_type: int, price: float, size: float) -> None:
        self.lines.price(request_id, tick_type, price, size)

    def tickSize(self, request_id: int, tick_type: int, size: float) -> None:
        self.lines.size(request_id, tick_type, size)

    def tickString(self, request_id: int, tick_type: int, value: str) -> None:
        time = self.lines.text(request_id, tick_type, value)
        if time is not None:
            self._clock.observe(time)

    def marketDataType(self, request_id: int, market_data_type: int) -> None:
        self.lines.quality(request_id, market_data_type)

    # Orders and executions

    def openOrder(self, order_id: int, contract: Contract, order: Order, state: OrderState) -> None:
        if not order.orderRef or order.whatIf:
            return
        self.orders[order.orderRef] = (contract, order)
        limit = convert.decimal_or_none(order.lmtPrice) if order.orderType == "LMT" else None
        quantity = convert.decimal(order.totalQuantity)
        self.book.terms(order.orderRef, order_id, order.permId, quantity, limit)

    def orderStatus(
        self,
        order_id: int,
        status: str,
        filled: float,
        remaining: float,
        average_price: float,
        permanent_id: int,
        *_: object,
    ) -> None:
        self._word(order_id)
        report = self.book.status(
            order_id,
            status,
            convert.decimal(filled),
            convert.decimal(remaining),
            convert.decimal_or_none(average_price),
            permanent_id,
        )
        self._tell(report)

    def completedOrder(self, contract: Contract, order: Order, state: OrderState) -> None:
        if not order.orderRef:
            return
        quantity = convert.decimal(order.totalQuantity)
        filled = convert.decimal_or_none(order.filledQuantity) or ZERO
        limit = convert.decimal_or_none(order.lmtPrice) if order.orderType == "LMT" else None
        self._tell(
            self.book.completed(
                OrderReported(
                    order_ref=order.orderRef,
                    status=order_status(state.status, filled),
                    filled=filled,
                    remaining=max(quantity - filled, ZERO),
                    average_price=None,  # not told here; its executions do
                    limit_price=limit,
                    broker_order_id=0,  # not told here either
                    perm_id=order.permId,
                    reason=state.completedStatus or None,
                )
            )
        )

    def _word(self, order_id: int) -> None:
        """The broker said something about an order: whoever waits for its answer need not wait any longer."""
        order_ref = self.book.reference(order_id)
        if order_ref is not None:
            self._answered(order_key(order_ref))

    def _tell(self, report: OrderReported | None) -> None:
        if report is not None:
            self.listener.heard(report)

    def execDetails(self, request_id: int, contract: Contract, told: Execution) -> None:
        self.live_executions += request_id < 0
        execution = convert.execution(contract, told)
        self._clock.observe(execution.time)
        doubt = self.book.executed(execution)
        self.listener.heard(execution)
        if doubt is not None:
            self.listener.heard(BrokerErrorReported(code=0, text=doubt, effect=ErrorEffect.UNKNOWN))

    def commissionReport(self, told: CommissionReport) -> None:
        commission = CommissionReported(execution_id=told.execId, commission=convert.decimal(told.commission))
        self.book.charged(commission)
        self.listener.heard(commission)

    # Answers to requests

    def position(self, account: str, contract: Contract, quantity: float, average_cost: float) -> None:
        held = BrokerPosition(
            symbol=contract.symbol,
            quantity=convert.decimal(quantity),
            average_cost=convert.decimal(average_cost),
        )
        self._answers[POSITIONS].append((account, held))

    def accountSummary(self, request_id: int, account: str, tag: str, value: str, currency: str) -> None:
        self._answers[request_id].append((account, tag, value, currency))

    def contractDetails(self, request_id: int, details: ContractDetails) -> None:
        self._answers[request_id].append(details.contract)

    def historicalData(self, request_id: int, told: BarData) -> None:
        told.date = parseIBDatetime(str(told.date))
        self._answers[request_id].append(told)

    def historicalDataEnd(self, request_id: int, start: str, end: str) -> None:
        self._answered(request_id)

    def positionEnd(self) -> None:
        self._answered(POSITIONS)

    def openOrderEnd(self) -> None:
        self._answered(OPEN_ORDERS)

    def completedOrdersEnd(self) -> None:
        self._answered(COMPLETED_ORDERS)

    def execDetailsEnd(self, request_id: int) -> None:
        self._answered(request_id)

    def accountSummaryEnd(self, request_id: int) -> None:
        self._answered(request_id)

    def contractDetailsEnd(self, request_id: int) -> None:
        self._answered(request_id)
