"""Orders that wait to be sent can be withdrawn; what was sent can't, and neither is done by halves."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from services.gateway.ports import BrokerLost, RequestRefused
from services.gateway.submissions import Submission, Submissions
from shared.messages.broker_commands import OrderTerms
from tests.unit.gateway.test_order_ids import BRACKET

FIRST, SECOND = UUID(int=1), UUID(int=2)


class Door:
    """Lets orders through when it is opened, as the message budget does."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()
        self.written: list[str] = []
        self.error: Exception | None = None

    async def write(self, orders: Sequence[OrderTerms]) -> None:
        self.waiting.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.written += [order.order_ref for order in orders]


def refs(orders: Sequence[OrderTerms]) -> list[str]:
    return [order.order_ref for order in orders]


async def test_what_is_withdrawn_before_its_turn_is_not_sent() -> None:
    submission, door = Submission(FIRST, BRACKET), Door()
    door.open.set()
    assert refs(await submission.withdraw(["entry"])) == ["entry", "stop", "target", "grandchild"]
    assert await submission.withdraw(["entry", "stop"]) == ()
    assert refs(await submission.send(door.write)) == ["other"]
    assert door.written == ["other"]


async def test_what_is_withdrawn_while_it_waits_is_not_sent_and_the_rest_is() -> None:
    submission, door = Submission(FIRST, BRACKET), Door()
    sending = asyncio.create_task(submission.send(door.write))
    await door.waiting.wait()
    assert refs(await submission.withdraw(["target"])) == ["target"]
    door.open.set()
    assert refs(await sending) == ["entry", "stop", "grandchild", "other"]
    assert door.written == ["entry", "stop", "grandchild", "other"]


async def test_what_is_on_its_way_already_can_not_be_withdrawn() -> None:
    submission, door = Submission(FIRST, BRACKET), Door()
    sending = asyncio.create_task(submission.send(lambda orders: unstoppable(door, orders)))
    await door.waiting.wait()
    withdrawing = asyncio.create_task(submission.withdraw(["entry"]))
    await asyncio.sleep(0)
    door.open.set()
    assert await withdrawing == ()
    assert refs(await sending) == refs(BRACKET)
    assert door.written == refs(BRACKET)


async def unstoppable(door: Door, orders: Sequence[OrderTerms]) -> None:
    """As an adapter whose bytes are on their way: it is done, cancelled or not."""
    writing = asyncio.ensure_future(door.write(orders))
    while not writing.done():
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            continue


async def test_after_a_lost_connection_nobody_says_that_it_was_never_sent() -> None:
    submission, door = Submission(FIRST, BRACKET), Door()
    door.error = BrokerLost("gone")
    sending = asyncio.create_task(submission.send(lambda orders: unstoppable(door, orders)))
    await door.waiting.wait()
    withdrawing = asyncio.create_task(submission.withdraw(["entry"]))
    await asyncio.sleep(0)
    door.open.set()
    assert await withdrawing == ()
    with pytest.raises(BrokerLost):
        await sending
    assert refs(submission.left()) == ["other"], "and it is not sent again"


async def test_a_refused_order_was_never_sent() -> None:
    submission, door = Submission(FIRST, BRACKET), Door()
    door.error = RequestRefused("no such contract")
    sending = asyncio.create_task(submission.send(lambda orders: unstoppable(door, orders)))
    await door.waiting.wait()
    withdrawing = asyncio.create_task(submission.withdraw(["entry"]))
    await asyncio.sleep(0)
    door.open.set()
    assert refs(await withdrawing) == ["entry", "stop", "target", "grandchild"]
    with pytest.raises(RequestRefused):
        await sending


async def test_a_process_that_ends_does_not_go_on_sending() -> None:
    submission, door = Submission(FIRST, BRACKET), Door()
    sending = asyncio.create_task(submission.send(door.write))
    await door.waiting.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert door.written == []


def test_a_copy_of_a_command_that_is_done_is_none() -> None:
    hand = Submissions()
    hand.read(FIRST, BRACKET)
    submission = hand.of(FIRST, BRACKET)
    assert hand.get("stop") is submission
    hand.read(SECOND, BRACKET)  # the same orders in another message
    assert hand.all() == (submission,)
    hand.end(submission)
    assert submission.done.is_set()
    hand.read(FIRST, BRACKET)
    assert hand.all() == ()
    assert hand.of(SECOND, BRACKET) is not submission
