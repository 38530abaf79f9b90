"""Every case of this suite runs once with each client library."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.simulator.config import Settings
from tests.conformance.environments import CLIENTS
from tests.conformance.harness import Client, Driver, World
from tests.conformance.market import SETTINGS, TEN_O_CLOCK


@pytest.fixture(scope="session", params=CLIENTS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    driver = Driver(request.param)
    yield driver
    driver.close()


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Starts a simulator; a later one in the same test continues what the one before did."""
    worlds: list[World] = []

    def make(**changes: Any) -> World:
        while worlds:
            worlds.pop().close()
        worlds[:] = [World(Settings.model_validate({**SETTINGS, **changes}), tmp_path)]
        return worlds[0]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A simulator of the case's own, half an hour after the first open."""
    world = make_world()
    world.advance(TEN_O_CLOCK)
    return world


@pytest.fixture
def client(driver: Driver, world: World) -> Iterator[Client]:
    """Connected as client 1. The case fails if the library could not use a single message."""
    client = Client(driver, world)
    client.connect()
    yield client
    assert client.finish() == []


@pytest.fixture
def stranger(driver: Driver, world: World) -> Iterator[Client]:
    """Not connected."""
    client = Client(driver, world)
    yield client
    assert client.finish() == []
