"""The bus in processes that fail, are killed, and are told to stop."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from shared.bus import FIELD
from tests.tools import PROCESS_SECONDS, ServiceProcess, eventually, make_bar

BARS = "market.bars"
pytestmark = pytest.mark.timeout(180)  # processes start slowly on a busy machine
StartService = Callable[..., ServiceProcess]


@pytest.fixture
def service(redis_url: str, tmp_path: Path) -> Iterator[StartService]:
    """Starts `bus_service` processes; none outlives its test."""
    started: list[ServiceProcess] = []

    def start(consumer: str = "first-host", database_url: str = "") -> ServiceProcess:
        started.append(ServiceProcess(redis_url, tmp_path, consumer, database_url).start())
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def publish(client: Redis, *bars: tuple[int, str]) -> None:
    for number, symbol in bars:
        await client.xadd(BARS, {FIELD: make_bar(number, symbol).encode()})


async def at_rest(client: Redis) -> bool:
    (group,) = await client.xinfo_groups(BARS)
    (newest,) = await client.xrevrange(BARS, count=1)
    return group["pending"] == 0 and group["last-delivered-id"] == newest[0]


async def answered(client: Redis) -> list[str]:
    entries = await client.xrange("job.events")
    return [orjson.loads(fields[FIELD.encode()])["data"]["detail"] for _, fields in entries]


async def test_a_failing_handler_ends_the_process_with_one(service: StartService, client: Redis) -> None:
    await publish(client, (1, "AAPL"), (2, "FAIL"), (3, "MSFT"))
    process = service()
    assert await process.exit_code() == 1
    assert "told to fail" in process.log.read_text()
    assert process.handled() == ["AAPL 1 first-host", "FAIL 2 first-host"]
    assert (await client.xpending(BARS, "strategy"))["pending"] == 2
    assert await answered(client) == ["AAPL"]


async def test_what_a_killed_process_had_in_hand_goes_to_its_successor_under_another_name(
    service: StartService, client: Redis
) -> None:
    await publish(client, (1, "AAPL"), (2, "DIE"), (3, "MSFT"))
    first = service("first-host")
    assert await first.exit_code() == -signal.SIGKILL
    second = service("second-host")
    await eventually(lambda: at_rest(client), PROCESS_SECONDS)
    assert second.handled() == ["AAPL 1 first-host", "DIE 2 first-host", "DIE 2 second-host", "MSFT 3 second-host"]
    assert await answered(client) == ["AAPL", "DIE", "MSFT"]
    assert await second.stop() == 0


async def test_a_signal_to_stop_lets_the_handler_finish(service: StartService, client: Redis, tmp_path: Path) -> None:
    await publish(client, (1, "HANG"), (2, "AAPL"))
    process = service()
    await eventually(lambda: process.handled() == ["HANG 1 first-host"], PROCESS_SECONDS)
    process.signal(signal.SIGTERM)
    with pytest.raises(AssertionError):
        await eventually(lambda: process.process.poll() is not None, 0.5)
    (tmp_path / "go-on").touch()
    assert await process.exit_code() == 0
    assert await answered(client) == ["HANG"]
    assert (await client.xpending(BARS, "strategy"))["pending"] <= 1  # AAPL may wait for the next start
    assert len(process.handled()) == 1


@pytest.mark.parametrize("harm", ["delete", "flushall"])
async def test_a_vanished_stream_ends_the_process_and_the_restart_heals(
    service: StartService, client: Redis, harm: str
) -> None:
    process = service()
    await eventually(lambda: (process.folder / "open-first-host").exists(), PROCESS_SECONDS)
    await publish(client, (1, "AAPL"))
    await eventually(lambda: at_rest(client), PROCESS_SECONDS)
    await (client.delete(BARS) if harm == "delete" else client.flushall())
    assert await process.exit_code() == 1
    await publish(client, (2, "MSFT"))
    process = service()
    await eventually(lambda: process.handled()[-1] == "MSFT 2 first-host", PROCESS_SECONDS)
    assert await process.stop() == 0
