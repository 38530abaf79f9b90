"""What a finished sweep comes to: the best sets, and how far they can be believed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from services.backtest.config import RunConfig
from services.backtest.core.fast import run_bars_fast
from services.backtest.core.honesty import Honesty, judge_sharpe
from services.backtest.core.metrics import METRICS
from services.backtest.core.model import Curve, Result
from services.backtest.core.monte_carlo import shuffle_trades
from services.backtest.core.returns import daily_returns
from services.backtest.core.sensitivity import Sensitivity, spread_words
from services.backtest.core.walk_forward import FoldResult, WalkForward, stitch
from services.backtest.optimise.data import SweepData
from services.backtest.optimise.evaluation import Evaluation, RefusedError, Statistics
from services.backtest.optimise.space import Axis
from services.backtest.optimise.sweep import REFUSAL, STATISTICS, Part, Sweep, feasible, refused

SHUFFLES = 1000
MAP_POINTS = 9
"""Of a numeric axis of a sensitivity map, the best value in the middle."""
MAP_SPAN = 20
"""Such a map's neighbours lie this part of the axis' length apart, or a step if that is more."""
MOST_MAPS = 3


@dataclass(frozen=True, slots=True)
class Tried:
    """One set: its `number` in the sweep, its parameters by axis name, its statistics by name."""

    number: int
    parameters: Mapping[str, Any]
    statistics: Statistics
    feasible: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ranked` has every set with a value, the best first and those that break a constraint last; of several
    objectives only the sets that no other beats in all. `refused` counts the sets without a value. `run` and `result`
    are of the best set, None where none is feasible."""

    ranked: tuple[Tried, ...]
    refused: int
    honesty: Honesty
    run: RunConfig | None = None
    result: Result | None = None


def conclude(sweep: Sweep, data: SweepData) -> Outcome:
    """Look at a sweep that is complete, and back-test its best set again."""
    whole = sweep.parts[0]
    trials = sweep.trials(whole)
    ranked = _ranked(sweep, whole)
    without = sum(refused(trial) for trial in trials.values())
    if not ranked or not ranked[0].feasible:
        why = "no set fulfils the constraints"
        if without == len(trials):
            why = f"no set has a value; the first has none because {trials[0].user_attrs[REFUSAL]}"
        return Outcome(ranked, without, Honesty(trials=len(trials), words=(f"There is no best set: {why}.",)))
    best, evaluation = ranked[0], data.evaluation(whole.run, sweep.space)
    run = run_of(sweep, best)
    result = run_bars_fast(run, [evaluation.instance(best.parameters)], data.histories, data.evidence)
    return Outcome(ranked, without, _honesty(sweep, data, evaluation, best, result), run, result)


def run_of(sweep: Sweep, tried: Tried) -> RunConfig:
    """The backtest of one set, ready to be asked again."""
    run = sweep.config.run
    instance = run.strategies[0].model_copy(update={"parameters": sweep.space.parameters(tried.parameters)})
    return run.model_copy(update={"strategies": (instance,)})


def _ranked(sweep: Sweep, part: Part) -> tuple[Tried, ...]:
    trials = {number: trial for number, trial in sweep.trials(part).items() if not refused(trial)}
    objective = sweep.config.objectives[0]
    if len(sweep.config.objectives) > 1 and trials:
        front = optuna.load_study(study_name=part.name, storage=sweep.storage.optuna).best_trials
        unbeaten = {trial.number for trial in front}
        trials = {number: trial for number, trial in trials.items() if trial.number in unbeaten}
    sign = -1 if METRICS[objective].higher_is_better else 1

    def order(item: tuple[int, FrozenTrial]) -> tuple[bool, float, int]:
        number, trial = item
        return not feasible(trial), sign * trial.user_attrs[STATISTICS][objective], number

    return tuple(
        Tried(number, trial.params, trial.user_attrs[STATISTICS], feasible(trial))
        for number, trial in sorted(trials.items(), key=order)
    )


def _honesty(sweep: Sweep, data: SweepData, evaluation: Evaluation, best: Tried, result: Result) -> Honesty:
    config, cash = sweep.config, float(sweep.config.run.cash)
    tried = [trial.user_attrs[STATISTICS] for trial in sweep.trials(sweep.parts[0]).values()
             if STATISTICS in trial.user_attrs]  # fmt: skip
    honesty = judge_sharpe(daily_returns(result.curve, cash), [statistics["sharpe"] for statistics in tried])
    objective = config.objectives[0]
    higher = bool(METRICS[objective].higher_is_better)
    values = [statistics[objective] for statistics in tried if statistics[objective] is not None]
    maps = tuple(_maps(sweep, evaluation, best))
    walk_forward = _walk_forward(sweep, data) if config.walk_forward else None
    words = (
        *honesty.words,
        spread_words(objective, values, higher_is_better=higher),
        *(one.words() for one in maps),
        *([walk_forward.words()] if walk_forward else []),
    )
    monte_carlo = shuffle_trades(result.trades, cash, runs=SHUFFLES, seed=config.run.seed)
    return replace(honesty, monte_carlo=monte_carlo, walk_forward=walk_forward, sensitivity=maps, words=words)


def _maps(sweep: Sweep, evaluation: Evaluation, best: Tried) -> list[Sensitivity]:
    """Of each pair of axes, the first few; of one axis alone if there is but one."""
    axes = sweep.space.axes
    pairs = list(itertools.combinations(axes, 2)) or [(axes[0], None)]
    return [_map(sweep, evaluation, best, x, y) for x, y in pairs[:MOST_MAPS]]


def _map(sweep: Sweep, evaluation: Evaluation, best: Tried, x: Axis, y: Axis | None) -> Sensitivity:
    objective = sweep.config.objectives[0]
    x_values = _around(x, best.parameters[x.name])
    y_values = _around(y, best.parameters[y.name]) if y else ("",)

    def value(x_value: Any, y_value: Any) -> float:
        chosen = {**best.parameters, x.name: x_value} | ({y.name: y_value} if y else {})
        try:
            found = evaluation.statistics(chosen)[objective]
        except RefusedError:
            found = None
        return np.nan if found is None else found

    values = np.array([[value(x_value, y_value) for x_value in x_values] for y_value in y_values], dtype=np.float64)
    return Sensitivity(
        objective,
        bool(METRICS[objective].higher_is_better),
        x.name,
        y.name if y else "",
        _labels(x, x_values),
        _labels(y, y_values),
        values,
        (_label(x, best.parameters[x.name]), _label(y, best.parameters[y.name]) if y else ""),
    )


def _around(axis: Axis, best: Any) -> tuple[Any, ...]:
    if axis.choices:
        return axis.choices
    step = (axis.high - axis.low) / MAP_SPAN
    if axis.step:
        step = max(round(step / axis.step), 1) * axis.step
    half = MAP_POINTS // 2
    values = (best + step * offset for offset in range(-half, half + 1)) if step else (best,)
    inside = (value for value in values if axis.low <= value <= axis.high)
    return tuple(round(value) if axis.integer else float(value) for value in inside)


def _label(axis: Axis | None, value: Any) -> float | str:
    return str(value) if axis is None or axis.choices else float(value)


def _labels(axis: Axis | None, values: Sequence[Any]) -> tuple[float | str, ...]:
    return tuple(_label(axis, value) for value in values)


def _walk_forward(sweep: Sweep, data: SweepData) -> WalkForward:
    """Each fold's best set, by the whole study of its training time, traded on its test time."""
    plan, (objective, *_) = sweep.config.walk_forward, sweep.config.objectives
    assert plan is not None  # noqa: S101 - the caller looked
    results: list[FoldResult] = []
    curves: list[Curve] = []
    for part in sweep.parts[1:]:
        assert part.fold is not None  # noqa: S101 - all parts but the first have one
        fold = part.fold
        test = data.evaluation(
            part.run.model_copy(update={"first": fold.test_first, "last": fold.test_last}), sweep.space
        )
        ranked = _ranked(sweep, part)
        if not ranked or not ranked[0].feasible:
            results.append(FoldResult(fold, {}, None, None))
            curves.append(test.idle())
            continue
        best = ranked[0]
        found = test.statistics(best.parameters)[objective]
        results.append(FoldResult(fold, best.parameters, best.statistics[objective], found))
        curves.append(test.curve(best.parameters))
    return WalkForward(objective, plan.anchored, tuple(results), stitch(curves, float(sweep.config.run.cash)))
