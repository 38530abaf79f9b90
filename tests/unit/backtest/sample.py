"""A result as a backtest would give it, from seeded random prices and random trades on them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

from services.backtest.config import RunConfig
from services.backtest.core.model import Curve, ExitReason, Fills, Gear, History, OrderSent, Result, Trade
from services.strategy.core.strategy import Bars
from shared.calendar import session_hours, sessions
from shared.types import Side, Timeframe

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
CASH = Decimal(1_000_000)
COMMISSION = Decimal("1.50")


def make_config(**changes: object) -> RunConfig:
    values: dict[str, object] = {
        "strategies": [
            {"name": "cross", "strategy": "moving_average_crossover", "parameters": {"fast": 10, "slow": 30}},
            {"name": "cross slow", "strategy": "moving_average_crossover", "parameters": {"fast": 50, "slow": 200}},
        ],
        "symbols": SYMBOLS,
        "first": date(2010, 1, 4),
        "last": date(2012, 12, 31),
        "gear": "fast",
        "fills": "bars",
    }
    return RunConfig.model_validate(values | changes)


def make_histories(seed: int = 1) -> list[History]:
    """Three years of daily bars of four symbols that rise by about 12 % a year."""
    random = np.random.default_rng(seed)
    hours = [found for day in sessions(date(2010, 1, 4), date(2012, 12, 31)) if (found := session_hours(day))]
    starts, ends = (
        np.array([time.replace(tzinfo=None) for time in times], dtype="datetime64[us]")
        for times in zip(*hours, strict=True)
    )
    return [_history(symbol, starts, ends, random) for symbol in SYMBOLS]


def make_result(histories: Sequence[History], seed: int = 1) -> Result:
    """Trades at random bars, the account's value from them, and the average of all symbols as its benchmark."""
    random = np.random.default_rng(seed)
    count = len(histories[0].bars)
    value, exposure = np.full(count, float(CASH)), np.zeros(count)
    trades: list[Trade] = []
    for history in histories:
        bar = int(random.integers(5, 30))
        while bar + 25 < count:
            held = int(random.integers(2, 25))
            trade = _trade(history, bar, bar + held, len(trades), random)
            trades.append(trade)
            close = history.bars.close
            quantity = float(trade.quantity)
            value[bar : bar + held] += (close[bar : bar + held] - float(trade.entry_price)) * quantity
            value[bar + held :] += float(trade.net)
            exposure[bar : bar + held] += close[bar : bar + held] * quantity
            bar += held + int(random.integers(1, 30))
    benchmark = float(CASH) * np.mean([history.bars.close / history.bars.open[0] for history in histories], axis=0)
    return Result(
        gear=Gear.FAST,
        fills=Fills.BARS,
        cash=CASH,
        trades=tuple(sorted(trades, key=lambda trade: trade.opened_at)),
        orders=tuple(_order(trade) for trade in trades),
        curve=Curve(histories[0].bars.end, value, exposure / value, benchmark),
        assumptions=("Entries fill at the next bar's open, at the ask: half of a spread of 0.02 %.", "No margin."),
        turnover=sum((trade.quantity * (trade.entry_price + trade.exit_price) for trade in trades), Decimal(0)),
        refusals={"max_positions": 12},
    )


def _history(symbol: str, starts: np.ndarray, ends: np.ndarray, random: np.random.Generator) -> History:
    close = 100 * np.exp(np.cumsum(random.normal(0.00045, 0.014, len(ends))))
    opened = np.append(100.0, close[:-1]) * np.exp(random.normal(0, 0.004, len(ends)))
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.005, len(ends))))
    low = np.minimum(opened, close) / np.exp(np.abs(random.normal(0, 0.005, len(ends))))
    return History(symbol, Timeframe.DAY, starts, Bars(ends, opened, high, low, close, np.full(len(ends), 1e6)))


def _trade(history: History, first: int, last: int, number: int, random: np.random.Generator) -> Trade:
    entry, leaving = (Decimal(str(round(history.bars.open[bar], 2))) for bar in (first, last))
    quantity = Decimal(int(random.integers(500, 2000)))
    paid, got = entry + Decimal("0.02"), leaving - Decimal("0.03")
    return Trade(
        order_id=f"order-{number}",
        strategy=str(random.choice(["cross", "cross slow"])),
        symbol=history.symbol,
        side=Side.BUY,
        quantity=quantity,
        opened_at=_time(history.start[first]),
        entry_price=paid,
        closed_at=_time(history.start[last]),
        exit_price=got,
        profit=(got - paid) * quantity,
        commission=COMMISSION * 2,
        mid_profit=(leaving - entry) * quantity,
        reason=ExitReason(str(random.choice(["stop", "target", "signal", "signal", "time"]))),
        bars=last - first,
    )


def _order(trade: Trade) -> OrderSent:
    return OrderSent(
        trade.opened_at, "new", trade.order_id, trade.symbol, trade.side, trade.quantity, "LMT",
        trade.entry_price, None, "DAY",
    )  # fmt: skip


def _time(moment: np.datetime64) -> datetime:
    return moment.astype("datetime64[us]").astype(object).replace(tzinfo=UTC)
