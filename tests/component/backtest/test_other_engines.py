"""Fills = bars against backtesting.py and backtrader: the same trades and the same equity, on the real daily bars that
come with the simulator; and where their rules differ from ours, how. docs/backtest-rules.md tells both."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from services.backtest.config import RunConfig
from services.backtest.core.exact import run_bars_exact
from services.backtest.core.model import ExitReason, History, Result
from services.simulator.adapters.prices import replay_bars
from services.strategy.core.bars import Bars
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Distance
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.calendar import session_hours
from shared.types import Timeframe
from tests.component.backtest.peers import (
    SHARES,
    Crossover,
    PeerResult,
    PeerTrade,
    run_backtesting,
    run_backtrader,
)

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
SECOND_SYMBOL = "OTHER"
TOLERANCE = 1e-6


class HundredShares(MovingAverageCrossover):
    def calculate_position_size(self, price: Decimal) -> Decimal:
        del price
        return Decimal(SHARES)


def distance(fraction: float | None) -> Distance | None:
    return None if fraction is None else Distance(fraction=fraction)


def ours(histories: Sequence[History], rule: Crossover, cash: float = 1_000_000) -> Result:
    """The exact gear with the peers' costs, and without limits that they do not have."""
    symbols = tuple(history.symbol for history in histories)
    strategy = HundredShares(
        fast=rule.fast, slow=rule.slow, stop=distance(rule.stop), target=distance(rule.target)
    )  # fmt: skip
    config = RunConfig.model_validate(
        {
            "strategies": [{"name": "crossover", "strategy": "moving_average_crossover"}],
            "symbols": symbols,
            "first": date(2000, 1, 1),
            "last": date(2013, 12, 31),
            "cash": cash,
            "fills": "bars",
            "risk": {
                "require_stop": False,
                "max_positions": 100,
                "max_position_fraction": 1,
                "max_holding_days": 10_000,
            },
            "costs": {"spread": 0, "slippage": 0, "participation": 1},
        }
    )
    instance = Instance("crossover", strategy, Timeframe.DAY, symbols, timedelta(minutes=5))
    return run_bars_exact(config, [instance], histories)


def trades_of(result: Result, histories: Sequence[History]) -> list[PeerTrade]:
    """Closed trades as the peers tell theirs."""
    starts = {history.symbol: history.start.tolist() for history in histories}
    found: list[PeerTrade] = []
    for trade in result.trades:
        if trade.reason is ExitReason.END:
            continue
        entry = starts[trade.symbol].index(trade.opened_at.replace(tzinfo=None))
        assert trade.bars is not None
        within = trade.reason in (ExitReason.STOP, ExitReason.TARGET)
        found.append(
            PeerTrade(
                trade.symbol,
                entry,
                float(trade.entry_price),
                entry + trade.bars - within,
                float(trade.exit_price),
                float(trade.commission),
            )
        )
    return in_order(found)


def in_order(trades: Sequence[PeerTrade]) -> list[PeerTrade]:
    return sorted(trades, key=lambda trade: (trade.symbol, trade.entry_bar))


@cache
def real(symbol: str) -> History:
    days = [(bar, hours) for bar in replay_bars(symbol) if (hours := session_hours(bar.day))]
    start, end = (
        np.array([hours[which].replace(tzinfo=None) for _, hours in days], dtype="datetime64[us]") for which in (0, 1)
    )
    prices = [
        np.array([getattr(bar, name) / 100 for bar, _ in days]) for name in ("open", "high", "low", "close")
    ]  # fmt: skip
    volume = np.array([float(bar.volume) for bar, _ in days])
    return History(symbol, Timeframe.DAY, start, Bars(end, *prices, volume))


def check_equal(result: Result, peer: PeerResult, histories: Sequence[History]) -> None:
    assert trades_of(result, histories) == in_order(peer.trades)
    assert len(peer.equity) == len(result.curve.value)
    np.testing.assert_allclose(result.curve.value, peer.equity, rtol=TOLERANCE)


PLAIN, BRACKET = Crossover(5, 20), Crossover(5, 20, stop=0.12, target=0.15)
TIED = Crossover(10, 30)  # on two days the averages of AAPL and IBM are exactly equal


@pytest.mark.parametrize(
    ("symbol", "rule"),
    [*((symbol, rule) for symbol in SYMBOLS for rule in (PLAIN, BRACKET)), ("AAPL", TIED), ("IBM", TIED)],
)
def test_every_trade_and_every_days_equity_are_those_of_both_engines(symbol: str, rule: Crossover) -> None:
    histories = [real(symbol)]
    result = ours(histories, rule)
    assert len(result.trades) > 50
    check_equal(result, run_backtesting(histories[0], rule), histories)
    check_equal(result, run_backtrader(histories, rule), histories)


def test_four_symbols_on_one_account_are_those_of_backtrader() -> None:
    histories = [real(symbol) for symbol in SYMBOLS]
    result = ours(histories, BRACKET)
    assert {trade.reason for trade in result.trades} >= {ExitReason.STOP, ExitReason.TARGET, ExitReason.SIGNAL}
    check_equal(result, run_backtrader(histories, BRACKET), histories)


# Opens, highs, lows and closes of the bars after the signal at a close of 11; the entry fills at the first one's open.
QUIET = (11.0, 11.2, 10.9, 11.0)
TIGHT = Crossover(2, 3, stop=0.05, target=0.1)  # 10.45 and 12.10
WIDE = Crossover(2, 3, stop=0.3, target=0.5)  # 7.70 and 16.50
Prices = tuple[float, float, float, float]


def handmade(symbol: str, *after: Prices) -> History:
    rows = np.array([(10, 10, 10, 10), (10, 10, 10, 10), (10, 10, 10, 10), (10, 11, 10, 11), *after], dtype=np.float64)
    start = np.datetime64("2012-03-01T14:30:00", "us") + np.arange(len(rows)) * np.timedelta64(1, "D")
    end = start + np.timedelta64(390, "m")
    return History(symbol, Timeframe.DAY, start, Bars(end, *np.ascontiguousarray(rows.T), np.full(len(rows), 1e6)))


def exits(peer: Sequence[PeerTrade]) -> list[tuple[int, float]]:
    return [(trade.exit_bar, trade.exit_price) for trade in peer]


@pytest.mark.parametrize(
    ("rule", "after", "our_exit", "backtesting_exit", "backtrader_exit"),
    [
        pytest.param(
            TIGHT, [(11, 11.2, 10.4, 11), (10.3, 10.9, 10.2, 10.8)], (4, 10.45), (4, 10.45), (5, 10.3), id="entry bar"
        ),
        pytest.param(
            TIGHT, [QUIET, (11, 12.5, 10.4, 11)], (5, 10.45), (5, 10.45), (5, 10.45), id="stop and target in one bar"
        ),
        pytest.param(TIGHT, [QUIET, (10, 11, 9.9, 10.5)], (5, 10.0), (5, 10.0), (5, 10.0), id="open below the stop"),
        pytest.param(TIGHT, [QUIET, (12.5, 13, 12.2, 12.4)], (5, 12.5), (5, 12.5), (5, 12.5), id="open above target"),
        pytest.param(
            TIGHT, [QUIET, (11, 12.1, 10.9, 11)], (5, 12.1), (5, 12.1), (5, 12.1), id="target reached exactly"
        ),
        pytest.param(
            WIDE,
            [(11, 11, 8.4, 8.5), (8.6, 8.7, 7.5, 8)],
            (5, 8.6),
            (5, 8.6),
            (5, 8.6),
            id="exit signal before a stop of the same bar",
        ),
    ],
)
def test_where_stops_and_targets_fill(
    rule: Crossover,
    after: list[Prices],
    our_exit: tuple[int, float],
    backtesting_exit: tuple[int, float],
    backtrader_exit: tuple[int, float],
) -> None:
    history = handmade("TEST", *after, (11, 11.1, 10.9, 11))
    assert exits(trades_of(ours([history], rule), [history])) == [our_exit]
    assert exits(run_backtesting(history, rule).trades) == [backtesting_exit]
    assert exits(run_backtrader([history], rule).trades) == [backtrader_exit]


def test_cash_is_no_limit_here_but_equity_and_slots_are() -> None:
    """1,500 USD for two positions of 1,100: the peers refuse what cash does not cover, here risk's limits decide."""
    histories, rule = [handmade(symbol, QUIET, QUIET) for symbol in ("TEST", SECOND_SYMBOL)], Crossover(2, 3)
    result = ours(histories, rule, cash=1500)
    assert [trade.symbol for trade in result.trades] == ["TEST", SECOND_SYMBOL]
    assert result.curve.exposure[-1] == pytest.approx(2200 / 1498)
    assert not ours(histories, rule, cash=1000).trades  # more than all equity in one position
    rejected = run_backtrader(histories, rule, cash=1500)
    assert rejected.equity[-1] == 1499  # one commission
