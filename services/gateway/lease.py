"""The lease on the broker: one gateway for one database, and a frozen one that thaws finds that it is none any more.

The fixed client id keeps a second connection out (IBKR error 326), and its orders would still be two programs' orders:
so who holds the lease alone may connect and send. Every take-over raises the epoch. Whoever takes over a lease that
expired ends the database sessions of the predecessor, so that it can't commit the claim of an order after it thawed.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC
from typing import Any, LiteralString, TypeVar

import psycopg
import structlog
from prometheus_client import Gauge

from services.gateway.core.lease import Held, Hold, is_alive
from services.gateway.ports import BrokerLost

EPOCH = Gauge("millrace_gateway_lease_epoch", "How often the lease on the broker has changed hands; ours, 0 = none")
LEFT = Gauge("millrace_gateway_lease_seconds_left", "How long this process may still send without a renewal")
ATTEMPTS_EVERY = 0.25
"""Seconds between two attempts while the lease is another's, or the database does not answer."""
T = TypeVar("T")
_log = structlog.get_logger()

_TAKE = """
INSERT INTO leases AS held (name, holder, epoch, expires_at)
VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = held.epoch + 1, expires_at = excluded.expires_at
WHERE held.expires_at <= clock_timestamp()
RETURNING epoch
"""
_RENEW = """
UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE name = %(name)s AND holder = %(holder)s AND epoch = %(epoch)s RETURNING epoch
"""
_RELEASE = """
UPDATE leases SET expires_at = clock_timestamp()
WHERE name = %(name)s AND holder = %(holder)s AND epoch = %(epoch)s RETURNING epoch
"""
# The advisory lock of `shared.db.store` is held by the very session that commits. Its 64-bit key is in two columns.
_END_PREDECESSOR = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = ((hashtextextended(%(name)s, 0) >> 32) & 4294967295)::oid
  AND objid = (hashtextextended(%(name)s, 0) & 4294967295)::oid
"""


class LeaseLost(BrokerLost):
    """This process may not send now: its lease could not be renewed in time, or is another's."""


class LeaseTaken(RuntimeError):  # noqa: N818 - it says what happened
    """Another gateway is the gateway; the text names it."""


class Lease:
    """Args: `name` is that of the service, `holder` names this process to people; `clock` is monotonic, in seconds."""

    def __init__(
        self, database_url: str, name: str, holder: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = database_url
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._clock = clock
        self._hold: Hold | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None
        LEFT.set_function(self.seconds_left)

    @property
    def epoch(self) -> int:
        return self._hold.epoch if self._hold else 0

    def seconds_left(self) -> float:
        """How long this process may still send without a renewal; 0 = it may not."""
        return max(self._hold.seconds_left(self._clock()), 0.0) if self._hold else 0.0

    def is_valid(self) -> bool:
        return self.seconds_left() > 0

    def check(self) -> None:
        """To be called right before every send, without awaiting in between.

        Raises:
            LeaseLost: this process may not send.
        """
        if not self.is_valid():
            raise LeaseLost(
                f"the lease of epoch {self.epoch} could not be renewed for {self._seconds / 2:g} s: nothing is sent"
            )

    async def acquire(self, stop: asyncio.Event) -> bool:
        """Take the lease, when it is free or its holder has let it expire; False when `stop` was set before.

        Raises:
            LeaseTaken: its holder is at work. This is known once the holder has renewed it, a third of its time.
            psycopg.OperationalError: the database does not answer.
        """
        try:
            if not await self._taken(stop):
                await self._disconnect()
                return False
            ended = await self._ask(_END_PREDECESSOR)
        except BaseException:
            await self._disconnect()
            raise
        EPOCH.set(self.epoch)
        _log.info("lease taken", epoch=self.epoch, holder=self._holder, predecessors_ended=len(ended))
        return True

    async def _taken(self, stop: asyncio.Event) -> bool:
        first: Held | None = None
        while not await self._take():
            if stop.is_set():
                return False
            held = await self._held()
            if held is not None:
                first = first or held
                if is_alive(first, held):
                    until = held.expires_at.astimezone(UTC)
                    raise LeaseTaken(
                        f"another {self._name} is at work: {held.holder}, epoch {held.epoch}, and renews its lease, now"
                        f" until {until:%H:%M:%S} UTC: stop it first, only one may talk to the broker"
                    )
            await asyncio.sleep(ATTEMPTS_EVERY)
        return True

    async def run(self) -> None:
        """Renew the lease until cancelled. A database that does not answer is asked again.

        Raises:
            LeaseTaken: another process has taken it.
        """
        while self._hold is not None:
            await asyncio.sleep(self._hold.renewal_due(self._clock()) or ATTEMPTS_EVERY)
            try:
                await self._in_time(self._renew(self._hold))
            except (psycopg.OperationalError, TimeoutError) as error:
                _log.warning("the lease was not renewed", reason=str(error) or "no answer", left=self.seconds_left())
                await self._disconnect()

    async def release(self) -> None:
        """Let the next gateway begin at once. Where the database does not answer, the lease expires by itself."""
        hold, self._hold = self._hold, None
        EPOCH.set(0)
        try:
            if hold is not None and not await self._in_time(self._ask(_RELEASE, epoch=hold.epoch)):
                _log.error("the lease was taken by another gateway", epoch=hold.epoch)
        except (psycopg.OperationalError, TimeoutError) as error:
            _log.warning("the lease was not released", reason=str(error) or "no answer")
        finally:
            await self._disconnect()

    async def _take(self) -> bool:
        asked_at = self._clock()
        taken = await self._ask(_TAKE)
        if taken:
            self._hold = Hold(taken[0][0], self._seconds, asked_at)
        return bool(taken)

    async def _renew(self, hold: Hold) -> None:
        asked_at = self._clock()
        if await self._ask(_RENEW, epoch=hold.epoch):
            self._hold = Hold(hold.epoch, self._seconds, asked_at)
            return
        self._hold = None
        held = await self._held()
        raise LeaseTaken(
            f"the lease of epoch {hold.epoch} is gone: {held.holder} took it, epoch {held.epoch}"
            if held
            else f"the lease of epoch {hold.epoch} is gone: its row was deleted"
        )

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises TimeoutError when the database does not answer while it matters.

        psycopg meets a cancellation by asking the server to cancel as well, and waits ten seconds for a silent one; a
        second cancellation makes it close the connection instead.
        """
        asking = asyncio.create_task(work)
        try:
            await asyncio.wait((asking,), timeout=self._seconds / 3)
        finally:
            while not asking.done():
                asking.cancel()
                await asyncio.sleep(0)
        if asking.cancelled():
            raise TimeoutError
        return asking.result()

    async def _held(self) -> Held | None:
        found = await self._ask("SELECT holder, epoch, expires_at FROM leases WHERE name = %(name)s")
        return Held(*found[0]) if found else None

    async def _ask(self, statement: LiteralString, **values: Any) -> list[tuple[Any, ...]]:
        """One statement, one transaction, on a connection of the lease's own: nothing else can hold it up."""
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=max(int(self._seconds / 3), 2)
            )
        common = {"name": self._name, "holder": self._holder, "seconds": self._seconds}
        answer = await self._connection.execute(statement, common | values)
        return await answer.fetchall() if answer.description else []

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
