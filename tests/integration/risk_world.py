"""Risk and execution as they run, and everything around them, which a test plays."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from services.execution import app as execution
from services.execution.config import Settings as ExecutionSettings
from services.risk import app as risk
from services.risk.config import Settings as RiskSettings
from shared.bus import Bus
from shared.clock import MessageClock
from shared.config import Common
from shared.messages.base import Envelope, Message, follow, originate
from shared.messages.broker import (
    AccountValues,
    BrokerPosition,
    BrokerSnapshot,
)
from shared.messages.broker_commands import RequestSnapshot
from shared.messages.market import Bar, Quote
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import QuoteQuality, Side, Timeframe

NOW = datetime(2012, 6, 1, 13, 35, tzinfo=UTC)  # Friday 09:35 in New York
ACCOUNT = AccountValues(
    account="DU1", net_liquidation=Decimal(1_000_000), cash=Decimal(1_000_000), buying_power=Decimal(4_000_000)
)
BAR = Bar(
    symbol="AAPL",
    timeframe=Timeframe.DAY,
    start=NOW - timedelta(days=1),
    end=NOW - timedelta(hours=17),
    open=Decimal(560),
    high=Decimal(570),
    low=Decimal(550),
    close=Decimal(565),
    volume=Decimal(1_000_000),
)
QUOTE = Quote(
    symbol="AAPL",
    bid=Decimal("565.00"),
    ask=Decimal("565.02"),
    last=Decimal("565.01"),
    bid_size=Decimal(100),
    ask_size=Decimal(100),
    volume=Decimal(1),
    time=NOW,
    quality=QuoteQuality.LIVE,
)
INTENT = OrderIntent(
    strategy="crossover",
    symbol="AAPL",
    purpose=Purpose.ENTER,
    side=Side.BUY,
    score=1.0,
    reason="crossed above",
    stop_distance=Decimal(20),
    target_distance=Decimal(40),
    bar=BAR,
    expires_at=NOW + timedelta(minutes=5),
    job_run_id=None,
)


@dataclass
class World:
    """Everything around the two services."""

    common: Common
    held: Decimal = Decimal(0)  # shares of AAPL in the account

    def bus(self, service: str) -> Bus:
        return Bus(self.common.redis_url, service=service, consumer="test", clock=MessageClock())

    async def say(self, service: str, data: Message, key: str, cause: Envelope[Any] | None = None) -> None:
        bus = self.bus(service)
        made = (
            follow(cause, data, source=service, time=NOW, subject="AAPL", key=key)
            if cause
            else originate(data, source=service, time=NOW, subject="AAPL", key=key)
        )
        await bus.publish([made])
        await bus.close()

    async def heard(self, stream: str, kind: type[Message], count: int = 1) -> list[Envelope[Any]]:
        """The messages of one type on a stream, once there are at least `count`."""
        bus = self.bus("test")
        try:
            async with asyncio.timeout(20):
                while True:
                    found = [item for item in await bus.tail(stream, 1000) if isinstance(item.data, kind)]
                    if len(found) >= count:
                        return found
                    await asyncio.sleep(0.02)
        finally:
            await bus.close()

    async def rows(self, query: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
        async with asyncio.timeout(20):
            while True:
                async with await psycopg.AsyncConnection.connect(self.common.database_url) as connection:
                    rows = await (await connection.execute(query.encode())).fetchall()
                if enough(rows):
                    return rows
                await asyncio.sleep(0.02)

    async def answer_snapshots(self, stop: asyncio.Event) -> None:
        """What a gateway does with every RequestSnapshot."""
        gateway = self.bus("gateway")

        async def handle(command: Envelope[Any]) -> list[Envelope[Any]]:
            if not isinstance(command.data, RequestSnapshot):
                return []
            held = BrokerPosition(symbol="AAPL", quantity=self.held, average_cost=Decimal(565))
            answer = BrokerSnapshot(
                request_id=command.id,
                account=ACCOUNT,
                positions=(held,) if self.held else (),
                orders=(),
                executions=(),
                commissions=(),
            )
            return [follow(command, answer, source="gateway", time=NOW, subject="account")]

        gateway.subscribe("broker.commands", handle)
        await gateway.open()
        await gateway.run(stop)
        await gateway.close()


@asynccontextmanager
async def running(*runs: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.ensure_future(run(stop)) for run in runs]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def both(world: World, **risk_settings: object) -> AsyncIterator[None]:
    the_risk = risk.build(RiskSettings.model_validate(risk_settings), world.common)
    the_execution = execution.build(ExecutionSettings(snapshot_patience_seconds=30), world.common)
    async with running(world.answer_snapshots, the_execution.run, the_risk.run):
        async with asyncio.timeout(20):
            for ready in (the_risk.ready, the_execution.ready):
                while await reason(ready):  # noqa: ASYNC110 - a service tells when it is asked
                    await asyncio.sleep(0.02)
        assert await world.rows("SELECT state FROM trading_state", bool) == [("ACTIVE",)]
        yield


async def reason(ready: Callable[[], Awaitable[str | None]]) -> str | None:
    try:
        return await ready()
    except RuntimeError as error:  # the store is not open yet
        return str(error)
