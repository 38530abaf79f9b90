"""Bars and signals written down by hand, and the run that trades them."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from services.backtest.config import RunConfig
from services.backtest.core.exact import run_bars_exact
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import History, Result
from services.strategy.core.bars import Bars
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Distance, Signals, Strategy
from shared.types import Timeframe

Prices = tuple[float, float, float, float]
FLAT: Prices = (100, 101, 99, 100)
FIRST_DAY = date(2012, 3, 12)  # a Monday
FREE = {"spread": 0, "slippage": 0, "commission_per_share": 0, "commission_minimum": 0, "participation": 1}
"""Costs of nothing."""


class Scripted(Strategy):
    """Wants to buy and to sell at the closes of these bars."""

    buys: tuple[int, ...] = ()
    sells: tuple[int, ...] = ()
    shares: int | None = None
    strength: float | None = None
    stop: Distance | None = None
    target: Distance | None = None

    @property
    def minimum_bars(self) -> int:
        return 1

    def generate_signals(self, bars: Bars) -> Signals:
        number = np.arange(len(bars))
        strength = None if self.strength is None else np.full(len(bars), self.strength)
        return Signals(np.isin(number, self.buys), np.isin(number, self.sells), strength)

    def calculate_position_size(self, price: Decimal) -> Decimal | None:
        del price
        return None if self.shares is None else Decimal(self.shares)


def history(
    rows: Sequence[Prices | None], symbol: str = "ONE", volume: float | Sequence[float] = 1e6, minutes: int = 0
) -> History:
    """Daily bars from FIRST_DAY on (weekends too), or bars of some minutes from its opening on; None: no bar.

    `volume` is that of every bar, or of each.
    """
    length = timedelta(minutes=minutes) if minutes else timedelta(hours=6, minutes=30)
    apart = length if minutes else timedelta(days=1)
    opening = np.datetime64(FIRST_DAY, "us") + np.timedelta64(timedelta(hours=13, minutes=30))
    numbers = [number for number, row in enumerate(rows) if row is not None]
    start = opening + np.array(numbers) * np.timedelta64(apart)
    prices = np.array([row for row in rows if row is not None], dtype=np.float64).T
    bars = Bars(start + np.timedelta64(length), *np.ascontiguousarray(prices), np.full(len(numbers), volume, float))
    return History(symbol, Timeframe.MINUTE if minutes else Timeframe.DAY, start, bars)


def instance(strategy: Strategy, *symbols: str, name: str = "scripted", **changes: Any) -> Instance:
    return Instance(name, strategy, Timeframe.DAY, symbols or ("ONE",), timedelta(minutes=5), **changes)


def run(
    instances: Instance | Sequence[Instance],
    *histories: History,
    costs: Mapping[str, Any] = FREE,
    risk: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
    **changes: Any,
) -> Result:
    """With 100,000 USD, no costs and no stop needed unless told otherwise."""
    config = RunConfig.model_validate(
        {
            "strategies": [{"name": "scripted", "strategy": "scripted"}],
            "symbols": [one.symbol for one in histories],
            "first": FIRST_DAY,
            "last": FIRST_DAY + timedelta(days=400),
            "cash": 100_000,
            "fills": "bars",
            "costs": costs,
            "risk": {"require_stop": False} | dict(risk or {}),
        }
        | changes
    )
    return run_bars_exact(config, [instances] if isinstance(instances, Instance) else instances, histories, evidence)
