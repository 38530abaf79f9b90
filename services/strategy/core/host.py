"""Bars and instances of strategies -> intents."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.strategy.core.strategy import Bars, Distance, Strategy, StrategyError, signals_of
from shared.messages.market import Bar
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Side, Timeframe

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Instance:
    """A strategy with its parameters, at work on some symbols. Its intents live for `lifetime`."""

    name: str
    strategy: Strategy
    timeframe: Timeframe
    symbols: tuple[str, ...]
    lifetime: timedelta


class Windows:
    """The newest `size` closed bars of each symbol and timeframe, oldest first, in whatever order they come."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bars: dict[tuple[str, Timeframe], list[Bar]] = {}

    def add(self, bar: Bar) -> None:
        """Take a bar; one with the same end is replaced."""
        bars = self._bars.setdefault((bar.symbol, bar.timeframe), [])
        place = bisect_left(bars, bar.end, key=_end)
        if place < len(bars) and bars[place].end == bar.end:
            bars[place] = bar
        else:
            bars.insert(place, bar)
        del bars[: -self._size]

    def until(self, symbol: str, timeframe: Timeframe, end: datetime) -> Sequence[Bar]:
        """The bars that end no later than `end`, so that an evaluation repeated later sees what the first one saw."""
        bars = self._bars.get((symbol, timeframe), [])
        return bars[: bisect_right(bars, end, key=_end)]


def evaluate(
    instance: Instance, window: Sequence[Bar], *, may_enter: bool, expires_at: datetime, job_run_id: UUID | None
) -> OrderIntent | None:
    """What the instance wants after the newest bar of a window: to leave, to enter (if it may), or nothing.

    Raises:
        StrategyError: the strategy's signals, or its stop and target, are none.
        Exception: whatever the strategy raised.
    """
    strategy = instance.strategy
    if len(window) < required_bars(strategy):
        return None
    bars = Bars.of(window)
    signals = signals_of(strategy, bars)
    entering = may_enter and bool(signals.entry[-1])
    if not entering and not signals.exit[-1]:
        return None
    leaving = bool(signals.exit[-1])
    bar = window[-1]
    return OrderIntent(
        strategy=instance.name,
        symbol=bar.symbol,
        purpose=Purpose.EXIT if leaving else Purpose.ENTER,
        side=Side.SELL if leaving else Side.BUY,
        score=1.0,  # one strategy's vote is yes or no
        reason=f"{'exit' if leaving else 'entry'} signal of {instance.name} at close {bar.close}",
        stop_distance=None if leaving else price_distance("stop", strategy.stop, bars),
        target_distance=None if leaving else price_distance("target", strategy.target, bars),
        quantity=None if leaving else strategy.calculate_position_size(bar.close),
        bar=bar,
        expires_at=expires_at,
        job_run_id=job_run_id,
    )


def required_bars(strategy: Strategy) -> int:
    """Bars that signals, stop and target need together."""
    distances = [distance.minimum_bars for distance in (strategy.stop, strategy.target) if distance is not None]
    return max(strategy.minimum_bars, *distances, 0)


def price_distance(name: str, declared: Distance | None, bars: Bars) -> Decimal | None:
    """USD per share as of the newest bar, as an exact number of cents, at least one; None where none is declared."""
    if declared is None:
        return None
    distance = declared.at_last(bars)
    if not math.isfinite(distance) or distance <= 0:
        raise StrategyError(f"the {name} distance is {distance}; it must be a positive number of USD per share")
    return max(Decimal(repr(distance)).quantize(CENT), CENT)


def _end(bar: Bar) -> datetime:
    return bar.end
