"""The transactor in processes that are killed at the worst moment, and without their database."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis.asyncio import Redis

from cli.servers import PostgresServer
from shared.bus import FIELD
from tests.integration.bus_service import answer
from tests.tools import PROCESS_SECONDS, ServiceProcess, eventually, make_bar, make_bus

pytestmark = pytest.mark.timeout(180)  # processes start slowly on a busy machine


@pytest.fixture
def service(redis_url: str, database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    process = ServiceProcess(redis_url, tmp_path, database_url=database_url)
    yield process
    process.end()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


async def test_a_crash_between_commit_and_publish_loses_and_doubles_nothing(
    service: ServiceProcess, client: Redis, redis_url: str
) -> None:
    bar = make_bar(1, "COMMIT_DIE")
    await client.xadd("market.bars", {FIELD: bar.encode()})
    assert await service.start().exit_code() == -signal.SIGKILL
    assert rows(service.database_url, "SELECT published FROM outbox") == [(False,)]
    assert await client.xlen("job.events") == 0
    service.start()

    async def settled() -> bool:
        return (await client.xpending("market.bars", "strategy"))["pending"] == 0

    await eventually(settled, PROCESS_SECONDS)
    assert await service.stop() == 0
    bus = make_bus(redis_url, "scheduler")
    assert await bus.tail("job.events", 10) == [answer(bar)]
    await bus.close()
    assert rows(service.database_url, "SELECT published FROM outbox") == [(True,)]
    assert service.handled() == ["COMMIT_DIE 1 first-host"], "decided once"


async def test_without_its_database_a_service_fails_and_its_entry_waits(
    service: ServiceProcess, client: Redis, postgres_server: PostgresServer
) -> None:
    service.database_url = postgres_server.url
    service.start()
    await eventually(lambda: (service.folder / "open-first-host").exists(), PROCESS_SECONDS)
    postgres_server.kill()
    await client.xadd("market.bars", {FIELD: make_bar(1).encode()})
    assert await service.exit_code() == 1
    pending = await client.xpending_range("market.bars", "strategy", "-", "+", 10)
    assert all(entry["times_delivered"] == 0 for entry in pending)
    postgres_server.start()
    service.start()
    await eventually(lambda: rows(postgres_server.url, "SELECT key FROM alerts") == [("AAPL 1",)], PROCESS_SECONDS)
    assert await service.stop() == 0
