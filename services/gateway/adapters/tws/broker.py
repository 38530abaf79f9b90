"""The broker through the TWS API, put together."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.gateway.adapters.tws.answers import CURRENT_TIME
from services.gateway.adapters.tws.callbacks import Callbacks
from services.gateway.adapters.tws.connection import Connection
from services.gateway.adapters.tws.lines import Lines
from services.gateway.adapters.tws.orders import Orders
from services.gateway.adapters.tws.quotes import Quotes
from services.gateway.adapters.tws.requests import Requests
from services.gateway.adapters.tws.snapshots import Snapshots
from services.gateway.config import Settings
from services.gateway.ports import Ability, Budget, Listener, Urgency
from shared.clock import Clock
from shared.messages.broker import BrokerSnapshot
from shared.types import Mode


class TwsBroker:
    """Implements `ports.Broker`."""

    lacks: frozenset[Ability] = frozenset()

    def __init__(self, settings: Settings, mode: Mode, clock: Clock, budget: Budget) -> None:
        self._trade_time = mode is Mode.SIMULATED
        self._rate = settings.interest_rate
        self._client_id = settings.client_id
        self._clock = clock
        self._connection = Connection(settings, budget)
        self._snapshots = Snapshots(self._connection, self.current_time)
        self.requests = Requests(self._connection, settings, clock)
        self.lines = Lines(self._connection, self.requests, delayed=settings.delayed_data)
        self.orders = Orders(self._connection, self.requests, settings)

    @property
    def closed(self) -> asyncio.Event:
        return self._connection.closed

    async def connect(self, listener: Listener) -> Sequence[str]:
        """A new client for each connection: nothing of the one before is left."""
        quotes = Quotes(self._clock, trade_time=self._trade_time, rate=self._rate)
        return await self._connection.connect(Callbacks(listener, self._clock, quotes, self._client_id))

    def disconnect(self) -> None:
        self._connection.disconnect()

    async def current_time(self) -> datetime:
        client = self._connection.client
        (now,) = await self._connection.ask(CURRENT_TIME, client.reqCurrentTime, Urgency.ACCOUNT)
        return now

    async def snapshot(self, account: str, request_id: UUID | None) -> BrokerSnapshot:
        return await self._snapshots.take(account, request_id)
