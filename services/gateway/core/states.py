"""The states of the session with the broker, and every move between them, in one table.

What goes wrong on a connection that stands is a trouble: the link to IBKR, a data farm, a clock, a competing login.
Several can be there at once, and the worst decides the state. One outage is one story: until the session is READY
again, a state with the same reason is told once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.types import SessionState

D, C, A, S, R, G, K = (
    SessionState.DISCONNECTED,
    SessionState.CONNECTING,
    SessionState.AWAITING_LOGIN,
    SessionState.SYNCHRONISING,
    SessionState.READY,
    SessionState.DEGRADED,
    SessionState.COMPETING,
)


class Happening(StrEnum):
    ATTEMPTED = "a connection is being made"
    LOGIN_AWAITED = "the gateway program answers, and nobody is logged in"
    ACCEPTED = "the broker has accepted the connection"
    LOST = "the connection ended, or could not be made"
    LOST_IN_RESET = "the same, in hours in which IBKR has announced it"
    LINK_LOST = "the gateway program can't reach IBKR (1100, 2110)"
    LINK_RESTORED = "it can again (1101, 1102): what happened meanwhile has to be asked for"
    SOUND = "all is known and nothing is wrong"
    IMPAIRED = "all is known, and a data farm is down or a clock is wrong"
    RIVALLED = "all is known, and another login takes the market data (10197)"
    STOPPED = "this process ends"


H = Happening
# A happening that a state does not list changes nothing in it.
MOVES: Mapping[SessionState, Mapping[Happening, SessionState]] = {
    D: {H.ATTEMPTED: C, H.STOPPED: D},
    C: {H.ACCEPTED: S, H.LOGIN_AWAITED: A, H.LOST: C, H.LOST_IN_RESET: G, H.STOPPED: D},
    A: {H.ACCEPTED: S, H.LOGIN_AWAITED: A, H.LOST: C, H.STOPPED: D},
    S: {H.SOUND: R, H.IMPAIRED: G, H.RIVALLED: K, H.LINK_LOST: G, H.LOST: D, H.LOST_IN_RESET: G, H.STOPPED: D},
    R: {H.IMPAIRED: G, H.RIVALLED: K, H.LINK_LOST: G, H.LINK_RESTORED: S, H.LOST: D, H.LOST_IN_RESET: G, H.STOPPED: D},
    # DEGRADED also while the connection is lost in announced hours: attempts go on, and nothing else is to be told
    G: {H.SOUND: R, H.IMPAIRED: G, H.RIVALLED: K, H.LINK_LOST: G, H.LINK_RESTORED: S, H.ACCEPTED: S,
        H.LOGIN_AWAITED: A, H.LOST: D, H.LOST_IN_RESET: G, H.STOPPED: D},
    K: {H.SOUND: R, H.IMPAIRED: G, H.RIVALLED: K, H.LINK_LOST: G, H.LINK_RESTORED: S, H.LOST: D, H.LOST_IN_RESET: G,
        H.STOPPED: D},
}  # fmt: skip

LINK, CLOCK, RIVAL = "link", "clock", "rival"
"""Kinds of trouble; any other kind is the name of a data farm."""
_NO_CONNECTION = frozenset({H.ATTEMPTED, H.LOGIN_AWAITED, H.LOST, H.LOST_IN_RESET, H.STOPPED})
_ANNOUNCED = "expected reset window"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be told. `expected`: it fits the hours in which IBKR has announced resets."""

    state: SessionState
    reason: str
    since: datetime
    expected: bool


@dataclass
class States:
    """Where the session stands. Each method returns what is to be told about its move, None for nothing new."""

    since: datetime
    """When it came into this state."""
    state: SessionState = D
    reason: str = "not started"
    synchronised: bool = False
    """All that the broker knows is known here, and IBKR can be reached."""
    _troubles: dict[str, str] = field(default_factory=dict[str, str])
    _expected: bool | None = None
    """Whether all of the present outage fits the announced hours; None while nothing was wrong."""
    _told: set[tuple[SessionState, str]] = field(default_factory=set[tuple[SessionState, str]])

    @property
    def ready(self) -> bool:
        """Orders may be sent."""
        return self.state is R

    @property
    def link_lost(self) -> bool:
        return LINK in self._troubles

    def has(self, kind: str) -> bool:
        return kind in self._troubles

    def happen(self, happening: Happening, reason: str, now: datetime, window: str = "") -> Change | None:
        """Move. `window`: the announced hours that it is now, in words; empty outside of them."""
        if happening in _NO_CONNECTION:
            self._troubles.clear()
            self.synchronised = False
        was, before = self.state, self.reason
        target = MOVES[was].get(happening)
        if target is None:
            return None
        if target is not was:
            self.since = now
        expected = bool(window) and happening in (H.LOST_IN_RESET, H.LINK_LOST, H.IMPAIRED)
        self.state, self.reason = target, f"{_ANNOUNCED} ({window}): {reason}" if expected else reason
        self.synchronised = target in (R, K) or (target is G and happening is H.IMPAIRED)
        if happening is H.ACCEPTED and self.link_lost:  # it was told while the connection was being made
            return self.happen(H.LINK_LOST, self._troubles[LINK], now, window)
        if target is R:
            return self._recovered(repeated=was is R and before == reason)
        if target in (D, A, K) or (target is G and not expected):
            self._expected = False
        elif expected and self._expected is None:
            self._expected = True
        return self._news()

    def _recovered(self, *, repeated: bool) -> Change | None:
        change = self._change()
        self._told.clear()
        self._expected = None
        return None if repeated else change

    def _news(self) -> Change | None:
        if (self.state, self.reason) in self._told:
            return None
        self._told.add((self.state, self.reason))
        return self._change()

    def _change(self) -> Change:
        return Change(self.state, self.reason, self.since, self._expected is True)

    # Troubles of a connection that stands

    def synchronise(self, now: datetime, window: str = "") -> Change | None:
        """All that the broker knows has been asked for and published."""
        return self.happen(*self._worst(), now, window)

    def trouble(self, kind: str, text: str, now: datetime, window: str = "") -> Change | None:
        """Something is wrong; it stays so until its relief, or until the connection ends."""
        self._troubles[kind] = text
        if kind == LINK:
            return self.happen(H.LINK_LOST, text, now, window)
        return self.synchronise(now, window) if self.synchronised else None

    def relief(self, kind: str, now: datetime, window: str = "") -> Change | None:
        """It is well again. Nothing happens where it was never wrong."""
        if self._troubles.pop(kind, None) is None or not self.synchronised:
            return None
        return self.synchronise(now, window)

    def link_restored(self, text: str, now: datetime) -> Change | None:
        """The link to IBKR is back: the session has to be synchronised once more."""
        self._troubles.pop(LINK, None)
        return self.happen(H.LINK_RESTORED, text, now)

    def _worst(self) -> tuple[Happening, str]:
        if LINK in self._troubles:
            return H.LINK_LOST, self._troubles[LINK]
        if RIVAL in self._troubles:
            return H.RIVALLED, self._troubles[RIVAL]
        if self._troubles:
            return H.IMPAIRED, "; ".join(self._troubles.values())
        return H.SOUND, ""
