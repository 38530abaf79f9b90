"""A simulator and a desk for each test of the gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.simulator.app import Simulator
from services.simulator.config import Settings
from shared import reader
from shared.bus import ensure_groups
from shared.config import Common
from tests.integration.gateway.desk import SYMBOLS, Desk


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    made = Simulator(
        Settings.model_validate({"port": 0, "symbols": SYMBOLS, "fault_seconds": 0.05}), tmp_path / "simulator"
    )
    async with made.serving():
        yield made


@pytest.fixture
async def desk(common: Common, simulator: Simulator) -> AsyncIterator[Desk]:
    desk = Desk(common.model_copy(update={"symbols": SYMBOLS}), simulator)
    await ensure_groups(desk.bus.client)
    yield desk
    await desk.close()


@pytest.fixture(autouse=True)
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices only between two reads that it is to stop; a second each would make these tests slow."""
    monkeypatch.setattr(reader, "BLOCK_MILLISECONDS", 100)
