"""Strategies as they run: warmed up from the table, fed by the streams, the same after a kill."""

import signal
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg

from services.strategy.app import build
from services.strategy.config import InstanceSettings, Settings
from shared.config import Common
from shared.messages.base import originate
from shared.messages.job import Job, JobFinished, RunJob
from shared.messages.market import Bar
from shared.messages.scan import Candidate, ShardScanned
from shared.messages.sentiment import SentimentReading
from shared.messages.strategy import Component, OrderIntent, Purpose
from tests.integration.play import Player, Process, count, eventually, playing, running
from tests.unit.strategy.samples import DAYS, make_bars

SETTINGS = Settings(
    instances=(InstanceSettings(name="mine", strategy="moving_average_crossover", parameters={"fast": 2, "slow": 4}),)
)
CLOSES = [*range(40, 11, -1), 60]  # up at the last bar, for these averages and those of config/strategy.toml
BARS = [bar for symbol in ("AAPL", "IBM") for bar in make_bars(CLOSES, symbol)]
DUE = datetime.combine(DAYS[len(CLOSES)], datetime.min.time(), BARS[0].end.tzinfo) + timedelta(hours=14, minutes=35)


def store(common: Common, bars: list[Bar]) -> None:
    with psycopg.connect(common.database_url) as connection:
        connection.execute("SET TIME ZONE 'Asia/Tokyo'")  # whatever the server's zone is, the ids stay the same
        for bar in bars:
            connection.execute(
                'INSERT INTO bars (symbol, timeframe, start, "end", open, high, low, close, volume, message_id)'
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (*bar.model_dump().values(), uuid4()),
            )


async def publish_bars(player: Player, bars: list[Bar]) -> None:
    await player.say(
        "marketdata",
        *(originate(bar, source="marketdata", time=bar.end, subject=bar.symbol, key=bar.key) for bar in bars),
    )


async def scan(player: Player, kept: tuple[str, ...]) -> None:
    candidates = tuple(
        Candidate(symbol=symbol, kept=symbol in kept, reason="", close=None, dollar_volume=None, momentum=None)
        for symbol in ("AAPL", "IBM")
    )
    await player.tell("scanner", ShardScanned(shard_id=uuid4(), candidates=candidates), DUE - timedelta(minutes=3))


async def read(player: Player, component: Component, score: float) -> None:
    seen = DUE - timedelta(minutes=1)
    said = SentimentReading.model_validate(
        {"symbol": "IBM", "component": component, "score": score, "source": "test", "observed_at": seen}
    )
    await player.tell("sentiment", said, seen, key=component)


async def test_what_tables_and_streams_held_and_what_they_bring_make_one_history(common: Common):
    async with playing(common, "marketdata", "scanner", "scheduler", "sentiment") as player:
        store(common, [bar for bar in BARS if bar.end < BARS[-1].end])
        await scan(player, kept=("IBM",))
        await read(player, Component.SENTIMENT, 0.9)
        async with running(build(SETTINGS, common)):
            await read(player, Component.OPTIONS_FLOW, 0.4)
            await eventually(lambda: player.at_rest("sentiment.readings", "strategy"))
            newest = [bar for bar in BARS if bar.end == BARS[-1].end]
            await publish_bars(player, newest)
            await eventually(lambda: player.at_rest("market.bars", "strategy"))
            run = await player.tell("scheduler", RunJob(job=Job.EVALUATE_STRATEGIES, scheduled_for=DUE), DUE)
            [finished] = await count(player, "job.events", JobFinished, 1)
        [intent] = await player.heard("strategy.signals", OrderIntent)
        [_, bar] = await player.heard("market.bars", Bar)
    assert (finished.data.run_id, intent.data.job_run_id) == (run.id, run.id)
    assert finished.data.detail.startswith("1 intents; no bar of ")  # for FB, GOOG and MSFT
    assert (intent.data.symbol, intent.data.purpose, intent.data.bar) == ("IBM", Purpose.ENTER, bar.data)
    assert (intent.causationid, intent.correlationid) == (bar.id, bar.id)
    assert [(part.value, part.weight) for part in intent.data.evidence[1:]] == [(0.9, 0.3), (0.4, 0.2)]


async def test_a_killed_strategy_repeats_itself_with_the_same_ids(common: Common):
    process = Process("strategy", common)
    store(common, BARS)
    async with playing(common, "scanner", "scheduler") as player:
        await scan(player, kept=("AAPL", "IBM"))
        expected: list[set[object]] = []
        for number in range(2):
            await process.start()
            await player.tell("scheduler", RunJob(job=Job.EVALUATE_STRATEGIES, scheduled_for=DUE), DUE, key=str(number))
            await count(player, "job.events", JobFinished, number + 1)
            expected.append({intent.id for intent in await player.heard("strategy.signals", OrderIntent)})
            await process.end(signal.SIGKILL)
        entries = await player.heard("strategy.signals", OrderIntent)
    # `heard` leaves out repetitions: the second evaluation published nothing that is new
    assert expected[0] == expected[1]
    assert sorted(intent.data.symbol for intent in entries) == ["AAPL", "IBM"]
