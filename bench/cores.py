"""What one trade costs in the cores of risk and execution, from the intent that enters to the exit's commission.

A round trip is what a backtest does for every trade: the entry is judged, placed, reported, executed and charged, then
the exit is judged and goes the same way. No broker, no bus and no database; making the broker's words is not measured.
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import TypeVar
from uuid import UUID

from services.execution.core.books import Books
from services.execution.core.change import Change
from services.risk.config import Settings
from services.risk.core.judge import Judge
from shared.messages.base import Message
from shared.messages.broker import AccountValues, CommissionReported, ExecutionReported, OrderReported
from shared.messages.market import Bar, Quote
from shared.messages.order import ClosePosition, OrderChanged, PlaceOrder, Reconciled
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import OrderStatus, QuoteQuality, Side, Timeframe

T = TypeVar("T")
NOW = datetime(2012, 6, 1, 14, 0, tzinfo=UTC)
ROUND_TRIPS = 2000
REPEATS = 5
"""The quickest counts: other programs share the machine."""
ENOUGH = 70
"""Microseconds that a round trip of single orders may cost."""
ASK, BID, SIZE = Decimal("565.02"), Decimal("565.00"), Decimal(100)
QUOTE = Quote(
    symbol="AAPL", bid=BID, ask=ASK, last=Decimal("565.01"), bid_size=SIZE, ask_size=SIZE, volume=SIZE, time=NOW,
    quality=QuoteQuality.LIVE,
)  # fmt: skip
BAR = Bar(
    symbol="AAPL", timeframe=Timeframe.MINUTE, start=NOW - timedelta(minutes=1), end=NOW, open=BID, high=ASK, low=BID,
    close=BID, volume=SIZE,
)  # fmt: skip


def intent(purpose: Purpose, stop: Decimal | None) -> OrderIntent:
    return OrderIntent(
        strategy="crossover", symbol="AAPL", purpose=purpose, side=Side.BUY if purpose is Purpose.ENTER else Side.SELL,
        score=1.0, reason="crossed", stop_distance=stop, target_distance=stop, quantity=SIZE, bar=BAR,
        expires_at=NOW + timedelta(minutes=5), job_run_id=None,
    )  # fmt: skip


@dataclass
class Desk:
    """Judge and books, and a stopwatch around every call of them."""

    stop: Decimal | None
    judge: Judge = field(default_factory=lambda: Judge(Settings.model_validate({"require_stop": False}), explain=False))
    books: Books = field(default_factory=lambda: Books(explain=False))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def timed(self, name: str, call: Callable[[], T]) -> T:
        began = perf_counter()
        result = call()
        self.seconds[name] += perf_counter() - began
        self.calls[name] += 1
        return result

    def open(self) -> None:
        account = AccountValues(account="DU1", net_liquidation=Decimal(10**6), cash=Decimal(10**6), buying_power=SIZE)
        self.judge.reconciled(Reconciled(request_id=None, account=account, breaks=()), "2012-06-01", NOW)

    def trade(self, number: int) -> None:
        """One round trip; a bracket is closed by its target, a single order by an exit."""
        wishes = [(2 * number + part, intent(purpose, self.stop)) for part, purpose in enumerate(Purpose)]
        quotes = {"AAPL": QUOTE}
        for key, wish in wishes:
            intent_id = UUID(int=key << 96)
            _, (message,) = self.timed(
                "Judge.judge",
                lambda: self.judge.judge(intent_id, wish, quotes, NOW, market_open=True),  # noqa: B023
            )
            self.carry_out(message, str(key))

    def carry_out(self, message: Message, key: str) -> None:
        books, price = self.books, ASK
        match message:
            case PlaceOrder():
                self.timed("Books.place", lambda: books.place(message, NOW))
                ref, side = message.order_id, Side.BUY
            case ClosePosition():
                self.timed("Books.close", lambda: books.close(message, NOW))
                ref, side, price = message.order_id + (".target" if self.stop else ".exit"), Side.SELL, BID
            case _:
                raise SystemExit(f"the judge refused: {message}")
        report = OrderReported(
            order_ref=ref, status=OrderStatus.FILLED, filled=SIZE, remaining=Decimal(0), average_price=price,
            limit_price=None, broker_order_id=1, perm_id=1,
        )  # fmt: skip
        execution = ExecutionReported(
            execution_id=key, order_ref=ref, symbol="AAPL", side=side, quantity=SIZE, price=price, time=NOW, perm_id=1
        )
        cost = CommissionReported(execution_id=key, commission=Decimal(1))
        self.timed("Books.report_execution", lambda: books.report_execution(execution, NOW))
        self.timed("Books.report_commission", lambda: books.report_commission(cost, NOW))
        self.hear(self.timed("Books.report_order", lambda: books.report_order(report, NOW)))

    def hear(self, change: Change) -> None:
        for told, _ in change.messages:
            if isinstance(told, OrderChanged):
                self.timed("Judge.order_changed", lambda: self.judge.order_changed(told))  # noqa: B023


def measure(stop: Decimal | None) -> Desk:
    """The quickest of some runs."""
    runs: list[Desk] = []
    for _ in range(REPEATS):
        desk = Desk(stop)
        desk.open()
        for number in range(ROUND_TRIPS):
            desk.trade(number)
        if desk.judge.trades or desk.books.positions["AAPL"].quantity:
            raise SystemExit("not every position was closed")
        runs.append(desk)
    return min(runs, key=lambda run: sum(run.seconds.values()))


def main() -> bool:
    """Print a table; return whether single orders are fast enough."""
    found = {"single orders": measure(None), "brackets": measure(Decimal(20))}
    print(f"risk and execution, microseconds per call; {ROUND_TRIPS} round trips")
    print(f"{'':28}{'calls':>8}" + "".join(f"{name:>16}" for name in found))
    for name in found["single orders"].seconds:
        each = [run.seconds[name] / run.calls[name] * 1e6 for run in found.values()]
        calls = found["single orders"].calls[name] / ROUND_TRIPS
        print(f"{name:28}{calls:>8.0f}" + "".join(f"{cost:>16.2f}" for cost in each))
    whole = [sum(run.seconds.values()) / ROUND_TRIPS * 1e6 for run in found.values()]
    print(f"{'a round trip':28}{'':8}" + "".join(f"{cost:>16.1f}" for cost in whole))
    return whole[0] <= ENOUGH


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
