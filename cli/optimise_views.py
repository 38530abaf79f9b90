"""How a sweep looks on a terminal: while it goes on, and when it is done."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from cli.text import plain_table

if TYPE_CHECKING:
    from services.backtest.core.honesty import Honesty
    from services.backtest.optimise.outcome import Outcome, Tried
    from services.backtest.optimise.sweep import Sweep

SHOWN_SETS = 10
BESIDE = ("sharpe", "cagr", "max_drawdown", "trades")


class Progress:
    """Sets done of all, the best so far, sets a second of this run, and the time that is left."""

    def __init__(self, sweep: "Sweep", console: Console) -> None:
        self._sweep, self._console = sweep, console
        self._total = sweep.total * len(sweep.parts)
        self._started, self._started_with = time.monotonic(), sweep.done
        self._first_done = self._started_with
        self._began: float | None = None
        self._rate = 0.0
        self._bar = Bar(
            TextColumn(escape(sweep.name)), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"),
            console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=self._total, completed=self._first_done, words="workers start ...")

    def __enter__(self) -> Self:
        if 0 < self._started_with < self._total:
            self._console.print(f"{self._started_with} of {self._total} sets were done already; the rest follows")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._began is not None:
            done, seconds = self._sweep.done - self._started_with, time.monotonic() - self._started
            self._console.print(f"{done} sets in {seconds:.1f} s; {self._rate:.0f} sets/s once the workers had started")

    def update(self) -> bool:
        """Look at the study; whether it is complete."""
        done, now = self._sweep.done, time.monotonic()
        if self._began is None and done > self._first_done:
            self._began, self._first_done = now, done  # so that the start of the workers does not count
        if self._began is not None and now > self._began:
            self._rate = (done - self._first_done) / (now - self._began)
        self._bar.update(self._task, completed=done, words=self._words(done))
        return done >= self._total

    def _words(self, done: int) -> str:
        from services.backtest.optimise.sweep import best_value

        best, objective = best_value(self._sweep), self._sweep.config.objectives[0]
        words = [f"best {objective} {best:.3f}"] if best is not None else []
        if self._rate:
            left = int((self._total - done) / self._rate)
            words += [f"{self._rate:.1f} sets/s", f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"]
        return ", ".join(words)


def print_outcome(sweep: "Sweep", outcome: "Outcome", console: Console) -> None:
    """The best sets as a table, and what to think of them."""
    without = f", {outcome.refused} of them without a result" if outcome.refused else ""
    console.print(f"{sweep.total} sets tried{without}. {_ranking(sweep)}:")
    if outcome.ranked:
        different = {tuple(one.parameters.values()): one for one in outcome.ranked}  # a sampler may repeat itself
        _print_sets(sweep, tuple(different.values())[:SHOWN_SETS], console)
    _print_honesty(outcome.honesty, console)


def _ranking(sweep: "Sweep") -> str:
    names = " and ".join(sweep.config.objectives)
    return f"The best by {names}" + (", each beaten by no other in all" if len(sweep.config.objectives) > 1 else "")


def _print_sets(sweep: "Sweep", sets: "tuple[Tried, ...]", console: Console) -> None:
    from services.backtest.core.metrics import METRICS, text

    constrained = [constraint.statistic for constraint in sweep.config.constraints]
    shown = tuple(dict.fromkeys((*sweep.config.objectives, *constrained, *BESIDE)))
    axes = [axis.name for axis in sweep.space.axes]
    labels = [METRICS[name].label for name in shown]
    table = plain_table("set", *axes, *labels, "", right=("set", *axes, *labels))
    for one in sets:
        values = [_short(one.parameters[name]) for name in axes]
        broken = "" if one.feasible else "breaks a constraint"
        table.add_row(str(one.number), *values, *(text(name, one.statistics[name]) for name in shown), broken)
    console.print(table)


def _print_honesty(honesty: "Honesty", console: Console) -> None:
    from services.backtest.core.honesty import CONFIDENCE

    console.print()
    if honesty.deflated_sharpe is not None:
        colour = "green" if honesty.deflated_sharpe >= CONFIDENCE else "yellow"
        console.print(f"Probabilistic Sharpe ratio {honesty.probabilistic_sharpe:.1%}, "
                      f"[{colour}]deflated {honesty.deflated_sharpe:.1%}[/{colour}]")  # fmt: skip
    for sentence in honesty.words:
        console.print(f"- {escape(sentence)}", highlight=False)
    if lots := honesty.monte_carlo:
        falls, finals = lots.percentiles(lots.max_drawdowns), lots.percentiles(lots.final_values)
        console.print(
            f"- The same trades in {len(lots.max_drawdowns)} other orders: nine in ten have a max drawdown from"
            f" {falls[5]:.1%} to {falls[95]:.1%}; theirs was {lots.observed_drawdown:.1%}. As many trades drawn from"
            f" them by lot leave {finals[5]:,.0f} to {finals[95]:,.0f} USD.",
            highlight=False,
        )
    if walk := honesty.walk_forward:
        table = plain_table("trained", "tested", "parameters", "in sample", "out of sample")
        for one in walk.folds:
            fold = one.fold
            chosen = ", ".join(f"{name}={_short(value)}" for name, value in one.parameters.items())
            trained, tested = f"{fold.train_first} - {fold.train_last}", f"{fold.test_first} - {fold.test_last}"
            table.add_row(
                trained, tested, chosen or "none feasible", _number(one.in_sample), _number(one.out_of_sample)
            )
        console.print(table)


def _short(value: object) -> str:
    """A parameter."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
