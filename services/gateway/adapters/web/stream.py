"""The streaming half: one WebSocket, read by a thread of its own, heard on the event loop in the order received."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import SHUT_RDWR, socket
from typing import Any

from services.gateway.ports import BrokerLost

_PING_SECONDS = 10.0  # WebSocket pings; one that is not answered within 95 % of it ends the connection
_CLOSE_SECONDS = 1.0


class Stream:
    """ibind's transport without its reconnection: a stream that was lost has lost messages, so everything begins anew.

    Args:
        heard: called with each message.
        lost: called once with the reason when the connection is gone.
    """

    def __init__(self, heard: Callable[[str], None], lost: Callable[[str], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._transport: Any = None
        self._connection: socket | None = None

    async def open(self, url: str, cookie: str, cacert: str | None) -> None:
        """Connect. Raises BrokerLost when the server refuses."""
        from ibind.ws import ws_transport as ibind
        from ibind.ws.ws_runtime import make_sslopt

        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()

        def on_event(event: Any) -> None:
            """In the reading thread."""
            match event:
                case ibind.TransportMessage():
                    happened = partial(self._heard, event.message)
                case ibind.TransportOpened():
                    self._connection = transport._wsa.sock.sock
                    happened = partial(_settle, opened, None)
                case ibind.TransportClosed() | ibind.TransportError():
                    transport.stop()  # before it connects again by itself
                    if self._connection is not None:
                        self._connection.close()  # websocket-client forgets it when the other side ends it
                    why = getattr(event, "exception", None) or getattr(event, "close_msg", None) or "closed"
                    happened = partial(self._ended, f"the stream of the Client Portal Gateway is gone: {why}", opened)
                case _:
                    return
            try:
                loop.call_soon_threadsafe(happened)
            except RuntimeError:  # the loop has ended, and nobody listens
                transport.stop()

        transport: Any = ibind.WsTransport(
            url=url,
            event_callback=on_event,
            sslopt=make_sslopt(cacert or False),
            get_cookie=lambda: cookie,
            ping_interval=_PING_SECONDS,
            connection_timeout=_CLOSE_SECONDS,
            reconnect_timeout=0,
        )
        self._transport = transport
        threading.Thread(target=transport.connect, name="web-stream", daemon=True).start()
        await opened

    def _ended(self, reason: str, opened: "asyncio.Future[None]") -> None:
        _settle(opened, BrokerLost(reason))
        self._lost(reason)

    def send(self, text: str) -> None:
        """Write a message. Raises BrokerLost when the connection is gone."""
        try:
            written = self._transport.send(text)
        except Exception as error:
            raise BrokerLost(f"the stream of the Client Portal Gateway is gone: {error}") from error
        if not written:
            raise BrokerLost("the stream of the Client Portal Gateway is closed")

    def close(self) -> None:
        """End the connection. Its thread reads the end of it and stops; ibind's own way waits for the server's word."""
        if self._connection is not None:
            with suppress(OSError):  # it has ended by itself
                self._connection.shutdown(SHUT_RDWR)


def _settle(opened: "asyncio.Future[None]", error: BrokerLost | None) -> None:
    """The attempt to connect has ended, unless it had before."""
    if opened.done():
        return
    if error is None:
        opened.set_result(None)
    else:
        opened.set_exception(error)
