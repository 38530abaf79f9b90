"""Two backtesting engines that others wrote, trading a moving-average crossover by the rules of fills = bars.

Each computes its own averages. 100 shares, long only, entered and left at the next open, 0.005 USD a share and at
least 1 USD an order, no spread. Stop and target, if any, lie that fraction of the signal's close from the entry price;
since both engines want them with the order, the rule below looks up the open that the order will fill at.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import backtesting
import backtrader
import numpy as np
import pandas as pd

from services.backtest.core.model import History
from services.strategy.core.bars import Floats

SHARES = 100
CENT = Decimal("0.01")
CASH = 1_000_000.0


@dataclass(frozen=True)
class Crossover:
    fast: int
    slow: int
    stop: float | None = None
    target: float | None = None

    def exits(self, entry: float, close: float) -> tuple[float | None, float | None]:
        """Prices of stop and target."""
        if self.stop is None or self.target is None:
            return None, None
        below, above = (float(Decimal(repr(float(part * close))).quantize(CENT)) for part in (self.stop, self.target))
        return round(entry - below, 2), round(entry + above, 2)


@dataclass(frozen=True)
class PeerTrade:
    """Bars count from the history's first; prices in USD; `commission` of both ends, None while it is open."""

    symbol: str
    entry_bar: int
    entry_price: float
    exit_bar: int
    exit_price: float
    commission: float


@dataclass(frozen=True)
class PeerResult:
    """`equity` in USD at the close of every bar (of every date, with several symbols)."""

    trades: list[PeerTrade]
    equity: Floats


def commission(size: float, price: float) -> float:
    del price
    return max(1.0, abs(size) * 0.005)


def frame(history: History) -> pd.DataFrame:
    bars = history.bars
    columns = {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(history.start))


def run_backtesting(history: History, rule: Crossover, cash: float = CASH) -> PeerResult:
    """backtesting.py, which knows one symbol."""
    opens = history.bars.open

    def average(close: Floats, bars: int) -> Floats:
        return pd.Series(close).rolling(bars).mean().to_numpy()

    class Strategy(backtesting.Strategy):
        def init(self) -> None:
            self.fast = self.I(average, self.data.Close, rule.fast)
            self.slow = self.I(average, self.data.Close, rule.slow)

        def next(self) -> None:
            bar = len(self.data) - 1
            if self.fast[-1] < self.slow[-1] and self.fast[-2] >= self.slow[-2]:
                self.position.close()
            elif self.fast[-1] > self.slow[-1] and self.fast[-2] <= self.slow[-2] and not self.position:
                stop, target = rule.exits(opens[min(bar + 1, len(opens) - 1)], self.data.Close[-1])
                self.buy(size=SHARES, sl=stop, tp=target)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of trades that are open at the end, which is as it should be
        engine = backtesting.Backtest(frame(history), Strategy, cash=cash, commission=commission)
        found: Any = engine.run()
    rows = found["_trades"]
    trades = [
        PeerTrade(history.symbol, row.EntryBar, row.EntryPrice, row.ExitBar, row.ExitPrice, row.Commission)
        for row in rows.itertuples()
    ]
    return PeerResult(trades, found["_equity_curve"]["Equity"].to_numpy())


class _Commission(backtrader.CommInfoBase):
    params = (("stocklike", True), ("commtype", backtrader.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        del pseudoexec
        return commission(size, price)


class _Crossover(backtrader.Strategy):
    """Remembers what the broker told it: every fill, and what the account was worth at each date's end."""

    params = (("rule", None), ("opens", ()))

    def __init__(self) -> None:
        self.fast = [backtrader.ind.SMA(data.close, period=self.p.rule.fast) for data in self.datas]
        self.slow = [backtrader.ind.SMA(data.close, period=self.p.rule.slow) for data in self.datas]
        self.values: list[float] = []
        self.fills: list[tuple[str, bool, int, float, float]] = []
        self.working: dict[str, list[Any]] = {}

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            bar = len(order.data) - 1
            self.fills.append((order.data._name, order.isbuy(), bar, order.executed.price, order.executed.comm))

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.values.append(self.broker.getvalue())
        for data, fast, slow in zip(self.datas, self.fast, self.slow, strict=True):
            if len(data) > self.p.rule.slow:
                self.trade(data, fast, slow)

    def trade(self, data: Any, fast: Any, slow: Any) -> None:
        rule, held = self.p.rule, self.getposition(data).size
        if fast[0] < slow[0] and fast[-1] >= slow[-1] and held:
            for order in self.working.pop(data._name, []):
                self.cancel(order)
            self.sell(data=data, size=held)
        elif fast[0] > slow[0] and fast[-1] <= slow[-1] and not held:
            stop, target = rule.exits(data.open[1] if len(data) < data.buflen() else data.open[0], data.close[0])
            if stop is None:
                self.buy(data=data, size=SHARES)
                return
            self.working[data._name] = self.buy_bracket(
                data=data,
                size=SHARES,
                exectype=backtrader.Order.Market,
                stopprice=stop,
                limitprice=target,
            )[1:]


def run_backtrader(histories: Sequence[History], rule: Crossover, cash: float = CASH) -> PeerResult:
    """backtrader, all symbols on one account."""
    engine: Any = backtrader.Cerebro(stdstats=False)
    for history in histories:
        engine.adddata(backtrader.feeds.PandasData(dataname=frame(history)), name=history.symbol)
    engine.broker.setcash(cash)
    engine.broker.addcommissioninfo(_Commission())
    engine.addstrategy(_Crossover, rule=rule)
    found = engine.run()[0]
    trades: list[PeerTrade] = []
    bought: dict[str, tuple[int, float, float]] = {}
    for symbol, is_entry, bar, price, paid in found.fills:
        if is_entry:
            bought[symbol] = (bar, price, paid)
        else:
            entry_bar, entry_price, entry_paid = bought.pop(symbol)
            trades.append(PeerTrade(symbol, entry_bar, entry_price, bar, price, entry_paid + paid))
    return PeerResult(trades, np.array(found.values))
