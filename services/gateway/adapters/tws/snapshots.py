"""Everything the broker knows at one moment, asked of the TWS API."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ib_async.objects import ExecutionFilter

from services.gateway.adapters.tws.answers import COMPLETED_ORDERS, OPEN_ORDERS, POSITIONS
from services.gateway.adapters.tws.connection import Connection
from services.gateway.ports import RequestRefused, Urgency
from shared.messages.broker import AccountValues, BrokerPosition, BrokerSnapshot

_SUMMARY_TAGS = {"NetLiquidation": "net_liquidation", "TotalCashValue": "cash", "BuyingPower": "buying_power"}


class Snapshots:
    """One snapshot at a time: most of these questions have no number, so two answers can't be told apart."""

    def __init__(self, connection: Connection, current_time: Callable[[], Awaitable[datetime]]) -> None:
        self._connection = connection
        self._current_time = current_time
        self._listing = asyncio.Lock()

    async def take(self, account: str, request_id: UUID | None) -> BrokerSnapshot:
        """As `ports.Broker.snapshot`."""
        async with self._listing:
            session = self._connection.session
            book, fills = session.orders.book, session.orders.fills
            while True:
                before, undecoded = session.orders.live_executions, session.undecoded.books
                book.begin_listing()
                fills.begin_listing()
                positions, values, *_ = await asyncio.gather(
                    self._positions(account), self._account_values(account), self._orders(), self._executions()
                )
                await self._current_time()  # commissions may follow the end of the executions
                if session.undecoded.books > undecoded:
                    raise RequestRefused("the broker's listing can't be read; what it lacks may be there all the same")
                if before == session.orders.live_executions:
                    break  # else a fill came in between, and positions may be older than executions
            book.end_listing()
            return BrokerSnapshot(
                request_id=request_id,
                account=values,
                positions=positions,
                orders=tuple(book.orders),
                executions=tuple(fills.executions.values()),
                commissions=tuple(fills.commissions.values()),
            )

    async def _positions(self, account: str) -> tuple[BrokerPosition, ...]:
        client = self._connection.client
        told = await self._connection.ask(POSITIONS, client.reqPositions, Urgency.ACCOUNT)
        await self._connection.send(Urgency.ACCOUNT, client.cancelPositions)
        newest = {held.symbol: held for owner, held in told if owner == account}
        return tuple(held for held in newest.values() if held.quantity)

    async def _orders(self) -> None:
        client, ask = self._connection.client, self._connection.ask
        await ask(OPEN_ORDERS, client.reqOpenOrders, Urgency.ACCOUNT)
        await ask(COMPLETED_ORDERS, lambda: client.reqCompletedOrders(False), Urgency.ACCOUNT)

    async def _executions(self) -> None:
        client, request = self._connection.client, self._connection.request_id()
        await self._connection.ask(request, lambda: client.reqExecutions(request, ExecutionFilter()), Urgency.ACCOUNT)

    async def _account_values(self, account: str) -> AccountValues:
        client, request = self._connection.client, self._connection.request_id()
        told = await self._connection.ask(
            request,
            lambda: client.reqAccountSummary(request, "All", ",".join(_SUMMARY_TAGS)),
            Urgency.ACCOUNT,
        )
        await self._connection.send(Urgency.ACCOUNT, lambda: client.cancelAccountSummary(request))
        found = {
            _SUMMARY_TAGS[tag]: Decimal(value)
            for owner, tag, value, currency in told
            if owner == account and tag in _SUMMARY_TAGS and currency == "USD"
        }
        if missing := set(_SUMMARY_TAGS.values()) - found.keys():
            raise RequestRefused(f"the account summary of {account} has no USD value for {sorted(missing)}")
        return AccountValues(account=account, **found)
