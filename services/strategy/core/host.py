"""Bars and instances of strategies -> intents."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.strategy.core.bars import Bars
from services.strategy.core.confluence import Blocked, Confluence, Readings, Score, score
from services.strategy.core.strategy import Distance, Strategy, StrategyError, signals_of
from shared.calendar import NEW_YORK, session_hours, sessions
from shared.messages.base import Envelope, follow, originate
from shared.messages.market import Bar
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Side, Timeframe

SOURCE = "strategy"
CENT = Decimal("0.01")
_EXIT, _ENTER, _SELL, _BUY = Purpose.EXIT, Purpose.ENTER, Side.SELL, Side.BUY  # a member costs a call each time
_LOOK_BACK_DAYS = 10  # no exchange holiday is longer
_CERTAIN = Score(1.0, ())  # an exit is a decision, nothing is weighed


@dataclass(frozen=True, slots=True)
class Instance:
    """A strategy with its parameters, at work on some symbols. Its intents live for `lifetime`.

    It enters on a score of `minimum_score` or more, 0 to 1.
    """

    name: str
    strategy: Strategy
    timeframe: Timeframe
    symbols: tuple[str, ...]
    lifetime: timedelta
    minimum_score: float = 0.0


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
    instance: Instance,
    window: Sequence[Bar],
    *,
    may_enter: bool,
    confluence: Confluence,
    readings: Readings,
    at: datetime,
    job_run_id: UUID | None,
) -> OrderIntent | Blocked | None:
    """`decide` on the bars of a window, oldest first, as far as they are enough."""
    if len(window) < required_bars(instance.strategy):
        return None
    return decide(
        instance,
        window[-1],
        Bars.of(window),
        may_enter=may_enter,
        confluence=confluence,
        readings=readings,
        at=at,
        job_run_id=job_run_id,
    )


def decide(
    instance: Instance,
    bar: Bar,
    bars: Bars,
    *,
    may_enter: bool,
    confluence: Confluence,
    readings: Readings,
    at: datetime,
    job_run_id: UUID | None,
) -> OrderIntent | Blocked | None:
    """What the instance wants after `bar`, the newest of `bars`: to leave, to enter (if it may), or nothing.

    Raises:
        StrategyError: the strategy's signals, or its stop and target, are none.
        Exception: whatever the strategy raised.
    """
    strategy = instance.strategy
    if len(bars) < required_bars(strategy):
        return None
    signals = signals_of(strategy, bars)
    leaving = bool(signals.exit[-1])
    if not leaving and not (may_enter and signals.entry[-1]):
        return None
    return make_intent(
        instance,
        bar,
        leaving=leaving,
        strength=1.0 if signals.strength is None else float(signals.strength[-1]),
        stop_distance=None if leaving else price_distance("stop", strategy.stop, bars),
        target_distance=None if leaving else price_distance("target", strategy.target, bars),
        confluence=confluence,
        readings=readings,
        at=at,
        job_run_id=job_run_id,
    )


def make_intent(
    instance: Instance,
    bar: Bar,
    *,
    leaving: bool,
    strength: float,
    stop_distance: Decimal | None,
    target_distance: Decimal | None,
    confluence: Confluence,
    readings: Readings,
    at: datetime,
    job_run_id: UUID | None,
) -> OrderIntent | Blocked:
    """The intent that a signal at the close of `bar` leads to when it is acted on at `at`; an exit is never blocked.

    `strength` (0 to 1) and the distances (USD per share) are the entry's, as of that bar.
    """
    found = _CERTAIN if leaving else score(
        confluence, readings, bar.symbol, strength=strength, bar_end=bar.end, at=at
    )  # fmt: skip
    if isinstance(found, Blocked):
        return found
    if not leaving and found.value < instance.minimum_score:
        return Blocked("score_below_minimum", f"{found.value:.3f} is less than {instance.minimum_score:g}")
    return OrderIntent.trusted(
        strategy=instance.name,
        symbol=bar.symbol,
        purpose=_EXIT if leaving else _ENTER,
        side=_SELL if leaving else _BUY,
        score=found.value,
        reason=f"{'exit' if leaving else 'entry'} signal of {instance.name} at close {bar.close}",
        stop_distance=None if leaving else stop_distance,
        target_distance=None if leaving else target_distance,
        quantity=None if leaving else _quantity(instance.strategy, bar.close),
        evidence=found.evidence,
        bar=bar,
        expires_at=at + instance.lifetime,
        job_run_id=job_run_id,
    )


def _quantity(strategy: Strategy, price: Decimal) -> Decimal | None:
    wanted = strategy.calculate_position_size(price)
    if wanted is not None and not (wanted.is_finite() and wanted > 0):
        raise StrategyError(f"the position size is {wanted}; it must be above 0, or None")
    return wanted


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


def bar_envelope(bar: Bar) -> Envelope[Bar]:
    """The envelope in which marketdata published this bar; its id is made of the bar's key alone."""
    return originate(bar, source="marketdata", time=bar.end, subject=bar.symbol, key=bar.key)


def intent_envelope(intent: OrderIntent, time: datetime) -> Envelope[OrderIntent]:
    """An intent follows from its bar, so that a repeated evaluation says the same with the same id."""
    key = f"{intent.strategy}:{intent.purpose}"
    return follow(bar_envelope(intent.bar), intent, source=SOURCE, time=time, subject=intent.symbol, key=key)


def previous_close(time: datetime) -> datetime:
    """The close of the last session before the date (New York) of `time`, UTC."""
    today = time.astimezone(NEW_YORK).date()
    before = sessions(today - timedelta(days=_LOOK_BACK_DAYS), today - timedelta(days=1))
    hours = session_hours(before[-1])
    assert hours is not None  # noqa: S101 - it is a session
    return hours[1]


def _end(bar: Bar) -> datetime:
    return bar.end
