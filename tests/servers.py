"""The real Redis and PostgreSQL that tests run against: containers where Docker has the images, else the wheels.

MILLRACE_TEST_SERVERS=containers or =wheels forces one of them; forced containers without Docker are an error.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.servers import PostgresServer, RedisServer, binary

CHOICE = "MILLRACE_TEST_SERVERS"
REDIS_IMAGES = ("valkey/valkey:8", "redis:8")
POSTGRES_IMAGE = "postgres:17"


@dataclass(frozen=True)
class Kind:
    """Where the servers come from; `redis` and `postgres` are image names, None = from the wheels."""

    redis: str | None = None
    postgres: str | None = None

    def __str__(self) -> str:
        if self.redis:
            return f"{self.redis} and {self.postgres} in containers"
        return f"Redis {_version('redis-server')} and PostgreSQL {_version('postgres')} from wheels"


def choose() -> Kind:
    """Containers when Docker has their images, unless the environment says otherwise.

    Raises:
        RuntimeError: containers are demanded and not to be had, or the variable's value is unknown.
    """
    demand = os.environ.get(CHOICE, "")
    if demand not in ("", "wheels", "containers"):
        raise RuntimeError(f"{CHOICE}={demand!r}: must be 'wheels' or 'containers'")
    images = set() if demand == "wheels" else _local_images()
    redis = next((image for image in REDIS_IMAGES if image in images), None)
    if redis and POSTGRES_IMAGE in images:
        return Kind(redis, POSTGRES_IMAGE)
    if demand == "containers":
        raise RuntimeError(
            f"{CHOICE}=containers needs a running Docker daemon with {POSTGRES_IMAGE} and one of {REDIS_IMAGES};"
            f" it has {sorted(images) or 'none, or does not answer'}: 'docker pull' them"
        )
    return Kind()


def _local_images() -> set[str]:
    try:
        listing = subprocess.run(
            ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],  # noqa: S607 - Docker is where PATH says
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return set()
    return set(listing.stdout.split())


def _version(server: str) -> str:
    command = [binary(server), "--version"]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    # X [binary(server), "--version"], capture_output=True, text=True, check=True).stdout.split()
    return next(word.removeprefix("v=") for word in words if word.removeprefix("v=")[0].isdigit())


@contextmanager
def redis(kind: Kind, folder: Path) -> Iterator[str]:
    """Run Redis for the session; gives its URL."""
    if kind.redis:
        from testcontainers.community.redis import RedisContainer  # slow to import, and not needed with wheels

        with RedisContainer(kind.redis) as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        return
    server = RedisServer(folder)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def postgres(kind: Kind, folder: Path) -> Iterator[str]:
    """Run PostgreSQL for the session; gives the URL of its database `millrace`."""
    if kind.postgres:
        from testcontainers.community.postgres import PostgresContainer

        with PostgresContainer(
            kind.postgres,
            username="millrace",
            password="test",  # noqa: S106 - a throwaway server
            dbname="millrace",
            driver=None,
        ) as container:
            yield container.get_connection_url()
        return
    server = PostgresServer(folder)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
