"""What every set of a sweep is back-tested on, read once."""

from dataclasses import dataclass

from services.backtest.adapters.histories import data_hash, load_histories
from services.backtest.adapters.store import code_hash
from services.backtest.config import RunConfig
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import History
from services.backtest.optimise.evaluation import Evaluation
from services.backtest.optimise.space import Space
from services.strategy.core.confluence import Readings
from services.strategy.readings_file import read_readings
from shared.config import ConfigError


@dataclass(frozen=True)
class SweepData:
    """`inputs` are hashes of these bars and of the code that decides: all who share a study must have the same."""

    histories: tuple[History, ...]
    evidence: Evidence
    inputs: dict[str, str]

    @staticmethod
    def load(run: RunConfig) -> "SweepData":
        """
        Raises:
            ConfigError: bars or readings are not there or no good.
        """
        histories = tuple(history for by_symbol in load_histories(run).values() for history in by_symbol.values())
        readings = read_readings(run.sentiment) if run.sentiment else Readings()
        inputs = {"bars": data_hash(histories), "code": code_hash(run.strategy_folder)}
        return SweepData(histories, Evidence(run.confluence, readings), inputs)

    def check(self, study: str, inputs: dict[str, str]) -> None:
        """
        Raises:
            ConfigError: the study is about other bars, or was begun with other code.
        """
        for name, wanted in inputs.items():
            if self.inputs[name] != wanted:
                raise ConfigError(
                    f"study {study!r} was begun with other {name} ({wanted[:10]}) than are here"
                    f" ({self.inputs[name][:10]}); give every worker the same, or start another study"
                )

    def evaluation(self, run: RunConfig, space: Space) -> Evaluation:
        """Backtests in the time of `run`, which may be a part of the whole."""
        return Evaluation(run, self.histories, self.evidence, space)
