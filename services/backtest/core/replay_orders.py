"""An order's whole way in one process: risk, execution and the broker, and what becomes of it, in one queue.

Whatever a core says is delivered, in the order in which it was said, to whoever would read it from its stream; `settle`
ends when nobody has anything more to say. So every intent of an evaluation is judged before the first of its orders
is sent, and a slot that an exit frees can be used from the next evaluation on.
"""

from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.backtest.core.desk import Desk, Quotes
from services.backtest.core.model import ExitReason
from services.backtest.core.replay_trades import TradeLedger
from services.backtest.core.spread_nights import Nights
from services.execution.core.books import Books
from services.execution.core.change import Change
from services.risk.config import Settings as RiskSettings
from services.risk.core.judge import Judge
from services.simulator.core.engine import Engine
from services.simulator.core.valuation import mark
from shared.calendar import NEW_YORK
from shared.messages.base import Envelope, Message
from shared.messages.broker import BrokerSnapshot, CommissionReported, ExecutionReported, OrderReported
from shared.messages.broker_commands import CancelOrder, ModifyOrder, SubmitOrder
from shared.messages.order import (
    CancelEntry,
    ClosePosition,
    CommissionBooked,
    OrderChanged,
    OrderFilled,
    PlaceOrder,
    Reconcile,
    Reconciled,
)
from shared.messages.risk import IntentRefused, TradingStateChanged
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import TradingState

_REASONS = {"target": ExitReason.TARGET, "stop": ExitReason.STOP, "expiry": ExitReason.EXPIRY}
"""By how risk's reason to close a combination begins."""


class OrderPath:
    """Intents in, trades out. `refusals` counts by code; `disarmed` tells when trading was switched off, and why."""

    def __init__(self, engine: Engine, risk: RiskSettings, symbols: Iterable[str]) -> None:
        self.desk = Desk(engine)
        self.ledger = TradeLedger()
        self.refusals: Counter[str] = Counter()
        self.disarmed: list[str] = []
        self._engine = engine
        self.quotes = Quotes(self.desk, symbols)
        self.judge = Judge(risk, explain=False)
        self.books = Books()
        self._nights = Nights(self.desk, self.books, self.judge, self.ledger)
        self._queue: deque[Message | Envelope[Any]] = deque()

    # What the rest of the system does to it

    def intend(self, signal: Envelope[OrderIntent]) -> None:
        """Hand an intent in; `settle` decides it."""
        self._queue.append(signal)

    def reconcile(self) -> None:
        """Compare the books with the account; trading is armed, or not."""
        self._queue.append(self.desk.snapshot())
        self.settle()

    def advance(self, to: datetime) -> None:
        """Let the market move to `to`."""
        self._queue.extend(self.desk.advance(to))
        self.settle()

    def begin_day(self, previous_close: datetime) -> None:
        """Learn what the nights since then did to options."""
        self._nights.settle(previous_close)

    def check_exits(self) -> None:
        messages = self.judge.check_exits(self.quotes, self._engine.now)
        for message in messages:
            if isinstance(message, ClosePosition):
                kind = message.reason.split(":")[0]
                self.ledger.closing(message.order_id, _REASONS.get(kind, ExitReason.TIME))
        self._queue.extend(messages)
        self.settle()

    def settle(self) -> None:
        """Deliver what is said until nobody has anything to say."""
        while self._queue:
            self._deliver(self._queue.popleft())

    def finish_trades(self) -> None:
        """Write down the trades that are done, and forget their orders."""
        for order_id in self.ledger.open():
            if order_id not in self.judge.trades:
                self.ledger.finished(order_id, self.books.orders[order_id].filled)
        orders = self.books.orders
        kept = {order.order_id for order in orders.values() if not order.status.is_final} | self.judge.trades.keys()
        for order_ref in [order_ref for order_ref, order in orders.items() if order.order_id not in kept]:
            del orders[order_ref]

    def value_the_rest(self) -> None:
        """End every trade that is still open, at the present prices."""
        for order_id in self.ledger.open():
            self.ledger.settled(order_id, self._engine.now, self._worth, ExitReason.END)
            self.ledger.finished(order_id, self.books.orders[order_id].filled)

    # Who reads what

    def _deliver(self, message: Message | Envelope[Any]) -> None:
        match message:
            case Envelope():
                self._decide(message)
            case PlaceOrder() | ClosePosition() | CancelEntry() | SubmitOrder() | ModifyOrder() | CancelOrder():
                self._command(message)
            case OrderReported() | ExecutionReported() | CommissionReported() | BrokerSnapshot():
                self._report(message)
            case _:
                self._note(message)

    def _decide(self, signal: Envelope[OrderIntent]) -> None:
        """Risk's word on an intent."""
        intent, now = signal.data, self._engine.now
        market_open = self._engine.market.session_at(now) is not None
        _, messages = self.judge.judge(signal.id, intent, self.quotes, now, market_open=market_open)
        if intent.purpose is Purpose.EXIT:
            for trade in self.judge.trades.values():
                if (trade.strategy, trade.symbol) == (intent.strategy, intent.symbol):
                    self.ledger.closing(trade.order_id, ExitReason.SIGNAL)
        self._queue.extend(messages)

    def _command(
        self, command: PlaceOrder | ClosePosition | CancelEntry | SubmitOrder | ModifyOrder | CancelOrder
    ) -> None:
        """From risk to execution, from execution to the broker."""
        now = self._engine.now
        match command:
            case PlaceOrder():
                self._publish(self.books.place(command, now))
            case ClosePosition():
                self._publish(self.books.close(command, now))
            case CancelEntry():
                self._publish(self.books.cancel_entry(command))
            case SubmitOrder():
                self._queue.extend(self.desk.submit(command))
            case ModifyOrder():
                self._queue.extend(self.desk.modify(command))
            case CancelOrder():
                self._queue.extend(self.desk.cancel(command))

    def _report(self, report: OrderReported | ExecutionReported | CommissionReported | BrokerSnapshot) -> None:
        """From the broker to execution."""
        now = self._engine.now
        match report:
            case OrderReported():
                self._publish(self.books.report_order(report, now))
            case ExecutionReported():
                self._publish(self.books.report_execution(report, now))
            case CommissionReported():
                self._publish(self.books.report_commission(report, now))
            case BrokerSnapshot():
                self._publish(self.books.report_snapshot(report, now))

    def _publish(self, change: Change) -> None:
        self._queue.extend(message for message, _ in change.messages)

    def _note(self, message: Message) -> None:
        """From execution and risk to whoever keeps count."""
        match message:
            case OrderFilled():
                self._count(message)
            case CommissionBooked():
                self.ledger.charged(message.execution_id, message.commission)
            case OrderChanged():
                self._queue.extend(self.judge.order_changed(message, self.quotes))
            case Reconciled():
                now = self._engine.now
                session = now.astimezone(NEW_YORK).date().isoformat()
                self._queue.extend(self.judge.reconciled(message, session, now, self.quotes))
            case Reconcile():
                self._queue.append(self.desk.snapshot())
            case IntentRefused():
                self.refusals[message.code] += 1
            case TradingStateChanged(state=TradingState.DISABLED | TradingState.HALTED):
                self.disarmed.append(f"trading was {message.state.lower()} on {self._engine.today}: {message.reason}")
            case _:
                pass  # trading is armed

    def _count(self, fill: OrderFilled) -> None:
        order = self.books.orders.get(fill.order_id)
        if order is not None:
            multiplier = Decimal(self.desk.instrument(fill.symbol).multiplier)
            middle = self.desk.middle(fill.symbol, fill.time)
            self.ledger.filled(fill, order.symbol, order.side, multiplier, middle)

    def _worth(self, symbol: str) -> Decimal:
        """USD for one share or contract at the present prices."""
        instrument = self.desk.instrument(symbol)
        price = mark(self._engine.market, instrument.contract_id, self._engine.now)
        assert price is not None  # noqa: S101 - it has been traded
        return price * instrument.multiplier
