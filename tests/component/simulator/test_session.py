"""Sessions with the simulated gateway: connecting, odd input, slow readers, time and the control routes."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from ib_async import IB, LimitOrder, Stock
from starlette.applications import Starlette

from services.simulator.app import Simulator
from services.simulator.wire.framing import FrameReader, frame, split_fields
from tests.component.simulator.simulation import AAPL, OPEN, connected, no_decode_errors, running, until  # noqa: F401


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


NO_LIMITS = {"messages_per_second": 0, "historical_pacing": False, "market_data_lines": 0}


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
        client.client.send(65, 1, "name", "1.0")
        await until(lambda: errors == [505], "refused")
        await client.reqCurrentTimeAsync()


async def test_client_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    async with running(
        tmp_path, **NO_LIMITS, slow_reader_bytes=1 << 16, market="synthetic", symbols=("AAA",)
    ) as simulator:
        _, writer = await raw(simulator)
        contract = ["0", "AAA", "STK", "", "0", "", "", "SMART", "", "USD", "", ""]
        lines = [frame(["50", "3", str(number), *contract, "5", "TRADES", "1", ""]) for number in range(2000)]
        writer.write(frame(["71", "2", "9", ""]) + b"".join(lines))
        await until(
            lambda: 9 in simulator.broker.sessions and len(simulator.broker.sessions[9].data.seconds) == 2000,
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
