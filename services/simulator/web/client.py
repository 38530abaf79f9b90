"""The Web API's own session with the broker: a client like those of the TWS API, but in memory.

Requests go through the faults as those that arrive over TCP, and answers come through them.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from services.simulator.limits import DataLimits
from services.simulator.session import ClientSession
from services.simulator.wire import answers
from services.simulator.wire.framing import LENGTH, ProtocolError, split_fields
from services.simulator.wire.layout import LayoutError, Row

WEB_CLIENT_ID = 2**31 - 1
"""Assumed: orders of the Web API have a client id of their own, which no client of the TWS API uses."""
_VERSION = 178
_ANY_DATA = 3
"""Assumed: the Web API shows delayed data where there are no live ones, without being asked."""
Hear: TypeAlias = Callable[[str, Row], None]


class _Nowhere(asyncio.WriteTransport):
    """What lies behind the session's writer: nothing."""

    def is_closing(self) -> bool:
        return True


class WebClient(ClientSession):
    """Every answer is decoded and handed to `hear`, under the name of the TWS API's callback.

    The effects of faults on a connection: `close` calls `ended` (the log-in is over), `cut` calls `dropped` (the
    WebSockets break), `half-open` calls `silenced` (the WebSockets fall silent). `raw` is what `garbled` is given.
    """

    def __init__(
        self,
        limits: DataLimits,
        hear: Hear,
        ended: Callable[[], None],
        dropped: Callable[[], None],
        silenced: Callable[[], None],
        garbled: Callable[[bytes], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        writer = asyncio.StreamWriter(_Nowhere(), asyncio.StreamReaderProtocol(reader, loop=loop), reader, loop)
        super().__init__(_VERSION, writer, slow_reader_bytes=1, limits=limits)
        self.market_data_type = _ANY_DATA
        self._hear = hear
        self._when_ended = ended
        self._dropped = dropped
        self._silenced = silenced
        self._garbled = garbled

    def write(self, frame: bytes) -> None:
        if self.closed:
            return
        try:
            message, row = answers.read_answer(split_fields(frame[LENGTH.size :]), self.version)
        except (LayoutError, ProtocolError):
            self._garbled(frame)
        else:
            self._hear(message.name, row)

    def finish(self) -> None:
        """End the log-in, as IBKR does when it lasted too long or another one begins."""
        if not self.closed:
            self.close()
            self._when_ended()

    def abort(self) -> None:
        self._dropped()

    def freeze(self) -> None:
        self._silenced()
