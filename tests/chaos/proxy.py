"""A TCP proxy between the gateway and the simulator that breaks connections at a given byte of a given message.

The API's messages are frames: four bytes of length, then text fields that end with a zero byte, the first of which is
the kind of message. Requests are passed on frame by frame, answers as they come.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

PLACE_ORDER = b"3\0"
GREETING = b"API\0"
LENGTH = 4


class Fault(StrEnum):
    CUT = "cut"
    """Both sides see the connection end, after the bytes that were passed."""
    RESET = "reset"
    """Both sides see it reset; what they had not read is gone."""
    HALF_OPEN = "half_open"
    """The broker's side ends; the gateway sees nothing, and hears nothing any more."""
    GHOST = "ghost"
    """The gateway's side ends; the broker's goes on for a while, and gets the rest of the message only then."""
    STALL = "stall"
    """Nothing passes for a while, then all of it."""


@dataclass
class Trigger:
    """Fires at the byte `at` of the orders (`of_orders`), else of all answers, from now on."""

    fault: Fault
    at: int
    of_orders: bool
    fired: asyncio.Event = field(default_factory=asyncio.Event)
    passed: int = 0

    def split(self, data: bytes) -> int | None:
        """How much of these bytes passes before it fires; None where all do."""
        before, self.passed = self.passed, self.passed + len(data)
        return self.at - before if before <= self.at < self.passed else None


class Frames:
    """Cuts a stream of requests into the greeting and frames."""

    def __init__(self) -> None:
        self._data = b""
        self._greeted = False

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        found: list[bytes] = []
        while (size := self._size()) is not None and len(self._data) >= size:
            found.append(self._data[:size])
            self._data = self._data[size:]
        return found

    def _size(self) -> int | None:
        if not self._greeted:
            if len(self._data) < len(GREETING):
                return None
            self._greeted = True
            return len(GREETING)
        if len(self._data) < LENGTH:
            return None
        return LENGTH + int.from_bytes(self._data[:LENGTH], "big")


def is_order(frame: bytes) -> bool:
    return frame[LENGTH:].startswith(PLACE_ORDER)


class Proxy:
    """`trigger` is what happens next; `order_bytes` how many bytes of orders have passed."""

    def __init__(self, target_port: Callable[[], int], pause_seconds: float) -> None:
        self._target_port = target_port
        self._pause = pause_seconds
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.trigger: Trigger | None = None
        self.order_bytes = 0

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator["Proxy"]:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    def arm(self, fault: Fault, at: int, *, of_orders: bool = True) -> Trigger:
        self.trigger = Trigger(fault, at, of_orders)
        return self.trigger

    def disarm(self) -> None:
        self.trigger = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            await self._link(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            writer.transport.abort()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broker_reader, broker = await asyncio.open_connection("127.0.0.1", self._target_port())
        link = _Link(reader, writer, broker_reader, broker)
        pumps = (asyncio.create_task(self._requests(link)), asyncio.create_task(self._answers(link)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await _end(broker)
            await _end(writer)

    async def _requests(self, link: "_Link") -> None:
        frames = Frames()
        while data := await link.reader.read(1 << 16):
            for frame in frames.feed(data):
                await self._request(link, frame)
            if not link.silent:
                await link.broker.drain()

    async def _request(self, link: "_Link", frame: bytes) -> None:
        if link.silent:
            return
        trigger, split = self.trigger, None
        if is_order(frame):
            self.order_bytes += len(frame)
            split = trigger.split(frame) if trigger is not None and trigger.of_orders else None
        if trigger is None or split is None:
            link.broker.write(frame)
            return
        link.broker.write(frame[:split])
        await self._fire(trigger, link, frame[split:])

    async def _answers(self, link: "_Link") -> None:
        while data := await self._answer(link):
            trigger = self.trigger
            split = trigger.split(data) if trigger is not None and not trigger.of_orders else None
            if trigger is not None and split is not None:
                link.writer.write(data[:split])
                await self._fire(trigger, link, b"")
                data = data[split:]
            if not link.silent:
                link.writer.write(data)
                await link.writer.drain()

    async def _answer(self, link: "_Link") -> bytes:
        data = await link.broker_reader.read(1 << 16)
        if not data and link.silent:
            await asyncio.Event().wait()  # the other pump decides when this is over
        return data

    async def _fire(self, trigger: Trigger, link: "_Link", rest: bytes) -> None:
        """Do what the trigger says. Returns where the connection goes on, else raises ConnectionError."""
        self.trigger = None
        trigger.fired.set()
        match trigger.fault:
            case Fault.STALL:
                await asyncio.sleep(self._pause)
                link.broker.write(rest)
                return
            case Fault.CUT:
                await _end(link.broker)
                await _end(link.writer)
            case Fault.RESET:
                _reset(link.broker)
                _reset(link.writer)
            case Fault.HALF_OPEN:
                link.silent = True
                await _end(link.broker)
                return  # until the gateway ends it
            case Fault.GHOST:
                link.silent = True
                await _end(link.writer)
                await asyncio.sleep(self._pause)
                link.broker.write(rest)
                await link.broker.drain()
                await _end(link.broker)
        raise ConnectionAbortedError(trigger.fault)


@dataclass
class _Link:
    """`silent`: the two ends do not hear each other any more."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    broker_reader: asyncio.StreamReader
    broker: asyncio.StreamWriter
    silent: bool = False


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close after what was written has been passed on."""
    writer.close()
    with suppress(ConnectionError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and not writer.transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
