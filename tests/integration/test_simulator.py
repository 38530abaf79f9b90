"""The simulated gateway through the real client: unmodified ib_async over TCP."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from ib_async import IB, ExecutionFilter, LimitOrder, MarketOrder, Stock, StopOrder, Trade
from starlette.applications import Starlette

from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.wire.framing import FrameReader, frame, split_fields

AAPL = Stock("AAPL", "SMART", "USD")
AAPL.conId = 265598
OPEN = datetime(2010, 1, 4, 14, 30, tzinfo=UTC)
CLOSE = datetime(2010, 1, 4, 21, 0, tzinfo=UTC)


def make_settings(**changes: object) -> Settings:
    values: dict[str, object] = {
        "port": 0,
        "symbols": ("AAPL", "IBM"),
        "start": date(2010, 1, 4),
        "end": date(2010, 1, 8),
        "warmup_days": 30,
    }
    return Settings.model_validate({**values, **changes})


@asynccontextmanager
async def running(folder: Path, **changes: object) -> AsyncIterator[Simulator]:
    simulator = Simulator(make_settings(**changes), folder)
    async with simulator.serving():
        yield simulator


@asynccontextmanager
async def connected(simulator: Simulator, client_id: int = 1) -> AsyncIterator[IB]:
    client = IB()
    try:
        await client.connectAsync("127.0.0.1", simulator.port, clientId=client_id, timeout=5, raiseSyncErrors=True)
        yield client
    finally:
        client.disconnect()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail with `what` after ten seconds."""
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"still not: {what}"
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def no_decode_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No message of ours may fail in the client's decoder."""
    caplog.set_level(logging.INFO, logger="ib_async")
    yield
    wrong = [record for record in caplog.get_records("call") if record.name == "ib_async.Decoder" or record.exc_info]
    assert not wrong
    unknown = ("No order found", "Unknown reqId", "timed out")
    assert not [record for record in caplog.get_records("call") if any(text in record.getMessage() for text in unknown)]


async def test_connect_synchronises_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        assert client.client.serverVersion() == 178
        assert client.managedAccounts() == ["DU1000001"]
        values = {value.tag: value.value for value in client.accountValues() if value.currency == "USD"}
        assert values["NetLiquidation"] == values["TotalCashValue"] == "1000000.00"
        summary = {value.tag: value.value for value in await client.accountSummaryAsync()}
        assert summary["BuyingPower"] == "2000000.00"
        assert summary["ExchangeRate"] == "1.00"
        assert await client.reqCurrentTimeAsync() == simulator.engine.now
        assert (await client.reqMarketRuleAsync(26))[0].increment == 0.01
        head = await client.reqHeadTimeStampAsync(AAPL, "TRADES", True, 1)
        assert head.strftime("%F") == "2009-12-07"


async def test_contract_details(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        (details,) = await client.reqContractDetailsAsync(Stock("IBM", "SMART", "USD"))
        assert details.contract is not None
        assert (details.contract.conId, details.contract.primaryExchange) == (8314, "NYSE")
        assert details.minTick == 0.01
        sessions = details.liquidSessions()
        assert (sessions[0].start.astimezone(UTC), sessions[0].end.astimezone(UTC)) == (OPEN, CLOSE)
        by_id = await client.reqContractDetailsAsync(Stock(conId=265598))
        assert by_id[0].contract is not None
        assert by_id[0].contract.symbol == "AAPL"
        assert await client.reqContractDetailsAsync(Stock("NOPE", "SMART", "USD")) == []
        assert await client.reqContractDetailsAsync(Stock("IBM", "SMART", "EUR")) == []


async def test_quotes_follow_the_market(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        ticker = client.reqMktData(AAPL)
        await until(lambda: ticker.hasBidAsk(), "first quote")
        assert ticker.last == 210.73, "the close of 2009-12-31"
        simulator.broker.advance(OPEN + timedelta(minutes=30))
        quote = simulator.engine.market.quote("AAPL", simulator.engine.now)
        assert quote is not None
        await until(lambda: ticker.lastTimestamp == quote.time, "quote of 10:00")
        assert (ticker.bid, ticker.ask, ticker.last) == tuple(float(p) for p in (quote.bid, quote.ask, quote.last))
        assert (ticker.bidSize, ticker.askSize, ticker.volume) == (quote.bid_size, quote.ask_size, quote.volume)
        assert (ticker.open, ticker.high, ticker.low) == tuple(float(p) for p in (quote.open, quote.high, quote.low))
        assert ticker.close == 210.73
        client.cancelMktData(AAPL)
        (snapshot,) = await client.reqTickersAsync(Stock("IBM", "SMART", "USD", conId=8314))
        assert snapshot.bid < snapshot.ask


async def test_history_is_what_was_streamed(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        stream = client.reqRealTimeBars(AAPL, 5, "TRADES", True)
        await client.reqCurrentTimeAsync()
        simulator.broker.advance(CLOSE)
        await until(lambda: len(stream) == 391, "a real-time bar per tick")
        minute_bars = await client.reqHistoricalDataAsync(AAPL, "", "1 D", "1 min", "TRADES", True, 2)
        assert len(minute_bars) == 390
        assert [bar.close for bar in minute_bars[:-1]] == [bar.close for bar in stream[:389]]
        assert sum(bar.volume for bar in minute_bars) == sum(bar.volume for bar in stream)
        days = await client.reqHistoricalDataAsync(AAPL, "", "3 D", "1 day", "TRADES", True)
        today = days[-1]
        assert (today.date, today.open, today.high, today.low, today.close) == (
            date(2010, 1, 4),
            stream[0].open_,
            max(bar.high for bar in stream),
            min(bar.low for bar in stream),
            stream[-1].close,
        )
        assert [bar.date for bar in days] == [date(2009, 12, 30), date(2009, 12, 31), date(2010, 1, 4)]
        assert not await client.reqHistoricalDataAsync(AAPL, "", "1 X", "1 day", "TRADES", True)
        text_dates = await client.reqHistoricalDataAsync(
            AAPL, OPEN + timedelta(hours=1), "600 S", "5 mins", "TRADES", True, 1
        )
        assert [bar.date for bar in text_dates] == [OPEN + timedelta(minutes=50), OPEN + timedelta(minutes=55)]


def place_bracket(client: IB, entry: float, target: float, stop: float) -> list[Trade]:
    orders = client.bracketOrder("BUY", 100, entry, target, stop, tif="GTC")
    for order in orders:
        order.orderRef = f"order-{order.orderId}"
    return [client.placeOrder(AAPL, order) for order in orders]


def statuses(trades: list[Trade]) -> list[str]:
    return [trade.orderStatus.status for trade in trades]


async def test_bracket_from_entry_to_target(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        simulator.broker.advance(OPEN)
        trades = place_bracket(client, 213.0, 214.0, 200.0)
        entry, target, stop = trades
        await until(lambda: stop.orderStatus.whyHeld == "child,trigger", "bracket accepted")
        assert statuses(trades) == ["Submitted", "PreSubmitted", "PreSubmitted"]
        simulator.broker.advance(CLOSE)
        await until(lambda: statuses(trades)[0] == "Filled", "entry filled")
        simulator.broker.advance(datetime(2010, 1, 5, 21, tzinfo=UTC))
        await until(lambda: statuses(trades) == ["Filled", "Filled", "Cancelled"], "target filled")
        assert target.order.ocaGroup == stop.order.ocaGroup == ""  # the client keeps what it sent itself
        bought, sold = entry.fills[0], target.fills[0]
        await until(lambda: sold.commissionReport.execId, "commission of the exit")
        assert bought.commissionReport.commission == sold.commissionReport.commission == 1.0
        profit = (sold.execution.price - bought.execution.price) * 100 - 2
        assert sold.commissionReport.realizedPNL == pytest.approx(profit, abs=1e-9)
        assert sold.execution.orderRef == target.order.orderRef
        await until(lambda: not client.positions(), "position closed")
        cash = {value.value for value in client.accountValues() if value.tag == "TotalCashValue"}
        assert cash == {f"{1_000_000 + profit:.2f}"}


async def test_change_and_cancel(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        errors: list[int] = []
        client.errorEvent += lambda _id, code, _text, _contract: errors.append(code)
        simulator.broker.advance(OPEN)
        trade = client.placeOrder(AAPL, LimitOrder("BUY", 100, 200.0, tif="GTC"))
        await until(lambda: trade.orderStatus.status == "Submitted", "order works")
        trade.order.lmtPrice = 201.0
        client.placeOrder(AAPL, trade.order)
        await until(lambda: trade.log[-1].message == "Modified", "change acknowledged")
        assert simulator.engine.book.live()[0].request.limit_price == Decimal(201)
        client.cancelOrder(trade.order)
        await until(lambda: trade.orderStatus.status == "Cancelled", "order cancelled")
        await until(lambda: errors == [202], "reason of the cancel")
        stop = client.placeOrder(AAPL, StopOrder("SELL", 10, 150.0, tif="GTC"))
        await until(lambda: stop.orderStatus.whyHeld == "trigger", "stop rests")
        client.reqGlobalCancel()
        await until(lambda: stop.orderStatus.status == "Cancelled", "everything cancelled")


async def test_out_of_hours_order_fills_at_the_next_open(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        trade = client.placeOrder(AAPL, MarketOrder("BUY", 100))
        await until(lambda: trade.orderStatus.status == "PreSubmitted", "order rests")
        assert [entry.errorCode for entry in trade.log if entry.errorCode] == [399]
        simulator.broker.advance(OPEN)
        await until(lambda: trade.orderStatus.status == "Filled", "filled at the open")
        assert trade.fills[0].execution.time == OPEN
        (position,) = client.positions()
        await until(lambda: client.portfolio(), "portfolio sent")
        assert (position.position, position.avgCost) == (100, pytest.approx(trade.fills[0].execution.price + 0.01))


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (LimitOrder("BUY", 100, 200.001), 110),
        (MarketOrder("BUY", 1_000_000), 201),
        (MarketOrder("BUY", 0), 434),
        (LimitOrder("BUY", 1, 200, tif="IOC"), 201),
        (LimitOrder("BUY", 1, 200, account="DU9"), 321),
        (LimitOrder("BUY", 1, 200, parentId=77), 135),
    ],
)
async def test_refused_orders(tmp_path: Path, order: LimitOrder, code: int) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        simulator.broker.advance(OPEN)
        trade = client.placeOrder(AAPL, order)
        await until(lambda: code in [entry.errorCode for entry in trade.log], f"error {code}")
        assert not simulator.engine.book.live()


async def test_unknown_contract_and_unknown_cancel(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        errors: list[int] = []
        client.errorEvent += lambda _id, code, _text, _contract: errors.append(code)
        client.placeOrder(Stock("NOPE", "SMART", "USD"), MarketOrder("BUY", 1))
        client.client.cancelOrder(999)
        await until(lambda: errors == [200, 10147], "both refused")


async def test_second_client_with_the_same_id_is_turned_away(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator, 5) as first, connected(simulator, 6) as other:
        intruder = IB()
        errors: list[int] = []
        intruder.errorEvent += lambda _id, code, _text, _contract: errors.append(code)
        with pytest.raises(asyncio.TimeoutError):
            await intruder.connectAsync("127.0.0.1", simulator.port, clientId=5, timeout=0.5)
        assert errors == [326]
        await first.reqCurrentTimeAsync()
        await other.reqCurrentTimeAsync()


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
        assert simulator.engine.account == before.account
        assert simulator.engine.now == before.now
        async with connected(simulator) as client:
            (trade,) = client.openTrades()
            assert trade.order.permId == resting.order.permId
            assert [fill.execution.execId for fill in client.fills()] == [bought.fills[0].execution.execId]
            assert [position.position for position in client.positions()] == [100]
            simulator.broker.advance(datetime(2010, 1, 5, 21, tzinfo=UTC))
            await until(lambda: trade.orderStatus.status == "Filled", "order of the life before fills")


async def raw(simulator: Simulator) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and finish the handshake up to startApi."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    offer = b"v157..178"
    writer.write(b"API\0" + len(offer).to_bytes(4, "big") + offer)
    await reader.readuntil(b"US/Eastern\0")
    return reader, writer


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"API\0\0\0\0\x03abc", b"API\0\xff\xff\xff\xff"]
)
async def test_garbage_instead_of_a_handshake_ends_that_connection(tmp_path: Path, garbage: bytes) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(garbage)
        assert await reader.read() == b""
        writer.close()
        await client.reqCurrentTimeAsync()


@pytest.mark.parametrize(
    "garbage",
    [
        frame(["99"]),
        frame(["1", "11", "x", *[""] * 17]),
        frame(["1", "11"]),
        frame(["49", "1", "left over"]),
        frame(["no number"]),
        b"\0\0\0\0",
    ],
)
async def test_garbage_in_a_session_is_answered_with_320_and_ends_it(tmp_path: Path, garbage: bytes) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        reader, writer = await raw(simulator)
        writer.write(frame(["71", "2", "9", ""]) + garbage)
        frames = FrameReader()
        frames.feed(await reader.read())
        writer.close()
        found: list[list[str]] = []
        while (payload := frames.next()) is not None:
            found.append(split_fields(payload))
        assert found[-1][:4] == ["4", "2", "-1", "320"]
        await client.reqCurrentTimeAsync()
        await until(lambda: set(simulator.broker.sessions) == {1}, "its client id is free again")


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\0\0\0\x20half a frame"])
async def test_huge_length_and_half_frame_end_only_their_connection(tmp_path: Path, garbage: bytes) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        reader, writer = await raw(simulator)
        writer.write(frame(["71", "2", "9", ""]) + garbage)
        writer.write_eof()
        await reader.read()
        writer.close()
        await until(lambda: set(simulator.broker.sessions) == {1}, "its client id is free again")
        await client.reqCurrentTimeAsync()


async def test_message_that_is_not_simulated_leaves_the_connection_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        errors: list[int] = []
        client.errorEvent += lambda _id, code, _text, _contract: errors.append(code)
        client.client.reqScannerParameters()
        await until(lambda: errors == [505], "refused")
        await client.reqCurrentTimeAsync()


async def test_client_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    async with running(tmp_path, slow_reader_bytes=1 << 16, market="synthetic", symbols=("AAA",)) as simulator:
        _, writer = await raw(simulator)
        contract = ["0", "AAA", "STK", "", "0", "", "", "SMART", "", "USD", "", ""]
        lines = [frame(["50", "3", str(number), *contract, "5", "TRADES", "1", ""]) for number in range(2000)]
        writer.write(frame(["71", "2", "9", ""]) + b"".join(lines))
        await until(
            lambda: 9 in simulator.broker.sessions and len(simulator.broker.sessions[9].real_time_bars) == 2000,
            "subscribed",
        )
        for minute in range(300):
            simulator.broker.advance(OPEN + timedelta(minutes=minute))
            await asyncio.sleep(0)
        await until(lambda: not simulator.broker.sessions, "disconnected")
        writer.close()
        async with connected(simulator) as client:
            await client.reqCurrentTimeAsync()


async def test_time_passes_by_itself_at_the_speed_asked_for(tmp_path: Path) -> None:
    async with (
        running(tmp_path, speed=float("inf"), market="synthetic", symbols=("AAA",), end=date(2010, 1, 5)) as simulator,
        connected(simulator) as client,
    ):
        contract = Stock("AAA", "SMART", "USD")
        await client.qualifyContractsAsync(contract)
        bars = client.reqRealTimeBars(contract, 5, "TRADES", True)
        await until(lambda: simulator.engine.finished, "all sessions played")
        await until(
            lambda: bars and bars[-1].time == simulator.engine.market.last_close - timedelta(seconds=5), "last bar"
        )
        assert len({bar.time for bar in bars}) == len(bars)


async def test_control_routes(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        transport = httpx.ASGITransport(app=Starlette(routes=list(simulator.routes)))
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as control:
            clock = (await control.get("/clock")).json()
            assert clock == {
                "now": "2010-01-04T14:00:00+00:00",
                "session_open": False,
                "next_open": OPEN.isoformat(),
                "last_session": None,
                "finished": False,
            }
            trade = client.placeOrder(AAPL, LimitOrder("BUY", 10, 250, orderRef="mine"))
            await until(lambda: trade.orderStatus.status == "PreSubmitted", "order rests")
            moved = await control.post("/advance", params={"to": "2010-01-04T15:00:00Z"})
            assert (moved.json()["now"], moved.json()["session_open"]) == ("2010-01-04T15:00:00+00:00", True)
            assert (await control.post("/advance", params={"to": OPEN.isoformat()})).json() == moved.json()
            (entry,) = (await control.get("/orders")).json()
            assert (entry["order_ref"], entry["limit_price"], entry["time"]) == (
                "mine",
                "250",
                "2010-01-04T14:00:00+00:00",
            )
            account = (await control.get("/account")).json()
            assert account["positions"]["AAPL"]["quantity"] == "10"
            assert Decimal(account["net_liquidation"]) == Decimal(1_000_000) + Decimal(account["realized"]) + Decimal(
                account["unrealized"]
            )
            for wrong in ("", "tomorrow", "2010-01-04T15:00:00"):
                answer = await control.post("/advance", params={"to": wrong})
                assert answer.status_code == 400
                assert repr(wrong) in answer.json()["error"]
            ended = (await control.post("/advance", params={"to": "2030-01-01T00:00:00Z"})).json()
            assert (ended["finished"], ended["next_open"], ended["last_session"]) == (True, None, "2010-01-08")


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
