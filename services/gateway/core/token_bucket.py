"""How many messages may still be sent: at most so many in any window of one second.

IBKR counts messages per second and disconnects the third time a client sends more than 50 (half its market data
lines): https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/ ("Pacing limitations").
"""

from collections import deque

WINDOW_SECONDS = 1.0


class TokenBucket:
    """`per_second` = 0: without limit. Times are in seconds of any clock that only rises."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._sent: deque[float] = deque()

    def wait(self, messages: int, now: float) -> float:
        """Seconds until this many messages may go together, 0 when they may go now.

        More than a window can hold go together when the window is empty.
        """
        if not self.per_second:
            return 0.0
        while self._sent and now - self._sent[0] >= WINDOW_SECONDS:
            self._sent.popleft()
        surplus = len(self._sent) + min(messages, self.per_second) - self.per_second
        return self._sent[surplus - 1] + WINDOW_SECONDS - now if surplus > 0 else 0.0

    def take(self, messages: int, now: float) -> None:
        """These messages go now."""
        if self.per_second:
            self._sent.extend([now] * messages)

    def used(self, now: float) -> float:
        """How much of the window is used: 0 to 1."""
        if not self.per_second:
            return 0.0
        return min(sum(now - sent < WINDOW_SECONDS for sent in self._sent) / self.per_second, 1.0)
