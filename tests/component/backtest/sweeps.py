"""A small sweep over real bars, for several tests."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from services.backtest.handlers import work
from services.backtest.optimise.config import SweepConfig
from services.backtest.optimise.data import SweepData
from services.backtest.optimise.sweep import Sweep, create, join


def sweep_config(**other: Any) -> SweepConfig:
    run = {
        "strategies": [{"name": "crossover", "strategy": "moving_average_crossover"}],
        "symbols": ["AAPL", "IBM", "MSFT"],
        "first": "2010-01-04",
        "last": "2012-12-31",
        "gear": "fast",
        "fills": "bars",
    }
    return SweepConfig.model_validate({"run": run, "ranges": {"fast": "2:9", "slow": "10:40:5"}, **other})


@dataclass
class Sweeps:
    """Sweeps of one test, closed at its end."""

    data: SweepData
    closing: ExitStack

    def make(self, where: str | Path, name: str = "sweep", **other: Any) -> Sweep:
        return self._opened(create(str(where), name, sweep_config(**other), self.data.inputs))

    def join(self, where: str | Path, name: str = "sweep") -> Sweep:
        return self._opened(join(str(where), name))

    def _opened(self, sweep: Sweep) -> Sweep:
        self.closing.callback(sweep.storage.close)
        return sweep


def do_all(sweep: Sweep, data: SweepData) -> None:
    work(sweep, lambda part: data.evaluation(part.run, sweep.space), Event())


def results(sweep: Sweep) -> dict[int, tuple[Any, ...]]:
    """Of every set: state, parameters and value."""
    trials = sweep.trials(sweep.parts[0])
    return {number: (trial.state, trial.params, trial.values) for number, trial in trials.items()}
