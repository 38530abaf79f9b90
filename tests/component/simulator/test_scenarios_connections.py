"""What a client sees when its connection, or that of the gateway to IBKR, breaks, and what the books say meanwhile."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from ib_async import IB, ExecutionFilter

from tests.component.simulator.scenario_stage import AAPL, NEXT_OPEN, OPEN, SUNDAY, Play, play, reconnect, until


async def overnight(stage: Play) -> None:
    stage.advance(NEXT_OPEN)
    await until(lambda: {1101, 1102} & set(stage.codes), "restored")


async def test_nightly_reset(tmp_path: Path) -> None:
    async with play(tmp_path, "nightly-reset") as stage:
        resting = stage.buy(limit=100, tif="GTC")
        ticker = stage.client.reqMktData(AAPL)
        await until(lambda: ticker.hasBidAsk() and resting.orderStatus.status == "Submitted", "before")
        await overnight(stage)
        await until(lambda: stage.codes[-2:] == [2104, 2106], "all farms are back")
        assert stage.codes == [2103, 2104, 1100, 1100, 2103, 2105, 1102, 2104, 2106]
        assert stage.client.isConnected(), "TCP stays up"
        before = ticker.time
        stage.advance(NEXT_OPEN, minutes=30)
        await until(lambda: ticker.time != before, "quotes flow without a new subscription")
        assert [order.request.order_id for order in stage.simulator.engine.book.live()] == [resting.order.orderId]


async def test_nightly_reset_data_lost(tmp_path: Path) -> None:
    async with play(tmp_path, "nightly-reset-data-lost") as stage:
        ticker = stage.client.reqMktData(AAPL)
        await until(ticker.hasBidAsk, "before")
        await overnight(stage)
        assert stage.codes == [1100, 1101]
        before = ticker.time
        stage.advance(NEXT_OPEN, hours=1)
        await stage.settled()
        assert ticker.time == before, "the line is forgotten"
        stage.client.client.reqMktData(999, AAPL, "", False, False, [])
        await until(lambda: list(dict(stage.simulator.broker.sessions[1].data.lines())) == [999], "asked for anew")


async def test_nightly_reset_silent(tmp_path: Path) -> None:
    async with play(tmp_path, "nightly-reset-silent") as stage:
        ticker = stage.client.reqMktData(AAPL)
        await until(ticker.hasBidAsk, "before")
        await overnight(stage)
        assert stage.codes == [1100, 1102]
        before = ticker.time
        stage.advance(NEXT_OPEN, hours=1)
        await stage.settled()
        assert ticker.time == before, "though 1102 promised data"


async def test_weekly_logout(tmp_path: Path) -> None:
    async with play(tmp_path, "weekly-logout", end=date(2010, 1, 15)) as stage:
        resting = stage.buy(limit=100, tif="GTC")
        await until(lambda: resting.orderStatus.status == "Submitted", "works")
        stage.advance(SUNDAY)
        await until(lambda: not stage.client.isConnected(), "logged out")
        assert stage.codes[0] == 1100
        with pytest.raises(ConnectionError):
            await reconnect(stage)
        await open_again(stage)
        assert [trade.order.permId for trade in stage.client.openTrades()] == [resting.order.permId]


async def open_again(stage: Play) -> None:
    """Try to connect until the gateway lets us in."""
    deadline = asyncio.get_running_loop().time() + 10
    while not stage.client.isConnected():
        assert asyncio.get_running_loop().time() < deadline
        try:
            await reconnect(stage)
        except ConnectionError:
            await asyncio.sleep(0.05)


async def test_daily_restart(tmp_path: Path) -> None:
    async with play(tmp_path, "daily-restart") as stage:
        resting = stage.buy(limit=100, tif="GTC")
        await until(lambda: resting.orderStatus.status == "Submitted", "works")
        stage.advance(NEXT_OPEN)
        await until(lambda: not stage.client.isConnected(), "restarted")
        await open_again(stage)
        assert [trade.order.permId for trade in stage.client.openTrades()] == [resting.order.permId]


async def test_client_id_taken(tmp_path: Path) -> None:
    async with play(tmp_path, "client-id-taken", connect=False) as stage:
        with pytest.raises(TimeoutError):
            await reconnect(stage, seconds=0.3)
        assert stage.codes == [326]
        await reconnect(stage)
        assert stage.client.isConnected()


async def test_dead_gateway(tmp_path: Path) -> None:
    async with play(tmp_path, "dead-gateway", connect=False) as stage:
        with pytest.raises(TimeoutError):
            await reconnect(stage, seconds=0.3)
        assert stage.simulator.broker.sessions == {}


async def test_half_open(tmp_path: Path) -> None:
    async with play(tmp_path, "half-open") as stage:
        stage.buy()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.client.reqCurrentTimeAsync(), 0.3)
        assert stage.client.isConnected(), "the socket stays"
        assert len(stage.simulator.engine.received) == 1, "it reached the broker, but no answer comes"
        stage.client.disconnect()
        second = IB()
        stage.listen(second)
        with pytest.raises(TimeoutError):
            await second.connectAsync("127.0.0.1", stage.simulator.port, clientId=1, timeout=0.3)
        assert stage.codes == [326], "the dead session still has the id"


async def test_cut_mid_order(tmp_path: Path) -> None:
    async with play(tmp_path, "cut-mid-order") as stage:
        stage.buy(limit=100, tif="GTC", orderRef="unknown")
        await until(lambda: not stage.client.isConnected(), "cut")
        assert len(stage.simulator.engine.book.live()) == 1
        await reconnect(stage)
        assert [trade.order.orderRef for trade in stage.client.openTrades()] == ["unknown"]


async def test_cut_mid_message(tmp_path: Path) -> None:
    async with play(tmp_path, "cut-mid-message") as stage:
        stage.buy()
        await asyncio.sleep(0)
        stage.advance(minutes=5)
        await until(lambda: not stage.client.isConnected(), "cut")
        assert stage.held() == 100
        await reconnect(stage)
        assert sum(fill.execution.shares for fill in stage.client.fills()) == 100


async def test_cut_mid_request(tmp_path: Path) -> None:
    async with play(tmp_path, "cut-mid-request") as stage:
        await stage.settled()
        stage.buy()
        await until(lambda: not stage.client.isConnected(), "cut")
        assert stage.simulator.engine.received == []


async def test_garbage(tmp_path: Path) -> None:
    async with play(tmp_path, "garbage", connect=False) as stage:
        with pytest.raises((ConnectionError, TimeoutError)):
            await reconnect(stage, seconds=1)
        await until(lambda: not stage.simulator.broker.sessions, "gone")
        await reconnect(stage)


async def test_port_changed(tmp_path: Path) -> None:
    async with play(tmp_path, "port-changed") as stage:
        await stage.settled()
        await until(lambda: not stage.client.isConnected(), "dropped")
        assert stage.codes == [1300]


async def test_fills_during_outage(tmp_path: Path) -> None:
    async with play(tmp_path, "fills-during-outage") as stage:
        trade = stage.buy(limit=100)
        await until(lambda: trade.orderStatus.status == "Submitted", "works")
        stage.advance(minutes=20)
        await until(lambda: stage.codes == [1100], "out of reach")
        queued = stage.buy()
        changed = stage.buy(limit=100)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.client.reqExecutionsAsync(ExecutionFilter()), 0.2)
        assert len(stage.simulator.engine.received) == 1, "what was sent waits in the gateway"
        stage.advance(minutes=95)
        await until(lambda: queued.orderStatus.status == "Filled" or stage.held(), "sent on")
        stage.advance(minutes=100)
        await until(lambda: queued.orderStatus.status == "Filled", "and filled")
        await until(lambda: changed.orderStatus.status == "Submitted", "and the other works")
        assert 1102 in stage.codes


async def test_fills_lost_in_outage(tmp_path: Path) -> None:
    async with play(tmp_path, "fills-lost-in-outage") as stage:
        trade = stage.buy(limit=213.5, quantity=100)
        low = stage.buy(limit=150)
        await until(lambda: low.orderStatus.status == "Submitted", "both work")
        stage.advance(minutes=20)
        lost = stage.buy()
        stage.client.cancelOrder(low.order)
        await asyncio.sleep(0.05)
        stage.advance(minutes=100)
        await until(lambda: 1102 in stage.codes, "restored")
        assert lost.orderStatus.status == "PendingSubmit"
        assert (low.orderStatus.status, len(stage.simulator.engine.book.live())) == ("PendingCancel", 1)
        filled = await stage.client.reqExecutionsAsync(ExecutionFilter())
        assert sum(fill.execution.shares for fill in filled) == stage.held()
        assert trade.order.permId


async def test_message_pacing(tmp_path: Path) -> None:
    async with play(tmp_path, "message-pacing", connect=False) as stage:
        await reconnect(stage)
        for _ in range(40):
            stage.client.client.reqIds(1)
        await until(lambda: not stage.client.isConnected(), "dropped")
        assert [code for code in stage.codes if code == 100] == [100, 100]
        assert stage.simulator.engine.now == OPEN
