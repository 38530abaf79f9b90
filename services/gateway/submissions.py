"""Orders that were read from the stream and whose bytes are not written yet: what may still be withdrawn."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from uuid import UUID

from services.gateway.core.order_ids import left_of
from services.gateway.ports import RequestRefused
from shared.messages.broker_commands import OrderTerms

REMEMBERED = 10_000


class Submission:
    """One SubmitOrder, until it is sent or known never to be. `done` is set then."""

    def __init__(self, command_id: UUID, orders: Sequence[OrderTerms]) -> None:
        self.command_id = command_id
        self.done = asyncio.Event()
        self._orders = tuple(orders)
        self._withdrawn: set[str] = set()
        self._sending: asyncio.Task[None] | None = None

    @property
    def order_refs(self) -> tuple[str, ...]:
        return tuple(order.order_ref for order in self._orders)

    def left(self) -> tuple[OrderTerms, ...]:
        """The orders that are still to be sent."""
        return left_of(self._orders, self._withdrawn)

    def drop(self, order_refs: Collection[str]) -> None:
        """These were withdrawn by an earlier process."""
        self._withdrawn |= set(order_refs)

    async def withdraw(self, order_refs: Collection[str]) -> tuple[OrderTerms, ...]:
        """Take orders out, and their children with them; returns those of which not a byte was or will be written."""
        before, earlier = self.left(), frozenset(self._withdrawn)
        self._withdrawn |= set(order_refs)
        left = self.left()
        sending = self._sending
        if sending is not None and left != before:
            sending.cancel()
            await asyncio.wait((sending,))
            if not sending.cancelled() and not isinstance(sending.exception(), RequestRefused):
                if sending.exception() is None:  # too late: all of them are written
                    self._withdrawn = set(earlier)
                return ()
        return tuple(order for order in before if order not in left)

    async def send(self, write: Callable[[Sequence[OrderTerms]], Awaitable[None]]) -> tuple[OrderTerms, ...]:
        """Send what is left, also when that changes on the way; returns what was sent. Raises what `write` raises."""
        while orders := self.left():
            self._sending = asyncio.ensure_future(write(orders))
            try:
                await self._sending
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise  # the process is to end
            else:
                return orders
            finally:
                self._sending = None
        return ()


class Submissions:
    """Those in hand, by orderRef."""

    def __init__(self) -> None:
        self._by_ref: dict[str, Submission] = {}
        self._ended: dict[UUID, None] = {}

    def get(self, order_ref: str) -> Submission | None:
        return self._by_ref.get(order_ref)

    def all(self) -> tuple[Submission, ...]:
        return tuple(dict.fromkeys(self._by_ref.values()))

    def read(self, command_id: UUID, orders: Sequence[OrderTerms]) -> None:
        """A command was read from the stream; a copy of one that is done is none."""
        if command_id not in self._ended:
            made = Submission(command_id, orders)
            for order_ref in made.order_refs:
                self._by_ref.setdefault(order_ref, made)

    def of(self, command_id: UUID, orders: Sequence[OrderTerms]) -> Submission:
        """The submission of a command whose turn has come; a new one where another command had its orders."""
        known = self._by_ref.get(orders[0].order_ref)
        return known if known is not None and known.command_id == command_id else Submission(command_id, orders)

    def end(self, submission: Submission) -> None:
        """It is sent, or never will be."""
        submission.done.set()
        for order_ref in submission.order_refs:
            if self._by_ref.get(order_ref) is submission:
                del self._by_ref[order_ref]
        self._ended[submission.command_id] = None
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
