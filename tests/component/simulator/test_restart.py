"""What outlives a connection and a process of the simulated gateway."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from ib_async import IB, ExecutionFilter, LimitOrder, MarketOrder

from tests.component.simulator.simulation import AAPL, OPEN, connected, no_decode_errors, running, statuses, until  # noqa: F401


async def test_reconnect_finds_orders_executions_and_completed_orders(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator:
        simulator.broker.advance(OPEN)
        async with connected(simulator) as client:
            filled = client.placeOrder(AAPL, MarketOrder("BUY", 100, orderRef="entry"))
            resting = client.placeOrder(AAPL, LimitOrder("BUY", 50, 190.5, tif="GTC", orderRef="resting"))
            await until(lambda: statuses([filled, resting]) == ["Filled", "Submitted"], "orders in place")
            held = client.placeOrder(AAPL, LimitOrder("BUY", 1, 190, transmit=False))
            await client.reqCurrentTimeAsync()
        async with connected(simulator) as client:
            (trade,) = client.openTrades()
            assert (trade.order.orderRef, trade.order.lmtPrice, trade.order.totalQuantity) == ("resting", 190.5, 50)
            assert trade.order.permId == resting.order.permId
            (fill,) = client.fills()
            assert (fill.execution.orderRef, fill.commissionReport.commission) == ("entry", 1.0)
            assert client.client.getReqId() > held.order.orderId
            (done,) = [done for done in client.trades() if done.order.orderRef == "entry"]
            assert (done.orderStatus.status, done.order.filledQuantity) == ("Filled", 100)
            assert [position.position for position in client.positions()] == [100]
            trade.order.lmtPrice = 191.25
            client.placeOrder(AAPL, trade.order)
            await until(lambda: trade.log[-1].message == "Modified", "an adopted order can be changed")
            assert await client.reqExecutionsAsync(ExecutionFilter(symbol="IBM")) == []
            client.cancelOrder(trade.order)
            await until(lambda: trade.orderStatus.status == "Cancelled", "an adopted order can be cancelled")
        async with connected(simulator, 2) as stranger:
            assert stranger.openTrades() == []


async def test_executions_are_of_today_only(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator:
        simulator.broker.advance(OPEN)
        async with connected(simulator) as client:
            trade = client.placeOrder(AAPL, MarketOrder("BUY", 1))
            await until(lambda: trade.isDone(), "filled")
        simulator.broker.advance(datetime(2010, 1, 5, 14, 0, tzinfo=UTC))
        async with connected(simulator) as client:
            assert client.fills() == []
            assert [position.position for position in client.positions()] == [1]


async def test_restart_continues_where_the_journal_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator:
        simulator.broker.advance(OPEN)
        async with connected(simulator) as client:
            bought = client.placeOrder(AAPL, MarketOrder("BUY", 100, orderRef="bought"))
            resting = client.placeOrder(AAPL, LimitOrder("SELL", 100, 214.0, tif="GTC", orderRef="resting"))
            await until(lambda: statuses([bought, resting]) == ["Filled", "Submitted"], "orders in place")
            client.placeOrder(AAPL, LimitOrder("BUY", 1, 190, transmit=False, orderRef="held"))
            await client.reqCurrentTimeAsync()
        before = simulator.engine
    async with running(tmp_path) as simulator:
        assert simulator.engine.accounts == before.accounts
        assert simulator.engine.now == before.now
        async with connected(simulator) as client:
            (trade,) = client.openTrades()
            assert trade.order.permId == resting.order.permId
            assert [fill.execution.execId for fill in client.fills()] == [bought.fills[0].execution.execId]
            assert [position.position for position in client.positions()] == [100]
            simulator.broker.advance(datetime(2010, 1, 5, 21, tzinfo=UTC))
            await until(lambda: trade.orderStatus.status == "Filled", "order of the life before fills")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process(folder: Path, port: int, http_port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The simulator as its own process, ready; killed at the end, without a chance to say goodbye."""
    (folder / "millrace.toml").write_text('symbols = ["AAPL"]\n')
    (folder / "simulator.toml").write_text("start = 2010-01-04\nend = 2010-01-08\nwarmup_days = 10\n")
    environment = {
        **os.environ,
        "MILLRACE_CONFIG_FOLDER": str(folder),
        "MILLRACE_DATA_FOLDER": str(folder),
        "MILLRACE_HTTP_PORT": str(http_port),
        "MILLRACE_SIMULATOR__PORT": str(port),
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.simulator", env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as control:
            deadline = asyncio.get_running_loop().time() + 30
            while not await is_ready(control):
                assert child.returncode is None, "the process ended"
                assert asyncio.get_running_loop().time() < deadline, "the process is not ready"
                await asyncio.sleep(0.05)
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()


async def is_ready(control: httpx.AsyncClient) -> bool:
    try:
        return (await control.get("/readyz")).is_success
    except httpx.TransportError:
        return False


async def test_killed_process_comes_back_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    port, http_port = free_port(), free_port()
    control = httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}")
    client = IB()
    async with control:
        async with process(tmp_path, port, http_port) as child:
            await client.connectAsync("127.0.0.1", port, clientId=3)
            await control.post("/advance", params={"to": OPEN.isoformat()})
            bought = client.placeOrder(AAPL, MarketOrder("BUY", 100, orderRef="bought"))
            resting = client.placeOrder(AAPL, LimitOrder("SELL", 100, 230, tif="GTC", orderRef="resting"))
            await until(lambda: statuses([bought, resting]) == ["Filled", "Submitted"], "orders in place")
            before = (await control.get("/orders")).json(), (await control.get("/account")).json()
            child.send_signal(signal.SIGKILL)
            await until(lambda: not client.isConnected(), "client notices")
        async with process(tmp_path, port, http_port) as child:
            assert ((await control.get("/orders")).json(), (await control.get("/account")).json()) == before
            await client.connectAsync("127.0.0.1", port, clientId=3)
            assert [trade.order.permId for trade in client.openTrades()] == [resting.order.permId]
            assert [fill.execution.orderRef for fill in client.fills()] == ["bought"]
            client.disconnect()
            child.send_signal(signal.SIGTERM)
            assert await child.wait() == 0
