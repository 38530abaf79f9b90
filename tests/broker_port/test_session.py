"""The connection: beginning, telling the time, ending, and beginning again."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.ports import BrokerLost
from shared.messages.broker import ExecutionReported
from shared.messages.market_requests import Feed, FetchHistory, ScanMarket
from shared.types import Mode, Timeframe
from tests.broker_port.stage import Desk, Heard, Stage, cents, limit, make_broker, terms, until

DRIFT = timedelta(seconds=15)
"""How far several answers may lie apart, on any network."""
FAR = datetime(2030, 1, 1, tzinfo=UTC)


async def test_connecting_names_the_accounts(unconnected: Desk) -> None:
    assert unconnected.account in await unconnected.connect()
    assert not unconnected.broker.closed.is_set()


async def test_nothing_is_heard_of_a_new_connection_that_nobody_asked_for(stage: Stage) -> None:
    await stage.settle()
    assert stage.heard.of(ExecutionReported) == []
    assert stage.broker.lines.opened() == frozenset()
    assert stage.broker.orders.known("nobody's") is None


async def test_time_is_the_brokers(stage: Stage) -> None:
    assert await stage.broker.current_time() == stage.now
    stage.advance(stage.now + timedelta(minutes=7, seconds=3))
    assert await stage.broker.current_time() == stage.now


async def test_time_of_any_broker_has_a_zone_and_does_not_go_back(desk: Desk) -> None:
    first, second = await desk.broker.current_time(), await desk.broker.current_time()
    assert first.utcoffset() == timedelta(0)
    assert first <= second


async def test_what_was_said_before_the_time_has_been_heard(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, cents(stage.market().last * 2)))
    assert stage.booked(ref).filled == 100
    await stage.broker.current_time()
    assert [fill.quantity for fill in stage.fills(ref)] == [100]


async def test_several_ask_for_the_time_at_once(desk: Desk) -> None:
    times = await asyncio.gather(*(desk.broker.current_time() for _ in range(5)))
    assert max(times) - min(times) <= DRIFT


async def test_after_disconnecting_everything_is_lost(unconnected: Desk) -> None:
    await unconnected.connect()
    closed = unconnected.broker.closed
    unconnected.broker.disconnect()
    await asyncio.wait_for(closed.wait(), 10)
    await nothing_works(unconnected)


async def test_before_connecting_everything_is_lost(unconnected: Desk) -> None:
    assert unconnected.broker.closed.is_set()
    await nothing_works(unconnected)


async def nothing_works(desk: Desk) -> None:
    broker, order = desk.broker, terms(desk.ref("order"))
    asked = [
        broker.current_time(),
        broker.snapshot(desk.account, None),
        broker.orders.submit([order], {order.order_ref: 1}, desk.account),
        broker.orders.cancel(order.order_ref, 1),
        broker.orders.preview(order, 1, desk.account),
        broker.lines.open("AAPL", Feed.QUOTES),
        broker.requests.contract("AAPL"),
        broker.requests.history(FetchHistory(symbol="AAPL", timeframe=Timeframe.DAY, count=1), FAR),
        broker.requests.scan(ScanMarket(scan_code="TOP_PERC_GAIN")),
    ]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, BrokerLost)] == []


async def test_a_broker_that_goes_away_closes_the_connection(stage: Stage) -> None:
    closed = stage.broker.closed
    waiting = asyncio.ensure_future(stage.broker.orders.answered("never sent"))
    await stage.serving.aclose()
    await asyncio.wait_for(closed.wait(), 10)
    with pytest.raises(BrokerLost):
        await waiting
    with pytest.raises(BrokerLost):
        await stage.broker.current_time()


async def test_connecting_again_goes_on(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, cents(stage.market().last / 2)))
    await stage.works(ref)
    stage.broker.disconnect()
    stage.heard = Heard()
    await stage.connect()
    assert stage.broker.orders.known(ref) is None or stage.broker.orders.known(ref) == stage.told(ref)[-1]
    await stage.broker.snapshot(stage.account, None)
    assert stage.broker.orders.known(ref) is not None
    await stage.settle()
    await stage.broker.orders.cancel(ref, stage.broker.orders.known(ref).broker_order_id)  # type: ignore[union-attr]
    await until(lambda: stage.working() == [], "cancelled over the second connection")


async def test_nobody_there(adapter: str, unused_tcp_port: int) -> None:
    """A port where nothing listens."""
    address = {"port": unused_tcp_port, "web_url": f"http://127.0.0.1:{unused_tcp_port}"}
    broker = make_broker(adapter, Mode.SIMULATED, {**address, "connect_timeout_seconds": 2})
    with pytest.raises(BrokerLost):
        await broker.connect(Heard())
    assert broker.closed.is_set()


async def test_somebody_there_who_says_nothing(adapter: str) -> None:
    """TCP is accepted, and no byte is ever answered: the attempt ends by itself."""

    ended: list[asyncio.Event] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        number = len(ended) - 1
        await reader.read()
        writer.close()
        ended[number].set()

    server = await asyncio.start_server(silent, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    patience = {"connect_timeout_seconds": 0.5, "answer_timeout_seconds": 0.5}
    address = {"port": port, "web_url": f"http://127.0.0.1:{port}"}
    broker = make_broker(adapter, Mode.SIMULATED, {**address, **patience})
    with pytest.raises(BrokerLost):
        await broker.connect(Heard())
    assert broker.closed.is_set()
    server.close()
    assert ended
    await asyncio.wait_for(asyncio.gather(*(one.wait() for one in ended)), 10)
