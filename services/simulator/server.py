"""The TCP server: handshake, start of a session, requests one by one, and the end of a session."""

import asyncio
from contextlib import suppress

import structlog

from services.simulator.broker import Broker
from services.simulator.handlers.dispatch import dispatch, message_id
from services.simulator.present import exchange_time
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.framing import FrameReader, ProtocolError, frame, negotiate, split_fields
from services.simulator.wire.requests import Request

_READ_BYTES = 1 << 16
_START_SECONDS = 30
"""How long a client may take from connecting to startApi."""
_FARM_NOTICES = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
_log = structlog.get_logger()


class Server:
    """Serves TWS API clients on one port. `failure` is set by an error that is not a client's fault."""

    def __init__(self, broker: Broker, host: str, port: int, slow_reader_bytes: int) -> None:
        self._broker = broker
        self._host = host
        self._port = port
        self._slow_reader_bytes = slow_reader_bytes
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def port(self) -> int:
        """The port that is listened on, also when the setting was 0."""
        if self._server is None:
            raise RuntimeError("the server does not listen yet; call start() first")
        return self._server.sockets[0].getsockname()[1]

    async def start(self) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._accepted, self._host, self._port)

    async def stop(self) -> None:
        """Stop listening, end every connection, and wait until all are gone."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def drained(self) -> None:
        """Wait until every client has been sent what is queued for it."""
        await asyncio.gather(*(session.drained() for session in list(self._broker.sessions.values())))

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None  # noqa: S101 - this is a coroutine
        self._connections.add(connection)
        try:
            await self._serve(reader, writer)
        except (ProtocolError, ConnectionError, TimeoutError) as error:
            _log.warning("connection ended", reason=str(error) or type(error).__name__)
        except asyncio.CancelledError:
            pass  # stop() ends the connection; re-raised, asyncio's streams would log it as an error
        except Exception as error:  # noqa: BLE001 - our own failure: the service must not go on as if nothing happened
            if not self.failure.done():
                self.failure.set_exception(error)
        finally:
            self._connections.discard(connection)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        async with asyncio.timeout(_START_SECONDS):
            version = await _handshake(reader, frames)
            # one write, and nothing after it before startApi: a client may drop what follows in the same segment
            now = exchange_time(self._broker.engine.now)
            writer.write(frame((str(version), now)))
            session = ClientSession(version, writer, self._slow_reader_bytes)
            first = await _next_fields(reader, frames)
        writing = asyncio.create_task(session.write_queue())
        try:
            if first is not None and self._start(session, first):
                await self._requests(reader, frames, session)
            await _flush(session, writing)
        finally:
            writing.cancel()
            session.close()
            await asyncio.gather(writing, return_exceptions=True)
            if session.client_id is not None:
                self._broker.leave(session.client_id)
                _log.info("client left", client_id=session.client_id)

    async def _requests(self, reader: asyncio.StreamReader, frames: FrameReader, session: ClientSession) -> None:
        try:
            while (fields := await _next_fields(reader, frames)) is not None:
                dispatch(self._broker, session, fields)
        except ProtocolError as error:
            _log.warning("request not understood", client_id=session.client_id, reason=str(error))
            session.error(-1, 320, f"Error reading request. {error}")

    def _start(self, session: ClientSession, fields: list[str]) -> bool:
        """Answer startApi; return False if the client id is taken. Raises ProtocolError for another message."""
        if message_id(fields) != requests.START_API:
            raise ProtocolError(f"first message is {fields[0]}; a client begins with startApi ({requests.START_API})")
        try:
            client_id = Request.parse(requests.START_API, fields, session.version).integer("client_id")
        except ValueError as error:
            raise ProtocolError(f"startApi: {error}") from error
        if client_id in self._broker.sessions:
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            session.error(-1, 326, text)
            return False
        self._broker.join(client_id, session)
        _log.info("client started", client_id=client_id, version=session.version)
        own = [order for order in self._broker.engine.book.live() if order.request.client_id == client_id]
        for order in own:
            self._broker.send_order(session, order)
        if own:
            session.send(answers.OPEN_ORDER_END, {})
        session.send(answers.MANAGED_ACCOUNTS, {"accounts": self._broker.account})
        session.send(answers.NEXT_VALID_ID, {"order_id": self._broker.engine.next_order_id(client_id)})
        for code, text in _FARM_NOTICES:
            session.error(-1, code, text)
        return True


async def _handshake(reader: asyncio.StreamReader, frames: FrameReader) -> int:
    """Return the negotiated version. Raises ProtocolError, also when the client goes away before."""
    while (offered := frames.handshake()) is None:
        data = await reader.read(_READ_BYTES)
        if not data:
            raise ProtocolError("connection closed before the handshake")
        frames.feed(data)
    return negotiate(offered)


async def _next_fields(reader: asyncio.StreamReader, frames: FrameReader) -> list[str] | None:
    """Return the fields of the next message, None when the client has closed the connection."""
    while (payload := frames.next()) is None:
        data = await reader.read(_READ_BYTES)
        if not data:
            return None
        frames.feed(data)
    return split_fields(payload)


async def _flush(session: ClientSession, writing: asyncio.Task[None]) -> None:
    """Give a client that is about to be disconnected a moment to receive why."""
    drained = asyncio.create_task(session.drained())
    await asyncio.wait((drained, writing), timeout=1, return_when=asyncio.FIRST_COMPLETED)
    drained.cancel()
