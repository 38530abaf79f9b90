"""Proof on given bars that a strategy does not look ahead, and that live it sees what the backtest saw."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.strategy.core.bars import Bars
from services.strategy.core.host import required_bars
from services.strategy.core.strategy import Floats, Signals, Strategy, StrategyError, signals_of

MOST = 1000
"""Prefixes or windows that are tried; on fewer bars it is every one."""
_ROUNDING = 1e-9
_SAME_STRENGTH = 0.001
_AFTER = 3  # a look-ahead shows in the last bars of a prefix: those that end so many bars after a signal are tried


@dataclass(frozen=True, slots=True)
class Causal:
    """What was tried: the number of bars, of prefixes, and of the signals on all bars."""

    bars: int
    prefixes: int
    entries: int
    exits: int


@dataclass(frozen=True, slots=True)
class Windowed:
    """How far the newest bar of a trailing window says what all history says.

    `signals` are the indices of bars whose entry or exit differs; `details` counts entries whose strength differs by
    more than 0.001, or whose stop or target does by a cent.
    """

    windows: int
    signals: tuple[int, ...]
    details: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """All that a strategy tells about bars; arrays of one shape (n,)."""

    signals: Signals
    strength: Floats
    stop: Floats
    target: Floats

    @staticmethod
    def of(strategy: Strategy, bars: Bars) -> "_Answer":
        signals = signals_of(strategy, bars)
        none = np.zeros(len(bars))
        return _Answer(
            signals,
            none if signals.strength is None else signals.strength,
            none if strategy.stop is None else strategy.stop.at_each(bars),
            none if strategy.target is None else strategy.target.at_each(bars),
        )

    def differences(self, prefix: "_Answer", first: int) -> Iterator[tuple[int, str, object, object]]:
        """Where a prefix's answer is another from bar `first` on: bar, what it is, the prefix's value, this one's."""
        mine, its = self.signals, prefix.signals
        count = len(its.entry)
        for name, all_flags, flags in (("entry signal", mine.entry, its.entry), ("exit signal", mine.exit, its.exit)):
            for bar in np.flatnonzero(flags[first:] != all_flags[first:count])[:1] + first:
                yield int(bar), name, bool(flags[bar]), bool(all_flags[bar])
        for name, all_values, values in (
            ("strength", self.strength, prefix.strength),
            ("stop distance", self.stop, prefix.stop),
            ("target distance", self.target, prefix.target),
        ):
            same = np.isclose(values[first:], all_values[first:count], rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True)
            for bar in np.flatnonzero(~same)[:1] + first:
                yield int(bar), name, float(values[bar]), float(all_values[bar])


def check_causality(strategy: Strategy, bars: Bars, *, most_prefixes: int = MOST, seed: int = 1) -> Causal:
    """Prove on these bars that nothing depends on a later bar: the answer on every prefix is a prefix of that on all.

    Compared are entries, exits, strength, stop and target distances, of all bars at which the strategy may trade. On
    more than `most_prefixes` bars these are tried: prefixes that are drawn from `seed`, and others that end at a signal
    or shortly after one; and all bars once more, which shows a strategy that answers at random.

    The drawn ones come first, the shortest before the longer ones: so nothing that a strategy remembers from one call
    to the next is of later bars. What it reads elsewhere, from a file of prices for instance, this can't see.

    Raises:
        StrategyError: it looks ahead; the text names the bar where it does.
    """
    required = required_bars(strategy)
    counts = np.arange(max(required, 1), len(bars) + 1)
    random = np.random.default_rng(seed)
    drawn = counts if len(counts) <= most_prefixes else random.choice(counts, most_prefixes // 2 - 1, replace=False)
    drawn = np.union1d(drawn, len(bars))
    shorter: _Answer | None = None
    for count in drawn:
        answer = _Answer.of(strategy, bars.first(count))
        if shorter is not None:
            _require_same(strategy, bars, shorter, answer, required - 1)
        shorter = answer
    assert shorter is not None  # noqa: S101 - all bars were among them
    whole, signals = shorter, shorter.signals
    others = _near(signals, np.setdiff1d(counts, drawn), most_prefixes // 2, random)
    for count in (*others, len(bars)):
        _require_same(strategy, bars, _Answer.of(strategy, bars.first(count)), whole, required - 1)
    used = slice(required - 1, None)
    entries, exits = (int(flags[used].sum()) for flags in (signals.entry, signals.exit))
    return Causal(len(bars), len(drawn) + len(others), entries, exits)


def _require_same(strategy: Strategy, bars: Bars, shorter: _Answer, longer: _Answer, first: int) -> None:
    """Raise StrategyError unless both say the same of the bars that both know, from bar `first` on."""
    known, later = len(shorter.strength), len(longer.strength)
    for bar, name, then, now in longer.differences(shorter, first):
        where = f"its {name} at bar {bar} ({bars.end[bar]} UTC) is {then}"
        if known == later:
            raise StrategyError(f"{type(strategy).__name__} answers at random: {where}, and {now} when asked again")
        raise StrategyError(
            f"{type(strategy).__name__} looks ahead: {where} with {known} bars known, and {now} with {later}"
        )


def compare_windows(
    strategy: Strategy, bars: Bars, window_bars: int, *, most_windows: int = MOST, seed: int = 1
) -> Windowed:
    """Compare each bar's answer on the trailing `window_bars` bars, as live, with that on all history, as backtested.

    An average with a long memory begins anew in each window; the difference tells whether `minimum_bars` is enough.
    """
    whole = _Answer.of(strategy, bars)
    counts = _chosen(whole.signals, window_bars + 1, len(bars), most_windows, seed)
    different: list[int] = []
    details = 0
    for count in counts:
        last = count - 1
        window = _Answer.of(strategy, bars.part(count - window_bars, count))
        wanted = (whole.signals.entry[last], whole.signals.exit[last])
        if (window.signals.entry[-1], window.signals.exit[-1]) != wanted:
            different.append(int(last))
        elif wanted[0]:
            cents = np.round([whole.stop[last] - window.stop[-1], whole.target[last] - window.target[-1]], 2)
            details += bool(abs(whole.strength[last] - window.strength[-1]) > _SAME_STRENGTH or cents.any())
    return Windowed(len(counts), tuple(different), details)


def _chosen(signals: Signals, least: int, bars: int, most: int, seed: int) -> NDArray[np.intp]:
    """Numbers of bars known, from `least` to `bars`, rising: all, or up to `most` with half of them near signals."""
    counts = np.arange(max(least, 1), bars + 1)
    if len(counts) <= most:
        return counts
    random = np.random.default_rng(seed)
    near = _near(signals, counts, most // 2, random)
    others = random.choice(np.setdiff1d(counts, near), most - len(near) - 1, replace=False)
    return np.unique(np.concatenate([near, others, [bars]]))


def _near(signals: Signals, counts: NDArray[np.intp], most: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Those of the numbers of bars known that end at a signal or shortly after one, rising; `most` of them."""
    found = np.flatnonzero(signals.entry | signals.exit)[:, None] + np.arange(1, _AFTER + 1)
    near = np.intersect1d(found, counts)
    return near if len(near) <= most else np.sort(random.choice(near, most, replace=False))
