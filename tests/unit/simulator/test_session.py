"""A session's queue, on a real socket: bursts, slow readers, and the ways in which it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from services.simulator.session import ClientSession, Cuts
from services.simulator.wire.framing import frame


@asynccontextmanager
async def session(version: int = 178, **terms: Any) -> AsyncIterator[tuple[ClientSession, asyncio.StreamReader]]:
    """A session whose queue is being written, and what its client reads."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    reader, client = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    writer = await accepted
    made = ClientSession(version, writer, **{"slow_reader_bytes": 1 << 20, **terms})
    writing = asyncio.create_task(made.write_queue())
    try:
        yield made, reader
    finally:
        made.close()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        writer.close()
        client.close()
        server.close()
        await asyncio.gather(client.wait_closed(), writer.wait_closed(), return_exceptions=True)


def of_length(length: int) -> bytes:
    return frame(["x" * (length - 5)])


async def test_frames_arrive_whole_and_in_order() -> None:
    async with session() as (made, reader):
        frames = [frame([str(number)]) for number in range(1000)]
        for one in frames:
            made.put(one)
        assert await reader.readexactly(sum(map(len, frames))) == b"".join(frames)
        await made.drained()


@pytest.mark.parametrize(("version", "expected"), [(157, 4), (175, 4), (176, 0), (178, 0)])
async def test_a_burst_is_never_a_multiple_of_4096_for_ibapi(version: int, expected: int) -> None:
    async with session(version) as (made, reader):
        made.put(of_length(4096))
        made.put(of_length(4096))
        made.finish()
        data = await reader.read()
        while rest := await reader.read():
            data += rest
        assert len(data) == 8192 + expected
        assert data[8192:] == bytes(expected), "an empty frame, of which ibapi takes no notice"


async def test_other_bursts_are_left_alone() -> None:
    async with session(157) as (made, reader):
        made.put(of_length(4095))
        made.finish()
        assert len(await reader.read()) == 4095


async def test_a_reader_with_too_much_unread_is_disconnected() -> None:
    async with session(slow_reader_bytes=1 << 16) as (made, _):
        for _number in range(2_000):
            made.put(of_length(60_000))
            await asyncio.sleep(0)
            if made.closed:
                break
        assert made.closed


async def test_a_reader_that_stands_still_is_disconnected_in_time() -> None:
    async with session(slow_reader_bytes=1 << 30, slow_reader_seconds=0.1) as (made, _):
        made.put(of_length(50_000_000))
        await asyncio.wait_for(made.drained(), 5)
        assert made.closed


async def test_a_filter_stands_between() -> None:
    taken: list[bytes] = []
    async with session() as (made, reader):
        made.filter = lambda _, one: taken.append(one)
        made.put(frame(["lost"]))
        made.write(frame(["past the filter"]))
        made.finish()
        assert await reader.read() == frame(["past the filter"])
        assert taken == [frame(["lost"])]


@pytest.mark.parametrize("count", [1, 7, 12])
async def test_cut_after_so_many_bytes_sent(count: int) -> None:
    async with session() as (made, reader):
        made.cuts = Cuts(sent=count)
        made.put(of_length(12))
        made.put(of_length(12))
        assert await reader.read() == (of_length(12) * 2)[:count]


async def test_cut_after_so_many_bytes_received() -> None:
    async with session() as (made, reader):
        made.cuts = Cuts(received=5)
        assert made.received(b"abc") == b"abc"
        assert not made.closed
        assert made.received(b"defg") == b"de"
        assert made.closed
        with suppress(ConnectionError):
            assert await reader.read() == b""


async def test_frozen_says_nothing_and_stays_open() -> None:
    async with session() as (made, reader):
        made.put(frame(["before"]))
        await made.drained()
        made.freeze()
        made.put(frame(["after"]))
        await asyncio.wait_for(made.drained(), 5)
        assert await reader.readexactly(len(frame(["before"]))) == frame(["before"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        made.abort()
        await asyncio.wait_for(made.ended(), 5)
