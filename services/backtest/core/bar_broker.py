"""The broker of the exact gear on bars: keeps cash, and tells the books and risk what became of each order."""

from datetime import datetime
from decimal import Decimal
from itertools import count

from services.backtest.core.bar_fills import BarFills
from services.backtest.core.model import OrderSent
from services.backtest.core.tape import UNITS
from services.execution.core.books import Books
from services.execution.core.change import Change
from services.risk.core.judge import Judge
from shared.messages.broker import CommissionReported, ExecutionReported, OrderReported
from shared.messages.broker_commands import ModifyOrder, OrderTerms, SubmitOrder
from shared.messages.order import ClosePosition, OrderChanged, PlaceOrder
from shared.types import OrderStatus, Side

ZERO = Decimal(0)
BUY, CANCELLED, FILLED = Side.BUY, OrderStatus.CANCELLED, OrderStatus.FILLED  # members cost a call each in Python 3.11


class BarBroker:
    """`cash` and `turnover` in USD; `orders` as they were sent; `flows` the rows of `curve.Flows`."""

    def __init__(self, books: Books, judge: Judge, fills: BarFills, cash: Decimal) -> None:
        self._books, self._judge, self._fills = books, judge, fills
        self._numbers = count(1)
        self._working: dict[str, OrderTerms] = {}  # by orderRef
        self.cash, self.turnover = cash, ZERO
        self.orders: list[OrderSent] = []
        self.flows: list[tuple[int, int, int, int]] = []

    def place(self, order: PlaceOrder, now: datetime) -> None:
        self._send(self._books.place(order, now), now)

    def close(self, command: ClosePosition, now: datetime) -> str:
        """Send what closes a position; returns the orderRef of the order that will fill."""
        return self._send(self._books.close(command, now), now)

    def fill(self, order_ref: str, quantity: Decimal, price: Decimal, now: datetime, step: int, series: int) -> Decimal:
        """Fill an order; what it wanted beyond `quantity` is cancelled. Returns the commission in USD."""
        terms = self._working.pop(order_ref)
        buys = terms.side is BUY
        part = buys and quantity < terms.quantity  # a sale is of what was bought, whatever was ordered
        self._report(terms, CANCELLED if part else FILLED, quantity, price, now)
        execution_id = str(next(self._numbers))
        execution = ExecutionReported.trusted(
            execution_id=execution_id,
            order_ref=order_ref,
            symbol=terms.symbol,
            side=terms.side,
            quantity=quantity,
            price=price,
            time=now,
            perm_id=0,
        )
        commission = self._fills.commission(quantity)
        self._books.report_commission(CommissionReported.trusted(execution_id=execution_id, commission=commission), now)
        self._books.report_execution(execution, now)  # last, so that it is booked with its commission at once
        value, shares = quantity * price, int(quantity)
        money = -value - commission if buys else value - commission
        self.cash += money
        self.turnover += value
        self.flows.append((step, series, shares if buys else -shares, int(money * UNITS)))
        return commission

    def cancel(self, order_ref: str, now: datetime) -> None:
        """End an order that did not fill, if there is one."""
        terms = self._working.pop(order_ref, None)
        if terms is not None:
            self._report(terms, CANCELLED, ZERO, None, now)

    def _send(self, change: Change, now: datetime) -> str:
        (command, _) = change.messages[0]
        if isinstance(command, SubmitOrder):
            for terms in command.orders:
                self._working[terms.order_ref] = terms
                self.orders.append(_sent(terms, "new", now))
            return command.orders[0].order_ref
        assert isinstance(command, ModifyOrder)  # noqa: S101 - nothing else is sent for bars
        terms = self._working[command.order_ref].model_copy(update={"limit_price": command.limit_price})
        self._working[command.order_ref] = terms
        self.orders.append(_sent(terms, "modify", now))
        return terms.order_ref

    def _report(
        self, terms: OrderTerms, status: OrderStatus, filled: Decimal, price: Decimal | None, now: datetime
    ) -> None:
        report = OrderReported.trusted(
            order_ref=terms.order_ref,
            status=status,
            filled=filled,
            remaining=ZERO,
            average_price=price,
            limit_price=terms.limit_price,
            broker_order_id=0,
            perm_id=0,
        )
        for message, _ in self._books.report_order(report, now).messages:
            if isinstance(message, OrderChanged):
                self._judge.order_changed(message, {})


def _sent(terms: OrderTerms, change: str, now: datetime) -> OrderSent:
    return OrderSent(
        now,
        change,
        terms.order_ref,
        terms.symbol,
        terms.side,
        terms.quantity,
        terms.order_type,
        terms.limit_price,
        terms.trigger_price,
        terms.time_in_force,
    )
