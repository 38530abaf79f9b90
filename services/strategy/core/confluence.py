"""How much speaks for an entry: technical, sentiment and options-flow evidence, weighted to a score from 0 to 1."""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.messages.sentiment import SentimentReading
from shared.messages.strategy import Component, Evidence

_DAY_SECONDS = 86_400.0


class Missing(StrEnum):
    """What becomes of an entry when there is no reading, or only one that is too old."""

    REWEIGHT = "reweight"  # its weight goes to the other components, in proportion
    BLOCK = "block"  # no entry


_BLOCK, _TECHNICAL = Missing.BLOCK, Component.TECHNICAL  # a member of an enum costs a call each time


class Source(BaseModel):
    """One component whose readings come from outside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(ge=0, le=1)
    maximum_age_seconds: float = Field(
        default=_DAY_SECONDS, gt=0, le=365 * _DAY_SECONDS, description="older is missing"
    )
    missing: Missing = Missing.REWEIGHT

    @property
    def blocks(self) -> bool:
        """Whether an entry needs it; without a weight nothing is needed."""
        return self.missing is _BLOCK and self.weight > 0


class Confluence(BaseModel):
    """Weights of the components, which sum to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    technical_weight: float = Field(default=0.5, ge=0, le=1, description="of the strategy's own strength")
    sentiment: Source = Source(weight=0.3)
    options_flow: Source = Source(weight=0.2)

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        total = self.technical_weight + self.sentiment.weight + self.options_flow.weight
        if not math.isclose(total, 1):
            raise ValueError(
                f"the weights {self.technical_weight:g}, {self.sentiment.weight:g} and {self.options_flow.weight:g} of"
                f" technical, sentiment and options_flow sum to {total:g}; make it 1"
            )
        return self


class Readings:
    """The readings of each symbol and component by time; the newest `size` of each, or all."""

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._found: dict[tuple[str, Component], list[SentimentReading]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, reading: SentimentReading) -> None:
        """Take a reading, in whatever order they come; one of the same time is replaced."""
        found = self._found.setdefault((reading.symbol, reading.component), [])
        place = bisect_left(found, reading.observed_at, key=_observed_at)
        same = place < len(found) and found[place].observed_at == reading.observed_at
        found[place : place + same] = [reading]
        if self._size is not None:
            del found[: -self._size]

    def newest(self, symbol: str, component: Component, at: datetime) -> SentimentReading | None:
        """The newest reading that could be known at a time."""
        found = self._found.get((symbol, component))
        place = bisect_right(found, at, key=_observed_at) if found else 0
        return found[place - 1] if found and place else None


@dataclass(frozen=True, slots=True)
class Score:
    """`value` is the weighted sum of the evidence, 0 to 1."""

    value: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why an entry signal became no intent: `code` is component_missing or score_below_minimum."""

    code: str
    reason: str


def score(
    confluence: Confluence, readings: Readings, symbol: str, *, strength: float, bar_end: datetime, at: datetime
) -> Score | Blocked:
    """Weigh what is known at a time `at`; `strength` is the strategy's own, 0 to 1, as of the bar that ended then."""
    bar_age = max(0.0, (at - bar_end).total_seconds())
    sentiment, options_flow = confluence.sentiment, confluence.options_flow
    if not readings and confluence.technical_weight and not (sentiment.blocks or options_flow.blocks):
        alone = Evidence.trusted(component=_TECHNICAL, value=strength, age_seconds=bar_age, weight=1.0)
        return Score(strength, (alone, *_NOTHING.values()))  # what follows comes to the same; backtests are in a hurry
    parts: list[tuple[Component, float | None, float | None, float]] = [  # component, value, age, weight that counts
        (_TECHNICAL, strength, bar_age, confluence.technical_weight)
    ]
    for component, source in ((Component.SENTIMENT, sentiment), (Component.OPTIONS_FLOW, options_flow)):
        reading = readings.newest(symbol, component, at)
        age = (at - reading.observed_at).total_seconds() if reading else None
        fresh = age is not None and age <= source.maximum_age_seconds
        if not fresh and source.blocks:
            known = "there is none" if age is None else f"the newest is {age:.0f} s old"
            return Blocked("component_missing", f"{component} of {symbol} is needed and {known}")
        parts.append((component, reading.score if reading else None, age, source.weight if fresh else 0.0))
    total = sum([part[3] for part in parts])
    if total == 0:
        return Blocked("component_missing", f"no component with a weight has a value for {symbol}")
    value = sum([weight / total * (value or 0.0) for _, value, _, weight in parts])
    evidence = [
        _NOTHING[component]
        if value is None
        else Evidence.trusted(component=component, value=value, age_seconds=age, weight=weight / total)
        for component, value, age, weight in parts
    ]
    return Score(min(1.0, value), tuple(evidence))


_NOTHING = {
    component: Evidence(component=component, value=None, age_seconds=None, weight=0)
    for component in (Component.SENTIMENT, Component.OPTIONS_FLOW)
}


def _observed_at(reading: SentimentReading) -> datetime:
    return reading.observed_at
