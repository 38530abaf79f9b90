"""One WebSocket: what it has subscribed to, and what waits to be written to it."""

import asyncio
import json
from collections.abc import Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

_MOST_WAITING = 100_000
"""Messages at which a client that does not read is disconnected."""
_INTERNAL_ERROR = 1011


class Socket:
    """`silent` says nothing any more, though it stays open."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.summaries: set[str] = set()
        self.ledgers: set[str] = set()
        self.fields: dict[int, set[str]] = {}
        """Market data fields wanted, by contract id."""
        self.sent: dict[int, dict[str, str]] = {}
        self.silent = False
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()

    def put(self, message: Mapping[str, object]) -> None:
        self.put_text(json.dumps(message, separators=(",", ":")))

    def put_text(self, text: str) -> None:
        if self.silent:
            return
        if self._queue.qsize() >= _MOST_WAITING:
            self.silent = True
            self.end()
        else:
            self._queue.put_nowait(text)

    def end(self) -> None:
        """Close the connection when what waits has been written."""
        self._queue.put_nowait(None)

    def forget(self) -> None:
        """End every subscription."""
        self.topics.clear()
        self.summaries.clear()
        self.ledgers.clear()
        self.fields.clear()
        self.sent.clear()

    async def write_queue(self, websocket: WebSocket) -> None:
        """Write what waits until the connection is to end, or is gone."""
        try:
            while (text := await self._queue.get()) is not None:
                await websocket.send_text(text)
            await websocket.close(_INTERNAL_ERROR)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the reader notices it too
