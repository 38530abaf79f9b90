"""The bar store as it runs; the test plays gateway and scheduler."""

import signal
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from services.marketdata.app import build
from services.marketdata.config import Settings
from shared.calendar import session_hours, sessions
from shared.config import Common
from shared.messages.base import Envelope, follow
from shared.messages.broker import SessionChanged
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.market import Bar, Quote, QuoteBatch
from shared.messages.market_requests import FetchHistory, HistoryFetched, Subscribe
from shared.types import QuoteQuality, SessionState, Timeframe
from tests.integration.play import Player, Process, count, eventually, playing, running

DAYS = sessions(date(2012, 4, 2), date(2012, 6, 1))
CLOSED = datetime(2012, 6, 1, 20, 5, tzinfo=UTC)
BEFORE = CLOSED - timedelta(days=1)

READY = SessionChanged(state=SessionState.READY, reason="connected", account="DU1", since=BEFORE)


def bars(symbol: str, now: datetime, wanted: int) -> tuple[Bar, ...]:
    """The closed bars that a broker would answer with."""
    found: list[Bar] = []
    for number, day in enumerate(DAYS):
        hours = session_hours(day)
        assert hours is not None
        if hours[1] <= now:
            price = Decimal("500.10") + number
            found.append(
                Bar(
                    symbol=symbol,
                    timeframe=Timeframe.DAY,
                    start=hours[0],
                    end=hours[1],
                    open=price,
                    high=price + 1,
                    low=price - 1,
                    close=price,
                    volume=Decimal(1000),
                )
            )
    return tuple(found[-wanted:])


async def answer(player: Player, request: Envelope[FetchHistory], now: datetime) -> None:
    data = request.data
    fetched = HistoryFetched(symbol=data.symbol, timeframe=data.timeframe, bars=bars(data.symbol, now, data.count))
    await player.say("gateway", follow(request, fetched, source="gateway", time=now, subject=data.symbol))


async def back_fill(player: Player, common: Common) -> None:
    """A session becomes ready on the eve, and every request is answered."""
    await player.tell("gateway", READY, BEFORE)
    for request in await count(player, "market.commands", FetchHistory, len(common.symbols)):
        await answer(player, request, BEFORE)
    await count(player, "market.bars", Bar, 20 * len(common.symbols))


async def finish_run(player: Player, common: Common) -> Envelope[JobFinished]:
    """Answer the requests of the run that follows the back-fill until it ends, in another order."""
    requests = await count(player, "market.commands", FetchHistory, 2 * len(common.symbols))
    for request in reversed(requests[len(common.symbols) :]):
        await answer(player, request, CLOSED)
    [finished] = await count(player, "job.events", JobFinished, 1)
    return finished


def stored(common: Common) -> list[tuple[Any, ...]]:
    with psycopg.connect(common.database_url) as connection:
        query = 'SELECT symbol, timeframe, "end", open, close, message_id FROM bars ORDER BY symbol, "end"'
        return connection.execute(query).fetchall()


def check_bars(common: Common, published: list[Envelope[Bar]]) -> None:
    """All bars of back-fill and run were published in order, and the same ones are stored."""
    for symbol in common.symbols:
        ends = [bar.data.end for bar in published if bar.data.symbol == symbol]
        assert ends == [bar.end for bar in bars(symbol, CLOSED, 21)]
    assert {row[5] for row in stored(common)} == {bar.id for bar in published}
    assert len(stored(common)) == len(published)


async def test_back_fill_and_daily_run(common: Common):
    settings = Settings(history_bars=20)
    async with playing(common, "gateway", "scheduler") as player, running(build(settings, common)):
        await back_fill(player, common)
        [subscribe] = await player.heard("market.commands", Subscribe)
        assert subscribe.data.symbols == common.symbols
        run = await player.tell("scheduler", RunJob(job=Job.FETCH_BARS, scheduled_for=CLOSED), CLOSED)
        finished = await finish_run(player, common)
        assert (finished.data.run_id, finished.data.outcome) == (run.id, JobOutcome.SUCCEEDED)
        published = await player.heard("market.bars", Bar)
    check_bars(common, published)
    rows = stored(common)
    newest = bars("MSFT", CLOSED, 1)[0]
    assert rows[-1][:5] == ("MSFT", "1 day", newest.end, newest.open, newest.close)


async def test_torn_out_at_any_step_it_loses_and_doubles_nothing(common: Common):
    def service() -> AbstractAsyncContextManager[object]:
        return running(build(Settings(history_bars=20), common), crash=True)

    async with playing(common, "gateway", "scheduler") as player:
        async with service():
            await back_fill(player, common)
        await player.tell("scheduler", RunJob(job=Job.FETCH_BARS, scheduled_for=CLOSED), CLOSED)
        async with service():
            requests = await count(player, "market.commands", FetchHistory, 2 * len(common.symbols))
        # a process that finds the run in its stream asks for it as one that goes on, too: one answer of either will do
        by_symbol = {request.data.symbol: request for request in requests[len(common.symbols) :]}
        for number, symbol in enumerate(reversed(common.symbols), start=1):
            await answer(player, by_symbol[symbol], CLOSED)
            async with service():
                await count(player, "market.bars", Bar, 20 * len(common.symbols) + number)
        [finished] = await count(player, "job.events", JobFinished, 1)
        assert finished.data.outcome is JobOutcome.SUCCEEDED
        check_bars(common, await player.heard("market.bars", Bar))


async def test_killed_with_answers_waiting_it_stores_them_at_the_next_start(common: Common):
    process = Process("marketdata", common)
    async with playing(common, "gateway") as player:
        await process.start()
        await player.tell("gateway", READY, BEFORE)
        requests = await count(player, "market.commands", FetchHistory, len(common.symbols))
        await process.end(signal.SIGKILL)
        for request in requests:
            await answer(player, request, CLOSED)
        await process.start()
        held = len(bars("IBM", CLOSED, 120))
        published = await count(player, "market.bars", Bar, held * len(common.symbols))
        assert await process.end(signal.SIGTERM) == 0
    assert {row[5] for row in stored(common)} == {bar.id for bar in published}


async def test_quotes_become_minutes(common: Common):
    def quote(seconds: int, last: str, volume: int) -> QuoteBatch:
        time = BEFORE + timedelta(seconds=seconds)
        return QuoteBatch(
            quotes=(
                Quote(
                    symbol="IBM",
                    bid=None,
                    ask=None,
                    last=Decimal(last),
                    bid_size=None,
                    ask_size=None,
                    volume=Decimal(volume),
                    time=time,
                    quality=QuoteQuality.LIVE,
                ),
            )
        )

    settings = Settings(minute_bars=True)
    async with playing(common, "gateway") as player, running(build(settings, common)):
        for seconds, last, volume in [(0, "190", 100), (60, "191.5", 110), (90, "190.25", 130), (120, "192", 131)]:
            batch = quote(seconds, last, volume)
            await player.tell("gateway", batch, batch.quotes[0].time)
        [bar] = await count(player, "market.bars", Bar, 1)
        await eventually(lambda: stored(common))
    assert (bar.data.timeframe, bar.data.open, bar.data.close, bar.data.volume) == (
        Timeframe.MINUTE,
        Decimal("191.5"),
        Decimal("190.25"),
        Decimal(30),
    )
    assert stored(common)[0][5] == bar.id
