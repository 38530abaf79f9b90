"""What the strategies want, worked out before anything trades, and the same for both gears.

A lane is one instance on one symbol. Each of its signals is listed with the bar at whose open it is carried out: the
bar after the one at whose close it was known.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from services.backtest.core.model import PRICE_UNIT
from services.backtest.core.tape import UNITS, Integers, Series, Tape, to_datetime, to_units
from services.strategy.core.bars import Bars, Flags, Floats
from services.strategy.core.confluence import Blocked, Confluence, Missing, Readings, score
from services.strategy.core.host import CENT, Instance, required_bars
from services.strategy.core.strategy import Distance, Signals, Strategy, StrategyError, signals_of
from shared.config import ConfigError

NONE = 0
"""In place of a distance or a quantity that was not asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """The signals of one instance on one symbol, oldest first: arrays of one shape (m,).

    `series` is the index into the tape's; `bar` counts that series' bars. Where `leaving`, the rest means nothing.
    `stop` and `target` are distances in PRICE_UNIT, `quantity` the strategy's own wish in shares; NONE: none.
    """

    instance: Instance
    series: int
    bar: Integers
    leaving: Flags
    strength: Floats
    stop: Integers
    target: Integers
    quantity: Integers


@dataclass(frozen=True, slots=True)
class Lanes:
    """Instances in their order, for each its symbols in theirs. `blocked` counts by code the entries that the score
    forbade, which are in no lane; `failures` says who dropped out, and why."""

    lanes: tuple[Lane, ...]
    blocked: Mapping[str, int]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a score is made of besides the strategies' own strength."""

    confluence: Confluence = field(default_factory=lambda: Confluence.model_validate({}))
    readings: Readings = field(default_factory=Readings)


def make_lanes(tape: Tape, instances: Sequence[Instance], evidence: Evidence) -> Lanes:
    """Evaluate every instance once on the whole history of each of its symbols; one that raises does not trade.

    Raises:
        ConfigError: an instance wants a symbol that the tape does not have, or one twice.
    """
    places = {series.history.symbol: place for place, series in enumerate(tape.series)}
    lanes: list[Lane] = []
    failures: list[str] = []
    blocked = Counter[str]()
    taken = set[tuple[str, str]]()
    for instance in instances:
        for symbol in instance.symbols:
            if symbol not in places:
                raise ConfigError(f"instance {instance.name!r}: there are no bars of {symbol}; take it out of symbols")
            if (instance.name, symbol) in taken:
                raise ConfigError(f"instance {instance.name!r} trades {symbol} twice; give instances different names")
            taken.add((instance.name, symbol))
            try:
                lanes.append(_lane(tape, places[symbol], instance, evidence, blocked))
            except Exception as error:  # noqa: BLE001 - an author's code may fail in any way, and the others trade on
                failures.append(f"{instance.name} failed on {symbol}: {type(error).__name__}: {error}")
    return Lanes(tuple(lanes), blocked, tuple(failures))


def _lane(tape: Tape, place: int, instance: Instance, evidence: Evidence, blocked: Counter[str]) -> Lane:
    series, strategy = tape.series[place], instance.strategy
    bars = series.history.bars.first(series.first + len(series.step))
    signals = signals_of(strategy, bars)
    known = np.flatnonzero(signals.entry | signals.exit)
    earliest = max(series.first, required_bars(strategy), 1) - 1
    known = known[(known >= earliest) & (known < len(bars) - 1)]
    if _can_block(instance, evidence.confluence):
        known = _unblocked(tape, series, instance, signals, known, evidence, blocked)
    leaving = signals.exit[known]
    entries = known[~leaving]
    strength = np.ones(len(known)) if signals.strength is None else signals.strength[known]
    return Lane(
        instance,
        place,
        known + 1 - series.first,
        leaving,
        strength,
        _spread(leaving, _distances("stop", strategy.stop, bars, entries)),
        _spread(leaving, _distances("target", strategy.target, bars, entries)),
        _spread(leaving, _quantities(strategy, bars, entries)),
    )


def _can_block(instance: Instance, confluence: Confluence) -> bool:
    outside = (confluence.sentiment, confluence.options_flow)
    needed = any(source.missing is Missing.BLOCK for source in outside)
    return instance.minimum_score > 0 or needed or confluence.technical_weight == 0


def _unblocked(
    tape: Tape,
    series: Series,
    instance: Instance,
    signals: Signals,
    known: Integers,
    evidence: Evidence,
    blocked: Counter[str],
) -> Integers:
    """The signals that lead to intents: exits all, entries with enough score at the open where they are carried out."""
    kept: list[int] = []
    for bar in map(int, known):
        if not signals.exit[bar]:
            found = score(
                evidence.confluence,
                evidence.readings,
                series.history.symbol,
                strength=1.0 if signals.strength is None else float(signals.strength[bar]),
                bar_end=to_datetime(series.history.bars.end[bar]),
                at=to_datetime(tape.start[int(series.step[bar + 1 - series.first])]),
            )
            code = found.code if isinstance(found, Blocked) else "score_below_minimum"
            if isinstance(found, Blocked) or found.value < instance.minimum_score:
                blocked[code] += 1
                continue
        kept.append(bar)
    return np.array(kept, dtype=np.int64)


def _spread(leaving: Flags, of_entries: Integers) -> Integers:
    """What belongs to the entries, put at their places among all signals."""
    values = np.full(len(leaving), NONE, dtype=np.int64)
    values[~leaving] = of_entries
    return values


def _distances(name: str, declared: Distance | None, bars: Bars, entries: Integers) -> Integers:
    """Distances as of these bars in PRICE_UNIT: whole cents, rounded as `price_distance` does, at least one."""
    if declared is None:
        return np.full(len(entries), NONE, dtype=np.int64)
    distances = declared.at_each(bars)[entries]
    bad = np.flatnonzero(~(np.isfinite(distances) & (distances > 0)))
    if bad.size:
        raise StrategyError(
            f"the {name} distance at the bar that ends {bars.end[entries[bad[0]]]} is {distances[bad[0]]};"
            " it must be a positive number of USD per share"
        )
    cents = distances * 100
    whole = np.rint(cents).astype(np.int64)
    # a product of floats can't tell on which side of a half a decimal lies
    for place in np.flatnonzero(np.abs(np.abs(cents - whole) - 0.5) < 1e-6):
        whole[place] = int(Decimal(repr(float(distances[place]))).quantize(CENT) / CENT)
    return np.maximum(whole, 1) * (UNITS // 100)


def _quantities(strategy: Strategy, bars: Bars, entries: Integers) -> Integers:
    """The strategy's own wish at each of these bars, asked once for each different close."""
    quantities = np.full(len(entries), NONE, dtype=np.int64)
    if type(strategy).calculate_position_size is Strategy.calculate_position_size:
        return quantities
    distinct, which = np.unique(to_units(bars.close[entries]), return_inverse=True)
    wishes = [strategy.calculate_position_size(close * PRICE_UNIT) for close in distinct.tolist()]
    shares = {wish: NONE if wish is None else int(wish) for wish in set(wishes)}
    for wish, whole in shares.items():
        if wish is not None and (wish != whole or whole < 1):
            close = distinct[wishes.index(wish)] * PRICE_UNIT
            raise StrategyError(f"calculate_position_size({close}) = {wish}; it must be whole shares, 1 or more")
    return np.array([shares[wish] for wish in wishes], dtype=np.int64)[which]
