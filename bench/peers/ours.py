"""Our two gears at the case of bench/backtest.py: `python -m bench.peers.ours DATA exact|fast [SYMBOLS]`.

Each of several symbols has the same bars, moved by a symbol's number of cents.
"""

import json
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import talib

from services.backtest.config import RunConfig
from services.backtest.core.exact import run_bars_exact
from services.backtest.core.fast import FastGear, FastRun
from services.backtest.core.lanes import Evidence, make_lanes
from services.backtest.core.model import History
from services.backtest.core.tape import make_tape
from services.backtest.run import uncollected
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Bars, Distance, Signals, Strategy
from shared.types import Timeframe

FAST, SLOW, SETTLED, SHARES = 10, 30, 400, Decimal(100)


class Crossover(Strategy):
    """Long while the fast average is above the slow one, from the first crossing after SETTLED bars."""

    stop: Distance | None = None
    target: Distance | None = None

    @property
    def minimum_bars(self) -> int:
        return SETTLED + 1

    def generate_signals(self, bars: Bars) -> Signals:
        above = talib.EMA(bars.close, FAST) > talib.EMA(bars.close, SLOW)
        entry, leave = np.zeros_like(above), np.zeros_like(above)
        np.logical_and(above[1:], ~above[:-1], out=entry[1:])
        np.logical_and(~above[1:], above[:-1], out=leave[1:])
        return Signals(entry, leave)

    def calculate_position_size(self, price: Decimal) -> Decimal:
        del price
        return SHARES


def settings(symbols: tuple[str, ...]) -> RunConfig:
    values: dict[str, Any] = {
        "strategies": [{"name": "crossover", "strategy": "bench", "timeframe": "1 min"}],
        "symbols": symbols, "first": date(2020, 1, 1), "last": date(2040, 1, 1), "fills": "bars", "cash": 10_000_000,
        "costs": {"spread": 0, "slippage": 0, "participation": 1},
        "risk": {"require_stop": False, "max_positions": 1000, "max_holding_days": 10_000},
    }  # fmt: skip
    return RunConfig.model_validate(values)


class Gears:
    def __init__(self, columns: Any, symbols: int) -> None:
        names = tuple(f"S{number:03}" for number in range(symbols))
        self.histories = [self._history(columns, name, number / 100) for number, name in enumerate(names)]
        self.config = settings(names)
        self.instances = [Instance("crossover", Crossover(), Timeframe.MINUTE, names, timedelta(seconds=60))]
        self.tape = make_tape(self.histories, self.config.first, self.config.last, self.config.risk.tick_size)
        self.gear = FastGear(self.tape, self.config)

    @staticmethod
    def _history(columns: Any, symbol: str, more: float) -> History:
        prices = (np.round(columns[name] + more, 2) for name in ("open", "high", "low", "close"))
        return History(symbol, Timeframe.MINUTE, columns["start"], Bars(columns["end"], *prices, columns["volume"]))

    def exact(self) -> dict[str, float]:
        """Everything: prices made ready, signals, orders through risk and execution, trades and curve."""
        began = perf_counter()
        with uncollected():
            result = run_bars_exact(self.config, self.instances, self.histories)
        seconds = perf_counter() - began
        still_open = sum(trade.reason == "end" for trade in result.trades)
        spent = sum(trade.quantity * trade.entry_price for trade in result.trades)
        brought = sum(trade.quantity * trade.exit_price for trade in result.trades if trade.reason != "end")
        return {"seconds": seconds, "fills": 2 * len(result.trades) - still_open, "money": float(brought - spent)}

    def fast(self) -> dict[str, float]:
        """Signals, orders, trades and curve; the prices are made ready once for all runs, as for a sweep."""
        began = perf_counter()
        lanes = make_lanes(self.tape, self.instances, Evidence()).lanes
        signalled = perf_counter()
        found = self.gear.run(lanes)
        seconds, filling = perf_counter() - began, perf_counter() - signalled
        return {"seconds": seconds, "filling": filling, **self._fills(found)}

    @staticmethod
    def _fills(found: FastRun) -> dict[str, float]:
        entries = found.entries
        sold = entries["reason"] != 4  # still open when the data ended
        spent = (entries["entry_price"] * entries["quantity"]).sum()
        brought = (entries["exit_price"] * entries["quantity"])[sold].sum()
        return {"fills": len(entries) + int(sold.sum()), "money": float(brought - spent) / 10_000}


def megabytes() -> float:
    """Most memory that this process ever had; `getrusage` would count its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    path, gear, *symbols = sys.argv[1:]
    gears = Gears(np.load(path), int(symbols[0]) if symbols else 1)
    run = gears.exact if gear == "exact" else gears.fast
    for _ in sys.stdin:  # one run for each line
        found = run()
        print(json.dumps(found | {"megabytes": megabytes()}), flush=True)


if __name__ == "__main__":
    main()
