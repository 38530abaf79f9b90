"""Sweeps with real Optuna on real bars, and what they come to."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from services.backtest.core.fast import run_bars_fast
from services.backtest.core.metrics import value
from services.backtest.core.statistics import statistics_of
from services.backtest.handlers import Worker
from services.backtest.optimise.config import SWEPT
from services.backtest.optimise.data import SweepData
from services.backtest.optimise.outcome import conclude, run_of
from services.backtest.optimise.sweep import STATISTICS, join
from shared.config import ConfigError
from tests.component.backtest.sweeps import Sweeps, do_all, results, sweep_config

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def data() -> SweepData:
    return SweepData.load(sweep_config().run)


@pytest.fixture
def sweeps(data: SweepData) -> Iterator[Sweeps]:
    with ExitStack() as closing:
        yield Sweeps(data, closing)


def test_a_grid_tries_every_combination_once_and_knows_its_figures(
    tmp_path: Path, sweeps: Sweeps, data: SweepData
) -> None:
    sweep = sweeps.make(tmp_path, sampler="grid")
    do_all(sweep, data)
    trials = sweep.trials(sweep.parts[0])
    assert sorted(trials) == list(range(8 * 7))
    assert len(sweep.storage.optuna.get_all_trials(sweep.parts[0].study)) == 8 * 7
    assert {tuple(trial.params.values()) for trial in trials.values()} == {
        (fast, slow) for fast in range(2, 10) for slow in range(10, 41, 5)
    }
    evaluation = data.evaluation(sweep.parts[0].run, sweep.space)
    for number in (0, 30, 55):
        instance = evaluation.instance(trials[number].params)
        result = run_bars_fast(sweep.config.run, [instance], data.histories, data.evidence)
        statistics = statistics_of(result)
        expected = {name: value(statistics, name) for name in SWEPT}
        assert len(result.trades) > 5
        assert trials[number].user_attrs[STATISTICS] == {
            name: None if found is None else pytest.approx(float(found), rel=1e-9) for name, found in expected.items()
        }
        assert trials[number].value == expected["sharpe"]


def test_a_random_search_is_the_same_whoever_does_it(tmp_path: Path, sweeps: Sweeps, data: SweepData) -> None:
    whole = sweeps.make(tmp_path / "one", sampler="random", sets=40)
    do_all(whole, data)
    halves = sweeps.make(tmp_path / "two", sampler="random", sets=40)
    worker = Worker(halves, halves.parts[0], data.evaluation(halves.config.run, halves.space))
    while left := [number for number in halves.left(halves.parts[0]) if number % 2]:
        worker.work_a_while(left, Event())
    do_all(sweeps.join(tmp_path / "two"), data)
    assert list(results(whole)) != list(results(halves)), "they were done in another order"
    assert results(whole) == results(halves)
    assert len({json.dumps(found[1]) for found in results(whole).values()}) > 25, "the sets differ"


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_learning_samplers_do_every_set_once(tmp_path: Path, sweeps: Sweeps, data: SweepData, sampler: str) -> None:
    sweep = sweeps.make(tmp_path, sampler=sampler, sets=70, objectives=("sharpe", "max_drawdown"))
    do_all(sweep, data)
    assert sorted(results(sweep)) == list(range(70))
    outcome = conclude(sweep, data)
    front = [(one.statistics["sharpe"], one.statistics["max_drawdown"]) for one in outcome.ranked]
    assert front
    for sharpe, fall in front:
        assert not any(other[0] > sharpe and other[1] < fall for other in front), "one beats another in both"


def test_constraints_decide_who_may_be_best(tmp_path: Path, sweeps: Sweeps, data: SweepData) -> None:
    free = sweeps.make(tmp_path, "free", sampler="grid")
    do_all(free, data)
    best = conclude(free, data).ranked[0]
    trades = best.statistics["trades"]
    assert trades is not None
    bound = sweeps.make(tmp_path, "bound", sampler="grid",
                   constraints=({"statistic": "trades", "at_least": True, "bound": trades + 1},))  # fmt: skip
    do_all(bound, data)
    outcome = conclude(bound, data)
    assert outcome.ranked[0].number != best.number
    assert (outcome.ranked[0].statistics["trades"] or 0) > trades
    assert not next(one for one in outcome.ranked if one.number == best.number).feasible
    assert outcome.result is not None
    assert len(outcome.result.trades) == outcome.ranked[0].statistics["trades"]


def test_of_several_objectives_too_it_is_said_that_no_set_fulfils_the_constraints(
    tmp_path: Path, sweeps: Sweeps, data: SweepData
) -> None:
    sweep = sweeps.make(tmp_path, sampler="random", sets=3, objectives=("sharpe", "max_drawdown"),
                   constraints=({"statistic": "trades", "at_least": True, "bound": 1e6},))  # fmt: skip
    do_all(sweep, data)
    outcome = conclude(sweep, data)
    assert outcome.refused == 0
    assert outcome.honesty.words == ("There is no best set: no set fulfils the constraints.",)


def test_the_outcome_says_how_far_it_can_be_believed(tmp_path: Path, sweeps: Sweeps, data: SweepData) -> None:
    sweep = sweeps.make(tmp_path, sampler="grid", walk_forward={"folds": 2, "train_share": 0.7})
    assert [part.fold is None for part in sweep.parts] == [True, False, False]
    do_all(sweep, data)
    assert sweep.done == 3 * 56
    outcome = conclude(sweep, data)
    honesty = outcome.honesty
    best = outcome.ranked[0]
    assert best.statistics["sharpe"] == max(one.statistics["sharpe"] or 0 for one in outcome.ranked)
    assert honesty.trials == 56
    assert honesty.probabilistic_sharpe is not None
    assert honesty.deflated_sharpe is not None
    assert 0 <= honesty.deflated_sharpe < honesty.probabilistic_sharpe <= 1
    (one,) = honesty.sensitivity
    assert one.values.shape == (len(one.y_values), len(one.x_values))
    place = one.y_values.index(one.best[1]), one.x_values.index(one.best[0])
    assert one.values[place] == pytest.approx(best.statistics["sharpe"])
    assert honesty.monte_carlo is not None
    walk = honesty.walk_forward
    assert walk is not None
    assert len(walk.folds) == 2
    assert walk.curve.time[0].astype("datetime64[D]") >= np.datetime64(walk.folds[0].fold.test_first)
    assert walk.curve.time[-1].astype("datetime64[D]") <= np.datetime64(sweep.config.run.last)
    assert (np.diff(walk.curve.time) > np.timedelta64(0)).all()
    for found, part in zip(walk.folds, sweep.parts[1:], strict=True):
        assert found.in_sample == max(trial.value for trial in sweep.trials(part).values() if trial.values)
    assert any("significant" in words.lower() for words in honesty.words)
    assert run_of(sweep, best).strategies[0].parameters == best.parameters


def test_a_study_is_not_gone_on_with_by_another_command(tmp_path: Path, sweeps: Sweeps, data: SweepData) -> None:
    sweeps.make(tmp_path, sampler="random")
    sweeps.make(tmp_path, sampler="random")
    with pytest.raises(ConfigError, match=r"with another config.seed \(1 instead of 2\)"):
        sweeps.make(tmp_path, sampler="random", seed=2)
    with pytest.raises(ConfigError, match=r"study 'sweep' was begun with other bars \(other\) than are here"):
        data.check("sweep", {"bars": "other", "code": data.inputs["code"]})
    with pytest.raises(ConfigError, match=r"there is no study 'none' in .*; make it with 'millrace optimise'"):
        join(str(tmp_path), "none")


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"objectives": ("luck",)}, "objective = 'luck' is no statistic of a sweep; use one of"),
        ({"objectives": ("trades",)}, "objective = 'trades' is neither good nor bad"),
        ({"objectives": ("sharpe", "cagr"), "walk_forward": {"folds": 2}}, "walk_forward needs one objective"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(other: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        sweep_config(**other)


def test_a_set_that_is_not_allowed_is_counted_without_a_value(tmp_path: Path, sweeps: Sweeps, data: SweepData) -> None:
    sweep = sweeps.make(tmp_path, sampler="random", sets=3, ranges={"fast": "30:40", "slow": "10:12"})
    do_all(sweep, data)
    outcome = conclude(sweep, data)
    assert (outcome.refused, outcome.ranked, outcome.result) == (3, (), None)
    (word,) = outcome.honesty.words
    assert re.fullmatch(r"There is no best set: .*; the first has none because slow = 1\d must be more than .*", word)


def test_a_line_that_a_killed_process_left_unfinished_is_cut_off(
    tmp_path: Path, sweeps: Sweeps, data: SweepData
) -> None:
    sweep = sweeps.make(tmp_path, sampler="grid")
    with (tmp_path / "sweep.journal").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker_id":"x","study_')
    do_all(sweeps.join(tmp_path), data)
    assert sorted(results(sweep)) == list(range(56))


def test_a_worker_takes_over_what_a_stopped_one_had_claimed(tmp_path: Path, sweeps: Sweeps, data: SweepData) -> None:
    sweep = sweeps.make(tmp_path, sampler="grid")
    holder = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", HOLD, str(tmp_path), "sweep", str(sweep.parts[0].study)],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder, ExitStack() as stack:
        stack.callback(holder.kill)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"[0, 1, 2]\n"
        assert sweep.storage.claim(sweep.parts[0].study, range(4)) == [3]
        sweep.storage.release(sweep.parts[0].study, [3])
        holder.kill()
        holder.wait()
        do_all(sweep, data)
    assert sorted(results(sweep)) == list(range(56))


HOLD = """
import sys, time
from services.backtest.optimise.storage import open_storage
storage = open_storage(sys.argv[1], sys.argv[2])
print(storage.claim(int(sys.argv[3]), range(3)), flush=True)
time.sleep(600)
"""
