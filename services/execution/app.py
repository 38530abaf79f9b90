"""Execution, put together."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

from starlette.routing import BaseRoute

from services.execution.config import Settings
from services.execution.core.books import Books
from services.execution.core.change import Account, Fill
from services.execution.core.order import Order
from services.execution.core.position import Position
from services.execution.handlers import SOURCE, Handlers
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db import tables
from shared.db.engine import engine, read_all
from shared.db.store import Store
from shared.messages.base import originate
from shared.messages.broker_commands import RequestSnapshot
from shared.transactor import Effects, Transactor


def load_books(database_url: str) -> Books:
    """The books as the database has them."""
    database = engine(database_url)
    with database.connect() as connection:
        orders = read_all(connection, tables.orders, Order)
        fills = read_all(connection, tables.fills, Fill)
        positions = read_all(connection, tables.positions, Position)
        accounts = read_all(connection, tables.accounts, Account)
    database.dispose()
    return Books(
        {order.order_ref: order for order in orders},
        {fill.execution_id: fill for fill in fills},
        {position.symbol: position for position in positions},
        accounts[0] if accounts else None,
    )


class Execution:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._clock = clock_for(common.mode)
        bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=self._clock)
        self._transactor = Transactor(bus, Store(common.database_url, SOURCE))
        self._asked_at: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        handlers = Handlers(load_books(self._common.database_url), self._clock, self._snapshot_arrived)
        self._transactor.subscribe("broker.events", handlers.on_broker_event)
        self._transactor.subscribe("order.commands", handlers.on_order_command)
        self._transactor.subscribe("job.commands", handlers.on_job)
        await self._ask_for_snapshot()
        try:
            await self._transactor.run(stop)
        finally:
            await self._transactor.close()

    async def _ask_for_snapshot(self) -> None:
        """Start-up is recovery: the books are compared with the broker's before anything else is believed."""
        self._asked_at = time.monotonic()
        request = originate(
            RequestSnapshot(), source=SOURCE, time=self._clock.now(), subject="account", key=f"start:{uuid4()}"
        )
        await self._transactor.perform(Effects(messages=[request]))

    def _snapshot_arrived(self) -> None:
        self._asked_at = None

    async def ready(self) -> str | None:
        await self._transactor.check()
        if self._asked_at is None:
            return None
        waited = time.monotonic() - self._asked_at
        patience = self._settings.snapshot_patience_seconds
        late = " (late: is the gateway connected?)" if waited > patience else ""
        return f"waiting {waited:.0f} s for the broker's snapshot{late}"


def build(settings: Settings, common: Common) -> Execution:
    return Execution(settings, common)
