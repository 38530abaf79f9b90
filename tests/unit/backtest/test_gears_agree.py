"""Both gears give the same trades to the last unit, on markets, strategies and settings drawn by lot."""

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest

from services.backtest.config import RunConfig
from services.backtest.core.exact import run_bars_exact
from services.backtest.core.fast import FastGear, run_bars_fast
from services.backtest.core.lanes import Evidence, make_lanes
from services.backtest.core.model import History, Result
from services.backtest.core.tape import make_tape
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Bars, Distance, Signals, Strategy
from shared.config import ConfigError
from shared.types import Timeframe

SEEDS = 40
TOO_OLD_AT_ONCE = 10_330
"""A market in which several positions are too old at one open."""
FIRST = date(2012, 3, 5)
HOURS_A_DAY = 7


class Lots(Strategy):
    """Signals drawn by lot; `shares` is its own size, if it has one."""

    seed: int
    share: float
    shares: int | None
    stop: Distance | None = None
    target: Distance | None = None

    @property
    def minimum_bars(self) -> int:
        return 3

    def generate_signals(self, bars: Bars) -> Signals:
        draws = np.random.default_rng(self.seed).random((2, len(bars)))
        return Signals(entry=draws[0] < self.share, exit=draws[1] < self.share * 0.7)

    def calculate_position_size(self, price: Decimal) -> Decimal | None:
        return None if self.shares is None else Decimal(self.shares + round(price))


def hours(lots: np.random.Generator, symbol: str, count: int) -> History:
    """A random walk of seven bars a day with gaps, in cents or finer, of which some bars are missing."""
    unit = lots.choice([0.01, 0.01, 0.0001])
    price = lots.uniform(0.3, 400) * np.exp(np.cumsum(lots.normal(0, 0.01, count)))
    price[lots.integers(count) :] *= lots.uniform(0.6, 1.5)
    around = price[:, None] * np.exp(lots.normal(0, 0.008, (count, 4)))
    around = np.maximum(np.rint(around / unit), np.rint(0.2 / unit)) * unit
    day, hour = np.divmod(np.arange(count), HOURS_A_DAY)
    start = np.datetime64("2012-03-01T15:00", "us") + day * np.timedelta64(1, "D") + hour * np.timedelta64(1, "h")
    kept = np.flatnonzero(lots.random(count) >= lots.choice([0, 0, 0.2]))
    opening, high, low, close = around[kept, 0], around[kept].max(1), around[kept].min(1), around[kept, 3]
    volume = lots.integers(0, lots.choice([300, 20_000, 1_000_000]), len(kept)).astype(np.float64)
    bars = Bars((start[kept] + np.timedelta64(1, "h")).astype("datetime64[us]"), opening, high, low, close, volume)
    return History(symbol, Timeframe.HOUR, start[kept].astype("datetime64[us]"), bars)


def distance(lots: np.random.Generator) -> Distance:
    if lots.random() < 0.5:
        return Distance(fraction=float(lots.uniform(0.002, 0.1)))
    return Distance(atr_multiple=float(lots.uniform(0.3, 4)), atr_period=2)


def drawn(lots: np.random.Generator, number: int, symbols: tuple[str, ...]) -> Instance:
    stop = distance(lots) if lots.random() < 0.7 else None
    strategy = Lots(
        seed=int(lots.integers(1 << 30)),
        share=float(lots.choice([0.02, 0.1, 0.4])),
        shares=int(lots.integers(1, 2000)) if lots.random() < 0.4 else None,
        stop=stop,
        target=distance(lots) if stop and lots.random() < 0.6 else None,
    )
    mine = tuple(symbol for symbol in symbols if lots.random() < 0.8) or symbols
    return Instance(f"lots {number}", strategy, Timeframe.HOUR, mine, timedelta(minutes=5))


def settings(lots: np.random.Generator, symbols: tuple[str, ...]) -> RunConfig:
    slippage = float(lots.choice([0, 0.0003, 0.004]))
    values: dict[str, Any] = {
        "strategies": [{"name": "unused", "strategy": "unused"}],
        "symbols": symbols,
        "first": FIRST,
        "last": date(2012, 12, 31),
        "fills": "bars",
        "cash": str(lots.choice([5_000, 100_000, 1_000_000])),
        "costs": {
            "spread": str(lots.choice(["0", "0.0002", "0.0117"])),
            "slippage": str(slippage),
            "commission_per_share": str(lots.choice(["0", "0.005", "0.0101"])),
            "commission_minimum": str(lots.choice(["0", "1"])),
            "participation": str(lots.choice(["1", "0.1", "0.037"])),
        },
        "risk": {
            "require_stop": bool(lots.random() < 0.2),
            "max_positions": int(lots.choice([1, 5, 20])),
            "max_position_fraction": str(lots.choice(["0.05", "0.2", "1"])),
            "max_order_value": str(lots.choice(["3000", "250000", "1000000"])),
            "risk_per_trade": str(lots.choice(["0.0013", "0.02"])),
            "max_holding_days": int(lots.choice([1, 4, 1000])),
            "price_collar": str(lots.choice(["0.004", "0.05"])),
            "tick_size": str(lots.choice(["0.01", "0.0001", "0.05"])),
        },
    }
    return RunConfig.model_validate(values)


Case = tuple[RunConfig, list[Instance], list[History]]


def case(seed: int) -> Case:
    lots = np.random.default_rng(seed)
    symbols = ("ONE", "TWO", "THREE", "FOUR", "FIVE")[: lots.integers(1, 6)]
    count = int(lots.integers(100, 500))
    histories = [hours(lots, symbol, count) for symbol in symbols]
    return settings(lots, symbols), [drawn(lots, number, symbols) for number in range(lots.integers(1, 4))], histories


@cache
def both(seed: int) -> tuple[Result, Result]:
    arguments = case(seed)
    return run_bars_exact(*arguments), run_bars_fast(*arguments)


@pytest.mark.parametrize("seed", [*range(SEEDS), TOO_OLD_AT_ONCE])
def test_the_gears_agree(seed: int) -> None:
    exact, fast = both(seed)
    assert fast.trades == exact.trades
    assert fast.refusals == exact.refusals
    assert fast.turnover == exact.turnover
    for name in ("time", "value", "exposure", "benchmark"):
        np.testing.assert_array_equal(getattr(fast.curve, name), getattr(exact.curve, name), strict=True)


def test_the_lots_bring_everything_that_can_happen() -> None:
    results = [both(seed)[0] for seed in range(SEEDS)]
    trades = [trade for result in results for trade in result.trades]
    assert len(trades) > 20 * SEEDS
    assert {trade.reason for trade in trades} == {"stop", "target", "signal", "time", "end"}
    assert {code for result in results for code in result.refusals} == {
        "no_position", "duplicate_intent", "price_collar", "stop_loss",
        "max_positions", "minimum_size", "max_position_size", "max_order_value",
    }  # fmt: skip


def test_as_many_orders_are_counted_as_are_sent() -> None:
    for seed in range(SEEDS):
        config, instances, histories = case(seed)
        tape = make_tape(histories, config.first, config.last, config.risk.tick_size)
        lanes = make_lanes(tape, instances, Evidence())
        assert FastGear(tape, config).run(lanes.lanes).orders == len(both(seed)[0].orders)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"costs": {"spread": "0.0000001"}}, "costs.spread = 1E-7 has more than 6 decimals"),
        ({"risk": {"risk_per_trade": "0.01234567"}}, "risk.risk_per_trade = 0.01234567 has more than 6 decimals"),
        ({"cash": 10**12}, "the account grew beyond 900719925474 USD"),
    ],
)
def test_what_whole_numbers_can_not_hold_is_refused(changes: dict[str, Any], told: str) -> None:
    config, instances, histories = case(0)
    values = config.model_dump(mode="json", exclude_defaults=True) | changes
    with pytest.raises(ConfigError, match=re.escape(told)):
        run_bars_fast(RunConfig.model_validate(values), instances, histories)
