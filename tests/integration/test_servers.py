"""The servers out of the wheels, as `millrace up` and these tests use them."""

from pathlib import Path

import psycopg
import pytest
from redis import Redis

from cli.servers import PostgresServer, RedisServer, ServerError


def test_redis_finds_its_data_after_a_stop_and_after_a_crash(redis_server: RedisServer) -> None:
    url = redis_server.url
    for number, end in enumerate((redis_server.stop, redis_server.kill), 1):
        with Redis.from_url(url) as client:
            assert client.incr("starts") == number
        end()
        redis_server.start()
        assert redis_server.url == url
    with Redis.from_url(url) as client:
        assert client.get("starts") == b"2"


def test_postgres_finds_its_data_after_a_crash_and_wants_its_password(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    postgres_server.kill()
    postgres_server.start()
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
    user, _, rest = postgres_server.url.rpartition("@")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"{user.rpartition(':')[0]}:wrong@{rest}")


def test_a_folder_in_use_is_refused(server_folder: Path) -> None:
    first = RedisServer(server_folder / "taken")
    first.start()
    try:
        with pytest.raises(ServerError, match="is in use by a running server: stop the Millrace that started it"):
            RedisServer(server_folder / "taken").start()
    finally:
        first.stop()


def test_a_port_in_use_is_refused(redis_server: RedisServer, server_folder: Path) -> None:
    port = int(redis_server.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(ServerError, match="Address already in use"):
        RedisServer(server_folder / "another", port).start()
