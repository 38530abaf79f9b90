"""The server under odd clients: many, flooding, pacing, silent or dead; nobody else is hurt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.simulator.app import Simulator
from services.simulator.wire.framing import FrameReader, frame, split_fields
from tests.component.simulator.simulation import AAPL, connected, running, until

START = ["71", "2", "9", ""]
CURRENT_TIME = frame(["49", "1"])


class RawClient:
    """Speaks frames, and nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames = FrameReader()

    async def fields(self) -> list[str] | None:
        """Return the next message, None at the end of the connection."""
        while (payload := self._frames.next()) is None:
            data = await asyncio.wait_for(self.reader.read(1 << 16), 10)
            if not data:
                return None
            self._frames.feed(data)
        return split_fields(payload) if payload else []

    async def until(self, message_id: str) -> list[str]:
        while (fields := await self.fields()) is not None:
            if fields[:1] == [message_id]:
                return fields
        raise AssertionError(f"the connection ended before a message {message_id}")


@asynccontextmanager
async def raw(
    simulator: Simulator, client_id: int = 9, options: str = "", highest: int = 178
) -> AsyncIterator[RawClient]:
    """A client after startApi."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    offer = f"v157..{highest}{options}".encode()
    writer.write(b"API\0" + len(offer).to_bytes(4, "big") + offer)
    await reader.readuntil(b"US/Eastern\0")
    writer.write(frame(["71", "2", str(client_id), ""]))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()


def error(fields: list[str]) -> tuple[str, str]:
    return fields[2], fields[3]


async def test_32_clients_at_once_and_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(simulator, number)) for number in range(1, 33)]
        assert len(simulator.broker.sessions) == 32
        await asyncio.gather(*(client.reqCurrentTimeAsync() for client in clients))
        one_more = await stack.enter_async_context(raw(simulator, 99))
        assert await one_more.fields() is None
        clients[0].disconnect()
        await until(lambda: len(simulator.broker.sessions) == 31, "one has left")
        welcome = await stack.enter_async_context(raw(simulator, 99))
        await welcome.until("9")


async def test_the_third_second_with_too_many_messages_ends_the_connection(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as other, raw(simulator) as client:
        await client.until("9")
        for strike in (1, 2, 3):
            client.writer.write(CURRENT_TIME * 60)
            told = await client.until("4")
            while error(told)[1] != "100":
                told = await client.until("4")
            assert told[4] == f"Max rate of messages per second has been exceeded:max=50 rec=51 ({strike})"
            await asyncio.sleep(1.01)  # the limit is one of real time
        while await client.fields() is not None:
            pass
        await until(lambda: set(simulator.broker.sessions) == {1}, "only the other is left")
        await other.reqCurrentTimeAsync()


async def test_a_client_with_paceapi_waits_instead(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, raw(simulator, options=" +PACEAPI") as client:
        await client.until("9")
        began = asyncio.get_running_loop().time()
        client.writer.write(CURRENT_TIME * 75)
        answers = [await client.until("49") for _ in range(75)]
        assert len(answers) == 75
        assert asyncio.get_running_loop().time() - began > 0.4, "25 messages beyond the first 50 take half a second"


async def test_history_pacing(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        told: list[tuple[int, str]] = []
        client.errorEvent += lambda _id, code, text, _contract: told.append((code, text))
        for _ in range(2):
            await client.reqHistoricalDataAsync(AAPL, "", "1 D", "1 day", "TRADES", True)
        assert told == [], "days are exempt"
        for _ in range(2):
            await client.reqHistoricalDataAsync(AAPL, "", "60 S", "5 secs", "TRADES", True)
        text = "Historical Market Data Service error message:Historical data request pacing violation"
        assert told[-1] == (162, text)


async def test_a_flood_does_not_keep_others_waiting(tmp_path: Path) -> None:
    async with running(tmp_path, messages_per_second=0) as simulator, connected(simulator) as other:
        async with raw(simulator) as client:
            client.writer.write(frame(["61", "1"]) * 5000)
            await asyncio.wait_for(other.reqCurrentTimeAsync(), 2)
        await until(lambda: set(simulator.broker.sessions) == {1}, "the flood has gone")


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x80\0\0\0" + b"x" * 100, b"\0\0\0\x03abc", b"\0\0\0\0"])
async def test_what_cannot_be_read_is_answered_with_320_and_the_end(tmp_path: Path, garbage: bytes) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as other, raw(simulator) as client:
        await client.until("9")
        client.writer.write(garbage)
        told = await client.until("4")
        while error(told)[1] != "320":
            told = await client.until("4")
        assert await client.fields() is None
        await other.reqCurrentTimeAsync()


async def test_a_client_that_never_says_anything_is_no_trouble(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator:
        silent = [await asyncio.open_connection("127.0.0.1", simulator.port) for _ in range(60)]
        async with connected(simulator) as client:
            await client.reqCurrentTimeAsync()
        for _, writer in silent:
            writer.close()


async def test_bursts_for_old_clients_are_never_a_multiple_of_4096(tmp_path: Path) -> None:
    """An empty frame follows those that would be; clients take no notice of it."""
    async with running(tmp_path, messages_per_second=0) as simulator, raw(simulator, highest=157) as client:
        await client.until("9")
        session = simulator.broker.sessions[9]
        session.write(frame(["x" * 4091]))
        assert await client.until("x" * 4091)
        assert await client.fields() == []
