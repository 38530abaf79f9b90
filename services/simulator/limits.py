"""IBKR's limits on what an API client may ask, as counting logic that is given the time.

All count real time, since a client's program lives in it. Each limit is a setting, and zero (or false) lifts it.

- 50 messages a second for one client; beyond that error 100, and the third time the connection ends. A client that
  connects with `+PACEAPI` is made to wait instead (TWS API: pacing limitations). Messages beyond the limit are still
  carried out: what IBKR does with them is not documented.
- 100 market data lines, and from them 3 subscriptions to depth and 3 to tick-by-tick data.
- Historical bars of 30 seconds or less, and historical ticks: 60 requests in ten minutes, fewer than 6 for the same
  contract and kind of data in two seconds, none that is identical within 15 seconds; BID_ASK counts twice (TWS API:
  historical limitations). Larger bars are exempt. Real-time bars: 60 new requests in ten minutes.
- 32 clients at once.

Limits of data are the user's, so all clients share them; the rate of messages is each client's own.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

STRIKES = 3
_HISTORY_PERIOD = 600.0
_HISTORY_REQUESTS = 60
_CONTRACT_PERIOD = 2.0
_CONTRACT_REQUESTS = 6
_IDENTICAL_PERIOD = 15.0
_SMALL_BARS = frozenset(
    {"1 sec", "1 secs", "5 sec", "5 secs", "10 sec", "10 secs", "15 sec", "15 secs", "30 sec", "30 secs"}
)


@dataclass(frozen=True, slots=True)
class DataLimits:
    """How many subscriptions all clients together may hold; 0 = without limit."""

    lines: int = 100

    @property
    def depth(self) -> int:
        """IBKR: 3 for 100 lines, and one more for each 100 (market depth, tick-by-tick data)."""
        return max(3, self.lines // 100 + 2) if self.lines else 0

    @property
    def tick_by_tick(self) -> int:
        return self.depth


@dataclass(slots=True)
class MessageRate:
    """Counts one client's messages in windows of a second that begin with a message.

    What arrived while this process was too busy to read is allowed for: the client may have sent it in all that time.
    """

    maximum: int
    strikes: int = 0
    _window: float = float("-inf")
    _count: int = 0
    _stalled_before: float = 0
    _last_stalled: float = 0

    def received(self, now: float, stalled: float) -> str | None:
        """Count a message; return the text of error 100 when it is the first too many of its second.

        `now` and `stalled` are seconds; `stalled` is how long this process was too busy to read, since its start.
        """
        if not self.maximum:
            return None
        if now - self._window >= 1:
            self._window, self._count, self._stalled_before = now, 0, self._last_stalled
        self._last_stalled = stalled
        self._count += 1
        allowed = int(self.maximum * (1 + stalled - self._stalled_before))
        if self._count != allowed + 1:
            return None
        self.strikes += 1
        return (
            f"Max rate of messages per second has been exceeded:max={self.maximum} rec={self._count} ({self.strikes})"
        )

    def wait(self, now: float) -> float:
        """Count a message of a client that is paced; return the seconds until it may be carried out.

        A second's worth of messages passes at once, then one every `1 / maximum` seconds.
        """
        if not self.maximum:
            return 0
        self._window = max(now, self._window) + 1 / self.maximum
        return max(0.0, self._window - 1 - now)


@dataclass(slots=True)
class HistoryPacing:
    """Counts historical data requests, of all clients."""

    active: bool = True
    _recent: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    _of_contract: dict[Hashable, deque[float]] = field(default_factory=dict[Hashable, deque[float]])
    _identical: dict[Hashable, float] = field(default_factory=dict[Hashable, float])

    def violated(self, now: float, contract: Hashable, request: Hashable, bar_size: str, show: str) -> bool:
        """Count a request and return True when it comes too soon; such a request does not count.

        `contract` names the contract and kind of data, `request` everything that was asked; `bar_size` is empty for
        historical ticks.
        """
        if not self.active or (bar_size and bar_size not in _SMALL_BARS):
            return False
        self._forget(now)
        weight = 2 if show == "BID_ASK" else 1
        of_contract = self._of_contract.setdefault(contract, deque())
        if (
            request in self._identical
            or len(of_contract) + weight >= _CONTRACT_REQUESTS
            or sum(one for _, one in self._recent) + weight > _HISTORY_REQUESTS
        ):
            return True
        self._recent.append((now, weight))
        of_contract.extend([now] * weight)
        self._identical[request] = now
        return False

    def _forget(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] >= _HISTORY_PERIOD:
            self._recent.popleft()
        for contract, times in list(self._of_contract.items()):
            while times and now - times[0] >= _CONTRACT_PERIOD:
                times.popleft()
            if not times:
                del self._of_contract[contract]
        for request, then in list(self._identical.items()):
            if now - then >= _IDENTICAL_PERIOD:
                del self._identical[request]


@dataclass(slots=True)
class RealTimeBarPacing:
    """Counts new subscriptions to real-time bars, of all clients."""

    active: bool = True
    _recent: deque[float] = field(default_factory=deque[float])

    def violated(self, now: float) -> bool:
        if not self.active:
            return False
        while self._recent and now - self._recent[0] >= _HISTORY_PERIOD:
            self._recent.popleft()
        if len(self._recent) >= _HISTORY_REQUESTS:
            return True
        self._recent.append(now)
        return False
