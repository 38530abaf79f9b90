"""Everything the broker knows at one moment, asked of the Web API."""

import asyncio
from itertools import count
from uuid import UUID

from services.gateway.adapters.web import convert
from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.contracts import Contracts
from services.gateway.adapters.web.convert import Row
from services.gateway.adapters.web.orders import Orders
from services.gateway.ports import NoAnswer, RequestRefused, Urgency
from shared.messages.broker import AccountValues, BrokerPosition, BrokerSnapshot

_SUMMARY = {"netliquidation": "net_liquidation", "totalcashvalue": "cash", "buyingpower": "buying_power"}
_PAGE = 100  # positions
_LISTINGS = 20  # asked for in vain, after which IBKR owes an answer


class Snapshots:
    """One snapshot at a time."""

    def __init__(self, connection: Connection, contracts: Contracts, orders: Orders) -> None:
        self._connection = connection
        self._contracts = contracts
        self._orders = orders
        self._listing = asyncio.Lock()

    async def take(self, account: str, request_id: UUID | None) -> BrokerSnapshot:
        """As `ports.Broker.snapshot`; an answer that IBKR marks as not complete is asked for again."""
        async with self._listing:
            words = self._orders.words
            while True:
                fills = words.live_executions
                words.begin_listing()
                positions, values, *_ = await asyncio.gather(
                    self._positions(account), self._account_values(account), self._list()
                )
                await self._connection.current_time()
                if fills == words.live_executions:
                    break  # else a fill came in between, and positions may be older than executions
            words.end_listing()
            return BrokerSnapshot(
                request_id=request_id,
                account=values,
                positions=positions,
                orders=tuple(words.reports.values()),
                executions=tuple(words.fills.executions.values()),
                commissions=tuple(words.fills.commissions.values()),
            )

    async def _list(self) -> None:
        """The orders first: they tell whose the trades are."""
        await self._list_orders()
        self._orders.adopt()
        await self._orders.words.trades_listed(await self._orders.list_trades())

    async def _list_orders(self) -> None:
        """The first answers of a login may be empty, with `snapshot: false`: then they say nothing."""
        for _ in range(_LISTINGS):
            told = await self._connection.ask(Urgency.ACCOUNT, "live_orders")
            if told.get("snapshot"):
                for row in convert.rows(told, "orders"):
                    self._orders.words.told(row)
                return
        raise NoAnswer("IBKR does not complete its list of orders")

    async def _positions(self, account: str) -> tuple[BrokerPosition, ...]:
        ask = self._connection.ask
        await ask(Urgency.ACCOUNT, "invalidate_backend_portfolio_cache", account)
        held: dict[str, BrokerPosition] = {}
        for page in count():
            rows: list[Row] = await ask(Urgency.ACCOUNT, "positions", account, page)
            for row in rows:
                quantity = convert.number(row.get("position")) or convert.ZERO
                contract = await self._contracts.of(int(row["conid"]))
                held[contract.name] = BrokerPosition(
                    symbol=contract.name,
                    quantity=quantity,
                    average_cost=convert.number(row.get("avgCost")) or convert.ZERO,
                )
            if len(rows) < _PAGE:
                break
        return tuple(position for position in held.values() if position.quantity)

    async def _account_values(self, account: str) -> AccountValues:
        told = await self._connection.ask(Urgency.ACCOUNT, "portfolio_summary", account)
        found = {
            ours: amount
            for theirs, ours in _SUMMARY.items()
            if (entry := told.get(theirs)) is not None
            and entry.get("currency") == "USD"
            and not entry.get("isNull")
            and (amount := convert.number(entry.get("amount"))) is not None
        }
        if missing := set(_SUMMARY.values()) - found.keys():
            raise RequestRefused(f"the account summary of {account} has no USD value for {sorted(missing)}")
        return AccountValues(account=account, **found)
