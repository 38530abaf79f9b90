"""One connected client: what it has subscribed to, and the frames waiting to be written to it."""

import asyncio
from dataclasses import dataclass, field

from services.simulator.wire import answers
from services.simulator.wire.layout import Layout, Values


@dataclass(slots=True)
class QuoteSubscription:
    """A market data line and what was last sent on it, by tick type."""

    symbol: str
    sent: dict[int, object] = field(default_factory=dict[int, object])


@dataclass(slots=True)
class ValueSubscription:
    """A subscription to account values, and the values last sent, by key and currency."""

    tags: frozenset[str] | None = None
    sent: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])


class ClientSession:
    """State of a connection after its handshake. `client_id` is None until startApi."""

    def __init__(self, version: int, writer: asyncio.StreamWriter, slow_reader_bytes: int) -> None:
        self.version = version
        self.client_id: int | None = None
        self.market_data_type = 1
        self.quotes: dict[int, QuoteSubscription] = {}
        self.real_time_bars: dict[int, str] = {}
        self.positions = False
        self.account_updates: ValueSubscription | None = None
        self.account_updates_multi: dict[int, ValueSubscription] = {}
        self.account_summaries: dict[int, ValueSubscription] = {}
        self.profit: dict[int, tuple[str, ...]] = {}
        self._writer = writer
        self._slow_reader_bytes = slow_reader_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.closed = False

    def send(self, layout: Layout, values: Values) -> None:
        self.put(answers.encode(layout, values, self.version))

    def error(self, request_id: int, code: int, text: str) -> None:
        self.put(answers.error(request_id, code, text, self.version))

    def put(self, frame: bytes) -> None:
        """Queue one frame. A client that reads too slowly is disconnected rather than kept in memory."""
        if self.closed:
            return
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        self._wake.set()
        self._idle.clear()
        if self._pending_bytes + self._writer.transport.get_write_buffer_size() > self._slow_reader_bytes:
            self.closed = True
            self._writer.transport.abort()

    async def write_queue(self) -> None:
        """Write what is queued until cancelled, many frames at a time."""
        while not self.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                data = b"".join(self._pending)
                self._pending.clear()
                self._pending_bytes = 0
                self._writer.write(data)
                await self._writer.drain()
            self._idle.set()

    async def drained(self) -> None:
        """Wait until everything queued has been handed to the operating system, or the session has ended."""
        await self._idle.wait()

    def close(self) -> None:
        """Let go of whoever waits for this session."""
        self.closed = True
        self._idle.set()
        self._wake.set()
