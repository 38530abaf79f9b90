"""One connection: what was asked and heard since it was made. Nothing of it outlives it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
import structlog

from services.gateway.adapters.web.rest import Rest
from services.gateway.adapters.web.stream import Stream
from services.gateway.core.notices import COMPETING, LINK_RESTORED_DATA_LOST
from services.gateway.ports import BrokerLost, Listener, RequestRefused
from shared.messages.broker import BrokerErrorReported, ErrorEffect

LINK_LOST = 1100
"""What this API tells as `connected` and `competing` is told on by the TWS API's codes: one word for each."""

_log = structlog.get_logger()


class Session:
    """Hears the stream: quotes at once, everything else one after another, since its meaning may have to be asked.

    `quick` and `slow` are called with the messages of their topics, without what follows a `+`.
    """

    def __init__(self, rest: Rest, listener: Listener) -> None:
        self.rest = rest
        self.listener = listener
        self.stream = Stream(self._heard, self.close)
        self.closed = asyncio.Event()
        self.quick: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.slow: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {}
        self._reason = ""
        self._echoes: list[asyncio.Future[None]] = []
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self.authenticated = True
        self._connected = True
        self.competing = False
        self._queue: asyncio.Queue[tuple[Callable[[dict[str, Any]], Awaitable[None]], dict[str, Any]]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.start(self._read())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until the connection ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What is waited for

    def answered(self, order_ref: str) -> "asyncio.Future[None]":
        """Done at the next word on this order."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(order_ref, []).append(future)
        return future

    def word_on(self, order_ref: str) -> None:
        """IBKR said something about this order."""
        for future in self._waiting.pop(order_ref, ()):
            if not future.done():
                future.set_result(None)

    async def echo(self) -> None:
        """A round trip through the stream; all that came before its answer has been heard when this returns."""
        if self.closed.is_set():
            raise BrokerLost(self._reason)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._echoes.append(answer)
        self.stream.send("tic")
        await answer
        await self._queue.join()

    def close(self, reason: str) -> None:
        """The connection is of no use any more; whoever waits for it hears why."""
        if self.closed.is_set():
            return
        self._reason = reason
        self.closed.set()
        waiting = [*self._echoes, *(future for futures in self._waiting.values() for future in futures)]
        for future in waiting:
            if not future.done():
                future.set_exception(BrokerLost(reason))
                future.exception()  # whoever asked may be gone as well
        self._echoes.clear()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        self.stream.close()
        self.rest.close()

    # What is heard

    def _heard(self, text: str | bytes) -> None:
        if self.closed.is_set():
            return
        try:
            told: dict[str, Any] = orjson.loads(text)
        except orjson.JSONDecodeError:
            _log.warning("a message of the Client Portal Gateway is no JSON", text=text[:200])
            return
        topic = str(told.get("topic", "")).partition("+")[0]
        if topic == "tic":
            if self._echoes and not (answer := self._echoes.pop(0)).done():
                answer.set_result(None)
        elif topic == "sts":
            self.status(told.get("args") or {})
        elif topic in self.quick:
            self.quick[topic](told)
        elif topic in self.slow:
            self._queue.put_nowait((self.slow[topic], told))

    async def _read(self) -> None:
        while True:
            handle, told = await self._queue.get()
            try:
                await handle(told)
            except RequestRefused as error:
                _log.warning("a message of the Client Portal Gateway can't be understood", told=told, error=str(error))
            except BrokerLost as error:
                self.close(str(error))
            finally:
                self._queue.task_done()

    @property
    def sound(self) -> bool:
        """IBKR can be reached, and no other login has taken the session."""
        return self._connected and not self.competing

    def status(self, told: dict[str, Any]) -> None:
        """The state of the login, as /tickle and the stream tell it; what is not said has not changed.

        It counts as ended only while IBKR can be reached and no other login has it: then it comes back by itself.
        """
        if (connected := told.get("connected")) is not None and connected != self._connected:
            self._connected = connected
            code, text = (LINK_RESTORED_DATA_LOST, "is back") if connected else (LINK_LOST, "is lost")
            self._say(code, f"the Client Portal Gateway's connection to IBKR {text}", ErrorEffect.LINK)
        if (competing := told.get("competing")) is not None and competing != self.competing:
            self.competing = competing
            if competing:
                self._say(COMPETING, "another login of this user has taken the session", ErrorEffect.DATA)
        self.authenticated = bool(told.get("authenticated", self.authenticated))
        if not self.authenticated and self.sound:
            self.close(f"the login has ended: {told.get('message') or told.get('fail') or 'not authenticated'}")

    def _say(self, code: int, text: str, effect: ErrorEffect) -> None:
        self.listener.heard(BrokerErrorReported(code=code, text=text, effect=effect))
