"""What every strategy is held to, and the one that comes with the house."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.strategy.core.bars import Bars, Floats
from services.strategy.core.causality import check_causality
from services.strategy.core.indicators import crosses_above
from services.strategy.core.strategy import Distance, Signals, Strategy, StrategyError, signals_of
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from tests.unit.strategy.samples import CROSSING_DOWN, CROSSING_UP, make_bars

CROSSOVER = MovingAverageCrossover(fast=2, slow=4)
closes = st.lists(st.floats(2, 1000).map(lambda price: round(price, 2)), min_size=1, max_size=60)


class Rising(Strategy):
    """Buys what has risen; a test gives it a strength."""

    stop: Distance | None = None
    target: Distance | None = None
    strength: list[float] | None = None
    entries: int = 4

    @property
    def minimum_bars(self) -> int:
        return 1

    def generate_signals(self, bars: Bars) -> Signals:
        rises = np.append(False, np.diff(bars.close) > 0)
        strength: Floats | None = None if self.strength is None else np.array(self.strength)
        return Signals(entry=rises[: self.entries], exit=np.zeros(len(bars), dtype=bool), strength=strength)


@given(closes)
def test_the_crossover_is_causal(prices: list[float]):
    check_causality(CROSSOVER, Bars.of(make_bars(prices)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"entries": 3}, r"entry has dtype bool and shape \(3,\); it must be bool with shape \(4,\)"),
        ({"strength": [0.5]}, r"strength has dtype float64 and shape \(1,\); it must be float64 with shape \(4,\)"),
        ({"strength": [0, 0, 1.5, 0]}, "the strength of the entry at bar 2 is 1.5; it must be 0 to 1"),
        ({"strength": [0, 0, float("nan"), 0]}, "the strength of the entry at bar 2 is nan; it must be 0 to 1"),
    ],
)
def test_signals_that_are_none_are_refused(changes: dict[str, object], complaint: str):
    with pytest.raises(StrategyError, match=complaint):
        signals_of(Rising.model_validate(changes), Bars.of(make_bars([10, 9, 11, 12])))


class Quitter(Rising):
    def generate_signals(self, bars: Bars) -> Signals:
        raise SystemExit(len(bars))


def test_a_strategy_that_wants_to_end_the_process_fails_alone():
    with pytest.raises(StrategyError, match=r"it called exit\(2\); raise an exception instead"):
        signals_of(Quitter(), Bars.of(make_bars([10, 9])))


def test_a_strength_counts_at_entries_only():
    strategy = Rising(strength=[float("nan"), 7, 1, 0])
    signals = signals_of(strategy, Bars.of(make_bars([10, 9, 11, 12])))
    assert signals.entry.tolist() == [False, False, True, True]


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
    ranges = Distance(atr_multiple=1.5, atr_period=5)
    assert ranges.at_last(bars) == pytest.approx(3)  # the true range is 2 throughout
    assert np.isnan(ranges.at_each(bars)).tolist() == [True] * 5 + [False] * 15
    assert ranges.at_each(bars)[-1] == ranges.at_last(bars)


def test_a_distance_asks_for_bars_until_its_range_has_forgotten_where_it_began():
    distance = Distance(atr_multiple=1, atr_period=5)
    assert (distance.minimum_bars, Distance(fraction=0.1).minimum_bars) == (53, 1)
    wild = [10, 90] * 5 + [50, 51] * 40
    calm = Bars.of(make_bars(wild)).part(10, 10 + distance.minimum_bars)
    assert distance.at_last(calm) == pytest.approx(distance.at_last(Bars.of(make_bars(wild[: 10 + 53]))), rel=1e-3)


def test_the_exponential_crossover_follows_the_newest_closes():
    exponential = MovingAverageCrossover(fast=2, slow=4, average="exponential")
    up = exponential.generate_signals(Bars.of(make_bars(CROSSING_UP)))
    assert np.flatnonzero(up.entry).tolist() == [9]
    assert exponential.minimum_bars > CROSSOVER.minimum_bars


def test_what_differs_by_rounding_does_not_cross():
    one = np.array([1.0, 1.0 + 1e-12, 1.0, 1.1, np.nan, 1.1])
    assert crosses_above(one, np.ones(6)).tolist() == [False, False, False, True, False, False]
