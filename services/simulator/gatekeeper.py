"""Holds clients to IBKR's limits before a request is carried out, and says so in TWS's words."""

import asyncio

from services.simulator.limits import STRIKES, HistoryPacing, MessageRate, RealTimeBarPacing
from services.simulator.session import ClientSession
from services.simulator.wire import requests
from services.simulator.wire.layout import LayoutError
from services.simulator.wire.requests import Request

_HEARTBEAT_SECONDS = 0.1
_HISTORY = "Historical Market Data Service error message:Historical data request pacing violation"
_REAL_TIME_BARS = "Invalid Real-time Query:Historical data request pacing violation"
_PACED = {str(requests.REQUEST_HISTORICAL_DATA), str(requests.REQUEST_HISTORICAL_TICKS)}
_CONTRACT = ("con_id", "symbol", "sec_type", "expiry", "strike", "right", "exchange", "currency", "what_to_show")


class StallMeter:
    """How long the event loop has been too busy to do anything else, in seconds since the start."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stalled = 0.0
        self._due = self._loop.time()
        self._timer = self._loop.call_soon(self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        self._stalled += max(0.0, now - self._due)
        self._due = now + _HEARTBEAT_SECONDS
        self._timer = self._loop.call_at(self._due, self._beat)

    def seconds(self) -> float:
        return self._stalled + max(0.0, self._loop.time() - self._due)

    def close(self) -> None:
        self._timer.cancel()


class Gatekeeper:
    """The limits of one server."""

    def __init__(self, messages_per_second: int, historical_pacing: bool) -> None:
        """Must be made inside the event loop; 0 and false lift a limit."""
        self._messages_per_second = messages_per_second
        self._loop = asyncio.get_running_loop()
        self._stalls = StallMeter()
        self._history = HistoryPacing(historical_pacing)
        self._bars = RealTimeBarPacing(historical_pacing)

    def close(self) -> None:
        self._stalls.close()

    def rate(self) -> MessageRate:
        """Return the count of a new client's messages."""
        return MessageRate(self._messages_per_second)

    async def paced(self, rate: MessageRate) -> None:
        """Make a client that asked for pacing wait for its turn."""
        wait = rate.wait(self._loop.time())
        if wait:
            await asyncio.sleep(wait)

    def counted(self, session: ClientSession, rate: MessageRate) -> None:
        """Count a message of a client that is not paced; the third time it sends too many, its connection ends."""
        excess = rate.received(self._loop.time(), self._stalls.seconds())
        if excess is None:
            return
        session.error(-1, 100, excess)
        if rate.strikes >= STRIKES:
            session.finish()

    def admits(self, session: ClientSession, fields: list[str]) -> bool:
        """Return False, and tell the client, when a request for history comes too soon."""
        if fields[0] not in _PACED and fields[0] != str(requests.REQUEST_REAL_TIME_BARS):
            return True
        try:
            request = requests.read_request(fields, session.version)
            request_id = request.integer("request_id")
        except (LayoutError, ValueError):
            return True  # refused by its handler, in its own words
        now = self._loop.time()
        if fields[0] in _PACED:
            if self._history_violated(request, fields, now):
                session.error(request_id, 162, _HISTORY)
                return False
        elif self._bars.violated(now):
            session.error(request_id, 420, _REAL_TIME_BARS)
            return False
        return True

    def _history_violated(self, request: Request, fields: list[str], now: float) -> bool:
        contract = tuple(request.text(name) for name in _CONTRACT)
        everything = tuple(fields[:1] + fields[2:])  # all but the request id
        return self._history.violated(now, contract, everything, request.text("bar_size"), request.text("what_to_show"))
