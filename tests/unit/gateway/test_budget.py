"""The message limit, and who goes first under it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.budget import Budget
from services.gateway.core.token_bucket import WINDOW_SECONDS, TokenBucket
from services.gateway.ports import BrokerLost, Urgency


@given(
    limit=st.integers(1, 10),
    asks=st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 4)), max_size=60),
)
def test_no_window_ever_holds_more_than_the_limit(limit: int, asks: list[tuple[float, int]]) -> None:
    bucket, now, sent = TokenBucket(limit), 0.0, list[float]()
    for pause, messages in asks:
        now += pause
        while wait := bucket.wait(messages, now):
            now += wait + 1e-9
        bucket.take(messages, now)
        sent += [now] * messages
    for number, start in enumerate(sent):
        window = [time for time in sent[number:] if time - start < WINDOW_SECONDS]
        # only a group that is larger than the whole limit goes beyond it, alone
        assert len(window) <= limit or len(set(window)) == 1


def test_without_a_limit_nothing_waits() -> None:
    bucket = TokenBucket(0)
    bucket.take(10_000, 0.0)
    assert bucket.wait(10_000, 0.0) == 0
    assert bucket.used(0.0) == 0


def test_a_group_goes_together_or_not_yet() -> None:
    bucket = TokenBucket(5)
    bucket.take(3, 0.0)
    assert bucket.wait(2, 0.1) == 0
    assert bucket.wait(3, 0.1) == pytest.approx(0.9)
    assert bucket.used(0.1) == pytest.approx(0.6)


async def test_cancels_overtake_orders_and_orders_overtake_data() -> None:
    budget = Budget(4, lambda: None)
    await budget.spend(Urgency.DATA, 4)
    order: list[Urgency] = []

    async def ask(urgency: Urgency) -> None:
        await budget.spend(urgency)
        order.append(urgency)

    asked = [Urgency.DATA, Urgency.ACCOUNT, Urgency.ORDER, Urgency.CANCEL]
    await asyncio.gather(*map(ask, asked))
    assert order == sorted(asked)


async def test_who_gives_up_waiting_does_not_use_the_budget_up() -> None:
    budget = Budget(1, lambda: None)
    await budget.spend(Urgency.DATA)
    gone = asyncio.ensure_future(budget.spend(Urgency.CANCEL))
    stays = asyncio.ensure_future(budget.spend(Urgency.DATA))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert gone.cancelled()


async def test_a_process_without_the_lease_sends_nothing_also_if_it_lost_it_while_waiting() -> None:
    lost = False

    def check() -> None:
        if lost:
            raise BrokerLost("another gateway holds the lease")

    budget = Budget(1, check)
    await budget.spend(Urgency.ORDER)
    waiting = asyncio.ensure_future(budget.spend(Urgency.ORDER))
    await asyncio.sleep(0)
    lost = True
    with pytest.raises(BrokerLost):
        await waiting
    with pytest.raises(BrokerLost):
        await budget.spend(Urgency.CANCEL)
