"""What a strategy's fields, --range and --fix make of a search space."""

from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import Field, model_validator

from services.backtest.optimise.config import Constraint
from services.backtest.optimise.space import Axis, make_space
from services.strategy.core.strategy import Bars, Distance, Signals, Strategy
from services.strategy.strategies.high_base import HighBase
from shared.config import ConfigError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Sample(Strategy):
    fast: int = Field(5, ge=2, le=50)
    slow: int = Field(20, gt=2, lt=60)
    share: float = Field(0.5, gt=0, le=1)
    open_ended: float = Field(1, ge=0)
    kind: Literal["simple", "exponential"] = "simple"
    colour: Colour = Colour.RED
    filtered: bool = False
    stop: Distance | None = Distance(fraction=0.03)
    target: Distance | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Sample":
        if self.slow <= self.fast:
            raise ValueError("slow must be more than fast")
        return self

    @property
    def minimum_bars(self) -> int:
        return 1

    def generate_signals(self, bars: Bars) -> Signals:
        raise NotImplementedError


def _axes(ranges: dict[str, str], fixed: dict[str, Any] | None = None) -> dict[str, Axis]:
    return {axis.name: axis for axis in make_space(Sample, ranges, fixed or {}).axes}


def test_without_ranges_every_bounded_parameter_at_the_top_is_searched() -> None:
    axes = _axes({}, {"filtered": True})
    assert list(axes) == ["fast", "slow", "share", "kind", "colour"]
    assert (axes["fast"].low, axes["fast"].high) == (2, 50)
    assert (axes["slow"].low, axes["slow"].high) == (3, 59), "open bounds of whole numbers"
    assert 0 < axes["share"].low < 1e-300
    assert axes["kind"].choices == ("simple", "exponential")
    assert axes["colour"].choices == ("red", "blue")


def test_ranges_restrict() -> None:
    axes = _axes({"fast": "2:10:4", "share": "0.1:0.4:0.1", "colour": "BLUE", "filtered": "true,false"})
    assert axes["fast"].values() == (2, 6, 10)
    assert axes["share"].values() == (0.1, 0.2, 0.3, 0.4)
    assert axes["colour"].values() == ("blue",)
    assert axes["filtered"].values() == (True, False)


def test_the_grid_is_every_set_that_the_strategy_allows() -> None:
    sets = make_space(Sample, {"fast": "2:50", "slow": "3:59"}, {}).combinations()
    assert len(sets) == sum(slow > fast for fast in range(2, 51) for slow in range(3, 60))
    assert len({tuple(chosen.items()) for chosen in sets}) == len(sets)


def test_parts_of_nested_models_have_dotted_names_and_replace_the_default() -> None:
    space = make_space(Sample, {"stop.atr_multiple": "1:3:1", "target.fraction": "0.1:0.2:0.1"}, {"fast": 3})
    assert len(space.combinations()) == 6
    made = Sample.model_validate(space.parameters({"stop.atr_multiple": 2.0, "target.fraction": 0.1}))
    assert (made.fast, made.stop, made.target) == (3, Distance(atr_multiple=2), Distance(fraction=0.1))


def test_fixed_and_searched_parts_of_one_model_meet() -> None:
    space = make_space(Sample, {"stop.atr_multiple": "1:3:1"}, {"stop": {"atr_period": 5}})
    assert space.parameters({"stop.atr_multiple": 2.0})["stop"] == {"atr_period": 5, "atr_multiple": 2.0}
    assert space.fixed == {"stop": {"atr_period": 5}}, "untouched"


@pytest.mark.parametrize(
    ("ranges", "fixed", "text"),
    [
        ({"fats": "2:5"}, {}, r"Sample has no parameter 'fats'; it has .*fast, slow"),
        ({}, {"fats": 5}, r"Sample has no parameter 'fats'"),
        ({"fast": "1:5"}, {}, r"range fast = '1:5' is beyond what the strategy allows: 2 to 50"),
        ({"share": "0:0.5"}, {}, r"allows: 0 \(excluded\) to 1"),
        ({"fast": "5"}, {}, r"range fast = '5' is none; write LOW:HIGH or LOW:HIGH:STEP in whole numbers"),
        ({"fast": "2:5:0.5"}, {}, r"in whole numbers"),
        ({"fast": "9:5"}, {}, r"range fast = '9:5' is none"),
        ({"fast": "2:9:0"}, {}, r"range fast = '2:9:0' is none"),
        ({"open_ended": "1:inf"}, {}, r"range open_ended = '1:inf' is none; write LOW:HIGH"),
        ({"kind": "weighted"}, {}, r"range kind: 'weighted' is no choice; use simple or exponential"),
        ({"stop": "1:2"}, {}, r"range stop: it is no number and no choice; search one of stop.fraction"),
        ({"fast": "2:5"}, {"fast": 3}, r"fast is both searched and fixed"),
        ({"stop.fraction": "0.1:0.2"}, {"stop": {"fraction": 0.1}}, r"stop.fraction is both"),
    ],
)
def test_what_is_no_space_is_refused_with_the_remedy(ranges: dict[str, str], fixed: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_space(Sample, ranges, fixed)


def test_what_the_fast_gear_cannot_trade_is_not_searched() -> None:
    with pytest.raises(ConfigError, match="HighBase trades option spreads"):
        make_space(HighBase, {"rise": "0.05:0.1"}, {})


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (
            {"share": "0.1:0.9"},
            r"share = 0.1 to 0.9 has no step, and a grid needs one; give --range share=0.1:0.9",
        ),
        ({"fast": "30:40", "slow": "5:20"}, r"allows none of the 176 sets: slow must be more than fast"),
        ({"share": "0.1:0.9:0.0001", "fast": "2:50", "slow": "3:59"}, r"the grid has 22,346,793 sets, more than"),
        ({"share": "0.1:0.9:0.0000001"}, r"share has 8,000,001 values, more than 1,000,000; widen its step"),
    ],
)
def test_what_is_no_grid_is_refused(ranges: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_space(Sample, ranges, {}).combinations()


def test_constraints_are_read_and_weighed() -> None:
    trades, fall = Constraint.parse("trades>=30"), Constraint.parse(" max_drawdown <= 0.2 ")
    assert (str(trades), str(fall)) == ("trades >= 30", "max_drawdown <= 0.2")
    assert [trades.excess(value) for value in (20, 30, 50, None)] == [10, 0, -20, 1]
    assert fall.excess(0.3) == pytest.approx(0.1)
    for text, words in (
        ("trades > 30", "write it like"),
        ("luck >= 1", "is no statistic of a sweep"),
        ("average_days <= 5", "use one of"),
    ):
        with pytest.raises(ConfigError, match=words):
            Constraint.parse(text)
