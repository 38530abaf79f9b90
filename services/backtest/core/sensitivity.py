"""How the result changes with the parameters: a plateau can be believed, a peak can not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.strategy.core.strategy import Floats

PLATEAU = 0.75
"""A neighbour is as good when it reaches this share of the best, or for ratios below 0 is no worse."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """The objective around the best set, two parameters varied and the others as they are.

    `values` has shape (len(y_values), len(x_values)), NaN where a set is not allowed or undefined; `best` is its
    (x, y). Choices and switches are text. With one parameter alone `y_name` is empty, and `y_values` has one text.
    """

    objective: str
    higher_is_better: bool
    x_name: str
    y_name: str
    x_values: tuple[float | str, ...]
    y_values: tuple[float | str, ...]
    values: Floats
    best: tuple[float | str, float | str]

    def words(self) -> str:
        """Whether it is a plateau or a peak, in a plain sentence."""
        column, row = self.x_values.index(self.best[0]), self.y_values.index(self.best[1])
        near = self.values[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        found = self.values[row, column]
        around = near[np.isfinite(near)]
        neighbours = len(around) - int(np.isfinite(found))
        pairs = zip((self.x_name, self.y_name), self.best, strict=True)
        names = ", ".join(f"{name} = {_short(value)}" for name, value in pairs if name)
        if not np.isfinite(found) or not neighbours:
            return f"{names}: there is nothing beside it to compare {self.objective} with."
        gain = around if self.higher_is_better else -around
        wanted = found if self.higher_is_better else -found
        good = int(np.sum(gain >= (wanted * PLATEAU if wanted > 0 else wanted / PLATEAU))) - 1
        if good >= neighbours * 2 / 3:
            kind = "a plateau: small changes change little"
        elif good >= neighbours / 3:
            kind = "a slope: look at the map before you trust it"
        else:
            kind = "a lone peak: small changes spoil it, it is probably chance"
        return (
            f"{names}: {good} of {neighbours} neighbours reach {PLATEAU:.0%} of its {self.objective}"
            f" of {found:.2f}; {kind}."
        )


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def spread_words(objective: str, values: Sequence[float], *, higher_is_better: bool) -> str:
    """How the objective of all sets tried is spread, in a plain sentence."""
    low, middle, high = (float(level) for level in np.percentile(values, (10, 50, 90)))
    best = max(values) if higher_is_better else min(values)
    return (
        f"{objective} of all {len(values)} sets: eight in ten lie between {low:.2f} and {high:.2f}, half are above"
        f" {middle:.2f}, the best is {best:.2f}."
    )
