"""Windows of bars, and one evaluation."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from services.strategy.core.host import Instance, Windows, evaluate
from services.strategy.core.strategy import Distance
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Side, Timeframe
from tests.unit.strategy.samples import CROSSING_DOWN, CROSSING_UP, make_bars

EXPIRES = datetime(2012, 6, 1, tzinfo=UTC)
INSTANCE = Instance(
    "crossover",
    MovingAverageCrossover(fast=2, slow=4, stop=Distance(fraction=0.03), target=Distance(fraction=0.05)),
    Timeframe.DAY,
    ("IBM",),
    timedelta(minutes=5),
)


def wish(closes: list[float], *, may_enter: bool = True) -> OrderIntent | None:
    return evaluate(INSTANCE, make_bars(closes), may_enter=may_enter, expires_at=EXPIRES, job_run_id=None)


def test_an_entry_carries_its_stop_and_target_in_cents():
    intent = wish([*CROSSING_UP[:-1], 25.55])
    assert intent is not None
    assert (intent.purpose, intent.side, intent.symbol) == (Purpose.ENTER, Side.BUY, "IBM")
    assert (intent.stop_distance, intent.target_distance) == (Decimal("0.77"), Decimal("1.28"))
    assert (intent.bar.close, intent.expires_at) == (Decimal("25.55"), EXPIRES)


def test_an_exit_needs_no_permission_and_no_distances():
    intent = wish(CROSSING_DOWN, may_enter=False)
    assert intent is not None
    assert (intent.purpose, intent.side, intent.stop_distance) == (Purpose.EXIT, Side.SELL, None)


def test_no_intent_without_permission_signal_or_history():
    assert wish(CROSSING_UP, may_enter=False) is None
    assert wish([*CROSSING_UP, 30]) is None
    assert wish(CROSSING_UP[-4:]) is None
    assert wish([]) is None


def test_a_distance_is_at_least_a_cent():
    intent = wish([0.20, 0.19, 0.18, 0.17, 0.16, 0.15, 0.25])
    assert intent is not None
    assert intent.stop_distance == Decimal("0.01")


def test_windows_hold_the_newest_bars_in_order_however_they_come():
    bars = make_bars(range(10, 30))
    shuffled = bars * 2
    Random(1).shuffle(shuffled)
    windows = Windows(6)
    for bar in shuffled:
        windows.add(bar)
    assert windows.until("IBM", Timeframe.DAY, bars[-1].end) == bars[-6:]
    assert windows.until("IBM", Timeframe.DAY, bars[-3].end) == bars[-6:-2]
    assert windows.until("IBM", Timeframe.MINUTE, bars[-1].end) == []
    assert windows.until("AAPL", Timeframe.DAY, bars[-1].end) == []


@pytest.mark.parametrize("close", [40, 41])
def test_a_corrected_bar_replaces_the_one_before(close: int):
    windows = Windows(6)
    for value in (39, close):
        windows.add(make_bars([value])[0])
    [bar] = windows.until("IBM", Timeframe.DAY, EXPIRES)
    assert bar.close == close
