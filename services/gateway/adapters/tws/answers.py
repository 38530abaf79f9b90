"""Questions that are under way, and what has been heard of their answers."""

import asyncio
from collections import defaultdict, deque
from typing import Any

from services.gateway.ports import BrokerLost

Key = int | str
CURRENT_TIME, POSITIONS, OPEN_ORDERS, COMPLETED_ORDERS = "current time", "positions", "open orders", "completed orders"
NEWS_PROVIDERS = "news providers"


def market_rule_key(rule: int) -> Key:
    """The request key of a market rule's price increments."""
    return f"market rule {rule}"


class Answers:
    """Futures by request: those that ib_async numbers by its number, the others by their name."""

    def __init__(self) -> None:
        self._waiting: defaultdict[Key, deque[asyncio.Future[list[Any]]]] = defaultdict(deque)
        self._parts: defaultdict[Key, list[Any]] = defaultdict(list)

    def expect(self, key: Key) -> "asyncio.Future[list[Any]]":
        """The answer to a request that is about to be sent. Those with the same key are answered in order."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if key not in self._waiting:
            self._parts.pop(key, None)  # an update that nobody asked for
        self._waiting[key].append(future)
        return future

    def add(self, key: Key, part: Any) -> None:
        """One part of an answer; kept only where somebody asked."""
        if key in self._waiting:
            self._parts[key].append(part)

    def done(self, key: Key, error: Exception | None = None) -> bool:
        """The answer is complete, or refused; returns whether somebody had asked."""
        waiting = self._waiting.get(key)
        answer = self._parts.pop(key, [])
        if not waiting:
            return False
        future = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        if not future.done():  # its asker may have given up
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(error)
        return True

    def forget(self, key: Key) -> None:
        """Nobody waits for this answer any longer."""
        self._waiting.pop(key, None)
        self._parts.pop(key, None)

    def fail(self, reason: str) -> None:
        """There will be no answers any more."""
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(BrokerLost(reason))
                    future.exception()  # whoever asked may be gone as well
        self._waiting.clear()
