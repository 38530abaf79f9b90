"""What every strategy is held to, and the one that comes with the house."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.strategy.core.strategy import (
    Bars,
    Distance,
    Signals,
    Strategy,
    StrategyError,
    check_causality,
    signals_of,
)
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from tests.unit.strategy.samples import CROSSING_DOWN, CROSSING_UP, make_bars

CROSSOVER = MovingAverageCrossover(fast=2, slow=4)
closes = st.lists(st.floats(2, 1000).map(lambda price: round(price, 2)), min_size=1, max_size=60)


class TomorrowsWinner(Strategy):
    """Looks ahead: buys before the close rises."""

    stop: Distance = Distance(fraction=0.1)
    target: Distance = Distance(fraction=0.1)

    @property
    def minimum_bars(self) -> int:
        return 2

    def generate_signals(self, bars: Bars) -> Signals:
        rises = np.append(np.diff(bars.close) > 0, False)
        return Signals(entry=rises, exit=np.zeros(len(bars), dtype=bool))


class WrongShape(TomorrowsWinner):
    """Answers with fewer elements than there are bars."""

    def generate_signals(self, bars: Bars) -> Signals:
        return Signals(entry=np.diff(bars.close) > 0, exit=np.zeros(len(bars), dtype=bool))


@given(closes)
def test_the_crossover_is_causal(prices: list[float]):
    check_causality(CROSSOVER, Bars.of(make_bars(prices)))


def test_a_planted_look_ahead_is_found():
    with pytest.raises(StrategyError, match="TomorrowsWinner looks ahead: its entry signal at bar 1"):
        check_causality(TomorrowsWinner(), Bars.of(make_bars([10, 9, 11, 12])))


def test_signals_of_the_wrong_shape_are_refused():
    with pytest.raises(
        StrategyError, match=r"entry has dtype bool and shape \(3,\); it must be bool with shape \(4,\)"
    ):
        signals_of(WrongShape(), Bars.of(make_bars([10, 9, 11, 12])))


def test_bars_become_arrays_of_one_shape():
    bars = Bars.of(make_bars([10, 11.5]))
    assert bars.close.tolist() == [10, 11.5]
    assert bars.high.tolist() == [11, 12.5]
    assert bars.end.astype(str).tolist() == ["2012-01-03T21:00:00.000000", "2012-01-04T21:00:00.000000"]
    assert {array.dtype for array in (bars.open, bars.low, bars.volume)} == {np.dtype(np.float64)}
    assert len(bars.first(1)) == 1


def test_the_crossover_enters_above_and_leaves_below():
    up = CROSSOVER.generate_signals(Bars.of(make_bars(CROSSING_UP)))
    assert (np.flatnonzero(up.entry).tolist(), np.flatnonzero(up.exit).tolist()) == ([9], [])
    down = CROSSOVER.generate_signals(Bars.of(make_bars(CROSSING_DOWN)))
    assert (np.flatnonzero(down.entry).tolist(), np.flatnonzero(down.exit).tolist()) == ([], [9])


@given(closes)
def test_the_crossover_follows_its_definition(prices: list[float]):
    signals = CROSSOVER.generate_signals(Bars.of(make_bars(prices)))
    gap = [
        np.mean(prices[i - 1 : i + 1]) - np.mean(prices[i - 3 : i + 1]) if i >= 3 else np.nan
        for i in range(len(prices))
    ]
    for i in range(1, len(prices)):
        if min(abs(gap[i]), abs(gap[i - 1])) > 1e-6:  # a tie is decided by rounding
            assert signals.entry[i] == (gap[i] > 0 > gap[i - 1])
            assert signals.exit[i] == (gap[i] < 0 < gap[i - 1])
        elif np.isnan(gap[i - 1]):
            assert not signals.entry[i]


def test_parameters_are_bounded_and_must_fit_together():
    with pytest.raises(ValidationError, match="slow = 5 must be more than fast = 5"):
        MovingAverageCrossover(fast=5, slow=5)
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        MovingAverageCrossover(fast=1, slow=5)
    with pytest.raises(ValidationError, match="exactly one of fraction and atr_multiple"):
        Distance(fraction=0.1, atr_multiple=2)


def test_distances_are_fractions_or_multiples_of_the_range():
    bars = Bars.of(make_bars([50] * 20))
    assert Distance(fraction=0.04).at_last(bars) == pytest.approx(2)
    assert Distance(atr_multiple=1.5, atr_period=5).at_last(bars) == pytest.approx(3)  # the true range is 2 throughout
    short = Distance(atr_multiple=1.5, atr_period=5)
    assert np.isnan(short.at_last(bars.first(short.minimum_bars - 1)))
    assert not np.isnan(short.at_last(bars.first(short.minimum_bars)))
