"""IBKR's limits on requests of the Web API: ten a second in all, and less for some paths.

Source: IBKR Campus, "Web API v1.0 Documentation", "Pacing Limitations". A request beyond a limit is answered with 429.
IBKR then keeps the address out for ten minutes, which is not simulated: the next window is free again.
"""

import re
from collections import deque
from dataclasses import dataclass, field

PER_SECOND = 10
_PATHS: tuple[tuple[re.Pattern[str], int, float], ...] = tuple(
    (re.compile(path), count, seconds)
    for path, count, seconds in (
        ("/iserver/account/orders", 1, 5.0),
        ("/iserver/account/trades/?", 1, 5.0),
        ("/iserver/account/pnl/partitioned", 1, 5.0),
        ("/iserver/marketdata/snapshot", 10, 1.0),
        ("/iserver/scanner/params", 1, 900.0),
        ("/iserver/scanner/run", 1, 1.0),
        ("/portfolio/accounts", 1, 5.0),
        ("/portfolio/subaccounts", 1, 5.0),
        ("/sso/validate", 1, 60.0),
        ("/tickle", 1, 1.0),
    )
)
"""Path, requests, and the seconds they are counted over."""
MOST_HISTORIES = 5
"""Requests for history at the same time."""


@dataclass(slots=True)
class RequestRate:
    """Counts real seconds. Not `active`: no limit holds."""

    active: bool
    _times: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])

    def admits(self, path: str, now: float) -> bool:
        """Count a request and return True, or return False when it comes too soon; such a request does not count.

        `path` begins after `/v1/api`; `now` is in seconds of a clock that never goes back.
        """
        if not self.active:
            return True
        rules = [("", PER_SECOND, 1.0)]
        rules += [(each.pattern, count, seconds) for each, count, seconds in _PATHS if each.fullmatch(path)]
        windows = [(self._recent(name, now, seconds), count) for name, count, seconds in rules]
        if any(len(window) >= count for window, count in windows):
            return False
        for window, _ in windows:
            window.append(now)
        return True

    def _recent(self, name: str, now: float, seconds: float) -> deque[float]:
        window = self._times.setdefault(name, deque())
        while window and now - window[0] >= seconds:
            window.popleft()
        return window
