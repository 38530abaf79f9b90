"""Which parameters a numbered set has: from the grid, by lot, or from what the sets before it have shown.

Optuna's samplers look at a study of their own in this process's memory, which is told what all workers have found.
"""

import hashlib

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from services.backtest.optimise.config import Sampler
from services.backtest.optimise.evaluation import Statistics
from services.backtest.optimise.storage import NUMBER
from services.backtest.optimise.sweep import REFUSAL, STATISTICS, Part, Sweep, directions, distributions

ATTEMPTS = 100
"""To draw a set that the strategy allows, before the number is given up."""


class Proposals:
    """Of one part of a sweep. A grid's and a random search's sets depend on the number and the seed alone."""

    def __init__(self, sweep: Sweep, part: Part) -> None:
        self._sweep, self._part = sweep, part
        self._distributions = distributions(sweep.space.axes)
        self._study = self._empty()
        self._learned = set[int]()

    def _empty(self) -> optuna.Study:
        return optuna.create_study(directions=directions(self._sweep.config), sampler=RandomSampler(seed=0))

    def learn(self) -> None:
        """Take in what was found so far, by this process and others."""
        if not self._sweep.config.sampler.learns:
            self._study = self._empty()  # Optuna looks through all its trials whenever it is asked
            return
        trials = self._sweep.trials(self._part)
        for number in sorted(trials.keys() - self._learned):
            self._study.add_trial(trials[number])
            self._learned.add(number)

    def ask(self, number: int, attempt: int = 1) -> Trial:
        """A trial with the set's parameters, by axis name; allowed ones if the sampler hits upon any."""
        if self._sweep.combinations:
            self._study.enqueue_trial(self._sweep.combinations[number])
            return self._study.ask(self._distributions)
        self._study.sampler = self._sampler(number, attempt)
        trial = self._study.ask(self._distributions)
        if attempt == ATTEMPTS or self._sweep.space.refusal(trial.params) is None:
            return trial
        self._study.tell(trial, state=TrialState.PRUNED)
        return self.ask(number, attempt + 1)

    def tell(self, number: int, trial: Trial, found: Statistics | str) -> FrozenTrial:
        """The finished trial: with the set's statistics, or with the reason why it has none."""
        self._learned.add(number)
        trial.set_user_attr(NUMBER, number)
        config = self._sweep.config
        if not isinstance(found, str):
            trial.set_user_attr(STATISTICS, dict(found))
            objectives = {name: found[name] for name in config.objectives}
            values = [value for value in objectives.values() if value is not None]
            if len(values) == len(objectives):
                for constraint in config.constraints:
                    trial.set_constraint(str(constraint), constraint.excess(found[constraint.statistic]))
                return self._study.tell(trial, values)
            found = f"{next(name for name, value in objectives.items() if value is None)} is undefined"
        trial.set_user_attr(REFUSAL, found)
        return self._study.tell(trial, state=TrialState.PRUNED)

    def _sampler(self, number: int, attempt: int) -> BaseSampler:
        """One that draws its lots for this number alone, so that workers do not draw the same."""
        config = self._sweep.config
        digest = hashlib.sha256(f"{config.seed} {number} {attempt}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        match config.sampler:
            case Sampler.TPE:
                return TPESampler(seed=seed, constant_liar=True)  # others are at work on what is not told yet
            case Sampler.NSGA2:
                return NSGAIISampler(seed=seed)
            case _:
                return RandomSampler(seed=seed)
