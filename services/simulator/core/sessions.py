"""The main exchange's clock: when it is open, and when the market's time begins and ends."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from services.simulator.core.tape import Session


class MainExchange:
    """The sessions of the exchange that decides the days: `sessions` can be traded in, the others are known."""

    def __init__(self, all_sessions: Sequence[Session], start: date, end: date, tick: timedelta) -> None:
        """Raises ValueError if there is no session from `start` to `end`, both included."""
        self.all_sessions = tuple(all_sessions)
        self.sessions = tuple(session for session in self.all_sessions if start <= session.day <= end)
        if not self.sessions:
            raise ValueError(f"start, end: no exchange session from {start} to {end}; widen the dates")
        self.tick = tick
        self._opens = [session.open for session in self.all_sessions]
        self._session_days = [session.day for session in self.all_sessions]

    @property
    def last_close(self) -> datetime:
        """The end of the data: nothing moves after it."""
        return self.sessions[-1].close

    def session_at(self, now: datetime) -> Session | None:
        """Return the session of the main exchange open at `now` (until just before its close), else None."""
        index = bisect_right(self._opens, now) - 1
        if index < 0 or now >= self.all_sessions[index].close:
            return None
        return self.all_sessions[index]

    def session_of(self, day: date) -> Session | None:
        index = bisect_left(self._session_days, day)
        found = index < len(self._session_days) and self._session_days[index] == day
        return self.all_sessions[index] if found else None

    def next_open(self, now: datetime) -> datetime | None:
        """Return the main exchange's first open after `now`, or None after the last session known."""
        index = bisect_right(self._opens, now)
        return self._opens[index] if index < len(self._opens) else None

    def next_tick(self, now: datetime) -> datetime:
        """Return the first tick after `now` of the main exchange's open session. Raises ValueError if it is closed."""
        session = self.session_at(now)
        if session is None:
            raise ValueError(f"now: the exchange is closed at {now}")
        return min(session.open + ((now - session.open) // self.tick + 1) * self.tick, session.close)
