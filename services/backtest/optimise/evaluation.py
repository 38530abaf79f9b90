"""One parameter set's backtest, in the fast gear, with everything that all sets share made once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.backtest.config import RunConfig
from services.backtest.core.curve import Flows, make_curve
from services.backtest.core.fast import FastGear, FastRun
from services.backtest.core.lanes import Evidence, make_lanes
from services.backtest.core.model import Curve, History
from services.backtest.core.statistics import account_statistics
from services.backtest.core.tape import UNITS, Integers, make_tape
from services.backtest.optimise.config import SWEPT
from services.backtest.optimise.space import Space
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Floats
from shared.config import ConfigError

Statistics = Mapping[str, float | None]


class RefusedError(Exception):
    """The set has no result: the strategy does not allow it, or failed; the text says why."""


class Evaluation:
    """Backtests of one strategy with different parameters, on the same bars, account and costs.

    Raises:
        ConfigError: the bars or the settings are not fit for the fast gear.
    """

    def __init__(self, run: RunConfig, histories: Sequence[History], evidence: Evidence, space: Space) -> None:
        self._run, self._evidence, self._space = run, evidence, space
        self._tape = make_tape(histories, run.first, run.last, run.risk.tick_size)
        self._gear = FastGear(self._tape, run)
        self._gear.run(())  # so that the compiled code is loaded, or compiled, before a first set is claimed
        self._opens = np.concatenate([series.open for series in self._tape.series])

    def statistics(self, chosen: Mapping[str, Any]) -> Statistics:
        """By name, as `metrics.METRICS` has them.

        Raises:
            RefusedError: there are none.
        """
        found = self._trade(chosen)
        curve = self._curve(found)
        of_trades = _trade_figures(found.entries, self._opens)
        account = account_statistics(curve, self._run.cash, Decimal(found.turnover) / UNITS)
        return {name: _plain(of_trades[name] if name in of_trades else getattr(account, name)) for name in SWEPT}

    def curve(self, chosen: Mapping[str, Any]) -> Curve:
        """The account through time. Raises as `statistics` does."""
        return self._curve(self._trade(chosen))

    def idle(self) -> Curve:
        """The account that never trades."""
        steps = len(self._tape.end)
        return Curve(self._tape.end, np.full(steps, float(self._run.cash)), np.zeros(steps), self._benchmark)

    def instance(self, chosen: Mapping[str, Any]) -> Instance:
        """The strategy with these parameters, at work as the run says.

        Raises:
            RefusedError: it does not allow them.
        """
        if refusal := self._space.refusal(chosen):
            raise RefusedError(refusal)
        wanted = self._run.strategies[0]
        strategy = self._space.strategy.model_validate(self._space.parameters(chosen))
        symbols = wanted.symbols or self._run.symbols
        return Instance(wanted.name, strategy, wanted.timeframe, symbols, wanted.lifetime, wanted.minimum_score)

    def _trade(self, chosen: Mapping[str, Any]) -> FastRun:
        lanes = make_lanes(self._tape, [self.instance(chosen)], self._evidence)
        if lanes.failures:
            raise RefusedError(lanes.failures[0])
        try:
            return self._gear.run(lanes.lanes)
        except ConfigError as error:  # the account grew beyond what can be counted
            raise RefusedError(str(error)) from error

    def _curve(self, found: FastRun) -> Curve:
        return Curve(self._tape.end, found.value, self._gear.exposure(found), self._benchmark)

    @cached_property
    def _benchmark(self) -> Floats:
        nothing = np.zeros(0, dtype=np.int64)
        cash = int(self._run.cash * UNITS)
        return make_curve(self._tape, cash, Flows(nothing, nothing, nothing, nothing), self._run.benchmark).benchmark


def _trade_figures(entries: NDArray[np.void], opens: Integers) -> Statistics:
    """What `statistics.trade_statistics` would say of the orders that were filled.

    `entries` are records of `arrays.Entry`; `opens` has each bar's open, of one series after the other.
    """
    filled = entries[entries["quantity"] > 0]
    columns = ("quantity", "entry_price", "exit_price", "commission", "mid_exit")
    quantity, entry, leave, commission, mid_exit = (np.asarray(filled[name], dtype=np.int64) for name in columns)
    net = (leave - entry) * quantity - commission
    at_mid = int(np.sum((mid_exit - opens[filled["entry_bar"]]) * quantity))
    wins, losses, total = net[net > 0], net[net < 0], int(net.sum())
    return {
        "trades": float(len(net)),
        "win_rate": len(wins) / len(net) if len(net) else None,
        "profit_factor": float(wins.sum() / -losses.sum()) if len(losses) else None,
        "expectancy": total / len(net) / UNITS if len(net) else None,
        "average_win": float(wins.mean()) / UNITS if len(wins) else None,
        "average_loss": float(losses.mean()) / UNITS if len(losses) else None,
        "net": total / UNITS,
        "mid_profit": at_mid / UNITS,
        "cost_of_fills": (at_mid - total) / UNITS,
        "commission": float(commission.sum()) / UNITS,
    }


def _plain(value: float | Decimal | None) -> float | None:
    return None if value is None else float(value)
