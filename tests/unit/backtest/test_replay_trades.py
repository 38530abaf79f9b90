"""Fills -> trades."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.backtest.core.model import ExitReason
from services.backtest.core.replay_trades import TradeLedger
from shared.messages.order import OrderFilled
from shared.types import Leg, Side

START = datetime(2012, 6, 1, 14, 30, tzinfo=UTC)


class Ledger(TradeLedger):
    """Takes fills of one order on AAA; `minute` is when."""

    def take(self, minute: int, leg: Leg, quantity: int, price: str, middle: str, order_id: str = "one") -> None:
        side = Side.BUY if leg is Leg.ENTRY else Side.SELL
        fill = OrderFilled(
            execution_id=f"{order_id} {minute} {price}",
            order_ref=order_id,
            order_id=order_id,
            leg=leg,
            strategy="crossover",
            symbol="AAA",
            side=side,
            quantity=Decimal(quantity),
            price=Decimal(price),
            realised=Decimal(0),
            position_quantity=Decimal(0),
            average_price=Decimal(0),
            time=START + timedelta(minutes=minute),
        )
        self.filled(fill, "AAA", Side.BUY, Decimal(1), Decimal(middle))
        self.charged(fill.execution_id, Decimal("0.50"))


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.take(0, Leg.ENTRY, 100, "10.02", "10.01")
    made.take(1, Leg.ENTRY, 300, "10.06", "10.05")
    return made


def test_prices_are_averages_over_partial_fills(ledger: Ledger) -> None:
    ledger.take(5, Leg.TARGET, 150, "11.00", "11.01")
    ledger.take(9, Leg.TARGET, 250, "11.08", "11.09")
    ledger.finished("one", Decimal(400))
    (trade,) = ledger.trades
    assert (trade.entry_price, trade.exit_price) == (Decimal("10.05"), Decimal("11.05"))
    assert (trade.profit, trade.commission, trade.net) == (400, 2, 398)
    assert trade.mid_profit == (150 * Decimal("11.01") + 250 * Decimal("11.09")) - (1001 + 3015)
    assert (trade.opened_at, trade.closed_at) == (START, START + timedelta(minutes=9))
    assert (trade.quantity, trade.reason) == (400, ExitReason.TARGET)
    assert ledger.turnover == 4020 + 4420
    assert not ledger.open()


@pytest.mark.parametrize(
    ("asked", "leg", "reason"),
    [
        (None, Leg.STOP, ExitReason.STOP),
        (None, Leg.TARGET, ExitReason.TARGET),
        (ExitReason.SIGNAL, Leg.TARGET, ExitReason.SIGNAL),
        (ExitReason.TIME, Leg.TARGET, ExitReason.TIME),
        (ExitReason.TIME, Leg.EXIT, ExitReason.TIME),
        (ExitReason.SIGNAL, Leg.STOP, ExitReason.STOP),  # it was faster than the signal's order
    ],
)
def test_the_reason_is_what_was_asked_for_unless_the_stop_was_hit(
    ledger: Ledger, asked: ExitReason | None, leg: Leg, reason: ExitReason
) -> None:
    if asked is not None:
        ledger.closing("one", asked)
        ledger.closing("one", ExitReason.TIME)  # asked for again later
    ledger.take(5, leg, 400, "9.00", "9.01")
    ledger.finished("one", Decimal(400))
    assert ledger.trades[0].reason is reason


def test_what_is_still_held_is_valued(ledger: Ledger) -> None:
    ledger.take(5, Leg.STOP, 100, "9.00", "9.01")
    ledger.settled("one", START + timedelta(days=1), lambda symbol: {"AAA": Decimal(12)}[symbol], ExitReason.END)
    ledger.finished("one", Decimal(400))
    (trade,) = ledger.trades
    assert trade.exit_price == (900 + 3600) / Decimal(400)
    assert (trade.reason, trade.closed_at) == (ExitReason.END, START + timedelta(days=1))
    assert trade.commission == Decimal("1.50")
