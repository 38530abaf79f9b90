"""Real servers for every test that needs one. Nothing starts before a test asks for it.

`redis_url` and `database_url` are fresh for each test; `redis_server` and `postgres_server` are private processes
that a test may stop, stall and kill.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from cli.servers import PostgresServer, RedisServer
from shared.config import Common
from shared.db.engine import migrate
from tests import servers

KIND = pytest.StashKey[servers.Kind]()
_numbers = count()


def pytest_configure(config: pytest.Config) -> None:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # its image is one more that would have to be there
    config.stash[KIND] = servers.choose()
    os.environ.pop(servers.CHOICE, None)  # the services that tests start would refuse it as an unknown setting


def pytest_report_header(config: pytest.Config) -> str:
    return f"servers: {config.stash[KIND]}"


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's unprivileged user can enter; pytest's own tmp_path is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _redis(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[str]:
    with servers.redis(pytestconfig.stash[KIND], server_folder / "redis") as url:
        yield url


@pytest.fixture(scope="session")
def _postgres(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[str]:
    with servers.postgres(pytestconfig.stash[KIND], server_folder / "postgres") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # making and dropping databases would wait for the disk
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture
def redis_url(_redis: str) -> str:
    """An empty Redis."""
    with Redis.from_url(_redis) as client:
        client.flushall()
    return _redis


@pytest.fixture(scope="session")
def make_database(_postgres: str) -> Callable[..., str]:
    """Makes a new database and gives its URL: migrated, or with `migrated=False` empty."""
    _create(_postgres, "migrated_template")
    migrate(_named(_postgres, "migrated_template"))

    def make(*, migrated: bool = True) -> str:
        name = f"test_{next(_numbers)}"
        _create(_postgres, name, template="migrated_template" if migrated else "template0")
        return _named(_postgres, name)

    return make


@pytest.fixture
def database_url(make_database: Callable[..., str], _postgres: str) -> Iterator[str]:
    """A migrated database without rows."""
    url = make_database()
    yield url
    with psycopg.connect(_postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)".encode())


def _create(url: str, name: str, template: str = "template0") -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())


def _named(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


@pytest.fixture
def common(redis_url: str, database_url: str, tmp_path: Path) -> Common:
    """What services share, set to this test's own servers."""
    return Common(
        symbols=("AAPL", "FB", "GOOG", "IBM", "MSFT"),
        redis_url=redis_url,
        database_url=database_url,
        http_port=0,
        data_folder=tmp_path,
        consumer="test",
    )


@pytest.fixture
def redis_server(server_folder: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own, from the wheel: `stop`, `kill` and `start` it, or send signals to its `pid`."""
    server = RedisServer(server_folder / f"redis-{next(_numbers)}")
    server.start()
    yield server
    server.kill()
    server.stop()


@pytest.fixture
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own, from the wheel, with a migrated database; takes two seconds to make."""
    server = PostgresServer(server_folder / f"postgres-{next(_numbers)}")
    server.start()
    migrate(server.url)
    yield server
    server.kill()
    server.stop()
