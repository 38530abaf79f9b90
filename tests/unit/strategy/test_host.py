"""Windows of bars, and one evaluation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from services.strategy.core.confluence import Blocked, Confluence, Readings
from services.strategy.core.host import Instance, Windows, evaluate, intent_envelope, make_intent
from services.strategy.core.strategy import Distance, StrategyError
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Side, Timeframe
from tests.unit.strategy.samples import CROSSING_DOWN, CROSSING_UP, make_bars

NOW = datetime(2012, 6, 1, tzinfo=UTC)
INSTANCE = Instance(
    "crossover",
    MovingAverageCrossover(fast=2, slow=4, stop=Distance(fraction=0.03), target=Distance(fraction=0.05)),
    Timeframe.DAY,
    ("IBM",),
    timedelta(minutes=5),
)


def wish(closes: list[float], *, may_enter: bool = True, **changes: Any) -> OrderIntent | Blocked | None:
    return evaluate(
        replace(INSTANCE, **changes),
        make_bars(closes),
        may_enter=may_enter,
        confluence=Confluence(),
        readings=Readings(),
        at=NOW,
        job_run_id=None,
    )


def intent(closes: list[float], *, may_enter: bool = True, **changes: Any) -> OrderIntent:
    found = wish(closes, may_enter=may_enter, **changes)
    assert isinstance(found, OrderIntent)
    return found


def test_an_entry_carries_its_stop_and_target_in_cents():
    entry = intent([*CROSSING_UP[:-1], 25.55])
    assert (entry.purpose, entry.side, entry.symbol) == (Purpose.ENTER, Side.BUY, "IBM")
    assert (entry.stop_distance, entry.target_distance) == (Decimal("0.77"), Decimal("1.28"))
    assert (entry.bar.close, entry.expires_at) == (Decimal("25.55"), NOW + timedelta(minutes=5))


def test_an_exit_needs_no_permission_and_no_distances():
    leave = intent(CROSSING_DOWN, may_enter=False)
    assert (leave.purpose, leave.side, leave.stop_distance) == (Purpose.EXIT, Side.SELL, None)
    assert (leave.score, leave.evidence) == (1, ())


def test_an_entry_carries_its_score_and_what_it_is_made_of():
    entry = intent(CROSSING_UP)
    [technical, sentiment, options_flow] = entry.evidence
    assert entry.score == technical.value
    assert 0 < entry.score < 1
    assert (technical.weight, sentiment.weight, options_flow.weight) == (1, 0, 0)
    assert technical.age_seconds == (NOW - entry.bar.end).total_seconds()


def test_a_low_score_blocks_an_entry_and_never_an_exit():
    needed = intent(CROSSING_UP).score
    assert isinstance(wish(CROSSING_UP, minimum_score=needed), OrderIntent)
    blocked = wish(CROSSING_UP, minimum_score=needed + 0.001)
    assert blocked == Blocked("score_below_minimum", f"{needed:.3f} is less than {needed + 0.001:g}")
    assert intent(CROSSING_DOWN, minimum_score=1).purpose is Purpose.EXIT


def test_a_strategy_may_do_without_stop_and_choose_its_size():
    class Hundred(MovingAverageCrossover):
        stop: Distance | None = None
        target: Distance | None = None

        def calculate_position_size(self, price: Decimal) -> Decimal:
            return Decimal(2500) // price

    entry = intent(CROSSING_UP, strategy=Hundred(fast=2, slow=4))
    assert (entry.stop_distance, entry.target_distance, entry.quantity) == (None, None, 100)
    assert intent(CROSSING_DOWN, strategy=Hundred(fast=2, slow=4)).quantity is None


@pytest.mark.parametrize("wanted", ["0", "-5", "NaN"])
def test_a_size_that_is_none_is_refused(wanted: str):
    class Odd(MovingAverageCrossover):
        def calculate_position_size(self, price: Decimal) -> Decimal:
            del price
            return Decimal(wanted)

    with pytest.raises(StrategyError, match=f"the position size is {wanted}; it must be above 0"):
        wish(CROSSING_UP, strategy=Odd(fast=2, slow=4))


def test_an_intent_is_made_without_evaluating_again():
    entry = intent(CROSSING_UP)
    made = make_intent(
        INSTANCE,
        entry.bar,
        leaving=False,
        strength=entry.score,
        stop_distance=entry.stop_distance,
        target_distance=entry.target_distance,
        confluence=Confluence(),
        readings=Readings(),
        at=NOW,
        job_run_id=None,
    )
    assert made == entry
    assert intent_envelope(entry, NOW).id == intent_envelope(entry, NOW + timedelta(days=1)).id


def test_no_intent_without_permission_signal_or_history():
    assert wish(CROSSING_UP, may_enter=False) is None
    assert wish([*CROSSING_UP, 30]) is None
    assert wish(CROSSING_UP[-4:]) is None
    assert wish([]) is None


def test_a_distance_is_at_least_a_cent():
    assert intent([0.20, 0.19, 0.18, 0.17, 0.16, 0.15, 0.25]).stop_distance == Decimal("0.01")


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
    [bar] = windows.until("IBM", Timeframe.DAY, NOW)
    assert bar.close == close
