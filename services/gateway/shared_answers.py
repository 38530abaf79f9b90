"""One answer for all who ask the same: a question that is under way, or was answered before, is not asked again."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SharedAnswers(Generic[K, T]):
    """Answers by question, kept until they are forgotten. A question that fails does so for all, and may be repeated.

    Whoever stops waiting leaves the others' answer alone.
    """

    def __init__(self) -> None:
        self._answers: dict[K, T] = {}
        self._asked: dict[K, asyncio.Task[T]] = {}

    async def get(self, question: K, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question; `ask` asks it, if it must be asked."""
        if question in self._answers:
            return self._answers[question]
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.ensure_future(self._ask(question, ask))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits any more
        return await asyncio.shield(task)

    def __contains__(self, question: K) -> bool:
        """Whether it would not be asked again now."""
        return question in self._answers or question in self._asked

    def forget(self, question: K) -> None:
        self._answers.pop(question, None)

    def clear(self) -> None:
        self._answers.clear()

    def close(self) -> None:
        """Stop asking; whoever waits for an answer is cancelled."""
        for task in self._asked.values():
            task.cancel()

    async def _ask(self, question: K, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            answer = self._answers[question] = await ask()
        finally:
            del self._asked[question]
        return answer
