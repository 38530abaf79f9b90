"""What both gears on bars trade: signals as live evaluates them, and prices on one axis of time."""

from datetime import UTC, date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services.backtest.core.lanes import Evidence, make_lanes
from services.backtest.core.model import PRICE_UNIT, History
from services.backtest.core.tape import Tape, make_tape
from services.strategy.core.bars import Bars
from services.strategy.core.confluence import Confluence, Readings
from services.strategy.core.host import evaluate
from services.strategy.core.strategy import Distance, Strategy
from services.strategy.strategies.mean_reversion import MeanReversion
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.messages.market import Bar
from shared.messages.strategy import OrderIntent, Purpose
from tests.unit.backtest.scripted import FIRST_DAY, FLAT, Prices, history, instance

TICK = Decimal("0.01")
FOREVER = FIRST_DAY + timedelta(days=3000)


def walk(count: int) -> History:
    random = np.random.default_rng(3)
    close = np.round(40 * np.exp(np.cumsum(random.normal(0, 0.02, count))), 2)
    opens = np.round(np.append(40, close[:-1]) * np.exp(random.normal(0, 0.005, count)), 2)
    high, low = np.round(np.maximum(opens, close) + 0.1, 2), np.round(np.minimum(opens, close) - 0.1, 2)
    return history(list(zip(opens.tolist(), high.tolist(), low.tolist(), close.tolist(), strict=True)))


def exact(history: History) -> list[Bar]:
    bars = history.bars
    return [
        Bar(
            symbol=history.symbol,
            timeframe=history.timeframe,
            start=history.start[number].item().replace(tzinfo=UTC),
            end=bars.end[number].item().replace(tzinfo=UTC),
            open=Decimal(str(bars.open[number])),
            high=Decimal(str(bars.high[number])),
            low=Decimal(str(bars.low[number])),
            close=Decimal(str(bars.close[number])),
            volume=Decimal(str(bars.volume[number])),
        )
        for number in range(len(bars))
    ]


@pytest.mark.parametrize(
    "strategy",
    [
        MovingAverageCrossover(fast=2, slow=5, stop=Distance(fraction=0.05), target=Distance(fraction=0.125)),
        MovingAverageCrossover(fast=2, slow=5, stop=Distance(atr_multiple=1.5, atr_period=3), target=None),
        MeanReversion(),
    ],
    ids=["halves of cents", "true range", "mean reversion"],
)
def test_every_signal_is_that_of_the_live_evaluation(strategy: Strategy) -> None:
    bars, confluence, readings = walk(400), Confluence.model_validate({}), Readings()
    tape = make_tape([bars], FIRST_DAY, FOREVER, TICK)
    (lane,) = make_lanes(tape, [instance(strategy)], Evidence(confluence, readings)).lanes
    ours = [
        (
            int(bar) - 1,
            bool(leaving),
            None if leaving else stop * PRICE_UNIT or None,
            None if leaving else target * PRICE_UNIT or None,
            1.0 if leaving else float(strength),
        )
        for bar, leaving, stop, target, strength in zip(
            lane.bar, lane.leaving, lane.stop, lane.target, lane.strength, strict=True
        )
    ]
    window, live = exact(bars), []
    for number in range(len(window) - 1):
        found = evaluate(
            instance(strategy),
            window[: number + 1],
            may_enter=True,
            confluence=confluence,
            readings=readings,
            at=window[number + 1].start,
            job_run_id=None,
        )
        if isinstance(found, OrderIntent):
            leaving = found.purpose is Purpose.EXIT
            live.append((number, leaving, found.stop_distance, found.target_distance, pytest.approx(found.score)))
    assert ours == live
    assert len(live) > 10


def test_steps_are_the_ends_of_all_symbols_and_days_begin_in_new_york() -> None:
    """In UTC, New York's midnight is at 05:00 in winter and at 04:00 from March 11, 2012 on."""
    rows: list[Prices | None] = [FLAT, None, FLAT, FLAT, FLAT]
    hourly = [shifted(history(rows, "ONE", minutes=60)), shifted(history([FLAT] * 3, "TWO", minutes=60))]
    tape = make_tape(hourly, date(2012, 3, 10), date(2012, 3, 12), TICK)
    assert hours(tape) == [2, 3, 4, 5, 6]
    assert [series.step.tolist() for series in tape.series] == [[0, 2, 3, 4], [0, 1, 2]]
    assert tape.days.tolist() == [0, 2]
    later = make_tape(hourly, date(2012, 3, 12), date(2012, 3, 12), TICK)
    assert hours(later) == [4, 5, 6]
    assert [(series.first, series.step.tolist()) for series in later.series] == [(1, [0, 1, 2]), (2, [0])]


def hours(tape: Tape) -> list[int]:
    return [start.hour for start in tape.start.tolist()]


def shifted(bars: History) -> History:
    """The same bars from 02:00 UTC on."""
    by = np.timedelta64(690, "m")
    columns = (bars.bars.open, bars.bars.high, bars.bars.low, bars.bars.close, bars.bars.volume)
    return History(bars.symbol, bars.timeframe, bars.start - by, Bars(bars.bars.end - by, *columns))


def test_prices_are_rounded_half_to_even_units() -> None:
    bars = history([(1.03125, 2, 1, 1.09375)])
    series = make_tape([bars], FIRST_DAY, FOREVER, Decimal("0.0001")).series[0]
    assert (series.open.tolist(), series.close.tolist()) == ([10_312], [10_938])
