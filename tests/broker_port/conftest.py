"""Every case runs once with each broker adapter against a simulator, and on request against a paper account."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from services.gateway.ports import Ability
from shared.types import Mode
from tests.broker_port.stage import ADAPTERS, PAPER_VARIABLES, Desk, Stage, make_broker, paper, simulated


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(ability): skipped for an adapter that lacks this ability")
    config.addinivalue_line("markers", "paper: against a real paper account; see tests/broker_port/README.md")
    config.addinivalue_line("markers", "simulator(**settings): settings of the case's simulator")
    config.addinivalue_line("markers", "gateway(**settings): settings of the case's adapter")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case that asks for a `stage` needs control of the market; one that asks for a `desk` does not."""
    if "adapter" not in metafunc.fixturenames:
        return
    where = [pytest.param(adapter, id=adapter) for adapter in ADAPTERS]
    real = "paper" in str(metafunc.config.getoption("markexpr"))
    if real and "desk" in metafunc.fixturenames and "stage" not in metafunc.fixturenames:
        where += [pytest.param(f"paper {name}", id=f"paper-{name}", marks=pytest.mark.paper) for name in ADAPTERS]
    metafunc.parametrize("adapter", where)


@pytest.fixture(autouse=True)
def nothing_was_swallowed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Client libraries log and swallow what callbacks raise; here it fails the case."""
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert not [record.getMessage() for record in records if record.levelno >= logging.ERROR]


@pytest.fixture
async def unconnected(adapter: str, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    place, _, name = adapter.rpartition(" ")
    if place:
        missing = [variable for variable in PAPER_VARIABLES[name] if variable not in os.environ]
        if missing:
            pytest.skip(f"set {', '.join(missing)} to run this against a paper account")
        async with paper(name) as desk:
            yield desk
        return
    skip_if_lacking(request, adapter)
    async with simulated(adapter, settings(request, "gateway"), **settings(request, "simulator")) as stage:
        yield stage


def settings(request: pytest.FixtureRequest, marker: str) -> dict[str, Any]:
    """Arguments of the case's nearest marker of this name."""
    found = request.node.get_closest_marker(marker)
    return {} if found is None else dict(found.kwargs)


def skip_if_lacking(request: pytest.FixtureRequest, adapter: str) -> None:
    lacks = make_broker(adapter, Mode.SIMULATED, {}).lacks
    needs: list[Ability] = [mark.args[0] for mark in request.node.iter_markers("needs")]
    if lacking := [ability for ability in needs if ability in lacks]:
        pytest.skip(f"the {adapter} adapter lacks {', '.join(lacking)}")


@pytest.fixture
async def desk(unconnected: Desk) -> Desk:
    """Connected; a simulator or a paper account."""
    await unconnected.connect()
    return unconnected


@pytest.fixture
async def stage(unconnected: Desk) -> Stage:
    """Connected to a simulator."""
    assert isinstance(unconnected, Stage)
    await unconnected.connect()
    return unconnected
