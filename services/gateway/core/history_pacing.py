"""IBKR's limits on questions for history, as counting that is given the time.

- Bars of 30 seconds or less: no identical request within 15 seconds; fewer than six for the same contract, exchange and
  kind of data within two seconds; at most 60 in ten minutes; BID_ASK counts twice. Larger bars have none of these
  limits any more, only a soft slow-down by IBKR itself: for them the limit on messages is enough.
- At most 50 requests open at once, of any size.

IBKR counts when a request arrives, which is not known here: it may wait for the limit on messages, or in a socket. So
a request counts from when it may be sent until a whole period after its answer.

Source: https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/ ("Historical data: pacing violations") and
https://interactivebrokers.github.io/tws-api/historical_limitations.html.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf

from shared.messages.market_requests import FetchHistory, HistoryKind
from shared.types import Timeframe

SMALL_BARS = frozenset({Timeframe.FIVE_SECONDS, Timeframe.FIFTEEN_SECONDS, Timeframe.THIRTY_SECONDS})


@dataclass(frozen=True, slots=True)
class HistoryRules:
    """How many requests in how many seconds. `margin` is added to each period: the broker's clock is another one."""

    in_period: int = 60
    period: float = 600
    of_contract: int = 5
    contract_period: float = 2
    identical_period: float = 15
    open_at_once: int = 50
    margin: float = 0.1


@dataclass(slots=True)
class _Window:
    """So many requests in so many seconds: those without an answer, and when the others had theirs."""

    most: int
    seconds: float
    """With the margin."""
    open: int = 0
    times: deque[float] = field(default_factory=lambda: deque[float]())

    def wait(self, weight: int, now: float) -> float:
        """Seconds until there is room; infinite if only an answer can make it."""
        excess = self.open + len(self.times) + weight - self.most
        if excess <= 0:
            return 0
        return inf if excess > len(self.times) else max(0.0, self.times[excess - 1] + self.seconds - now)

    def sent(self, weight: int) -> None:
        self.open += weight

    def answered(self, weight: int, now: float) -> None:
        self.open -= weight
        self.times.extend([now] * weight)

    def in_use(self, now: float) -> int:
        while self.times and self.times[0] + self.seconds <= now:
            self.times.popleft()
        return self.open + len(self.times)


class HistoryPacing:
    """What was sent lately. All times are of one clock, in seconds."""

    def __init__(self, rules: HistoryRules = HistoryRules()) -> None:
        self.rules = rules
        self.open = 0
        """Requests that the broker has not answered."""
        self._all = _Window(rules.in_period, rules.period + rules.margin)
        self._some: dict[Hashable, _Window] = {}
        self._refused_until = -inf

    @property
    def full(self) -> bool:
        """Nothing can be sent before an answer comes."""
        return self.open >= self.rules.open_at_once

    def wait(self, request: FetchHistory, now: float) -> float:
        """Seconds until a request may be sent, 0 = now; infinite if it has to wait for an answer."""
        if self.full:
            return inf
        if request.timeframe not in SMALL_BARS:
            return 0
        return max(0, self._refused_until - now, *(window.wait(weight, now) for window, weight in self._of(request)))

    def sent(self, request: FetchHistory) -> None:
        self.open += 1
        if request.timeframe in SMALL_BARS:
            for window, weight in self._of(request):
                window.sent(weight)

    def answered(self, request: FetchHistory, now: float) -> None:
        """It was answered, refused, or given up."""
        self.open -= 1
        if request.timeframe in SMALL_BARS:
            for window, weight in self._of(request):
                window.answered(weight, now)
            self._some = {key: window for key, window in self._some.items() if window.in_use(now)}

    def refused(self, now: float, seconds: float) -> None:
        """The broker counts more than we do, perhaps for another program of the same user: send no small bars yet."""
        self._refused_until = max(self._refused_until, now + seconds)

    def used(self, now: float) -> float:
        """Part of the ten minutes' requests for small bars that is used, 0 to 1."""
        return self._all.in_use(now) / self.rules.in_period

    def _of(self, request: FetchHistory) -> tuple[tuple[_Window, int], ...]:
        """The windows that a request is counted in, and how often."""
        rules, weight = self.rules, 2 if request.kind is HistoryKind.BID_ASK else 1
        contract = request.symbol, request.kind
        # Durations are coarse: two requests that differ only in their number of bars may be the same for IBKR.
        same = request.symbol, request.kind, request.timeframe, request.end, request.regular_hours
        of_contract = _Window(rules.of_contract, rules.contract_period + rules.margin)
        identical = _Window(1, rules.identical_period + rules.margin)
        return (
            (self._all, weight),
            (self._some.setdefault(contract, of_contract), weight),
            (self._some.setdefault(same, identical), 1),
        )
