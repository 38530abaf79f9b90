"""Fills -> trades: what each order opened, what closed it and why, and what both would have been at mid prices."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.backtest.core.model import ExitReason, Trade
from shared.messages.order import OrderFilled
from shared.types import Leg, Side

ZERO = Decimal(0)


@dataclass(slots=True)
class _Opened:
    """What one order has bought and sold so far: cash in USD, negative where it was paid; `held` by symbol, signed."""

    strategy: str
    symbol: str
    side: Side
    opened_at: datetime
    multiplier: Decimal
    closed_at: datetime
    entry_cash: Decimal = ZERO
    exit_cash: Decimal = ZERO
    mid_cash: Decimal = ZERO
    commission: Decimal = ZERO
    reason: ExitReason = ExitReason.END
    held: dict[str, Decimal] = field(default_factory=dict[str, Decimal])


@dataclass
class TradeLedger:
    """Trades as they open and close; `turnover` is USD bought and sold. A combination's trade is made of its legs'."""

    turnover: Decimal = ZERO
    trades: list[Trade] = field(default_factory=list[Trade])
    _opened: dict[str, _Opened] = field(default_factory=dict[str, _Opened])
    _closing: dict[str, ExitReason] = field(default_factory=dict[str, ExitReason])
    _orders: dict[str, str] = field(default_factory=dict[str, str])  # execution id -> order id

    def closing(self, order_id: str, reason: ExitReason) -> None:
        """A position is to be closed; the first reason given stays."""
        self._closing.setdefault(order_id, reason)

    def filled(self, fill: OrderFilled, symbol: str, side: Side, multiplier: Decimal, middle: Decimal) -> None:
        """Count a fill of the order `fill.order_id`, which is on `symbol` and opens with `side`.

        `middle` is the middle of the quote at the fill, in USD like its price.
        """
        opened = self._opened.get(fill.order_id)
        if opened is None:
            opened = _Opened(fill.strategy, symbol, side, fill.time, multiplier, fill.time)
            self._opened[fill.order_id] = opened
        self._orders[fill.execution_id] = fill.order_id
        bought = fill.quantity * fill.side.sign
        cash = -bought * fill.price * multiplier
        self.turnover += abs(cash)
        opened.mid_cash -= bought * middle * multiplier
        opened.held[fill.symbol] = opened.held.get(fill.symbol, ZERO) + bought
        if fill.leg is Leg.ENTRY:
            opened.entry_cash += cash
        else:
            opened.exit_cash += cash
            opened.closed_at = fill.time
            asked = ExitReason.TARGET if fill.leg is Leg.TARGET else ExitReason.SIGNAL
            opened.reason = ExitReason.STOP if fill.leg is Leg.STOP else self._closing.get(fill.order_id, asked)

    def charged(self, execution_id: str, commission: Decimal) -> None:
        opened = self._opened.get(self._orders.pop(execution_id, ""))
        if opened is not None:
            opened.commission += commission

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Every share held of a stock has become `ratio` shares."""
        for opened in self._opened.values():
            if symbol in opened.held:
                opened.held[symbol] *= ratio

    def open(self) -> list[str]:
        """Ids of the orders whose trades are not finished."""
        return list(self._opened)

    def settled(self, order_id: str, at: datetime, worth: Callable[[str], Decimal], reason: ExitReason) -> None:
        """Value what a trade still holds, at `worth` in USD for one of a symbol, as if it were closed so."""
        opened = self._opened[order_id]
        rest = sum((quantity * worth(symbol) for symbol, quantity in opened.held.items() if quantity), ZERO)
        opened.exit_cash += rest
        opened.mid_cash += rest
        opened.closed_at, opened.reason = at, reason

    def finished(self, order_id: str, quantity: Decimal) -> None:
        """All that the order opened, `quantity` shares or combinations, is closed."""
        opened = self._opened.pop(order_id)
        self._closing.pop(order_id, None)
        whole = quantity * opened.multiplier * opened.side.sign
        self.trades.append(
            Trade(
                order_id=order_id,
                strategy=opened.strategy,
                symbol=opened.symbol,
                side=opened.side,
                quantity=quantity,
                opened_at=opened.opened_at,
                entry_price=-opened.entry_cash / whole,
                closed_at=opened.closed_at,
                exit_price=ZERO + opened.exit_cash / whole,  # of what expires worthless: 0, not -0
                profit=opened.entry_cash + opened.exit_cash,
                commission=opened.commission,
                mid_profit=opened.mid_cash,
                reason=opened.reason,
            )
        )
