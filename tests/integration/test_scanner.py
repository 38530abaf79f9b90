"""Scanners as they run: shards in, verdicts out, shared by several workers."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg

from services.scanner.app import build
from services.scanner.config import Settings
from shared.config import Common
from shared.messages.scan import ScanShard, ShardScanned
from tests.integration.play import count, playing, running

NOW = datetime(2012, 6, 1, 13, 32, tzinfo=UTC)
SETTINGS = Settings(look_back=3)


def store_bars(common: Common, symbol: str, closes: list[int]) -> None:
    """Daily bars, the last of which ends the evening before."""
    with psycopg.connect(common.database_url) as connection:
        for age, close in enumerate(reversed(closes)):
            end = NOW - timedelta(days=age, hours=17)
            connection.execute(
                'INSERT INTO bars (symbol, timeframe, "end", start, open, high, low, close, volume, message_id)'
                " VALUES (%s, '1 day', %s, %s, %s, %s, %s, %s, 10000000, %s)",
                (symbol, end, end - timedelta(hours=6), close, close, close, close, uuid4()),
            )


async def test_a_shard_is_judged_by_the_bars_of_its_day(common: Common):
    store_bars(common, "AAPL", [999, 100, 102, 104, 106])
    store_bars(common, "IBM", [100, 100, 100, 70])
    store_bars(common, "FB", [30, 31])
    async with playing(common, "scheduler") as player, running(build(SETTINGS, common)):
        shard = await player.tell("scheduler", ScanShard(symbols=("AAPL", "IBM", "FB", "XYZ")), NOW)
        [answer] = await count(player, "scan.results", ShardScanned, 1)
        early = ScanShard(symbols=("IBM",))
        await player.tell("scheduler", early, NOW - timedelta(days=1))
        [_, on_the_eve] = await count(player, "scan.results", ShardScanned, 2)
    assert (answer.data.shard_id, answer.causationid, answer.time) == (shard.id, shard.id, NOW)
    assert [(found.symbol, found.kept, found.reason) for found in answer.data.candidates] == [
        ("AAPL", True, "passes every filter"),
        ("IBM", False, "momentum -30.0% below -15.0% in 3 sessions"),
        ("FB", False, "2 of 4 sessions known"),
        ("XYZ", False, "0 of 4 sessions known"),
    ]
    assert answer.data.candidates[0].momentum == 0.06
    assert on_the_eve.data.candidates[0].reason == "3 of 4 sessions known"


async def test_workers_share_the_shards(common: Common):
    other = common.model_copy(update={"consumer": "other"})
    async with (
        playing(common, "scheduler") as player,
        running(build(SETTINGS, common)),
        running(build(SETTINGS, other)),
    ):
        for number in range(40):
            await player.tell("scheduler", ScanShard(symbols=(f"S{number}",)), NOW, key=str(number))
        answers = await count(player, "scan.results", ShardScanned, 40)
    assert sorted(answer.data.candidates[0].symbol for answer in answers) == sorted(
        f"S{number}" for number in range(40)
    )
