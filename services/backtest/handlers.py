"""Numbers of parameter sets in, their results out: what each of a sweep's workers does until nothing is left to do."""

import time
from collections.abc import Callable, Sequence
from threading import Event

from optuna.trial import FrozenTrial

from services.backtest.optimise.evaluation import Evaluation, RefusedError
from services.backtest.optimise.proposals import Proposals
from services.backtest.optimise.sweep import Part, Sweep

BATCH_SECONDS = 0.2
"""Of work between two visits to the storage, if single sets take less: a visit costs milliseconds."""
LARGEST_BATCH, LARGEST_LEARNING_BATCH = 64, 8
"""Sets claimed at a time; fewer for samplers that should learn from each."""
LAST_BATCHES = 8
"""A batch is at most this part of what is left."""
WAIT_SECONDS = 0.25
"""Until claims of other workers are tried again: they may have died."""


def work(sweep: Sweep, evaluation: Callable[[Part], Evaluation], stop: Event) -> None:
    """Claim, evaluate and record sets until all of the sweep are finished, by whomever, or `stop` is set.

    `evaluation` makes what backtests a part. A set in hand is finished before stopping. What was recorded stays,
    whatever happens; what was only claimed when a process ended is done by another.
    """
    workers = dict[str, Worker]()
    while (left := {part: numbers for part in sweep.parts if (numbers := sweep.left(part))}) and not stop.is_set():
        for part, numbers in left.items():
            worker = workers.get(part.name) or Worker(sweep, part, evaluation(part))
            workers[part.name] = worker
            if worker.work_a_while(numbers, stop):
                break  # the parts in their order: look at this one first again
        else:
            stop.wait(WAIT_SECONDS)  # others are at work on all that is left


class Worker:
    """One process's work on one part."""

    def __init__(self, sweep: Sweep, part: Part, evaluation: Evaluation) -> None:
        self._sweep, self._part, self._evaluation = sweep, part, evaluation
        self._proposals = Proposals(sweep, part)
        self._most = LARGEST_LEARNING_BATCH if sweep.config.sampler.learns else LARGEST_BATCH
        self._batch = 1

    def work_a_while(self, numbers: Sequence[int], stop: Event) -> bool:
        """A batch of these sets; false if others are at work on all of them."""
        claimed = self._claim(numbers)
        if not claimed:
            return False
        try:
            # Looked up after the claim: until then another may have finished and released them.
            finished = self._sweep.storage.finished(self._part.study)
            self._proposals.learn()
            self._evaluate([number for number in claimed if number not in finished], stop)
        finally:
            self._sweep.storage.release(self._part.study, claimed)
        return True

    def _claim(self, numbers: Sequence[int]) -> list[int]:
        """The first of the numbers that are free: a batch of them, towards the end a small one, to end together."""
        size = max(1, min(self._batch, len(numbers) // LAST_BATCHES))
        for start in range(0, len(numbers), size):
            if claimed := self._sweep.storage.claim(self._part.study, numbers[start : start + size]):
                return claimed
        return []

    def _evaluate(self, numbers: Sequence[int], stop: Event) -> None:
        began, unwritten = time.monotonic(), list[FrozenTrial]()
        for number in numbers:
            if stop.is_set():
                break
            unwritten.append(self._one(number))
            if time.monotonic() - began > BATCH_SECONDS:
                break
        if unwritten:
            self._sweep.storage.add(self._part.study, unwritten)
            seconds = max((time.monotonic() - began) / len(unwritten), 1e-6)
            self._batch = max(1, min(self._most, int(BATCH_SECONDS / seconds)))

    def _one(self, number: int) -> FrozenTrial:
        trial = self._proposals.ask(number)
        try:
            return self._proposals.tell(number, trial, self._evaluation.statistics(trial.params))
        except RefusedError as error:
            return self._proposals.tell(number, trial, str(error))
