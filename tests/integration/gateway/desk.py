"""A gateway at work in front of the simulated IB Gateway, and a desk that plays every other service."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from services.gateway.app import Gateway
from services.gateway.config import Settings
from services.simulator.app import Simulator
from services.simulator.core.catalogue import stock
from shared.bus import FIELD, Bus
from shared.clock import Clock, MessageClock
from shared.config import Common
from shared.messages.base import Envelope, Message, decode, originate
from shared.messages.broker import OrderReported, SessionChanged
from shared.messages.broker_commands import SubmitOrder, bracket
from shared.messages.market import Quote, QuoteBatch
from shared.streams import BY_NAME
from shared.types import OrderStatus, SessionState, Side, TimeInForce

SYMBOLS = ("AAPL", "IBM")
OPEN = datetime.fromisoformat("2010-01-04T09:35:00-05:00")
NEVER = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
DEADLINE_SECONDS = 20


class Desk:
    """Plays every other service: writes commands, reads what the gateway publishes."""

    def __init__(self, common: Common, simulator: Simulator) -> None:
        self.common = common
        self.simulator = simulator
        self.bus = Bus(common.redis_url, service="execution", consumer="desk", clock=MessageClock())
        self.market = Bus(common.redis_url, service="marketdata", consumer="desk", clock=MessageClock())
        self._number = 0

    async def close(self) -> None:
        await self.bus.close()
        await self.market.close()

    @asynccontextmanager
    async def gateway(self, clock: Clock | None = None, **settings: Any) -> AsyncGenerator[Gateway]:
        """A gateway that is READY; it is stopped as by SIGTERM. What made it fail comes out of here."""
        async with self.starting(clock, **settings) as (gateway, running):
            await until(lambda: gateway.session.ready.is_set() or running.done())
            if running.done():
                running.result()
            yield gateway

    @asynccontextmanager
    async def starting(
        self, clock: Clock | None = None, **settings: Any
    ) -> AsyncGenerator[tuple[Gateway, asyncio.Task[None]]]:
        """A gateway and its `run`, which need not be READY yet."""
        gateway = self.make(clock, **settings)
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        try:
            yield gateway, running
        finally:
            stop.set()
            with suppress(asyncio.CancelledError):
                await running

    def make(self, clock: Clock | None = None, **settings: Any) -> Gateway:
        given: dict[str, Any] = {
            "port": self.simulator.port,
            "requests_per_second": 0,
            "heartbeat_seconds": 0.02,
            **settings,
        }
        return Gateway(Settings.model_validate(given), self.common, clock)

    # Commands and what came of them

    async def command(self, message: Message, key: str = "") -> Envelope[Any]:
        self._number += 1
        bus = self.market if type(message) in BY_NAME["market.commands"].messages else self.bus
        now = self.simulator.engine.now
        sent = originate(message, source=bus.service, time=now, subject="test", key=key or str(self._number))
        await bus.publish([sent])
        return sent

    async def events(self, kind: type[Message] = Message, stream: str = "broker.events") -> list[Envelope[Any]]:
        entries = await self.bus.client.xrange(stream)
        decoded = [decode(fields[FIELD.encode()], BY_NAME[stream].types) for _, fields in entries]
        return [envelope for envelope in decoded if isinstance(envelope.data, kind)]

    async def states(self) -> list[SessionState]:
        return [event.data.state for event in await self.events(SessionChanged)]

    async def statuses(self, order_ref: str) -> list[OrderStatus]:
        return [event.data.status for event in await self.events(OrderReported) if event.data.order_ref == order_ref]

    async def quotes(self) -> dict[str, Quote]:
        newest: dict[str, Quote] = {}
        for batch in await self.bus.tail("market.quotes", 1000):
            assert isinstance(batch.data, QuoteBatch)
            newest |= {quote.symbol: quote for quote in batch.data.quotes}
        return newest

    def at_broker(self, what: str = "place") -> list[str]:
        return [entry.order_ref for entry in self.simulator.engine.received if entry.what == what]

    # What happens outside

    def advance(self, to: datetime = OPEN) -> None:
        self.simulator.broker.advance(to)

    def drop_clients(self) -> None:
        """Close every client's connection, as a broker that goes away does."""
        for session in list(self.simulator.broker.sessions.values()):
            session.abort()

    async def settled(self, gateway: Gateway) -> None:
        """Wait until every command is handled and everything the broker said is published."""

        async def idle() -> bool:
            for stream in ("broker.commands", "market.commands"):
                (group,) = await self.bus.client.xinfo_groups(stream)
                newest = await self.bus.client.xrevrange(stream, count=1)
                if group["pending"] or (newest and newest[0][0] != group["last-delivered-id"]):
                    return False
            return True

        await until(idle)
        await gateway.session.beat()


class Watch:
    """Our clock in paper mode: the simulator's, and wrong by `error`."""

    def __init__(self, desk: Desk) -> None:
        self._engine = desk.simulator.engine
        self.error = timedelta(0)

    def now(self) -> datetime:
        return self._engine.now + self.error

    def observe(self, time: datetime) -> None: ...


async def until(condition: Callable[[], Any]) -> None:
    """Poll a condition, which may be a coroutine function, until it holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            value = condition()
            if await value if asyncio.iscoroutine(value) else value:
                return
            await asyncio.sleep(0.01)


def order(simulator: Simulator, order_id: str = "order-1", *, limit: str = "", **changes: Any) -> SubmitOrder:
    """A bracket on AAPL that fills at once, unless `limit` keeps it working."""
    quote = simulator.engine.market.quote(stock("AAPL").contract_id, simulator.engine.now)
    assert quote is not None
    last = quote.last
    values: dict[str, Any] = {
        "order_id": order_id,
        "symbol": "AAPL",
        "side": Side.BUY,
        "quantity": Decimal(100),
        "limit_price": Decimal(limit) if limit else last + 1,
        "stop_price": last - 20,
        "target_price": last + 20,
        "time_in_force": TimeInForce.DAY,
        "expires_at": NEVER,
    }
    return bracket(**(values | changes))


async def verdicts(desk: Desk, wanted: Sequence[str | None]) -> bool:
    async with await psycopg.AsyncConnection.connect(desk.common.database_url) as connection:
        rows = await (await connection.execute("SELECT verdict FROM broker_orders ORDER BY order_ref")).fetchall()
    return [row[0] for row in rows] == list(wanted)


async def last_report(desk: Desk, order_ref: str, status: OrderStatus) -> bool:
    return (await desk.statuses(order_ref))[-1:] == [status]
