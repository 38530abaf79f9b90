"""One answer for all who ask the same, and the order of turns."""

import asyncio

import pytest

from services.gateway.history import Turns
from services.gateway.ports import RequestRefused
from services.gateway.shared_answers import SharedAnswers
from shared.messages.market_requests import FetchHistory
from shared.types import Timeframe


class Oracle:
    """Answers when it is told to; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(self) -> str:
        self.asked += 1
        return await self.answer


async def test_a_question_is_asked_once_until_its_answer_is_forgotten() -> None:
    shared, oracle = SharedAnswers[str, str](), Oracle()
    askers = [asyncio.ensure_future(shared.get("why", oracle.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    assert "why" in shared
    oracle.answer.set_result("because")
    assert await asyncio.gather(*askers) == ["because"] * 3
    assert await shared.get("why", oracle.ask) == "because"
    assert oracle.asked == 1
    shared.forget("why")
    assert "why" not in shared
    await shared.get("why", oracle.ask)
    assert oracle.asked == 2


async def test_whoever_leaves_takes_nothing_from_the_others() -> None:
    shared, oracle = SharedAnswers[str, str](), Oracle()
    first, second = (asyncio.ensure_future(shared.get("why", oracle.ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    oracle.answer.set_result("because")
    assert await second == "because"


async def test_a_refusal_is_told_to_all_and_not_kept() -> None:
    shared, oracle = SharedAnswers[str, str](), Oracle()
    askers = [asyncio.ensure_future(shared.get("why", oracle.ask)) for _ in range(2)]
    await asyncio.sleep(0)
    oracle.answer.set_exception(RequestRefused("no"))
    assert [str(told) for told in await asyncio.gather(*askers, return_exceptions=True)] == ["no", "no"]
    assert "why" not in shared


def small(symbol: str) -> FetchHistory:
    return FetchHistory(symbol=symbol, timeframe=Timeframe.FIVE_SECONDS, count=1)


async def waiting(turns: Turns, *requests: FetchHistory) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.ensure_future(turns.take(request)) for request in requests]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_turns_go_round_in_order_and_nobody_waits_for_another_ones_limit() -> None:
    turns = Turns()
    first, same, other = await waiting(turns, small("AAPL"), small("AAPL"), small("IBM"))
    assert (first.done(), same.done(), other.done()) == (True, False, True), "an identical request waits"
    assert (turns.waiting, turns.pacing.open) == (1, 2)
    same.cancel()


async def test_a_turn_is_given_back_by_whoever_leaves() -> None:
    turns = Turns()
    days = [FetchHistory(symbol=f"S{number}", timeframe=Timeframe.DAY, count=1) for number in range(52)]
    tasks = await waiting(turns, *days)
    assert [task.done() for task in tasks] == [True] * 50 + [False] * 2
    tasks[50].cancel()
    turns.give_back(days[0])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert tasks[51].done()
    assert (turns.waiting, turns.pacing.open) == (0, 50)


async def test_one_cancelled_in_the_moment_of_its_turn_gives_it_back() -> None:
    turns = Turns()
    days = [FetchHistory(symbol=f"S{number}", timeframe=Timeframe.DAY, count=1) for number in range(51)]
    tasks = await waiting(turns, *days)
    turns.give_back(days[0])  # it is the last one's turn now, and it has not heard of it
    tasks[50].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[50]
    assert turns.pacing.open == 49
