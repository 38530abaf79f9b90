"""One connected client: what it has subscribed to, and the frames waiting to be written to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from services.simulator.data_subscriptions import DataSubscriptions
from services.simulator.limits import DataLimits
from services.simulator.subscriptions import AccountSubscriptions
from services.simulator.wire import answers
from services.simulator.wire.framing import LENGTH
from services.simulator.wire.layout import Values
from services.simulator.wire.message import Message

_EMPTY_FRAME = LENGTH.pack(0)
_CLIENT_READ_BYTES = 4096
_FIRST_SOUND_VERSION = 176
_NO_LIMITS = DataLimits(lines=0)


class SentTrace(Protocol):
    """Where a record of what is sent goes."""

    def sent(self, client_id: int | None, payload: bytes, version: int) -> None: ...


@dataclass(slots=True)
class Cuts:
    """How many more bytes may be sent and received before the connection breaks; None = any number."""

    sent: int | None = None
    received: int | None = None


Filter: TypeAlias = "Callable[[ClientSession, bytes], None]"
"""Takes a frame instead of the queue; what is to be sent of it, it gives to `write`."""


class ClientSession:
    """State of a connection after its handshake. `client_id` is None until startApi.

    `filter` is where faults take hold of what is sent; it is None when there are none.
    """

    def __init__(
        self,
        version: int,
        writer: asyncio.StreamWriter,
        slow_reader_bytes: int,
        slow_reader_seconds: float = 30,
        limits: DataLimits = _NO_LIMITS,
        trace: SentTrace | None = None,
    ) -> None:
        """A client is disconnected with `slow_reader_bytes` unread, or when it has read nothing for so many seconds."""
        self.version = version
        self.limits = limits
        self.client_id: int | None = None
        self.market_data_type = 1
        self.data = DataSubscriptions()
        self.account = AccountSubscriptions()
        self.filter: Filter | None = None
        self.cuts: Cuts | None = None
        self.frozen = False
        self.closed = False
        self._trace = trace
        self._writer = writer
        self._slow_reader_bytes = slow_reader_bytes
        self._slow_reader_seconds = slow_reader_seconds
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._ending = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = asyncio.Event()

    # -- sending ----------------------------------------------------------------------------------------------------

    def send(self, message: Message, values: Values) -> None:
        self.put(answers.encode(message, values, self.version))

    def error(self, request_id: int, code: int, text: str) -> None:
        self.put(answers.error(request_id, code, text, self.version))

    def put(self, frame: bytes) -> None:
        """Send one frame, through the faults if there are any."""
        if self.filter is not None:
            self.filter(self, frame)
        else:
            self.write(frame)

    def write(self, frame: bytes) -> None:
        """Queue bytes past all faults. A client that reads too slowly is disconnected rather than kept in memory."""
        if self.closed or self.frozen or self._ending:
            return
        if self._trace is not None:
            self._trace.sent(self.client_id, frame[LENGTH.size :], self.version)
        if not self._pending:
            self._wake.set()
            self._idle.clear()
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        if self._pending_bytes + self._writer.transport.get_write_buffer_size() > self._slow_reader_bytes:
            self.abort()

    async def write_queue(self) -> None:
        """Write what is queued until cancelled, many frames at a time."""
        while not self.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._pending and not self.closed:
                data = b"".join(self._pending)
                self._pending.clear()
                self._pending_bytes = 0
                await self._write(data)
            self._idle.set()
            if self._ending:
                self._writer.close()
                return

    async def _write(self, data: bytes) -> None:
        if self.version < _FIRST_SOUND_VERSION and len(data) % _CLIENT_READ_BYTES == 0:
            # ibapi loses what it has read when the last of its 4096-byte reads is full and nothing follows;
            # it takes no notice of an empty frame
            data += _EMPTY_FRAME
        if self.cuts is not None and self.cuts.sent is not None:
            data, whole = data[: self.cuts.sent], len(data)
            self.cuts.sent -= len(data)
            if len(data) < whole or not self.cuts.sent:
                self._ending = True
                self._pending.clear()
        self._writer.write(data)
        try:
            async with asyncio.timeout(self._slow_reader_seconds):
                await self._writer.drain()
        except TimeoutError:
            self.abort()

    # -- ending -----------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> bytes:
        """Return the bytes that arrive of what was read: all, unless the connection is to break at a certain byte."""
        if self.cuts is None or self.cuts.received is None:
            return data
        arrived = data[: self.cuts.received]
        self.cuts.received -= len(arrived)
        if not self.cuts.received:
            self.abort()
        return arrived

    def finish(self) -> None:
        """End the connection when all that is queued now has been written."""
        self._ending = True
        self._wake.set()

    @property
    def ending(self) -> bool:
        """True when no request of the client is to be carried out any more."""
        return self._ending or self.closed

    def freeze(self) -> None:
        """Neither read nor write any more, like the peer of a connection that died without a word."""
        self.frozen = True
        self._pending.clear()
        self._pending_bytes = 0
        self._idle.set()

    def abort(self) -> None:
        """Break the connection at once; what is queued is lost."""
        self.close()
        self._writer.transport.abort()

    async def ended(self) -> None:
        """Wait until the connection is to end."""
        await self._ended.wait()

    async def drained(self) -> None:
        """Wait until everything queued has been handed to the operating system, or the session has ended."""
        await self._idle.wait()

    def close(self) -> None:
        """Let go of whoever waits for this session."""
        self.closed = True
        self._ended.set()
        self._idle.set()
        self._wake.set()
