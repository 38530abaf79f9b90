"""Bars: how many, until when, of what, and none."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.ports import Ability, RequestRefused
from shared.calendar import session_hours
from shared.messages.market import Bar
from shared.messages.market_requests import FetchHistory, HistoryKind
from shared.types import Timeframe
from tests.broker_port.stage import Desk, Stage
from tests.conformance.market import DAY, MINUTE, OPEN

MINUTES = {
    Timeframe.MINUTE: 1,
    Timeframe.FIVE_MINUTES: 5,
    Timeframe.FIFTEEN_MINUTES: 15,
    Timeframe.THIRTY_MINUTES: 30,
    Timeframe.HOUR: 60,
}
SECONDS = {Timeframe.FIVE_SECONDS: 5, Timeframe.FIFTEEN_SECONDS: 15, Timeframe.THIRTY_SECONDS: 30}


async def fetched(stage: Stage, timeframe: Timeframe, count: int, **rest: Any) -> list[Bar]:
    request = FetchHistory.model_validate({"symbol": "AAPL", "timeframe": timeframe, "count": count, **rest})
    return list(await stage.broker.requests.history(request, stage.now))


def of_the_day(stage: Stage, minutes: int, symbol: str = "AAPL") -> list[Bar]:
    """Today's closed bars, from the market's own ticks of a minute each; hours begin on the full hour."""
    coming = stage.future(symbol)
    tape, made = coming.tape, dict[datetime, list[int]]()
    for index in range(coming.first):
        time = tape.time(index)
        hour = time.replace(minute=0, second=0)
        start = max(hour + (time - hour) // timedelta(minutes=minutes) * timedelta(minutes=minutes), tape.start)
        made.setdefault(start, []).append(index)
    bars: list[Bar] = []
    for start, indices in made.items():
        end = start.replace(minute=start.minute // minutes * minutes) + timedelta(minutes=minutes)
        if end > stage.now:
            continue
        prices = [tape.price(int(tape.last[index])) for index in indices]
        before = int(tape.volume[indices[0] - 1]) if indices[0] else 0
        bars.append(
            Bar(
                symbol=symbol,
                timeframe=next(key for key, value in MINUTES.items() if value == minutes),
                start=start,
                end=end,
                open=prices[0],
                high=max(prices),
                low=min(prices),
                close=prices[-1],
                volume=Decimal(int(tape.volume[indices[-1]]) - before),
            )
        )
    return bars


@pytest.mark.parametrize("timeframe", MINUTES)
async def test_bars_of_minutes(stage: Stage, timeframe: Timeframe) -> None:
    stage.advance(OPEN + timedelta(hours=4, minutes=10))
    expected = of_the_day(stage, MINUTES[timeframe])
    assert expected
    assert await fetched(stage, timeframe, len(expected)) == expected


@pytest.mark.needs(Ability.HISTORY_KINDS)
@pytest.mark.parametrize("timeframe", SECONDS)
async def test_bars_of_seconds(stage: Stage, timeframe: Timeframe) -> None:
    length = timedelta(seconds=SECONDS[timeframe])
    bars = await fetched(stage, timeframe, 5)
    assert len(bars) == 5
    coming = stage.future()
    for bar in bars:
        assert (bar.timeframe, bar.end - bar.start) == (timeframe, length)
        assert bar.close == coming.tape.price(int(coming.tape.last[coming.tape.index(bar.start)]))
    assert [bar.start for bar in bars] == sorted(bar.start for bar in bars)


@pytest.mark.parametrize("count", [1, 20])
async def test_bars_of_days(stage: Stage, count: int) -> None:
    bars = await fetched(stage, Timeframe.DAY, count)
    assert len(bars) == count
    series = stage.simulator.engine.market.series(stage.listed("AAPL").contract_id)
    days = [day for day in series.days if day < OPEN.date()][-count:]
    for bar, day in zip(bars, days, strict=True):
        expected = series.bar(day)
        assert expected is not None
        assert (bar.start, bar.end) == session_hours(day)
        found = (bar.open, bar.high, bar.low, bar.close)
        unit = Decimal("0.01")
        assert found == (expected.open * unit, expected.high * unit, expected.low * unit, expected.close * unit)
        assert bar.volume == expected.volume


async def test_bar_that_is_not_over_is_left_out(stage: Stage) -> None:
    stage.advance(stage.now + timedelta(minutes=3))
    bars = await fetched(stage, Timeframe.FIVE_MINUTES, 3)
    assert bars[-1].end <= stage.now < bars[-1].end + timedelta(minutes=5)
    (day,) = await fetched(stage, Timeframe.DAY, 1)
    assert day.end < stage.now


@pytest.mark.parametrize("timeframe", [Timeframe.MINUTE, Timeframe.FIVE_MINUTES, Timeframe.DAY])
async def test_end_in_the_past(stage: Stage, timeframe: Timeframe) -> None:
    stage.advance(OPEN + 3 * DAY + timedelta(hours=2))
    end = OPEN + DAY + timedelta(hours=1)
    bars = await fetched(stage, timeframe, 10, end=end)
    assert len(bars) == 10
    assert max(bar.end for bar in bars) <= end
    assert end - bars[-1].end < (DAY if timeframe is Timeframe.DAY else timedelta(minutes=5))


async def test_count_reaches_over_nights(stage: Stage) -> None:
    bars = await fetched(stage, Timeframe.MINUTE, 500)
    assert len(bars) == 500
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    assert bars[-1].end == stage.now
    assert bars[0].start.date() < stage.now.date()


@pytest.mark.needs(Ability.HISTORY_KINDS)
@pytest.mark.parametrize("kind", [HistoryKind.MIDPOINT, HistoryKind.BID, HistoryKind.ASK])
async def test_bars_of_quotes(stage: Stage, kind: HistoryKind) -> None:
    (bar,) = await fetched(stage, Timeframe.MINUTE, 1, kind=kind)
    before = stage.simulator.engine.market.quote(stage.listed("AAPL").contract_id, stage.now - MINUTE)
    assert before is not None
    expected = {
        HistoryKind.MIDPOINT: (before.bid + before.ask) / 2,
        HistoryKind.BID: before.bid,
        HistoryKind.ASK: before.ask,
    }
    assert bar.close == expected[kind]
    assert bar.volume == 0


OTHERS = [
    ("/ESM4", HistoryKind.TRADES),
    ("^SPX", HistoryKind.TRADES),
    pytest.param("EUR.USD", HistoryKind.MIDPOINT, marks=pytest.mark.needs(Ability.HISTORY_KINDS)),
]


@pytest.mark.parametrize(("symbol", "kind"), OTHERS)
async def test_bars_of_other_instruments(stage: Stage, symbol: str, kind: HistoryKind) -> None:
    (bar,) = await fetched(stage, Timeframe.MINUTE, 1, symbol=symbol, kind=kind)
    assert (bar.symbol, bar.end) == (symbol, stage.now)


async def test_bars_of_an_option(stage: Stage) -> None:
    name = stage.option()
    (bar,) = await fetched(stage, Timeframe.MINUTE, 1, symbol=name)
    before = stage.simulator.engine.market.quote(stage.listed(name).contract_id, stage.now - MINUTE)
    assert before is not None
    assert (bar.symbol, bar.close) == (name, before.last)


@pytest.mark.simulator(extended_hours=True)
async def test_regular_hours_or_all(stage: Stage) -> None:
    regular = await fetched(stage, Timeframe.MINUTE, 60)
    every = await fetched(stage, Timeframe.MINUTE, 60, regular_hours=False)
    assert every[0].start == stage.now - timedelta(hours=1)
    assert regular[0].start < OPEN - timedelta(hours=12)
    assert regular[-30:] == every[-30:]


async def test_no_data_is_no_bars(stage: Stage) -> None:
    long_ago = OPEN - timedelta(days=900)
    assert await fetched(stage, Timeframe.DAY, 5, end=long_ago) == []


@pytest.mark.needs(Ability.HISTORY_KINDS)
async def test_no_data_of_a_kind_is_no_bars(stage: Stage) -> None:
    assert await fetched(stage, Timeframe.MINUTE, 5, symbol="EUR.USD", kind=HistoryKind.TRADES) == []


async def test_bars_of_what_is_not_listed(desk: Desk) -> None:
    request = FetchHistory(symbol="NOSUCH", timeframe=Timeframe.DAY, count=1)
    with pytest.raises(RequestRefused):
        await desk.broker.requests.history(request, await desk.broker.current_time())


async def test_bars_of_a_real_stock(desk: Desk) -> None:
    request = FetchHistory(symbol="AAPL", timeframe=Timeframe.DAY, count=5)
    now = await desk.broker.current_time()
    bars = await desk.broker.requests.history(request, now)
    assert len(bars) == 5
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert bars[-1].end <= now
