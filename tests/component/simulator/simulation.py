"""The simulator and unmodified ib_async in one process: what the tests of the simulated gateway share."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from ib_async import IB, Stock, Trade

from services.simulator.app import Simulator
from services.simulator.config import Settings

AAPL = Stock("AAPL", "SMART", "USD")
AAPL.conId = 265598
OPEN = datetime(2010, 1, 4, 14, 30, tzinfo=UTC)
CLOSE = datetime(2010, 1, 4, 21, 0, tzinfo=UTC)


def make_settings(**changes: object) -> Settings:
    values: dict[str, object] = {
        "port": 0,
        "symbols": ("AAPL", "IBM"),
        "start": date(2010, 1, 4),
        "end": date(2010, 1, 8),
        "warmup_days": 30,
    }
    return Settings.model_validate({**values, **changes})


@asynccontextmanager
async def running(folder: Path, **changes: object) -> AsyncIterator[Simulator]:
    simulator = Simulator(make_settings(**changes), folder)
    async with simulator.serving():
        yield simulator


@asynccontextmanager
async def connected(simulator: Simulator, client_id: int = 1) -> AsyncIterator[IB]:
    client = IB()
    try:
        await client.connectAsync("127.0.0.1", simulator.port, clientId=client_id, timeout=5, raiseSyncErrors=True)
        yield client
    finally:
        client.disconnect()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail with `what` after ten seconds."""
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"still not: {what}"
        await asyncio.sleep(0.005)


def statuses(trades: list[Trade]) -> list[str]:
    return [trade.orderStatus.status for trade in trades]


@pytest.fixture(autouse=True)
def no_decode_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No message of ours may fail in the client's decoder."""
    caplog.set_level(logging.INFO, logger="ib_async")
    yield
    wrong = [record for record in caplog.get_records("call") if record.name == "ib_async.Decoder" or record.exc_info]
    assert not wrong
    unknown = ("No order found", "Unknown reqId", "timed out")
    assert not [record for record in caplog.get_records("call") if any(text in record.getMessage() for text in unknown)]
