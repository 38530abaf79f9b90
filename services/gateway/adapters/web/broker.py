"""The broker through the Client Portal Web API, put together."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.contracts import Contracts
from services.gateway.adapters.web.lines import Lines
from services.gateway.adapters.web.orders import Orders
from services.gateway.adapters.web.requests import Requests
from services.gateway.adapters.web.session import Session
from services.gateway.adapters.web.snapshots import Snapshots
from services.gateway.config import Settings
from services.gateway.ports import Ability, Budget, Listener
from shared.clock import Clock
from shared.messages.broker import BrokerSnapshot
from shared.types import Mode


class WebBroker:
    """Implements `ports.Broker`."""

    lacks: frozenset[Ability] = frozenset(
        {
            Ability.TICK_BY_TICK,
            Ability.DEPTH,
            Ability.FIVE_SECOND_BARS,
            Ability.NEWS,
            Ability.CONDITIONS,
            Ability.ALGORITHMS,
            Ability.ORDER_TYPES_BEYOND_STOPS,
            Ability.ORDER_ATTRIBUTES,
            Ability.HISTORY_KINDS,
        }
    )

    def __init__(self, settings: Settings, mode: Mode, clock: Clock, budget: Budget) -> None:
        self._connection = Connection(settings, clock, budget)
        contracts = Contracts(self._connection)
        self.requests = Requests(self._connection, contracts, clock)
        self.lines = Lines(self._connection, contracts, clock, broker_time=mode is Mode.SIMULATED)
        self.orders = Orders(self._connection, contracts, clock)
        self._snapshots = Snapshots(self._connection, contracts, self.orders)

    @property
    def closed(self) -> asyncio.Event:
        return self._connection.closed

    async def connect(self, listener: Listener) -> Sequence[str]:
        """A new login check and a new stream: nothing of the connection before is left."""

        def prepare(session: Session) -> None:
            self.lines.begin(session)
            self.orders.begin(session)

        return await self._connection.connect(listener, prepare)

    def disconnect(self) -> None:
        self._connection.disconnect()

    async def current_time(self) -> datetime:
        return await self._connection.current_time()

    async def snapshot(self, account: str, request_id: UUID | None) -> BrokerSnapshot:
        return await self._snapshots.take(account, request_id)
