"""A simulated broker in this process, and real services around it in processes of their own."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.servers import PostgresServer, RedisServer, free_port
from services.simulator.app import Simulator
from services.simulator.config import Settings
from shared.db.engine import migrate

ROOT = Path(__file__).parents[1]
START_SECONDS = 60


@dataclass(frozen=True)
class Servers:
    redis_url: str
    database_url: str


@contextmanager
def servers() -> Iterator[Servers]:
    """A Redis and a migrated PostgreSQL of our own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when this one is root
        redis, postgres = RedisServer(folder / "redis"), PostgresServer(folder / "postgres")
        try:
            redis.start()
            postgres.start()
            migrate(postgres.url)
            yield Servers(redis.url, postgres.url)
        finally:
            redis.stop()
            postgres.stop()


@contextmanager
def program(module: str, *arguments: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module`, stopped afterwards."""
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@asynccontextmanager
async def broker(settings: Settings) -> AsyncIterator[Simulator]:
    """The simulated gateway, in this process and this event loop, so that its bytes can be timed."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        simulator = Simulator(settings, Path(folder))
        async with simulator.serving():
            yield simulator


def service_environment(where: Servers, name: str, **settings: str) -> dict[str, str]:
    """What `python -m services.NAME` needs; `settings` are overrides without their prefix."""
    chosen = {
        "REDIS_URL": where.redis_url,
        "DATABASE_URL": where.database_url,
        "HTTP_PORT": str(free_port()),
        "CONSUMER": name,
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    return {"MILLRACE_CONFIG_FOLDER": str(ROOT / "config")} | {
        f"MILLRACE_{key}": value for key, value in chosen.items()
    }


async def until_ready(environments: Sequence[Mapping[str, str]]) -> None:
    """Wait for every service's /readyz.

    Raises:
        TimeoutError: one of them did not become ready.
    """
    async with httpx.AsyncClient() as client, asyncio.timeout(START_SECONDS):
        for environment in environments:
            url = f"http://127.0.0.1:{environment['MILLRACE_HTTP_PORT']}/readyz"
            while True:
                try:
                    if (await client.get(url)).status_code == httpx.codes.OK:
                        break
                except httpx.TransportError:
                    pass  # not listening yet
                await asyncio.sleep(0.1)
