"""A small service for tests to hurt: reads `market.bars` as `strategy` and answers each bar with a JobFinished.

With a database it also keeps one `alerts` row for each bar, through a Transactor. The bar's symbol says what happens:
FAIL raises, HANG waits for the file `go-on`, DIE kills the process once, COMMIT_DIE kills it once between commit and
publish. `tests/tools.py` starts it, as `python -m tests.integration.bus_service` with its settings in a folder.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.bus import Bus
from shared.clock import MessageClock
from shared.config import Common, Settings
from shared.db import tables
from shared.db.store import Row, Store
from shared.messages.base import Envelope, follow
from shared.messages.job import Job, JobFinished, JobOutcome
from shared.messages.market import Bar
from shared.runtime import Service, run
from shared.transactor import Effects, Transactor


def answer(bar: Envelope[Bar]) -> Envelope[Any]:
    finished = JobFinished(
        run_id=bar.id, job=Job.FETCH_BARS, outcome=JobOutcome.SUCCEEDED, detail=bar.data.symbol, duration_seconds=0
    )
    return follow(bar, finished, source="strategy", time=bar.time, subject=bar.data.symbol)


class BusSettings(Settings):
    section = "bus"
    service_folder: Path
    database: str = ""


class BusService:
    """Notes each bar it was handed in `<folder>/handled`, one line each, before it obeys it."""

    def __init__(self, settings: BusSettings, common: Common) -> None:
        self._folder = settings.service_folder
        self._bus = Bus(common.redis_url, service="strategy", consumer=common.consumer, clock=MessageClock())
        self._transactor: Transactor | None = None
        if settings.database:
            self._transactor = Transactor(self._bus, Store(settings.database, "strategy"))
            self._transactor.subscribe("market.bars", self._decide)
        else:
            self._bus.subscribe("market.bars", self._handle)
        self.routes = ()

    async def run(self, stop: asyncio.Event) -> None:
        part = self._transactor or self._bus
        await part.open()
        (self._folder / f"open-{self._bus.consumer}").touch()
        try:
            await part.run(stop)
        finally:
            await part.close()

    async def ready(self) -> str | None:
        await self._bus.client.ping()
        return None

    async def _handle(self, bar: Envelope[Bar]) -> Sequence[Envelope[Any]]:
        with (self._folder / "handled").open("a") as file:
            file.write(f"{bar.data.symbol} {bar.data.volume} {self._bus.consumer}\n")
        if bar.data.symbol == "FAIL":
            raise RuntimeError("told to fail")
        if bar.data.symbol == "DIE" and not (self._folder / "died").exists():
            (self._folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while bar.data.symbol == "HANG" and not (self._folder / "go-on").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # for a file: there is no event between processes
        return [answer(bar)]

    async def _decide(self, bar: Envelope[Bar]) -> Effects:
        messages = await self._handle(bar)
        row = Row(
            tables.alerts,
            {"key": f"{bar.data.symbol} {bar.data.volume}", "title": "", "body": "", "channels": 0, "failed": "",
             "sent_at": bar.time},
        )  # fmt: skip
        if bar.data.symbol == "COMMIT_DIE" and self._transactor and not (self._folder / "died").exists():
            (self._folder / "died").touch()
            await self._transactor.store.commit(bar, [row], messages)
            os.kill(os.getpid(), signal.SIGKILL)
        return Effects([row], messages)


def build(settings: BusSettings, common: Common) -> Service:
    return BusService(settings, common)


if __name__ == "__main__":
    run(BusSettings, build)
