"""Strategies that look ahead are caught; those that come with the house do not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.strategy import strategies as house
from services.strategy.catalogue import find_strategies, strategy_of_file
from services.strategy.core.bars import Bars, UnfitBarsError
from services.strategy.core.causality import check_causality, compare_windows
from services.strategy.core.host import required_bars
from services.strategy.core.indicators import crosses_above
from services.strategy.core.samples import sample_bars
from services.strategy.core.strategy import Distance, Flags, Signals, Strategy, StrategyError
from shared.types import Timeframe

FILES = sorted(Path(str(house.__file__)).parent.glob("[a-z]*.py"))
DAYS = sample_bars(Timeframe.DAY, 900)
MINUTES = sample_bars(Timeframe.MINUTE, 2000)


class Sample(Strategy):
    """Buys and sells where `planted` says so; a subclass plants the look-ahead."""

    stop: Distance | None = None
    target: Distance | None = None

    @property
    def minimum_bars(self) -> int:
        return 20

    def planted(self, bars: Bars) -> Signals:
        raise NotImplementedError

    def generate_signals(self, bars: Bars) -> Signals:
        return self.planted(bars)


def never(bars: Bars) -> Flags:
    return np.zeros(len(bars), dtype=np.bool_)


class NextClose(Sample):
    def planted(self, bars: Bars) -> Signals:
        return Signals(entry=np.append(np.diff(bars.close) > 0, False), exit=never(bars))


class RareNextClose(Sample):
    """One signal in hundreds of bars: a jump of a tenth at the next bar."""

    def planted(self, bars: Bars) -> Signals:
        return Signals(entry=np.append(np.diff(np.log(bars.close)) > 0.045, False), exit=never(bars))


class CentredWindow(Sample):
    def planted(self, bars: Bars) -> Signals:
        smooth = np.convolve(bars.close, np.full(9, 1 / 9), mode="same")
        return Signals(entry=crosses_above(bars.close, smooth), exit=crosses_above(smooth, bars.close))


class GlobalScore(Sample):
    def planted(self, bars: Bars) -> Signals:
        score = (bars.close - bars.close.mean()) / (bars.close.std() + 1e-9)
        return Signals(entry=score < -1, exit=score > 1)


class GlobalStrength(Sample):
    def planted(self, bars: Bars) -> Signals:
        entry = crosses_above(bars.close, np.append(bars.close[:1], bars.close[:-1]))
        return Signals(entry=entry, exit=~entry, strength=bars.close / bars.close.max())


HIGHEST: list[float] = []


class Remembered(Sample):
    """Measures by the highest price that it was ever shown, which is kept outside of it."""

    def planted(self, bars: Bars) -> Signals:
        HIGHEST.append(bars.high.max())
        return Signals(entry=bars.close < 0.9 * max(HIGHEST), exit=never(bars))


class DistanceOfTomorrow(Distance):
    def at_each(self, bars: Bars) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.append(np.diff(bars.close), 1.0)


class StopOfTomorrow(Sample):
    stop: Distance | None = DistanceOfTomorrow(fraction=0.1)

    def planted(self, bars: Bars) -> Signals:
        return Signals(entry=never(bars), exit=never(bars))


class Dice(Sample):
    def planted(self, bars: Bars) -> Signals:
        return Signals(entry=np.random.default_rng().random(len(bars)) < 0.5, exit=never(bars))


@pytest.mark.parametrize("most_prefixes", [2000, 60], ids=["every prefix", "a choice of prefixes"])
@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (NextClose, "entry signal"),
        (RareNextClose, "entry signal"),
        (CentredWindow, "signal"),
        (GlobalScore, "signal"),
        (GlobalStrength, "strength"),
        (Remembered, "entry signal"),
        (StopOfTomorrow, "stop distance"),
    ],
)
def test_a_planted_look_ahead_is_caught(kind: type[Strategy], what: str, most_prefixes: int):
    HIGHEST.clear()
    with pytest.raises(StrategyError, match=rf"{kind.__name__} looks ahead: its .*{what} at bar \d+ \(2\d+-.* UTC\)"):
        check_causality(kind(), DAYS, most_prefixes=most_prefixes)


def test_the_text_names_the_first_bar_and_both_answers():
    bars = Bars(DAYS.end[:22], *[np.append(np.full(20, 10.0), [10, 11])] * 5)
    with pytest.raises(
        StrategyError, match=r"entry signal at bar 20 \(2014-01-31.*\) is False with 21 bars known, and"
    ):
        check_causality(NextClose(), bars)


def test_a_strategy_that_answers_at_random_is_caught():
    with pytest.raises(StrategyError, match=r"Dice (answers at random|looks ahead)"):
        check_causality(Dice(), DAYS.first(60))


def test_a_proof_tells_what_was_tried():
    crossover = strategy_of_file(next(file for file in FILES if file.stem == "moving_average_crossover"))
    all_of_them = check_causality(crossover.model_validate({}), DAYS, most_prefixes=2000)
    chosen = check_causality(crossover.model_validate({}), DAYS, most_prefixes=100)
    assert (all_of_them.bars, all_of_them.prefixes) == (900, 900 - 20)
    assert 90 <= chosen.prefixes <= 100
    assert chosen.entries == all_of_them.entries > 10


# What is varied besides the defaults, so that each of the branches is seen.
VARIANTS = {
    "moving_average_crossover": [{"average": "exponential", "stop": {"atr_multiple": 2}}],
    "trend_pullback": [{"trend_timeframe": "30 mins", "trend_period": 5}],
}


@pytest.mark.parametrize(
    ("file", "parameters"),
    [pytest.param(file, chosen, id=f"{file.stem} {chosen or ''}".strip())
     for file in FILES for chosen in ({}, *VARIANTS.get(file.stem, []))],
)  # fmt: skip
def test_what_comes_with_the_house_is_causal_and_the_same_live(file: Path, parameters: dict[str, object]):
    strategy = strategy_of_file(file).model_validate(parameters)
    entries, exits, windows = 0, 0, 0
    for bars in (DAYS, MINUTES):
        if len(bars) <= required_bars(strategy):
            continue
        try:
            proof = check_causality(strategy, bars, most_prefixes=400)
            live = compare_windows(strategy, bars, max(250, required_bars(strategy)), most_windows=400)
        except UnfitBarsError:
            assert bars is DAYS
            continue
        assert (live.signals, live.details) == ((), 0)
        entries, exits, windows = entries + proof.entries, exits + proof.exits, windows + live.windows
    assert entries >= 5, "else nothing is proven"
    assert exits >= 5
    assert windows >= 100


def test_every_file_of_the_house_has_its_entry_point_and_is_short():
    assert {file.stem for file in FILES} <= find_strategies(None).strategies.keys()
    assert max(len(file.read_text().splitlines()) for file in FILES) <= 80


class LongMemory(Sample):
    """Declares 20 bars and remembers hundreds."""

    def planted(self, bars: Bars) -> Signals:
        average = np.cumsum(bars.close) / np.arange(1, len(bars) + 1)
        strength = np.clip(bars.close / average / 2, 0, 1)
        return Signals(crosses_above(bars.close, average), crosses_above(average, bars.close), strength)


class ForgetfulStrength(LongMemory):
    def planted(self, bars: Bars) -> Signals:
        every_tenth = bars.close * 100 % 10 < 1
        return Signals(every_tenth, ~every_tenth, super().planted(bars).strength)


@pytest.mark.parametrize(
    ("kind", "check"),
    [(LongMemory, lambda live: len(live.signals) > 5), (ForgetfulStrength, lambda live: live.details > 5)],
)
def test_a_memory_longer_than_the_window_is_told(kind: type[Strategy], check: Callable[[object], bool]):
    assert check(compare_windows(kind(), DAYS, 50, most_windows=2000))
    assert check_causality(kind(), DAYS).prefixes == 881
