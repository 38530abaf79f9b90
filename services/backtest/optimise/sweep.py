"""A sweep: a study for the whole time and one for each fold of walk-forward, in one storage, known by one name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from services.backtest.config import RunConfig
from services.backtest.core.metrics import METRICS
from services.backtest.core.walk_forward import Fold, make_folds
from services.backtest.optimise.config import Sampler, SweepConfig
from services.backtest.optimise.space import Axis, Space, make_space
from services.backtest.optimise.storage import NUMBER, Storage, open_storage
from services.strategy.catalogue import find_strategies
from shared.config import ConfigError

SWEEP, STATISTICS, REFUSAL = "sweep", "statistics", "refusal"
"""Names of what we keep with Optuna's studies and trials."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One study of a sweep: `study` is Optuna's id; `fold` is None for the whole time; `run` has its dates."""

    study: int
    name: str
    fold: Fold | None
    run: RunConfig


@dataclass(frozen=True)
class Sweep:
    """A sweep in its storage. `inputs` are hashes of the data and of the code that every worker must have."""

    name: str
    config: SweepConfig
    inputs: dict[str, str]
    storage: Storage
    parts: tuple[Part, ...]

    @cached_property
    def space(self) -> Space:
        return space_of(self.config)

    @cached_property
    def combinations(self) -> list[dict[str, Any]]:
        """A grid's sets by number; empty for the other samplers."""
        return self.space.combinations() if self.config.sampler is Sampler.GRID else []

    @property
    def total(self) -> int:
        """Sets in each part."""
        return len(self.combinations) or self.config.sets

    def trials(self, part: Part) -> dict[int, FrozenTrial]:
        """The finished trials by the number of their set."""
        trials = self.storage.optuna.get_all_trials(part.study, deepcopy=False)
        return {trial.user_attrs[NUMBER]: trial for trial in trials}

    @property
    def done(self) -> int:
        """Sets finished, of all parts."""
        return sum(len(self.storage.finished(part.study)) for part in self.parts)

    def left(self, part: Part) -> list[int]:
        """The numbers of the sets that are not finished."""
        finished = self.storage.finished(part.study)
        return [number for number in range(self.total) if number not in finished]


def space_of(config: SweepConfig) -> Space:
    """
    Raises:
        ConfigError: the strategy is unknown, or the ranges do not fit it.
    """
    instance = config.run.strategies[0]
    strategy = find_strategies(config.run.strategy_folder).named(instance.strategy)
    return make_space(strategy, config.ranges, instance.parameters)


def distributions(axes: Sequence[Axis]) -> dict[str, BaseDistribution]:
    """The axes as Optuna has them."""
    found: dict[str, BaseDistribution] = {}
    for axis in axes:
        if axis.choices:
            found[axis.name] = CategoricalDistribution(axis.choices)
        elif axis.integer:
            found[axis.name] = IntDistribution(int(axis.low), int(axis.high), step=int(axis.step or 1))
        else:
            found[axis.name] = FloatDistribution(axis.low, axis.high, step=axis.step)
    return found


def create(where: str, name: str, config: SweepConfig, inputs: dict[str, str]) -> Sweep:
    """Start the sweep, or go on with it where it stands.

    Raises:
        ConfigError: the space is no good, or a sweep of this name does something else.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"study = {name!r}: use letters, digits, - and _")
    space_of(config)
    storage = open_storage(where, name)
    try:
        with storage.alone():
            _make(storage, name, config, inputs)
    except ConfigError:
        storage.close()
        raise
    return join(where, name, storage)


def _make(storage: Storage, name: str, config: SweepConfig, inputs: dict[str, str]) -> None:
    study = _study(storage, name, config)
    wanted = json.loads(json.dumps({"config": config.model_dump(mode="json"), "inputs": inputs}))
    known = storage.optuna.get_study_user_attrs(study).get(SWEEP, wanted)
    if different := _differences(known, wanted):
        raise ConfigError(
            f"study {name!r} is there already, with another {different}; go on with it by the same command, or give"
            " this one another --study"
        )
    for number in range(len(_folds(config))):
        _study(storage, f"{name}/{number + 1}", config)
    storage.optuna.set_study_user_attr(study, SWEEP, wanted)  # last: whoever sees it sees a whole sweep


def join(where: str, name: str, storage: Storage | None = None) -> Sweep:
    """A sweep that is there.

    Raises:
        ConfigError: it is not.
    """
    storage = storage or open_storage(where, name)
    try:
        study = storage.optuna.get_study_id_from_name(name)
        kept = storage.optuna.get_study_user_attrs(study)[SWEEP]
    except KeyError:
        storage.close()
        raise ConfigError(f"there is no study {name!r} in {_shown(where)}; make it with 'millrace optimise'") from None
    config = SweepConfig.model_validate(kept["config"])
    parts = [Part(study, name, None, config.run)]
    for number, fold in enumerate(_folds(config)):
        run = config.run.model_copy(update={"first": fold.train_first, "last": fold.train_last})
        own = f"{name}/{number + 1}"
        parts.append(Part(storage.optuna.get_study_id_from_name(own), own, fold, run))
    return Sweep(name, config, kept["inputs"], storage, tuple(parts))


def directions(config: SweepConfig) -> list[StudyDirection]:
    """For each objective."""
    better = [METRICS[name].higher_is_better for name in config.objectives]
    return [StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE for higher in better]


def feasible(trial: FrozenTrial) -> bool:
    """Whether the set fulfils the constraints."""
    return all(excess <= 0 for excess in trial.constraints.values())


def best_value(sweep: Sweep) -> float | None:
    """The best feasible value of the first objective so far, in the whole time; None before there is one."""
    trials = [trial for trial in sweep.trials(sweep.parts[0]).values() if not refused(trial) and feasible(trial)]
    values = [trial.user_attrs[STATISTICS][sweep.config.objectives[0]] for trial in trials]
    choose = max if METRICS[sweep.config.objectives[0]].higher_is_better else min
    return choose(values, default=None)


def refused(trial: FrozenTrial) -> bool:
    """Whether the set has no value: the strategy does not allow it or failed, or an objective is undefined."""
    return trial.state is not TrialState.COMPLETE


def _folds(config: SweepConfig) -> tuple[Fold, ...]:
    plan = config.walk_forward
    if plan is None:
        return ()
    return make_folds(
        config.run.first, config.run.last, folds=plan.folds, train_share=plan.train_share, anchored=plan.anchored
    )


def _study(storage: Storage, name: str, config: SweepConfig) -> int:
    try:
        return storage.optuna.create_new_study(directions(config), name)
    except DuplicatedStudyError:
        return storage.optuna.get_study_id_from_name(name)


def _differences(known: Any, wanted: Any, where: str = "") -> str:
    """The first key that differs, with dots; empty when nothing does."""
    if known == wanted:
        return ""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for key in known.keys() | wanted.keys():  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            if found := _differences(known.get(key), wanted.get(key), f"{where}.{key}".lstrip(".")):  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
                return found
    return f"{where} ({known!r} instead of {wanted!r})"


def _shown(where: str) -> str:
    """Without a password."""
    return f"postgresql://...@{where.rpartition('@')[2]}" if where.startswith("postgresql://") else where
