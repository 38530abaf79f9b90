"""What the broker session calls for: outages that last, a gateway that is not heard of, a log-in that is about to end.

Times are seconds of a monotonic clock, except where they are dates.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.notifier.core.render import Alert
from shared.messages.broker import SessionChanged
from shared.types import SessionState

_NEW_YORK = ZoneInfo("America/New_York")
_SUNDAY = 6
_NEEDS_A_PERSON = {
    SessionState.AWAITING_LOGIN: "IB Gateway or TWS waits for somebody to log in and to confirm it on the phone",
    SessionState.COMPETING: "another login of the same user has taken the market data: end it, in TWS, the app or a web"
    " browser, or wait",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long it is waited before somebody is woken.

    Args:
        grace_seconds: for an outage that was not announced.
        expected_seconds: for one within hours in which IBKR has announced resets.
        silence_seconds: without a word of a session that can be used; None = nobody is missed.
    """

    grace_seconds: float
    expected_seconds: float
    silence_seconds: float | None


class Watch:
    """One session. Begun at `now`, when nothing is known of it yet."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._heard_at = now
        self._silent = False
        self._change: SessionChanged | None = None
        """The newest word of an outage; None while there is none."""
        self._begun_at = now
        self._unexpected_at: float | None = None
        self._told: set[SessionState | None] = set()

    def session(self, change: SessionChanged, now: float) -> Alert | None:
        """The session moved. Its return is worth an alert when its loss was."""
        if change.state is SessionState.READY:
            return self._back(now)
        if self._change is None:
            self._begun_at = now
        if change.expected:
            self._unexpected_at = None
        elif self._unexpected_at is None or _kind(change) is not _kind(self._change):
            self._unexpected_at = now
        self._change = change
        return None

    def _back(self, now: float) -> Alert | None:
        lasted, told = now - self._begun_at, bool(self._told)
        self._change, self._unexpected_at = None, None
        self._told.clear()
        heard = self.alive(now)
        return Alert("Broker session READY", f"Orders can be sent again, after {_duration(lasted)}") if told else heard

    def alive(self, now: float) -> Alert | None:
        """The gateway said something that only a session says that can be used."""
        lasted, was_silent = now - self._heard_at, self._silent
        self._heard_at, self._silent = now, False
        if not was_silent:
            return None
        return Alert("The gateway is heard again", f"Nothing was heard of a usable session for {_duration(lasted)}")

    def due(self, now: float) -> list[Alert]:
        """What has lasted too long by now; each is told once."""
        alerts: list[Alert] = []
        change = self._change
        if change is not None and _kind(change) not in self._told and self._outage_is_due(now):
            self._told.add(_kind(change))
            alerts.append(Alert(f"Broker session {change.state}", _outage(change, now - self._begun_at)))
        silence = self._limits.silence_seconds
        if silence is not None and not self._silent and now - self._heard_at >= silence:
            self._silent = True
            alerts.append(
                Alert(
                    "The gateway is not heard of",
                    f"Nothing was heard of a usable session for {_duration(now - self._heard_at)}: no order can be sent"
                    " or cancelled. Look whether the gateway process runs, and whether it reaches IB Gateway or TWS",
                )
            )
        return alerts

    def _outage_is_due(self, now: float) -> bool:
        if self._unexpected_at is not None and now - self._unexpected_at >= self._limits.grace_seconds:
            return True
        return self._unexpected_at is None and now - self._begun_at >= self._limits.expected_seconds


def _kind(change: SessionChanged | None) -> SessionState | None:
    """States that somebody has to act upon are told apart; the others are one outage."""
    return change.state if change is not None and change.state in _NEEDS_A_PERSON else None


def _outage(change: SessionChanged, lasted: float) -> str:
    advice = f"; {_NEEDS_A_PERSON[change.state]}" if change.state in _NEEDS_A_PERSON else ""
    return f"For {_duration(lasted)}: {change.reason}{advice}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def login_ends(now: datetime, hours_before: float) -> datetime | None:
    """When the broker's log-in ends, if that is less than so many hours ahead: Sunday 01:00 New York, each week.

    Source: https://ibkrguides.com/traderworkstation/auto-restart-considerations.htm: the tokens that let IB Gateway and
    TWS restart by themselves are invalidated then, and the next start needs a log-in with the second factor.
    """
    local = now.astimezone(_NEW_YORK)
    sunday = local.date() + timedelta(days=(_SUNDAY - local.weekday()) % 7)
    ends = datetime(sunday.year, sunday.month, sunday.day, 1, tzinfo=_NEW_YORK)
    # across a change to summer time, hours are counted in UTC
    ahead = ends.astimezone(now.tzinfo) - now
    return ends if timedelta(0) < ahead <= timedelta(hours=hours_before) else None


def login_alert(ends: datetime, restart_hour: int) -> Alert:
    return Alert(
        "The broker's log-in ends on Sunday at 01:00 New York",
        f"On {ends.date()}: after it IB Gateway or TWS waits for a log-in. Restart it at {restart_hour}:00 New York, as"
        " planned, with the phone at hand to confirm it",
    )
