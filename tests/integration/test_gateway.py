"""The gateway with real Redis and PostgreSQL, against the simulated IB Gateway over its socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.gateway.adapters.ib import IbBroker
from services.gateway.app import Gateway
from services.gateway.config import Settings
from services.gateway.core.order_ids import references
from services.simulator.app import Simulator
from services.simulator.config import Settings as SimulatorSettings
from services.simulator.core.catalogue import stock
from shared.bus import FIELD, Bus, ensure_groups
from shared.clock import MessageClock
from shared.config import Common, ConfigError
from shared.messages.base import Envelope, Message, decode, originate
from shared.messages.broker import (
    BrokerErrorReported,
    BrokerSnapshot,
    BrokerTime,
    CancelOrder,
    CommissionReported,
    ExecutionReported,
    HistoryFetched,
    ModifyOrder,
    OrderReported,
    RequestSnapshot,
    SessionChanged,
    SubmitOrder,
)
from shared.messages.market import FetchHistory, Quote, QuoteBatch, Subscribe
from shared.streams import BY_NAME
from shared.types import Mode, OrderStatus, SessionState, Side, Timeframe, TimeInForce

SYMBOLS = ("AAPL", "IBM")
OPEN = datetime.fromisoformat("2010-01-04T09:35:00-05:00")
NEVER = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
DEADLINE_SECONDS = 20


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(port=0, symbols=SYMBOLS)
    made = Simulator(settings, tmp_path / "simulator")
    async with made.serving():
        yield made


@pytest.fixture
async def desk(common: Common, simulator: Simulator) -> AsyncIterator["Desk"]:
    desk = Desk(common.model_copy(update={"symbols": SYMBOLS}), simulator)
    await ensure_groups(desk.bus.client)
    yield desk
    await desk.bus.close()
    await desk.market.close()


class Desk:
    """Plays every other service: writes commands, reads what the gateway publishes."""

    def __init__(self, common: Common, simulator: Simulator) -> None:
        self.common = common
        self.simulator = simulator
        self.bus = Bus(common.redis_url, service="execution", consumer="desk", clock=MessageClock())
        self.market = Bus(common.redis_url, service="marketdata", consumer="desk", clock=MessageClock())
        self._number = 0

    @asynccontextmanager
    async def gateway(self, **settings: Any) -> AsyncIterator[Gateway]:
        """A gateway that works; it is stopped as by SIGTERM, or if it was cancelled, as by SIGKILL."""
        gateway = self.make(**settings)
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        try:
            await until(lambda: gateway.session.ready.is_set() or running.done())
            if running.done():
                running.result()
            yield gateway
        finally:
            stop.set()
            with suppress(asyncio.CancelledError):
                await running

    def make(self, **settings: Any) -> Gateway:
        given = {"port": self.simulator.port, "requests_per_second": 0, "heartbeat_seconds": 0.02, **settings}
        return Gateway(Settings(**given), self.common)

    async def command(self, message: Message, key: str = "") -> Envelope[Any]:
        self._number += 1
        bus = self.market if isinstance(message, Subscribe | FetchHistory) else self.bus
        now = self.simulator.engine.now
        sent = originate(message, source=bus.service, time=now, subject="test", key=key or str(self._number))
        await bus.publish([sent])
        return sent

    async def events(self, kind: type[Message] = Message) -> list[Envelope[Any]]:
        stream = BY_NAME["broker.events"]
        entries = await self.bus.client.xrange(stream.name)
        decoded = [decode(fields[FIELD.encode()], stream.types) for _, fields in entries]
        return [envelope for envelope in decoded if isinstance(envelope.data, kind)]

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

    def advance(self, to: datetime = OPEN) -> None:
        self.simulator.broker.advance(to)


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
    return SubmitOrder(**(values | changes))


async def settled(desk: Desk, gateway: Gateway) -> None:
    """Wait until every command is handled and everything the broker said is published."""

    async def idle() -> bool:
        for stream in ("broker.commands", "market.commands"):
            (group,) = await desk.bus.client.xinfo_groups(stream)
            newest = await desk.bus.client.xrevrange(stream, count=1)
            if group["pending"] or (newest and newest[0][0] != group["last-delivered-id"]):
                return False
        return True

    await until(idle)
    await gateway.session.beat()


async def test_session_begins_with_a_full_snapshot(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        assert await gateway.ready() is None
        states = [event.data.state for event in await desk.events(SessionChanged)]
        assert states == [SessionState.CONNECTING, SessionState.SYNCHRONISING, SessionState.READY]
        (snapshot,) = await desk.events(BrokerSnapshot)
        assert snapshot.data.request_id is None
        assert snapshot.data.account.account == "DU1000001"
        assert snapshot.data.account.cash == Decimal(1_000_000)
        (time,) = await desk.events(BrokerTime)
        assert time.data.now == desk.simulator.engine.now


async def test_quotes_come_in_batches_with_broker_time(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance(OPEN)
        assert await gateway.session.beat() == OPEN
        quotes = await desk.quotes()  # all that preceded the answer is published
        for symbol in SYMBOLS:
            expected = desk.simulator.engine.market.quote(stock(symbol).contract_id, OPEN)
            assert expected is not None
            assert quotes[symbol].time == OPEN
            assert (quotes[symbol].bid, quotes[symbol].ask) == (expected.bid, expected.ask)
            assert (quotes[symbol].last, quotes[symbol].volume) == (expected.last, expected.volume)


async def test_broker_time_is_published_after_all_that_preceded_it(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        await settled(desk, gateway)
        later = OPEN + timedelta(hours=1)
        desk.advance(later)
        await gateway.session.beat()
        last = (await desk.events())[-1]
        assert isinstance(last.data, BrokerTime)
        assert last.data.now == later


async def test_bracket_is_submitted_once_though_delivered_twice(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        sent = await desk.command(order(desk.simulator))
        await desk.bus.publish([sent])
        await desk.command(order(desk.simulator))  # the same order in another message
        await settled(desk, gateway)
        assert desk.at_broker() == list(references("order-1"))
        assert (await desk.statuses("order-1"))[-1] is OrderStatus.FILLED
        (fill,) = await desk.events(ExecutionReported)
        (commission,) = await desk.events(CommissionReported)
        assert fill.data.order_ref == "order-1"
        assert fill.data.quantity == 100
        assert commission.data.execution_id == fill.data.execution_id
        placed = {entry.order_ref: entry for entry in desk.simulator.engine.received}
        assert placed["order-1.stop"].order_type == "STP"
        assert placed["order-1.stop"].parent_ref == "order-1"
        assert placed["order-1.target"].time_in_force == "GTC"


@pytest.mark.parametrize("crash", ["before the send", "after the send"])
async def test_killed_around_the_send_leaves_one_order(desk: Desk, crash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.advance()
    submit = IbBroker.submit
    reached = asyncio.Event()

    async def submit_and_hang(self: IbBroker, *arguments: Any) -> bool:
        if crash == "after the send":
            await submit(self, *arguments)
        reached.set()
        return await asyncio.get_running_loop().create_future()

    killed = desk.make()
    with monkeypatch.context() as patch:
        patch.setattr(IbBroker, "submit", submit_and_hang)
        running = asyncio.create_task(killed.run(asyncio.Event()))
        await desk.command(order(desk.simulator, limit="100.00"))
        await asyncio.wait_for(reached.wait(), DEADLINE_SECONDS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    async with desk.gateway() as gateway:
        await settled(desk, gateway)
        assert desk.at_broker() == list(references("order-1"))
        assert (await desk.statuses("order-1"))[-1] is OrderStatus.SUBMITTED


async def test_connection_lost_around_the_send_leaves_one_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = IbBroker.submit
    attempts: list[str] = []

    async def submit_and_drop(self: IbBroker, sent: SubmitOrder, *arguments: Any) -> bool:
        attempts.append(sent.order_id)
        if len(attempts) == 1:
            self.disconnect()  # the first never reaches the wire
        return await submit(self, sent, *arguments)

    monkeypatch.setattr(IbBroker, "submit", submit_and_drop)
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, limit="100.00"))
        await settled(desk, gateway)
        assert len(attempts) == 2
        assert desk.at_broker() == list(references("order-1"))


async def test_expired_order_is_not_sent(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await gateway.session.beat()
        await desk.command(order(desk.simulator, expires_at=OPEN - timedelta(minutes=1)))
        await settled(desk, gateway)
        assert await desk.statuses("order-1") == [OrderStatus.EXPIRED]
        assert desk.at_broker() == []


async def test_reconnect_tells_the_same_facts_with_the_same_ids(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        await settled(desk, gateway)
        (fill,) = await desk.events(ExecutionReported)
        drop_clients(desk.simulator)
        await until(lambda: snapshots(desk, 2))
        assert SessionState.DISCONNECTED in [event.data.state for event in await desk.events(SessionChanged)]
    async with desk.gateway() as gateway:
        await settled(desk, gateway)
        assert {event.id for event in await desk.events(ExecutionReported)} == {fill.id}
        assert len(await desk.events(ExecutionReported)) == 2  # once by each process
        newest = (await desk.events(BrokerSnapshot))[-1].data
        assert newest.executions == (fill.data,)
        assert [position.quantity for position in newest.positions] == [100]
        assert {report.order_ref: report.status for report in newest.orders} == {
            "order-1": OrderStatus.FILLED,
            "order-1.stop": OrderStatus.SUBMITTED,
            "order-1.target": OrderStatus.SUBMITTED,
        }


async def test_quotes_go_on_after_a_reconnect(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        await desk.command(Subscribe(symbols=("IBM", "NOSUCH")))
        await settled(desk, gateway)
        assert [event.data.code for event in await desk.events(BrokerErrorReported) if "NOSUCH" in event.data.text]
        drop_clients(desk.simulator)
        await until(lambda: snapshots(desk, 2))
        desk.advance()
        await gateway.session.beat()
        assert {quote.time for quote in (await desk.quotes()).values()} == {OPEN}


async def test_modify_and_cancel_after_a_restart(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, "kept", limit="100.00"))
        await desk.command(order(desk.simulator, "dropped", limit="101.00"))
        await settled(desk, gateway)
    async with desk.gateway() as gateway:
        await desk.command(ModifyOrder(order_ref="kept", limit_price=Decimal("102.50")))
        await desk.command(ModifyOrder(order_ref="kept.target", limit_price=Decimal("300.00")))
        await desk.command(CancelOrder(order_ref="dropped"))
        await settled(desk, gateway)
        refs = {entry.request.order_ref: entry for entry in desk.simulator.engine.book.orders.values()}
        kept, target = refs["kept"].request, refs["kept.target"].request
        assert (kept.limit_price, kept.quantity, kept.time_in_force) == (Decimal("102.50"), 100, "DAY")
        assert (target.limit_price, target.time_in_force, target.parent_id) == (300, "GTC", kept.order_id)
        assert target.action == "SELL"
        assert (await desk.statuses("dropped"))[-1] is OrderStatus.CANCELLED
        assert (await desk.statuses("dropped.stop"))[-1] is OrderStatus.CANCELLED
        limits = [
            event.data.limit_price for event in await desk.events(OrderReported) if event.data.order_ref == "kept"
        ]
        assert limits[-1] == Decimal("102.50")
        errors = [event.data for event in await desk.events(BrokerErrorReported) if event.data.order_ref == "kept"]
        assert errors == []


async def test_change_of_an_order_that_is_done_or_unknown_is_answered(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        filled = await desk.command(CancelOrder(order_ref="order-1"))
        unknown = await desk.command(ModifyOrder(order_ref="nobody", limit_price=Decimal(1)))
        await settled(desk, gateway)
        answers = {event.causationid: event.data for event in await desk.events(OrderReported) if event.causationid}
        assert answers[filled.id].status is OrderStatus.FILLED
        assert answers[unknown.id].status is OrderStatus.UNKNOWN


async def test_refused_order_is_reported_with_its_reason(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, quantity=Decimal(10_000_000)))
        await settled(desk, gateway)
        reports = [event.data for event in await desk.events(OrderReported) if event.data.order_ref == "order-1"]
        assert {report.status for report in reports} == {OrderStatus.REJECTED}
        assert "201" in (reports[-1].reason or "")


async def test_snapshot_on_request_names_the_request(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        request = await desk.command(RequestSnapshot())
        await settled(desk, gateway)
        snapshot = (await desk.events(BrokerSnapshot))[-1]
        assert snapshot.data.request_id == request.id
        assert snapshot.causationid == request.id


async def test_history_equals_the_simulators_closed_bars(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        daily = await desk.command(FetchHistory(symbol="IBM", timeframe=Timeframe.DAY, count=260))
        minutes = await desk.command(FetchHistory(symbol="IBM", timeframe=Timeframe.MINUTE, count=3))
        nothing = await desk.command(FetchHistory(symbol="NOSUCH", timeframe=Timeframe.DAY, count=5))
        await settled(desk, gateway)
        answers = {event.causationid: event.data for event in await desk.events(HistoryFetched)}
        market = desk.simulator.engine.market
        days = [session for session in market.all_sessions if session.close <= OPEN][-260:]
        bars = answers[daily.id].bars
        assert [(bar.start, bar.end) for bar in bars] == [(day.open, day.close) for day in days]
        expected = market.daily_bar(stock("IBM").contract_id, days[-1].day)
        assert expected is not None
        assert (bars[-1].open * 100, bars[-1].close * 100, bars[-1].volume) == (
            expected.open,
            expected.close,
            expected.volume,
        )
        assert [bar.end for bar in answers[minutes.id].bars] == [OPEN - timedelta(minutes=n) for n in (2, 1, 0)]
        assert answers[nothing.id].bars == ()
        assert "NOSUCH" in (answers[nothing.id].error or "")


async def test_account_of_another_mode_is_refused_before_anything_is_sent(desk: Desk) -> None:
    desk.common = desk.common.model_copy(update={"mode": Mode.LIVE})
    with pytest.raises(ExceptionGroup) as failure:
        await desk.make().run(asyncio.Event())
    (error,) = failure.value.exceptions
    assert isinstance(error, ConfigError)
    assert "'DU1000001' does not fit mode = live" in str(error)
    assert await desk.events(BrokerSnapshot) == []


async def test_client_id_in_use_is_waited_for(desk: Desk) -> None:
    squatter = desk.make().session.broker
    await squatter.connect(Deaf())
    gateway, stop = desk.make(reconnect_backoff_seconds=0.1), asyncio.Event()
    running = asyncio.create_task(gateway.run(stop))

    async def refused() -> bool:
        return any("326" in change.data.reason for change in await desk.events(SessionChanged))

    await until(refused)
    squatter.disconnect()
    await until(gateway.session.ready.is_set)
    stop.set()
    await running


class Deaf:
    def heard(self, message: Message) -> None: ...

    def quotes_changed(self) -> None: ...


async def test_claims_are_kept_in_the_database(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        await settled(desk, gateway)
    with psycopg.connect(desk.common.database_url) as connection:
        rows = connection.execute("SELECT order_ref, broker_order_id FROM broker_orders ORDER BY 2").fetchall()
    assert [row[0] for row in rows] == list(references("order-1"))
    assert len({row[1] for row in rows}) == 3


async def snapshots(desk: Desk, count: int) -> bool:
    found = len(await desk.events(BrokerSnapshot)) >= count
    return found and (await desk.events(SessionChanged))[-1].data.state is SessionState.READY


def drop_clients(simulator: Simulator) -> None:
    """Close every client's connection, as a broker that goes away does."""
    for session in list(simulator.broker.sessions.values()):
        session._writer.transport.abort()
