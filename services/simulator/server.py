"""The TCP server: handshake, start of a session, requests one by one, and the end of a session."""

import asyncio
from contextlib import suppress

import structlog

from services.simulator.broker import Broker
from services.simulator.config import Settings
from services.simulator.faults.injector import Faults
from services.simulator.gatekeeper import Gatekeeper
from services.simulator.handlers.dispatch import dispatch, message_id
from services.simulator.limits import DataLimits
from services.simulator.present.times import exchange_time
from services.simulator.session import ClientSession
from services.simulator.trace import Trace
from services.simulator.wire import answers, requests
from services.simulator.wire.framing import FrameReader, ProtocolError, frame, negotiate, split_fields
from services.simulator.wire.layout import LayoutError

_READ_BYTES = 1 << 16
_START_SECONDS = 30
"""How long a client may take from connecting to startApi."""
_STRANGERS = 32
"""Connections beyond those of clients, so that what never starts a session cannot keep clients out."""
_PACE_OPTION = b"+PACEAPI"
_log = structlog.get_logger()


class Server:
    """Serves TWS API clients on one port. `failure` is set by an error that is not a client's fault."""

    def __init__(self, broker: Broker, settings: Settings, faults: Faults, trace: Trace | None = None) -> None:
        self._broker = broker
        self._settings = settings
        self._faults = faults
        self._trace = trace
        self._limits = DataLimits(settings.market_data_lines)
        self._gatekeeper = Gatekeeper(settings.messages_per_second, settings.historical_pacing)
        self._listener: asyncio.Server | None = None
        self._port = settings.port
        self._reopening: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._stopped = False
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        faults.serve(self._handle, self.refuse, self._failed)

    # -- the door ---------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port that is listened on, also when the setting was 0."""
        if self._listener is None:
            raise RuntimeError("the server does not listen yet; call start() first")
        return self._port

    async def start(self) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        self._listener = await asyncio.start_server(self._accepted, self._settings.host, self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, end every connection, and wait until all are gone."""
        if self._listener is not None:
            self._listener.close()
        tasks = [*self._connections, *([self._reopening] if self._reopening else [])]
        for task in tasks:
            task.cancel()
        self._gatekeeper.close()
        self._stopped = True
        await asyncio.gather(*tasks, return_exceptions=True)

    def refuse(self, seconds: float) -> None:
        """Let nobody connect for a time; those who are connected stay."""
        if self._listener is not None:
            self._listener.close()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = asyncio.create_task(self._reopen(seconds))

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self.start()
        except OSError as error:
            self._failed(error)

    async def drained(self) -> None:
        """Wait until every client has been sent what is queued for it."""
        await asyncio.gather(*(session.drained() for session in list(self._broker.sessions.values())))

    def _failed(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    # -- a connection -----------------------------------------------------------------------------------------------

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopped:  # it was on its way in when the door closed
            writer.transport.abort()
            return
        connection = asyncio.create_task(self._connected(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._connections) <= self._settings.maximum_clients + _STRANGERS:
                await self._serve(reader, writer)
        except (ProtocolError, ConnectionError, TimeoutError) as error:
            _log.warning("connection ended", reason=str(error) or type(error).__name__)
        except asyncio.CancelledError:
            pass  # stop() ends the connection; re-raised, asyncio's streams would log it as an error
        except Exception as error:  # noqa: BLE001 - our own failure: the service must not go on as if nothing happened
            self._failed(error)
        finally:
            await _closed(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        async with asyncio.timeout(_START_SECONDS):
            version, paced = await _handshake(reader, frames)
            # one write, and nothing after it before startApi: a client may drop what follows in the same segment
            writer.write(frame((str(version), exchange_time(self._broker.engine.now))))
            first = await _first_fields(reader, frames)
        if first is None:
            return
        session = self._session(version, writer)
        writing = asyncio.create_task(session.write_queue())
        try:
            self._receive(session, first)
            await self._requests(reader, frames, session, paced)
            await _flush(session, writing)
        finally:
            self._faults.detach(session)
            writing.cancel()
            session.close()
            await asyncio.gather(writing, return_exceptions=True)
            if session.client_id is not None:
                self._broker.leave(session.client_id)
                _log.info("client left", client_id=session.client_id)

    def _session(self, version: int, writer: asyncio.StreamWriter) -> ClientSession:
        settings = self._settings
        session = ClientSession(
            version, writer, settings.slow_reader_bytes, settings.slow_reader_seconds, self._limits, self._trace
        )
        self._faults.attach(session)
        return session

    async def _requests(
        self, reader: asyncio.StreamReader, frames: FrameReader, session: ClientSession, paced: bool
    ) -> None:
        rate = self._gatekeeper.rate()
        while not session.ending:
            fields = await self._next_fields(reader, frames, session)
            if fields is None:
                return
            if paced:
                await self._gatekeeper.paced(rate)
            else:
                self._gatekeeper.counted(session, rate)
            if self._gatekeeper.admits(session, fields):
                self._receive(session, fields)
            await asyncio.sleep(0)  # so that a flood of requests does not keep the other clients waiting

    async def _next_fields(
        self, reader: asyncio.StreamReader, frames: FrameReader, session: ClientSession
    ) -> list[str] | None:
        """Return the fields of the next message, None when there will be none."""
        try:
            while (payload := frames.next()) is None:
                data = session.received(await reader.read(_READ_BYTES))
                if session.frozen:
                    await session.ended()
                if not data:
                    return None
                frames.feed(data)
            return split_fields(payload)
        except ProtocolError as error:
            _refuse_to_read(session, error)
            return None

    # -- a request --------------------------------------------------------------------------------------------------

    def _receive(self, session: ClientSession, fields: list[str]) -> None:
        if self._trace is not None:
            self._trace.received(session.client_id, fields, session.version)
        self._faults.incoming(session, fields)

    def _handle(self, session: ClientSession, fields: list[str]) -> None:
        """Carry out one request. One that cannot be understood is answered with 320 and the end of the connection."""
        if session.ending:
            return
        try:
            if session.client_id is None:
                self._start(session, fields)
            else:
                dispatch(self._broker, session, fields)
        except ProtocolError as error:
            _refuse_to_read(session, error)

    def _start(self, session: ClientSession, fields: list[str]) -> None:
        """Answer startApi. Raises ProtocolError for another message."""
        if message_id(fields) != requests.START_API:
            raise ProtocolError(f"first message is {fields[0]}; a client begins with startApi ({requests.START_API})")
        try:
            client_id = requests.read_request(fields, session.version).integer("client_id")
        except (LayoutError, ValueError) as error:
            raise ProtocolError(f"startApi: {error}") from error
        broker = self._broker
        if client_id in broker.sessions:
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            session.error(-1, 326, text)
            session.finish()
        elif len(broker.sessions) >= self._settings.maximum_clients > 0:
            _log.warning("too many clients", client_id=client_id, clients=len(broker.sessions))
            session.finish()
        else:
            broker.join(client_id, session)
            _log.info("client started", client_id=client_id, version=session.version)
            self._welcome(session, client_id)
            self._faults.joined(session)

    def _welcome(self, session: ClientSession, client_id: int) -> None:
        """Send what every client is sent at its start; its own live orders come first."""
        engine = self._broker.engine
        own = [order for order in engine.book.live() if order.request.client_id == client_id]
        for order in own:
            self._broker.send_order(session, order)
        if own:
            session.send(answers.OPEN_ORDER_END, {})
        session.send(answers.MANAGED_ACCOUNTS, {"accounts": ",".join(engine.accounts)})
        session.send(answers.NEXT_VALID_ID, {"order_id": engine.next_order_id(client_id)})
        for code, text in self._faults.notices():
            session.error(-1, code, text)


def _refuse_to_read(session: ClientSession, error: ProtocolError) -> None:
    _log.warning("request not understood", client_id=session.client_id, reason=str(error))
    session.error(-1, 320, f"Error reading request. {error}")
    session.finish()


async def _handshake(reader: asyncio.StreamReader, frames: FrameReader) -> tuple[int, bool]:
    """Return the negotiated version, and whether the client asks to be paced.

    Raises ProtocolError, also when the client goes away before.
    """
    while (offered := frames.handshake()) is None:
        data = await reader.read(_READ_BYTES)
        if not data:
            raise ProtocolError("connection closed before the handshake")
        frames.feed(data)
    return negotiate(offered), _PACE_OPTION in offered


async def _first_fields(reader: asyncio.StreamReader, frames: FrameReader) -> list[str] | None:
    """Return the fields of the first message, None when the client has closed the connection."""
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


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection; one whose client does not take what is left for it is broken."""
    writer.close()
    with suppress(ConnectionError, asyncio.CancelledError):
        try:
            async with asyncio.timeout(1):
                await writer.wait_closed()
        except TimeoutError:
            writer.transport.abort()
