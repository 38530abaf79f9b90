"""A sweep's worker, put together: one process of the many that may share a study."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import closing

from starlette.routing import BaseRoute

from services.backtest.handlers import work
from services.backtest.optimise.config import Settings
from services.backtest.optimise.data import SweepData
from services.backtest.optimise.sweep import join
from shared.config import Common


class BacktestService:
    """Ends by itself when the study is complete."""

    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._study = settings.study
        self._storage = settings.storage or common.database_url
        self._working = False

    async def run(self, stop: asyncio.Event) -> None:
        stopping = threading.Event()
        worker = asyncio.create_task(asyncio.to_thread(self._work, stopping))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait((worker, told), return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        told.cancel()
        await worker

    def _work(self, stopping: threading.Event) -> None:
        sweep = join(self._storage, self._study)
        with closing(sweep.storage):
            data = SweepData.load(sweep.config.run)
            data.check(sweep.name, sweep.inputs)
            self._working = True
            work(sweep, lambda part: data.evaluation(part.run, sweep.space), stopping)

    async def ready(self) -> str | None:
        return None if self._working else "reading the study and its bars"


def build(settings: Settings, common: Common) -> BacktestService:
    return BacktestService(settings, common)
