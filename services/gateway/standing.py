"""Where the session stands, told to whoever has to know: events that others wait for, SessionChanged, metrics."""

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import datetime

import structlog
from prometheus_client import Enum, Gauge

from services.gateway.config import Settings
from services.gateway.core import notices
from services.gateway.core.error_codes import UNDECODABLE
from services.gateway.core.reset_windows import reset_window
from services.gateway.core.skew import TOLERATED, WARNED_ABOVE, in_words, skew
from services.gateway.core.states import CLOCK, LINK, RIVAL, Change, Happening, States
from shared.clock import Clock
from shared.messages.base import Message
from shared.messages.broker import BrokerErrorReported, ErrorEffect, SessionChanged
from shared.types import SessionState

RIVAL_GONE_SECONDS = 2.0
"""A quote this long after the last word of a competing login says that it has left (assumed: nothing else does)."""
STATE = Enum("millrace_gateway_session", "State of the session", states=[state.value for state in SessionState])
SINCE = Gauge("millrace_gateway_session_since_seconds", "When the session came into its state, UNIX time")
SKEW = Gauge("millrace_gateway_clock_skew_seconds", "How far the broker's clock is ahead of ours, paper and live mode")
_log = structlog.get_logger()


def _nothing() -> None:
    """Nobody has asked to be told yet."""


class Standing:
    """`core.states` with a clock and a voice.

    `ready` is set while orders may be sent; `linked` also while IBKR can be reached and something less is wrong
    (a data farm, a clock, a competing login): cancels and questions go then. `on_data_lost` is called when streams of
    market data have to be asked for again: on every new connection, and where IBKR says that it lost them.
    `complete`: since it was set, nothing can have been missed on this connection.
    """

    def __init__(self, settings: Settings, clock: Clock, say: Callable[[Message], None]) -> None:
        self.ready = asyncio.Event()
        self.linked = asyncio.Event()
        self.restored = asyncio.Event()
        """The link is back: set here, cleared by who has seen it."""
        self.account = ""
        self.complete = False
        self.on_data_lost: Callable[[], None] = _nothing
        self._settings = settings
        self._clock = clock
        self._say = say
        self._states = States(clock.now())
        self._data_lost = False
        self._rival_at = 0.0
        self._clock_warned = False

    @property
    def link_lost(self) -> bool:
        return self._states.link_lost

    # The connection

    def attempt(self, where: str) -> None:
        self.complete, self._data_lost = False, True
        self.happen(Happening.ATTEMPTED, where)

    def lost(self, reason: str) -> None:
        self.happen(Happening.LOST_IN_RESET if self._window() else Happening.LOST, reason)

    def happen(self, happening: Happening, reason: str) -> None:
        self._tell(self._states.happen(happening, reason, self._clock.now(), self._window()))

    def synchronised(self) -> None:
        """All that the broker knows has been asked for and published."""
        self._tell(self._states.synchronise(self._clock.now(), self._window()))
        if self._data_lost:
            self._lose_data()

    # What the broker says

    def noticed(self, code: int, text: str) -> None:
        """An error or notice of the broker; most are not about the session."""
        if code in notices.LINK_LOST:
            self.complete = False
            self._trouble(LINK, text)
        elif code in notices.LINK_RESTORED:
            self.complete = False
            self._data_lost |= code == notices.LINK_RESTORED_DATA_LOST
            self._tell(self._states.link_restored(text, self._clock.now()))
            self._farms_are_up(notices.connected_farms(text))
            self.restored.set()
        elif code in notices.FARM_DOWN:
            self._trouble(notices.farm(text), text)
        elif code in notices.FARM_UP:
            self._farms_are_up({notices.farm(text)})
        elif code == notices.COMPETING:
            self._rival_at = time.monotonic()
            self._trouble(RIVAL, text)
        elif code == notices.SUBSCRIPTION_ENDED:
            self._lose_data()
        elif code == UNDECODABLE:
            self.complete = False

    def _farms_are_up(self, farms: Collection[str]) -> None:
        were_down = [farm for farm in sorted(farms) if self._states.has(farm)]
        for farm in were_down:
            self._relief(farm)
        if were_down:
            self._lose_data()

    def _lose_data(self) -> None:
        """Streams can be asked for only on a synchronised connection; until then it is remembered."""
        self._data_lost = not self._states.synchronised
        if self._states.synchronised:
            self.on_data_lost()

    def quotes_flow(self) -> None:
        if self._states.has(RIVAL) and time.monotonic() - self._rival_at > RIVAL_GONE_SECONDS:
            self._relief(RIVAL)

    def compare_clocks(self, broker: datetime, asked: datetime) -> None:
        """`broker`: its answer to a question that was sent at `asked`, by our clock."""
        difference = skew(broker, asked, self._clock.now())
        SKEW.set(difference.total_seconds())
        warned, self._clock_warned = self._clock_warned, abs(difference) > WARNED_ABOVE
        if self._clock_warned and not warned:
            self._say(BrokerErrorReported(code=0, text=in_words(difference), effect=ErrorEffect.WARNING))
        if abs(difference) <= TOLERATED:
            self._relief(CLOCK)
        elif not self._states.has(CLOCK):
            self._trouble(CLOCK, in_words(difference))

    # Telling

    def _trouble(self, kind: str, text: str) -> None:
        window = "" if kind in (CLOCK, RIVAL) else self._window()
        self._tell(self._states.trouble(kind, text, self._clock.now(), window))

    def _relief(self, kind: str) -> None:
        self._tell(self._states.relief(kind, self._clock.now(), self._window()))

    def _window(self) -> str:
        return reset_window(self._settings.region, self._clock.now(), self._settings.daily_restart)

    def _tell(self, change: Change | None) -> None:
        for event, on in ((self.ready, self._states.ready), (self.linked, self._states.synchronised)):
            if on:
                event.set()
            else:
                event.clear()
        STATE.state(self._states.state.value)
        SINCE.set(self._states.since.timestamp())
        if change is None:
            return
        _log.info("session", state=change.state, reason=change.reason, account=self.account)
        self._say(
            SessionChanged(
                state=change.state,
                reason=change.reason,
                account=self.account or None,
                since=change.since,
                expected=change.expected,
            )
        )

    def not_ready(self) -> str | None:
        """None when orders can be sent, else the state, since when, and why."""
        if self.ready.is_set():
            return None
        states = self._states
        since = states.since.isoformat(timespec="seconds")
        return f"the session with the broker is {states.state} since {since}: {states.reason}"
