"""Who may send next: one limit on messages, cancels before orders before account before data.

Nothing leaves this process without `spend`, so it is also where the lease is checked: a process that was frozen past
its lease, and thaws, sends nothing.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable
from itertools import count

from prometheus_client import Gauge, Histogram

from services.gateway.core.token_bucket import TokenBucket
from services.gateway.ports import Urgency

USED = Gauge("millrace_gateway_message_budget_used", "Part of the broker's messages per second that is used, 0 to 1")
WAITING = Gauge("millrace_gateway_messages_waiting", "Requests that wait for the message budget", ["urgency"])
WAITED = Histogram(
    "millrace_gateway_message_wait_seconds",
    "How long a request waited for the message budget",
    ["urgency"],
    buckets=(0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 120),
)
OLDEST = Gauge("millrace_gateway_message_oldest_seconds", "Age of the request that has waited longest for the budget")


class Budget:
    """Implements `ports.Budget`.

    Args:
        per_second: messages the broker takes; 0 = without limit.
        check: raises BrokerLost where this process must not send (`lease.Lease.check`).
    """

    def __init__(self, per_second: int, check: Callable[[], None]) -> None:
        self._bucket = TokenBucket(per_second)
        self._check = check
        self._queue: list[tuple[Urgency, int, int, float, asyncio.Future[None]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: Counter[Urgency] = Counter()
        USED.set_function(lambda: self._bucket.used(time.monotonic()))
        OLDEST.set_function(self._oldest)
        for urgency in Urgency:
            WAITING.labels(urgency.name.lower()).set_function(lambda urgency=urgency: self._waiting[urgency])

    async def spend(self, urgency: Urgency, messages: int = 1) -> None:
        """Wait until this many messages may be sent at once; the caller then writes them without awaiting."""
        self._check()
        now = time.monotonic()
        if not self._queue and not self._bucket.wait(messages, now):
            self._bucket.take(messages, now)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (urgency, next(self._numbers), messages, now, turn))
        self._waiting[urgency] += 1
        self._serve()
        try:
            await turn
        finally:
            self._waiting[urgency] -= 1
        WAITED.labels(urgency.name.lower()).observe(time.monotonic() - now)
        self._check()

    def _serve(self) -> None:
        """Let go whoever may go; come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            *_, messages, _, turn = self._queue[0]
            if turn.done():  # its asker was cancelled
                heapq.heappop(self._queue)
                continue
            now = time.monotonic()
            if pause := self._bucket.wait(messages, now):
                self._timer = asyncio.get_running_loop().call_later(pause, self._serve)
                return
            self._bucket.take(messages, now)
            heapq.heappop(self._queue)
            turn.set_result(None)

    def _oldest(self) -> float:
        return time.monotonic() - min((entry[3] for entry in self._queue), default=time.monotonic())
