"""The simulator's Web API and the unmodified package ibind in one process: what the tests of the Web API share."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import websockets.asyncio.client
from ibind import IbkrClient, OrderRequest, QuestionType

from services.simulator.app import Simulator
from tests.component.simulator.simulation import running

ACCOUNT = "DU1000001"
AAPL = 265598
YES = dict.fromkeys(QuestionType, True)
"""Answers every question that IBKR is known to ask."""


class Web:
    """ibind's client, whose calls block, awaited. Raises ibind's ExternalBrokerError for an HTTP status that is bad."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.address = f"127.0.0.1:{simulator.web_port}/v1/api"
        self.client = IbkrClient(
            account_id=ACCOUNT, url=f"http://{self.address}/", max_retries=0, auto_register_shutdown=False
        )

    async def ask(self, name: str, *arguments: Any, **more: Any) -> Any:
        return (await asyncio.to_thread(getattr(self.client, name), *arguments, **more)).data

    async def place(self, **changes: Any) -> Any:
        """Place an order (100 AAPL at the market, if nothing else is said) and confirm whatever is asked."""
        return await self.ask("place_order", order(**changes), YES)

    async def orders(self) -> dict[str, dict[str, Any]]:
        """Today's orders by their cOID."""
        while not (found := await self.ask("live_orders"))["snapshot"]:
            pass
        return {row["order_ref"]: row for row in found["orders"]}

    @asynccontextmanager
    async def stream(self, *subscriptions: str) -> AsyncGenerator["Heard"]:
        async with websockets.asyncio.client.connect(f"ws://{self.address}/ws") as socket:
            for subscription in subscriptions:
                await socket.send(subscription)
            yield Heard(socket)


class Heard:
    """What a WebSocket said, in order."""

    def __init__(self, socket: websockets.asyncio.client.ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []

    async def until(self, topic: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a topic that bears these fields, in itself or in `args`."""
        async with asyncio.timeout(10):
            while True:
                message = json.loads(await self.socket.recv())
                self.messages.append(message)
                if message.get("topic") == topic and any(fields.items() <= each.items() for each in _parts(message)):
                    return message

    async def all_due(self) -> list[dict[str, Any]]:
        """Return everything that was due before now."""
        await self.socket.send("tic")
        before = len(self.messages)
        await self.until("tic")
        return self.messages[before:-1]


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    inner = message.get("args", [])
    return [message, *(inner if isinstance(inner, list) else [inner])]


@asynccontextmanager
async def web(
    folder: Path, *, limited: bool = False, accounts_read: bool = True, **changes: object
) -> AsyncGenerator[Web]:
    """The simulator with its Web API and a client that has asked for its accounts."""
    rate = {} if limited else {"messages_per_second": 0}
    async with running(folder, web_port=0, **rate, **changes) as simulator:
        found = Web(simulator)
        try:
            if accounts_read:
                await found.ask("receive_brokerage_accounts")
            yield found
        finally:
            found.client.close()


def order(**changes: Any) -> OrderRequest:
    values: dict[str, Any] = {"conid": AAPL, "side": "BUY", "quantity": 100, "order_type": "MKT", "acct_id": ACCOUNT}
    values |= {"coid": "one", "tif": "DAY"}
    return OrderRequest(**{**values, **changes})
