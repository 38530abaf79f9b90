"""The bus against a real Redis, in one process."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest
from redis.asyncio import Redis

from shared import reader
from shared.bus import FIELD
from shared.connection import SOCKET_TIMEOUT_SECONDS
from shared.messages.base import Envelope, follow, originate
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.market import Bar
from shared.messages.scan import Candidate
from shared.reader import BLOCK_MILLISECONDS, MAX_DELIVERIES
from tests.tools import Collector, calls, eventually, make_bar, make_bus, pending, publish, running

BARS = "market.bars"


@pytest.fixture(autouse=True)
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices only between two reads that it is to stop; a second each would make these tests slow."""
    monkeypatch.setattr(reader, "BLOCK_MILLISECONDS", 100)


def finished(cause: Envelope[Any], duration: Any = 0) -> Envelope[Any]:
    data = JobFinished(
        run_id=cause.id, job=Job.FETCH_BARS, outcome=JobOutcome.SUCCEEDED, detail="", duration_seconds=duration
    )
    return follow(cause, data, source="strategy", time=cause.time, subject="AAPL")


async def test_what_was_published_before_the_first_start_is_handled_and_answered(redis_url: str) -> None:
    bars = [make_bar(number) for number in range(1, 201)]
    await publish(redis_url, bars)
    collector = Collector(finished)
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, collector)
    async with running(bus):
        await eventually(lambda: len(collector.got) == len(bars))
        await eventually(lambda: _length(bus.client, "job.events", len(bars)))
        assert await pending(bus.client, BARS, "strategy") == 0
        answers = await bus.tail("job.events", 500)
    assert collector.got == bars
    assert [answer.causationid for answer in answers] == [bar.id for bar in bars]
    assert answers[0].correlationid == bars[0].id


async def _length(client: Any, stream: str, wanted: int) -> bool:
    return await client.xlen(stream) == wanted


async def test_a_backlog_is_read_in_batches_and_an_idle_reader_rests(redis_url: str) -> None:
    await publish(redis_url, [make_bar(number) for number in range(1, 641)])
    collector = Collector()
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, collector)
    async with running(bus):
        await bus.client.config_resetstat()
        await eventually(lambda: len(collector.got) == 640)
        after_backlog = await calls(bus.client, "xreadgroup")
        assert after_backlog <= 640 / reader.BATCH + 3
        await asyncio.sleep(1)  # the length of the measurement
        assert await calls(bus.client, "xreadgroup") - after_backlog <= 12  # one each BLOCK_MILLISECONDS


def test_a_blocking_read_ends_long_before_the_socket_times_out() -> None:
    assert BLOCK_MILLISECONDS / 1000 <= SOCKET_TIMEOUT_SECONDS / 2


def _damaged(**changes: Any) -> bytes:
    document = orjson.loads(make_bar(1).encode())
    for key, value in changes.items():
        if value is None:
            del document[key]
        else:
            document[key] = value
    return orjson.dumps(document)


POISON: dict[str, bytes] = {
    "not JSON": b"{broken",
    "not UTF-8": b'{"type": "\xff"}',
    "not an object": b"[1, 2]",
    "NaN literal": make_bar(1).encode().replace(b'"10.25"', b"NaN"),
    "NaN text": make_bar(1).encode().replace(b'"10.25"', b'"NaN"'),
    "infinity": make_bar(1).encode().replace(b'"10.25"', b'"Infinity"'),
    "unknown type": _damaged(type="Rumour"),
    "type of another stream": _damaged(type="Halt"),
    "type that is a list": _damaged(type=["Bar"]),
    "missing attribute": _damaged(causationid=None, subject=None),
    "unknown attribute": _damaged(colour="blue"),
    "unknown version": _damaged(specversion="2.0"),
    "time without zone": _damaged(time="2015-06-01T20:00:00"),
    "id that is none": _damaged(id="42"),
    "data without a field": _damaged(data={"symbol": "AAPL"}),
    "data with a field too many": _damaged(data=orjson.loads(make_bar(1).encode())["data"] | {"rumour": 1}),
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
async def test_poison_goes_to_the_dead_letters_and_the_stream_goes_on(redis_url: str, body: bytes) -> None:
    collector = Collector()
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, collector)
    async with running(bus):
        entry_id = await bus.client.xadd(BARS, {FIELD: body})
        await bus.client.config_resetstat()
        await publish(redis_url, [make_bar(2)])
        await eventually(lambda: collector.numbers == [2])
        (letter,) = await bus.client.xrange(f"{BARS}.dead")
        data = orjson.loads(letter[1][FIELD.encode()])["data"]
        assert data["entry_id"] == entry_id.decode()
        assert data["group"] == "strategy"
        assert data["reason"]
        assert data["body"] == body.decode(errors="replace")
        await eventually(lambda: _nothing_pending(bus.client))


async def _nothing_pending(client: Any) -> bool:
    return await pending(client, BARS, "strategy") == 0


async def test_a_failing_entry_comes_back_and_is_buried_after_five_deliveries(redis_url: str) -> None:
    await publish(redis_url, [make_bar(number) for number in range(1, 6)])
    handled: list[int] = []

    async def fail_at_two_and_four(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        handled.append(int(envelope.data.volume))
        if handled[-1] in (2, 4):
            raise ArithmeticError("told to fail")
        return ()

    crashes = 0
    while handled[-1:] != [5] and crashes < 20:
        bus = make_bus(redis_url, "strategy", f"host-{crashes}")  # a restarted pod has another name
        bus.subscribe(BARS, fail_at_two_and_four)
        try:
            async with running(bus):
                await eventually(lambda: handled[-1:] == [5])
                await eventually(lambda b=bus: _nothing_pending(b.client))
                reasons = [orjson.loads(f[FIELD.encode()])["data"]["reason"]
                           for _, f in await bus.client.xrange(f"{BARS}.dead")]  # fmt: skip
        except* ArithmeticError:
            crashes += 1
    # 4 was delivered once when 2 failed first, in the same batch; it was not handled then
    assert handled == [1, *[2] * MAX_DELIVERIES, 3, *[4] * (MAX_DELIVERIES - 1), 5]
    assert reasons == ["delivered 5 times without success"] * 2


async def test_a_failure_ends_the_other_readers_even_where_a_cancellation_is_swallowed(redis_url: str) -> None:
    """As redis-py swallows one now and then, which would leave a process that neither works nor ends."""
    busy = asyncio.Event()

    async def swallow(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        busy.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return ()
        return ()

    async def fail(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        await busy.wait()
        raise ArithmeticError("told to fail")

    run = originate(RunJob(job=Job.FETCH_BARS, scheduled_for=make_bar(1).time), source="scheduler",
                    time=make_bar(1).time, subject="job", key="1")  # fmt: skip
    await publish(redis_url, [make_bar(1)])
    await publish(redis_url, [run])
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, swallow)
    bus.subscribe("job.commands", fail)
    await bus.open()
    running_bus = asyncio.create_task(bus.run(asyncio.Event()))
    await eventually(running_bus.done, 5)
    assert isinstance(running_bus.exception(), ExceptionGroup)
    await bus.close()


async def test_broken_infrastructure_does_not_count_as_a_delivery(redis_url: str) -> None:
    await publish(redis_url, [make_bar(1)])
    failures = 0

    async def no_database(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        nonlocal failures
        if failures < 2 * MAX_DELIVERIES:
            failures += 1
            raise psycopg.OperationalError("the connection is closed")
        return ()

    for _ in range(2 * MAX_DELIVERIES):
        bus = make_bus(redis_url, "strategy")
        bus.subscribe(BARS, no_database)
        await bus.open()
        with pytest.raises(ExceptionGroup):
            await bus.run(asyncio.Event())
        await bus.close()
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, no_database)
    async with running(bus):
        await eventually(lambda: _nothing_pending(bus.client))
        assert await bus.client.xrange(f"{BARS}.dead") == []


async def test_burial_and_acknowledgement_are_one_transaction(redis_url: str) -> None:
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, Collector())
    await bus.open()
    await bus.client.xadd(BARS, {"another-field": b"x"})
    async with Redis.from_url(redis_url) as client, client.monitor() as monitor, running(bus):
        commands: list[str] = []
        while not commands or commands[-1] != "EXEC":
            commands.append((await monitor.next_command())["command"].split()[0])
    assert commands[-4:] == ["MULTI", "XADD", "XACK", "EXEC"]


async def test_an_entry_that_was_published_twice_is_handled_once(redis_url: str) -> None:
    await publish(redis_url, [make_bar(1), make_bar(1), make_bar(2), make_bar(1)])
    collector = Collector()
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, collector)
    async with running(bus):
        await eventually(lambda: len(collector.got) == 2)
        await eventually(lambda: _nothing_pending(bus.client))
    assert collector.numbers == [1, 2]


async def test_nothing_is_handled_while_the_gate_is_closed(redis_url: str) -> None:
    gate = asyncio.Event()
    got: list[int] = []

    async def close_after_first(envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        got.append(int(envelope.data.volume))
        gate.clear()
        return ()

    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, close_after_first, gate=gate)
    await publish(redis_url, [make_bar(1), make_bar(2)])
    async with running(bus):
        await asyncio.sleep(0.1)
        assert got == []
        gate.set()
        await eventually(lambda: got == [1])
        await asyncio.sleep(0.1)
        assert got == [1]  # closed by the handler, in the middle of a batch
        gate.set()
        await eventually(lambda: got == [1, 2])


async def test_a_service_that_waits_at_its_gate_stops_at_once(redis_url: str) -> None:
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, Collector(), gate=asyncio.Event())
    began = time.monotonic()
    async with running(bus):
        pass
    assert time.monotonic() - began < 1


async def test_a_dropped_connection_costs_less_than_a_second(redis_url: str) -> None:
    collector = Collector()
    bus = make_bus(redis_url, "strategy")
    bus.subscribe(BARS, collector)
    async with running(bus), Redis.from_url(redis_url) as admin:
        for number in range(1, 6):
            await admin.client_kill_filter(_type="normal", skipme=True)
            await publish(redis_url, [make_bar(number)])
            assert await eventually(lambda n=number: len(collector.got) == n, 5) < 1  # seconds
    assert collector.numbers == [1, 2, 3, 4, 5]


async def test_only_the_registered_writer_may_publish(redis_url: str) -> None:
    bus = make_bus(redis_url, "scanner")
    with pytest.raises(ValueError, match=r"scanner may not write Bar to market.bars: \('marketdata',\) may"):
        await bus.publish([make_bar(1)])
    assert await bus.client.xlen(BARS) == 0
    await bus.close()


async def test_only_a_registered_reader_may_subscribe(redis_url: str) -> None:
    bus = make_bus(redis_url, "scanner")
    with pytest.raises(ValueError, match=r"scanner is no reader of market.bars"):
        bus.subscribe(BARS, Collector())
    await bus.close()


def test_numpy_numbers_become_plain_json_numbers_or_are_refused() -> None:
    values = make_bar(1).data.model_dump()
    priced = Bar.model_validate(values | {"close": np.float64(1.5)})
    message = finished(make_bar(1), duration=np.float64(0.25))
    candidate = Candidate(symbol="A", kept=True, reason="", close=None, dollar_volume=None, momentum=np.float32(0.5))
    assert priced.model_dump(mode="json")["close"] == "1.5"
    assert b'"duration_seconds":0.25' in message.encode()
    assert candidate.model_dump(mode="json")["momentum"] == 0.5
    with pytest.raises(ValueError, match="symbol"):
        Bar.model_validate(values | {"symbol": np.float64(1.5)})
    with pytest.raises(ValueError, match="duration_seconds"):
        finished(make_bar(1), duration=np.float64("nan"))
