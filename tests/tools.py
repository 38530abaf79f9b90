"""What several tests need: messages to send, waiting for a condition, and a service as a process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from shared.bus import Bus
from shared.clock import MessageClock
from shared.config import CONFIG_FOLDER
from shared.messages.base import Envelope, originate
from shared.messages.market import Bar
from shared.types import Timeframe

PROCESS_SECONDS = 60  # a process needs one or two to start; a busy machine makes it many
START = datetime(2015, 6, 1, 20, tzinfo=UTC)


async def eventually(condition: Callable[[], Any | Awaitable[Any]], seconds: float = 15) -> float:
    """Wait until `condition` (sync or async) is true; returns how long it took, fails after `seconds`."""
    began = time.monotonic()
    while True:
        value = condition()
        if value if not isinstance(value, Awaitable) else await value:
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s: {getattr(condition, '__name__', condition)}")
        await asyncio.sleep(0.005)


def make_bar(number: int, symbol: str = "AAPL") -> Envelope[Bar]:
    """A daily bar, as marketdata publishes it; `number` is its volume and tells it from others."""
    end = START + timedelta(days=number)
    price = Decimal("10.25")
    bar = Bar(
        symbol=symbol, timeframe=Timeframe.DAY, start=end - timedelta(hours=6, minutes=30), end=end,
        open=price, high=price, low=price, close=price, volume=Decimal(number),
    )  # fmt: skip
    return originate(bar, source="marketdata", time=end, subject=symbol, key=bar.key)


def make_bus(url: str, service: str, consumer: str = "test") -> Bus:
    return Bus(url, service=service, consumer=consumer, clock=MessageClock())


@asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[None]:
    """The bus reads while the body runs. What a handler raises comes out of here."""
    stop = asyncio.Event()
    await bus.open()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(bus.run(stop))
            try:
                yield
            finally:
                stop.set()
    finally:
        await bus.close()


class Collector:
    """A handler that keeps what it gets, and answers it when given an `answer`."""

    def __init__(self, answer: Callable[[Envelope[Any]], Envelope[Any]] | None = None) -> None:
        self.got: list[Envelope[Any]] = []
        self._answer = answer

    async def __call__(self, envelope: Envelope[Any]) -> Sequence[Envelope[Any]]:
        self.got.append(envelope)
        return [self._answer(envelope)] if self._answer else ()

    @property
    def numbers(self) -> list[int]:
        """Of the bars it got."""
        return [int(envelope.data.volume) for envelope in self.got]


async def publish(url: str, messages: Sequence[Envelope[Any]]) -> None:
    """Publish messages in the name of the source of the first."""
    bus = make_bus(url, messages[0].source)
    await bus.publish(messages)
    await bus.close()


async def pending(client: Any, stream: str, group: str) -> int:
    """How many entries the group was handed and has not acknowledged."""
    return (await client.xpending(stream, group))["pending"]


async def calls(client: Any, command: str) -> int:
    """How often Redis was asked this since CONFIG RESETSTAT."""
    return (await client.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})["calls"]


@dataclass
class ServiceProcess:
    """`tests.integration.bus_service` as a process of its own."""

    redis_url: str
    folder: Path
    consumer: str = "first-host"
    database_url: str = ""
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> "ServiceProcess":
        config = self.folder / f"config-{self.consumer}"
        config.mkdir(exist_ok=True)
        (config / "millrace.toml").write_text(
            f'symbols = ["AAPL"]\nredis_url = "{self.redis_url}"\nhttp_port = 0\nconsumer = "{self.consumer}"\n'
        )
        (config / "bus.toml").write_text(f'service_folder = "{self.folder}"\ndatabase = "{self.database_url}"\n')
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.bus_service"],
                env=os.environ | {CONFIG_FOLDER: str(config)},
                cwd=Path(__file__).parents[1],
                stderr=log,
            )
        return self

    @property
    def log(self) -> Path:
        return self.folder / f"{self.consumer}.log"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        """Waits for the process to end by itself."""
        await eventually(lambda: self.process.poll() is not None, PROCESS_SECONDS)
        return self.process.returncode

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return await self.exit_code()

    def handled(self) -> list[str]:
        """The bars any process in this folder was handed: 'SYMBOL VOLUME CONSUMER'."""
        file = self.folder / "handled"
        return file.read_text().splitlines() if file.exists() else []

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
