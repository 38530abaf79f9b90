"""How far time goes at once when it passes by itself."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from services.simulator.pacing import next_start, next_tick, pace
from tests.unit.simulator.desk import OPEN, make_broker

CLOSE = datetime(2010, 1, 4, 21, tzinfo=UTC)


def test_ticks_of_the_main_exchange() -> None:
    hours = make_broker().engine.market.traded_hours()
    assert next_tick(hours, OPEN - timedelta(seconds=1)) is None
    assert next_start(hours, OPEN - timedelta(hours=5)) == OPEN
    assert next_tick(hours, OPEN) == OPEN + timedelta(minutes=1)
    assert next_tick(hours, OPEN + timedelta(seconds=119)) == OPEN + timedelta(minutes=2)
    assert next_tick(hours, CLOSE - timedelta(seconds=1)) == CLOSE
    assert next_tick(hours, CLOSE) is None
    assert next_start(hours, CLOSE) == OPEN + timedelta(days=1)


def test_ticks_outside_regular_hours_if_something_trades_then() -> None:
    hours = make_broker(extended_hours=True).engine.market.traded_hours()
    early = datetime(2010, 1, 4, 9, tzinfo=UTC)
    assert next_tick(hours, early) == early + timedelta(minutes=1)
    assert next_tick(hours, CLOSE) == CLOSE + timedelta(minutes=1)
    round_the_clock = make_broker(market="synthetic", currencies=("EUR.USD",)).engine.market.traded_hours()
    night = datetime(2010, 1, 5, 4, tzinfo=UTC)
    assert next_tick(round_the_clock, night) == night + timedelta(minutes=1)


@pytest.mark.parametrize("changes", [{}, {"extended_hours": True}])
async def test_time_reaches_every_tick_and_the_end(changes: dict[str, object]) -> None:
    broker = make_broker(**changes)
    seen: list[datetime] = []

    async def drained() -> None:
        seen.append(broker.engine.now)

    await pace(broker, drained, float("inf"))
    assert broker.engine.finished
    assert all(before < after for before, after in pairwise(seen))
    ticks = {OPEN + timedelta(minutes=minute) for minute in range(391)}
    assert ticks <= set(seen)
    evening = {} if changes else {CLOSE + timedelta(minutes=15)}
    assert set(evening) <= set(seen)


async def test_time_stands_still_at_speed_0() -> None:
    broker = make_broker()
    before = broker.engine.now

    async def drained() -> None:
        raise AssertionError("time moved")

    await pace(broker, drained, 0)
    assert broker.engine.now == before
