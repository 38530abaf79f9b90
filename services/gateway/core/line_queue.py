"""Who waits for a market data line, in the order of their turns."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from shared.messages.market_requests import Feed

Stream = tuple[str, Feed]
"""A symbol and what is streamed of it."""


@dataclass(slots=True)
class Turns:
    """`round` orders turns fairly; `count` is how many there were; `served_at` is when the newest ended."""

    round: int = 0
    count: int = 0
    served_at: float = float("-inf")


class Queue:
    """First those who have had fewest turns, of these the least recently served."""

    def __init__(self) -> None:
        self._waiting: dict[Stream, int] = {}
        self._order: list[tuple[int, float, int, Stream]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._waiting)

    def __contains__(self, stream: Stream) -> bool:
        return stream in self._waiting

    def add(self, stream: Stream, turns: Turns) -> None:
        number = self._waiting[stream] = next(self._numbers)
        heapq.heappush(self._order, (turns.round, turns.served_at, number, stream))

    def remove(self, stream: Stream) -> None:
        """Nothing happens where it does not wait. Its place in the order is passed over when it comes up."""
        self._waiting.pop(stream, None)

    def first(self) -> Stream:
        """Raises IndexError when nobody waits."""
        while self._waiting.get(self._order[0][3]) != self._order[0][2]:
            heapq.heappop(self._order)
        return self._order[0][3]
