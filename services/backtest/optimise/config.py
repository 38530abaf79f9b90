"""What a sweep is asked to do. It is kept in its study, so that every worker and every resume does the same."""

import operator
import re
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.backtest.config import RunConfig
from services.backtest.core.metrics import METRICS
from services.backtest.core.model import Gear
from shared import config
from shared.config import ConfigError


class Sampler(StrEnum):
    GRID = "grid"
    RANDOM = "random"
    TPE = "tpe"
    NSGA2 = "nsga2"

    @property
    def learns(self) -> bool:
        """Whether it looks at the results so far before it proposes a set."""
        return self in (Sampler.TPE, Sampler.NSGA2)


class Constraint(BaseModel):
    """What a set must fulfil to be called the best: `trades >= 30`, `max_drawdown <= 0.2`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statistic: str
    at_least: bool
    bound: float

    @staticmethod
    def parse(text: str) -> "Constraint":
        """
        Raises:
            ConfigError: it is none; the text says what one looks like.
        """
        found = re.fullmatch(r"\s*(\w+)\s*(>=|<=)\s*([-+.\deE]+)\s*", text)
        try:
            name, relation, bound = found.groups() if found else ("", "", "")
            number = float(bound)
        except ValueError:
            raise ConfigError(f"constraint = {text!r} is none; write it like 'trades >= 30'") from None
        _check_statistic("constraint", name)
        return Constraint(statistic=name, at_least=relation == ">=", bound=number)

    def excess(self, value: float | None) -> float:
        """How far it is broken, in the statistic's unit; 0 or less where it holds, 1 where the value is undefined."""
        if value is None:
            return 1.0
        return self.bound - value if self.at_least else value - self.bound

    def __str__(self) -> str:
        return f"{self.statistic} {'>=' if self.at_least else '<='} {self.bound:g}"


class WalkForwardPlan(BaseModel):
    """`train_share` of a fold's time chooses the parameters, the rest trades them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(5, ge=1, le=100)
    train_share: float = Field(0.8, gt=0, lt=1)
    anchored: bool = Field(False, description="train from the first day on, instead of a window that rolls")


class SweepConfig(BaseModel):
    """A search. `run.strategies` is the one instance whose parameters are searched; those it sets are fixed.

    `ranges` are as typed: name -> "low:high", "low:high:step" or "one,two"; empty: every bounded parameter at the top.
    `sets` is how many to try in the whole time and in each fold; a grid has as many as it has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: RunConfig
    ranges: dict[str, str] = {}
    sampler: Sampler = Sampler.TPE
    sets: int = Field(200, ge=1, le=1_000_000)
    objectives: tuple[str, ...] = Field(("sharpe",), min_length=1, max_length=4)
    constraints: tuple[Constraint, ...] = ()
    walk_forward: WalkForwardPlan | None = None
    seed: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.run.strategies) != 1:
            raise ConfigError(f"strategies: a sweep searches one instance, not {len(self.run.strategies)}; name one")
        if self.run.gear is not Gear.FAST:
            raise ConfigError(f"gear = {self.run.gear}: a sweep runs in the fast one; use gear = fast, fills = bars")
        for name in self.objectives:
            _check_statistic("objective", name)
            if METRICS[name].higher_is_better is None:
                raise ConfigError(f"objective = {name!r} is neither good nor bad; use it as a constraint")
        if len(self.objectives) > 1 and self.walk_forward:
            raise ConfigError("walk_forward needs one objective to choose each fold's best set by; give one")
        return self


class Settings(config.Settings):
    """Of a worker (`python -m services.backtest`)."""

    section = "backtest"

    study: str = Field(min_length=1, description="made by `millrace optimise --study NAME`")
    storage: str | None = Field(
        None, description="postgresql://... or a folder, where the study is; none = millrace.toml's database_url"
    )


def _check_statistic(where: str, name: str) -> None:
    if name not in SWEPT:
        raise ConfigError(f"{where} = {name!r} is no statistic of a sweep; use one of {', '.join(SWEPT)}")


SWEPT = tuple(name for name in METRICS if name != "average_days")
"""Statistics that a sweep knows of every set."""

COMPARE = {True: operator.gt, False: operator.lt}
"""Whether the first value is the better one, by `Metric.higher_is_better`."""
