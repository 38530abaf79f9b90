"""The WebSockets: their connections, and what all who subscribed to a topic are told.

Source: IBKR Campus, "Websockets", and what users captured. Assumed: rows of `sor` are whole, `str` tells of today's
executions first and bears no commission, account summary and ledger are repeated every ten seconds, history is
answered once, and the stream goes on without subscriptions when the log-in ends. Market data go on until they are
ended; IBKR's end after some minutes unless they are asked for again.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter
from starlette.websockets import WebSocket

from services.simulator.web.accounts import AccountPaths
from services.simulator.web.history import HistoryPaths
from services.simulator.web.market_lines import Line, MarketLines
from services.simulator.web.order_lists import OrderLists
from services.simulator.web.portal import Portal, text_of
from services.simulator.web.socket import Socket
from services.simulator.web.topics import Topics
from services.simulator.wire.layout import Row
from shared.clock import WallClock

_HEARTBEAT_SECONDS = 10
_LINK_CODES = frozenset({"1100", "1101", "1102"})
_OBJECT = TypeAdapter(dict[str, Any])


class Stream:
    """All open WebSockets. `run` beats their hearts; `failed` is told of what is not a client's fault."""

    def __init__(
        self,
        portal: Portal,
        lines: MarketLines,
        lists: OrderLists,
        accounts: AccountPaths,
        history: HistoryPaths,
        failed: Callable[[Exception], None],
    ) -> None:
        self._failed = failed
        self._portal = portal
        self._lines = lines
        self._lists = lists
        self._accounts = accounts
        self._topics = Topics(portal, lines, lists, accounts, history, self._flush)
        self._sockets: set[Socket] = set()
        self._dirty: dict[int, Line] = {}
        self._status: dict[str, object] = portal.status()
        self._clock = WallClock()
        lines.when_changed = self._line_changed
        portal.listeners.append(self._hear)
        portal.forgetters.append(self._forget)
        portal.when_dropped = self._drop
        portal.when_silenced = self._silence
        portal.when_garbled = self._garble

    # -- connections ------------------------------------------------------------------------------------------------

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection until it ends."""
        await websocket.accept()
        self._tell_status()
        socket = Socket()
        self._sockets.add(socket)
        self._greet(socket)
        writing = asyncio.create_task(socket.write_queue(websocket))
        try:
            while (message := await websocket.receive())["type"] != "websocket.disconnect":
                if message.get("text"):
                    self._topics.take(socket, message["text"])
        except Exception as error:  # noqa: BLE001 - our own failure: the service must not go on as if nothing happened
            self._failed(error)
        finally:
            self._sockets.discard(socket)
            if self._portal.logged_in:
                self._lines.unwatch_all(socket)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def _greet(self, socket: Socket) -> None:
        if not self._portal.logged_in:
            socket.put({"message": "waiting for session"})
        socket.put({"topic": "system", "success": "simulated", "isFT": False, "isPaper": True})
        socket.put({"topic": "act", "args": self._accounts.act()})
        socket.put({"topic": "sts", "args": self._portal.status()})

    async def run(self) -> None:
        """Beat every ten real seconds, and tell of changes of the log-in, until cancelled."""
        beats = 0
        while True:
            await asyncio.sleep(1)
            self._tell_status()
            beats += 1
            if beats % _HEARTBEAT_SECONDS == 0:
                # clients compare the heartbeat with their own clock, so it is not virtual time
                self._tell("", {"topic": "system", "hb": int(self._clock.now().timestamp() * 1000)})
                for socket in self._sockets:
                    self._topics.send_balances(socket)

    def close(self) -> None:
        self._topics.close()
        self._drop()

    def _tell(self, topic: str, message: Mapping[str, object]) -> None:
        """Send to those who subscribed to a topic; to all, if it is empty."""
        for socket in self._sockets:
            if not topic or topic in socket.topics:
                socket.put(message)

    def _tell_status(self) -> None:
        status = self._portal.status()
        if status != self._status:
            self._status = status
            self._tell("", {"topic": "sts", "args": status})

    # -- what the broker says ---------------------------------------------------------------------------------------

    def _hear(self, name: str, row: Row) -> None:
        if name == "orderStatus":
            found = self._lists.updated(row)
            if found is not None:
                self._tell("sor", {"topic": "sor", "args": [found]})
        elif name == "execDetails" and text_of(row, "request_id") == "-1":
            trade = self._lists.trade(text_of(row, "execution_id"))
            if trade is not None:
                self._tell("str", {"topic": "str", "args": [trade]})
        elif name == "pnl":
            account = self._topics.profits.get(int(text_of(row, "request_id")))
            key = f"{account}.Core"
            self._tell("spl", {"topic": "spl", "args": {key: self._accounts.profits()[key]}})
        elif name == "error" and text_of(row, "code") in _LINK_CODES:
            self._tell_status()

    def _line_changed(self, line: Line) -> None:
        if line.watchers:
            if not self._dirty:
                asyncio.get_running_loop().call_soon(self._flush)
            self._dirty[line.instrument.contract_id] = line

    def _flush(self) -> None:
        """Send what has changed since the last time, one message a line."""
        dirty, self._dirty = self._dirty, {}
        for contract_id, line in dirty.items():
            for socket in self._sockets:
                if contract_id in socket.fields:
                    self._topics.send_line(socket, line)

    # -- faults -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """The log-in has ended, and every subscription with it."""
        self._dirty.clear()
        self._topics.profits.clear()
        for socket in self._sockets:
            socket.forget()
        self._tell_status()

    def _drop(self) -> None:
        for socket in list(self._sockets):
            socket.end()

    def _silence(self) -> None:
        for socket in self._sockets:
            socket.silent = True

    def _garble(self, frame: bytes) -> None:
        for socket in self._sockets:
            socket.put_text(frame.decode("latin-1"))
