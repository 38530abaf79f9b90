"""Walk-forward: choose parameters on one stretch of time, trade them on the next, and look only at the latter."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from services.backtest.core.model import Curve
from shared.config import ConfigError


@dataclass(frozen=True, slots=True)
class Fold:
    """Dates, all included. The parameters come from the first two, the result from the last two."""

    train_first: date
    train_last: date
    test_first: date
    test_last: date


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What the fold's best set reached by the objective in and out of sample; None where that is undefined."""

    fold: Fold
    parameters: Mapping[str, Any]
    in_sample: float | None
    out_of_sample: float | None


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """All folds, and the account that traded each one's parameters out of sample, one after the other."""

    objective: str
    anchored: bool
    folds: tuple[FoldResult, ...]
    curve: Curve

    def words(self) -> str:
        """How much of the promise was kept, in a plain sentence."""
        both = [(one.in_sample, one.out_of_sample) for one in self.folds
                if one.in_sample is not None and one.out_of_sample is not None]  # fmt: skip
        if not both:
            return f"Walk-forward: {self.objective} is undefined in every fold."
        promised, kept = (sum(column) / len(both) for column in zip(*both, strict=True))
        return (
            f"Walk-forward over {len(both)} folds: {self.objective} was {promised:.2f} in sample and {kept:.2f} out of"
            f" sample on average; trust the latter."
        )


def make_folds(first: date, last: date, *, folds: int, train_share: float, anchored: bool) -> tuple[Fold, ...]:
    """Cut first..last so that the tests of all folds follow each other without a gap and end at `last`.

    Rolling: every fold trains on the same length, `train_share` (0 to 1) of a fold's train and test together.
    Anchored: every fold trains from `first`; the first of them is as long as the rolling one would be.

    Raises:
        ConfigError: a part would have less than a day.
    """
    days = (last - first).days + 1
    test = days * (1 - train_share) / (train_share + folds * (1 - train_share))
    train = days - folds * test
    if test < 1 or train < 1:
        raise ConfigError(
            f"walk-forward: {days} days are too few for {folds} folds with train_share = {train_share};"
            " take fewer folds, a share nearer the middle, or more days"
        )
    edges = [first + timedelta(days=round(train + test * number)) for number in range(folds + 1)]
    day = timedelta(days=1)
    return tuple(
        Fold(
            first if anchored else start - timedelta(days=round(train)),
            start - day,
            start,
            end - day,
        )
        for start, end in itertools.pairwise(edges)
    )


def stitch(curves: Sequence[Curve], cash: float) -> Curve:
    """One account through all curves, each of which began with `cash` USD: its growth is applied to what there was.

    Benchmarks are stitched alike. Positions do not pass from one curve to the next.
    """
    values: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    benchmarks: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    value = benchmark = cash
    for curve in curves:
        values.append(curve.value / cash * value)
        benchmarks.append(curve.benchmark / cash * benchmark)
        value, benchmark = float(values[-1][-1]), float(benchmarks[-1][-1])
    return Curve(
        np.concatenate([curve.time for curve in curves]),
        np.concatenate(values),
        np.concatenate([curve.exposure for curve in curves]),
        np.concatenate(benchmarks),
    )
