"""500 orders through the real gateway while its connection is cut, stalled and reset, and it is killed in between.

At the end: at most one order per orderRef at the broker, none without a verdict, every fill booked once, and our books
and the broker's agree. Everything is seeded; only the machine's own timing differs between two runs.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.execution import app as execution
from services.execution.config import Settings as ExecutionSettings
from services.gateway.app import Gateway
from services.gateway.config import Settings
from services.simulator.app import Simulator
from services.simulator.config import Settings as SimulatorSettings
from services.simulator.core.catalogue import stock
from services.simulator.core.orders import Status
from shared import reader
from shared.bus import FIELD, Bus, ensure_groups
from shared.clock import MessageClock
from shared.config import Common
from shared.messages.base import Envelope, Message, decode, originate
from shared.messages.broker import BrokerSnapshot, ExecutionReported, OrderReported
from shared.messages.broker_commands import CancelOrder, OrderTerms, SubmitOrder
from shared.messages.order import PlaceOrder, Reconcile, Reconciled
from shared.streams import BY_NAME
from shared.types import OrderStatus, OrderType, Side, TimeInForce
from tests.chaos.proxy import Fault, Proxy
from tests.tools import eventually

SYMBOLS = tuple(f"S{number:02d}" for number in range(12))
OPEN = datetime.fromisoformat("2010-01-04T09:35:00-05:00")
NEVER = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
PAUSE_SECONDS = 0.2  # of a stall, and of a ghost
PATIENCE_SECONDS = 40
S = OrderStatus
# A gateway that is torn out of its work in this very process leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
STATUSES = {
    Status.PRE_SUBMITTED: {S.SUBMITTED, S.PARTIALLY_FILLED},
    Status.SUBMITTED: {S.SUBMITTED, S.PARTIALLY_FILLED},
    Status.FILLED: {S.FILLED},
    Status.CANCELLED: {S.CANCELLED},
    Status.INACTIVE: {S.REJECTED},
}


@pytest.fixture(autouse=True)
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices only between two reads that it is to stop; a second each would make these tests slow."""
    monkeypatch.setattr(reader, "BLOCK_MILLISECONDS", 100)


@dataclass
class World:
    """The gateway and execution, the simulator, and the proxy in between; the test is risk."""

    common: Common
    simulator: Simulator
    proxy: Proxy
    chance: random.Random
    bus: Bus = field(init=False)
    risk: Bus = field(init=False)
    refs: list[str] = field(default_factory=list[str])
    kills: int = 0
    faults: Counter[Fault] = field(default_factory=Counter[Fault])
    _gateway: tuple[Gateway, asyncio.Task[None]] | None = None

    def __post_init__(self) -> None:
        self.bus = Bus(self.common.redis_url, service="execution", consumer="chaos", clock=MessageClock())
        self.risk = Bus(self.common.redis_url, service="risk", consumer="chaos", clock=MessageClock())

    # The gateway's process

    def start(self) -> None:
        settings = Settings(
            port=self.proxy.port,
            requests_per_second=0,
            heartbeat_seconds=0.05,
            connect_timeout_seconds=1,
            answer_timeout_seconds=0.6,
            order_timeout_seconds=0.5,
            settle_seconds=0.3,
            reconnect_backoff_seconds=0.1,
        )
        gateway = Gateway(settings, self.common)
        self._gateway = gateway, asyncio.create_task(gateway.run(asyncio.Event()))

    async def kill(self) -> None:
        """Tear the gateway out of whatever it is doing."""
        assert self._gateway is not None
        _, running = self._gateway
        if running.done():
            running.result()  # it failed by itself, which it must not
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        self.kills += 1

    @property
    def gateway(self) -> Gateway:
        assert self._gateway is not None
        gateway, running = self._gateway
        if running.done():
            running.result()
        return gateway

    # What is ordered

    async def order(self) -> None:
        """One more: a bracket, or a single order that fills at once or never."""
        number = len(self.refs)
        symbol = SYMBOLS[number % len(SYMBOLS)]
        quote = self.simulator.engine.market.quote(stock(symbol).contract_id, self.simulator.engine.now)
        assert quote is not None
        side, last = self.chance.choice(tuple(Side)), quote.last
        ours = times(last, 1 + side.sign * (0.02 if self.chance.random() < 0.6 else -0.2))
        quantity = Decimal(self.chance.randint(1, 5))
        if self.chance.random() < 0.5:
            await self.bracket(f"b{number}", symbol, side, quantity, ours, last)
        else:
            terms = OrderTerms(
                order_ref=f"s{number}",
                symbol=symbol,
                side=side,
                quantity=quantity,
                order_type=OrderType.LIMIT,
                limit_price=ours,
            )
            self.refs.append(terms.order_ref)
            await self.say(self.bus, SubmitOrder(orders=(terms,), expires_at=NEVER), terms.order_ref)

    async def bracket(
        self, order_id: str, symbol: str, side: Side, quantity: Decimal, limit: Decimal, last: Decimal
    ) -> None:
        command = PlaceOrder(
            order_id=order_id,
            strategy="chaos",
            symbol=symbol,
            side=side,
            quantity=quantity,
            limit_price=limit,
            stop_price=times(last, 1 - side.sign * 0.3),
            target_price=times(last, 1 + side.sign * 0.3),
            time_in_force=TimeInForce.DAY,
            expires_at=NEVER,
            checks=(),
        )
        self.refs += [order_id, f"{order_id}.stop", f"{order_id}.target"]
        await self.say(self.risk, command, order_id)

    async def bracket_now(self) -> None:
        """A bracket whose entry fills at once."""
        number = len(self.refs)
        symbol = SYMBOLS[number % len(SYMBOLS)]
        quote = self.simulator.engine.market.quote(stock(symbol).contract_id, self.simulator.engine.now)
        assert quote is not None
        side = self.chance.choice(tuple(Side))
        await self.bracket(
            f"b{number:04d}", symbol, side, Decimal(1), times(quote.last, 1 + side.sign * 0.02), quote.last
        )

    async def order_probe(self) -> None:
        """A bracket on an undisturbed connection, to learn how many bytes one has."""
        await self.bracket_now()
        await self.settle()

    async def cancel(self, order_ref: str) -> None:
        await self.say(self.bus, CancelOrder(order_ref=order_ref), f"cancel {order_ref} {len(self.refs)}")

    async def say(self, bus: Bus, message: Message, key: str) -> Envelope[Any]:
        now = self.simulator.engine.now
        envelope = originate(message, source=bus.service, time=now, subject="chaos", key=key)
        await bus.publish([envelope])
        return envelope

    # What came of it

    def placed(self) -> list[str]:
        return [entry.order_ref for entry in self.simulator.engine.received if entry.what == "place"]

    async def rows(self, query: str) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(self.common.database_url) as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def events(self) -> list[Message]:
        stream = BY_NAME["broker.events"]
        entries = await self.bus.client.xrange(stream.name)
        return [decode(fields[FIELD.encode()], stream.types).data for _, fields in entries]

    async def at_rest(self) -> bool:
        """Every command is handled, every event is read, and no order is in doubt."""
        assert self.gateway
        for stream, group in (
            ("order.commands", "execution"),
            ("broker.commands", "gateway"),
            ("broker.events", "execution"),
        ):
            groups = {found["name"]: found for found in await self.bus.client.xinfo_groups(stream)}
            found, newest = groups[group.encode()], await self.bus.client.xrevrange(stream, count=1)
            if found["pending"] or (newest and newest[0][0] != found["last-delivered-id"]):
                return False
        return not await self.rows("SELECT order_ref FROM broker_orders WHERE verdict IS NULL")

    async def settle(self) -> None:
        self.proxy.disarm()
        await eventually(self.at_rest, PATIENCE_SECONDS)
        await self.gateway.session.beat()
        await eventually(self.at_rest, PATIENCE_SECONDS)


def times(price: Decimal, factor: float) -> Decimal:
    return (price * Decimal(factor)).quantize(Decimal("0.01"))


@pytest.fixture
async def world(common: Common, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    settings = SimulatorSettings(
        port=0, market="synthetic", symbols=SYMBOLS, options=False, messages_per_second=0, warmup_days=5
    )
    simulator = Simulator(settings, tmp_path / "simulator")
    common = common.model_copy(update={"symbols": SYMBOLS[:2]})
    seed = getattr(request, "param", 1)
    async with simulator.serving(), Proxy(lambda: simulator.port, PAUSE_SECONDS).serving() as proxy:
        simulator.broker.advance(OPEN)
        made = World(common, simulator, proxy, random.Random(seed))
        await ensure_groups(made.bus.client)
        async with books(made):
            yield made
        await made.bus.close()
        await made.risk.close()


@asynccontextmanager
async def books(world: World) -> AsyncGenerator[None]:
    """Execution and the gateway at work, begun with a first comparison."""
    stop = asyncio.Event()
    service = execution.build(ExecutionSettings(), world.common)
    running = asyncio.create_task(service.run(stop))
    world.start()
    try:

        async def compared() -> bool:
            return bool(await world.rows("SELECT account FROM accounts"))

        await eventually(compared, PATIENCE_SECONDS)
        yield
    finally:
        stop.set()
        await world.kill()
        await running


async def check(world: World) -> None:
    """All that must be true at the end."""
    await world.settle()
    placed = Counter(world.placed())
    assert {ref: count for ref, count in placed.items() if count > 1} == {}, "sent twice"
    assert [entry for entry in world.simulator.engine.received if entry.what == "modify"] == [], (
        "sent again as a change"
    )
    await check_verdicts(world)
    await check_fills(world)
    told = await world.rows("SELECT verdict, count(*) FROM broker_orders GROUP BY 1")
    print(len(world.refs), "orders,", len(placed), "placed,", dict(world.faults), dict(told))  # noqa: T201
    key = f"reconcile {world.kills} {len(world.refs)}"
    await world.say(world.risk, Reconcile(), key)
    await world.settle()
    (newest,) = await world.bus.tail("order.events", 1)
    assert isinstance(newest.data, Reconciled)
    # an entry that the test cancels when it is half filled takes its stop along: that is said, and no difference
    assert [item for item in newest.data.breaks if not item.subject.startswith("protection of ")] == []


async def check_verdicts(world: World) -> None:
    """The last word on each order is the broker's, and right; where it has none, it never got the order."""
    told: dict[str, OrderReported] = {}
    for event in await world.events():
        match event:
            case OrderReported():
                told[event.order_ref] = event
            case BrokerSnapshot():
                told |= {report.order_ref: report for report in event.orders}
            case _:
                pass
    there = {order.request.order_ref: order.status for order in world.simulator.engine.book.orders.values()}
    assert set(world.refs) <= told.keys(), "without a word"
    ours = dict(await world.rows("SELECT order_ref, status FROM orders"))
    for order_ref in world.refs:
        report = told[order_ref]
        allowed = STATUSES[there[order_ref]] if order_ref in there else {S.REJECTED, S.CANCELLED}
        assert report.status in allowed, f"{order_ref}: {report}, at the broker {there.get(order_ref)}"
        if order_ref in ours:
            assert S(ours[order_ref]) in allowed, (
                f"{order_ref}: {ours[order_ref]}, at the broker {there.get(order_ref)}"
            )


async def check_fills(world: World) -> None:
    """Executions at the broker = fills in the books, each once, to the share and the cent."""
    broker = {item.execution_id: (item.shares, item.price) for item in world.simulator.engine.executions}
    booked = await world.rows("SELECT execution_id, quantity, price FROM fills")
    assert {row[0]: (row[1], row[2]) for row in booked} == broker
    told = {event.execution_id for event in await world.events() if isinstance(event, ExecutionReported)}
    assert broker
    assert told <= broker.keys()


def bytes_of_a_bracket(length: int, parts: int, part: int) -> Iterator[int]:
    """Every k-th byte of a bracket's orders, from the first to one past the last, dealt out to several tests."""
    return iter(sorted({*range(0, length, KTH_BYTE), length - 1})[part::parts])


KTH_BYTE, PARTS = 11, 3


@pytest.mark.parametrize("part", range(PARTS))
async def test_the_connection_breaks_at_every_kth_byte_of_a_bracket(world: World, part: int) -> None:
    await world.order_probe()
    faults = (Fault.CUT, Fault.RESET, Fault.STALL)
    for number, at in enumerate(bytes_of_a_bracket(world.proxy.order_bytes, PARTS, part)):
        trigger = world.proxy.arm(faults[number % 3], at)
        world.faults[trigger.fault] += 1
        await world.bracket_now()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await trigger.fired.wait()
    await check(world)
    placed = Counter(ref.partition(".")[0] for ref in world.placed())
    assert set(placed.values()) == {3}, "a family is there as a whole or not at all"
    assert 1 < len(placed) <= 1 + world.faults[Fault.STALL], "an order that is cut short is none"


@pytest.mark.parametrize("world", [11, 12], indirect=True)
async def test_connections_break_at_random_moments_and_the_gateway_is_killed(world: World) -> None:
    moments = random.Random(world.chance.random())
    faults = (*(Fault.CUT, Fault.RESET, Fault.STALL) * 4, Fault.HALF_OPEN, Fault.GHOST)
    for number in range(80):
        if world.proxy.trigger is None and moments.random() < 0.5:
            fault = moments.choice(faults)
            of_orders = moments.random() < 0.5 or fault is Fault.GHOST
            world.proxy.arm(fault, moments.randrange(600 if of_orders else 3000), of_orders=of_orders)
            world.faults[fault] += 1
        await world.order()
        if moments.random() < 0.15:
            await world.cancel(moments.choice(world.refs))
        if number % 15 == 14:
            await world.kill()
            world.start()
        if number % 10 == 9:
            world.simulator.broker.advance(OPEN + timedelta(minutes=number))
        await asyncio.sleep(moments.random() * 0.15)  # the moments are random
    await check(world)
    assert len(world.placed()) > len(world.refs) // 4
    assert world.kills == 5
