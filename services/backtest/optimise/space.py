"""The search space: a strategy's own fields with their bounds, and what a person makes of them.

Parts of a nested model have dotted names: `stop.fraction`. Once one part of it is named, the model is made of the
named parts alone, so that `stop.atr_multiple` does not meet the default's `fraction`.
"""

import itertools
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from services.strategy.core.strategy import Strategy
from services.strategy.core.vertical import SpreadStrategy
from shared.config import ConfigError

MOST_COMBINATIONS = 1_000_000
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter: `choices`, or numbers from `low` to `high`, both included; `step` None: every number between."""

    name: str
    integer: bool = False
    low: float = -math.inf
    high: float = math.inf
    step: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def bounds(self) -> str:
        """As a person reads them."""
        if self.choices:
            return " or ".join(map(str, self.choices))
        return f"{_bound(self.low)} to {_bound(self.high)}"

    @property
    def bounded(self) -> bool:
        return bool(self.choices) or (math.isfinite(self.low) and math.isfinite(self.high))

    def values(self) -> tuple[Any, ...]:
        """All of them, for a grid.

        Raises:
            ConfigError: there is no step, or one that makes too many.
        """
        if self.choices:
            return self.choices
        if self.step is None:
            raise ConfigError(
                f"range {self.name} = {self.bounds} has no step, and a grid needs one;"
                f" give --range {self.name}={self.low:g}:{self.high:g}:STEP"
            )
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        if count > MOST_COMBINATIONS:
            raise ConfigError(
                f"range {self.name} has {count:,} values, more than {MOST_COMBINATIONS:,}; widen its step"
            )
        values = (self.low + self.step * number for number in range(count))
        return tuple(round(value) if self.integer else round(value, 12) for value in values)


@dataclass(frozen=True, slots=True)
class Space:
    """`axes` are searched; `fixed` are the parameters (nested, as the strategy takes them) that are not."""

    strategy: type[Strategy]
    axes: tuple[Axis, ...]
    fixed: Parameters

    def parameters(self, chosen: Parameters) -> dict[str, Any]:
        """What the strategy takes, from values by axis name."""
        nested = dict(self.fixed)
        for name, value in chosen.items():
            key, dot, part = name.partition(".")
            if dot:
                nested[key] = {**(nested.get(key) or {}), part: value}
            else:
                nested[key] = value
        return nested

    def refusal(self, chosen: Parameters) -> str | None:
        """Why the strategy does not allow this set; None where it does."""
        try:
            self.strategy.model_validate(self.parameters(chosen))
        except ValidationError as error:
            return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        return None

    def combinations(self) -> list[dict[str, Any]]:
        """The grid: every combination of the axes' values that the strategy allows.

        Raises:
            ConfigError: an axis has no step, there are too many, or the strategy allows none.
        """
        columns = [axis.values() for axis in self.axes]
        if (count := math.prod(map(len, columns))) > MOST_COMBINATIONS:
            raise ConfigError(f"the grid has {count:,} sets, more than {MOST_COMBINATIONS:,}; use wider steps")
        names = [axis.name for axis in self.axes]
        every = [dict(zip(names, values, strict=True)) for values in itertools.product(*columns)]
        allowed = [chosen for chosen in every if self.refusal(chosen) is None]
        if not allowed:
            raise ConfigError(f"the strategy allows none of the {count} sets: {self.refusal(every[0])}")
        return allowed


def make_space(strategy: type[Strategy], ranges: Mapping[str, str], fixed: Parameters) -> Space:
    """The axes of `ranges`, or where it is empty every bounded parameter at the top that is not fixed.

    Raises:
        ConfigError: it trades option spreads, a name is unknown, a range is none or beyond the bounds, or nothing is
            left to search.
    """
    if issubclass(strategy, SpreadStrategy):
        raise ConfigError(
            f"{strategy.__name__} trades option spreads: a sweep runs in the fast gear, which has no options; back-test"
            " its sets one by one"
        )
    known = {axis.name: axis for axis in _axes(strategy.model_fields.items())}
    for name in (*ranges, *_flat(fixed)):
        if name not in known and name not in strategy.model_fields:
            raise ConfigError(f"{strategy.__name__} has no parameter {name!r}; it has {', '.join(known)}")
    if twice := sorted(set(ranges) & set(_flat(fixed))):
        raise ConfigError(f"{twice[0]} is both searched and fixed; give one of --range and --fix")
    if ranges:
        if whole := [name for name in ranges if name not in known]:
            raise ConfigError(f"range {whole[0]}: it is no number and no choice; search one of {', '.join(known)}")
        axes = [_restricted(known[name], text) for name, text in ranges.items()]
    else:
        axes = [axis for axis in known.values() if axis.bounded and "." not in axis.name and axis.name not in fixed]
    if not axes:
        raise ConfigError(
            f"nothing is left to search in {strategy.__name__}; give --range for one of {', '.join(known)}"
        )
    return Space(strategy, tuple(axes), fixed)


def _bound(value: float) -> str:
    """Open bounds are kept as the next float."""
    near = round(value, 12) if math.isfinite(value) else value
    return f"{near:g}" if near == value else f"{near:g} (excluded)"


def _flat(fixed: Parameters) -> Iterator[str]:
    for name, value in fixed.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{part}" for part in value)  # pyright: ignore[reportUnknownVariableType]
        else:
            yield name


def _axes(fields: Any, prefix: str = "") -> Iterator[Axis]:
    for name, field in fields:
        kind = _kind(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _axes(kind.model_fields.items(), f"{prefix}{name}.")
        elif axis := _axis(f"{prefix}{name}", kind, field):
            yield axis


def _kind(annotation: Any) -> Any:
    """The type behind `T | None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        (*others,) = (kind for kind in get_args(annotation) if kind is not type(None))
        return others[0] if len(others) == 1 else annotation
    return annotation


def _axis(name: str, kind: Any, field: FieldInfo) -> Axis | None:
    if kind is bool:
        return Axis(name, choices=(False, True))
    if get_origin(kind) is Literal:
        return Axis(name, choices=get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Axis(name, choices=tuple(member.value for member in kind))
    if kind not in (int, float):
        return None
    integer = kind is int
    limits = {limit: getattr(item, limit) for item in field.metadata for limit in ("ge", "gt", "le", "lt")
              if getattr(item, limit, None) is not None}  # fmt: skip
    low, high = limits.get("ge", -math.inf), limits.get("le", math.inf)
    if "gt" in limits:
        low = limits["gt"] + 1 if integer else math.nextafter(limits["gt"], math.inf)
    if "lt" in limits:
        high = limits["lt"] - 1 if integer else math.nextafter(limits["lt"], -math.inf)
    return Axis(name, integer, low, high, 1 if integer else None)


def _restricted(axis: Axis, text: str) -> Axis:
    """The axis within `text`, as a person typed it."""
    if axis.choices:
        return _chosen(axis, text.split(","))
    number = int if axis.integer else float
    try:
        low, high, *steps = (number(part) for part in text.split(":"))
        step = steps[0] if steps else axis.step
    except ValueError:
        low, high, step, steps = 0, -1, None, []
    if not (low <= high and math.isfinite(high - low)) or len(steps) > 1 or (step is not None and step <= 0):
        kind = "whole numbers" if axis.integer else "numbers"
        raise ConfigError(f"range {axis.name} = {text!r} is none; write LOW:HIGH or LOW:HIGH:STEP in {kind}")
    if low < axis.low or high > axis.high:
        raise ConfigError(f"range {axis.name} = {text!r} is beyond what the strategy allows: {axis.bounds}")
    return replace(axis, low=low, high=high, step=step)


def _chosen(axis: Axis, words: Sequence[str]) -> Axis:
    by_name = {str(choice).lower(): choice for choice in axis.choices}
    if unknown := [word for word in words if word.strip().lower() not in by_name]:
        raise ConfigError(f"range {axis.name}: {unknown[0]!r} is no choice; use {axis.bounds}, separated by commas")
    return replace(axis, choices=tuple(by_name[word.strip().lower()] for word in words))
