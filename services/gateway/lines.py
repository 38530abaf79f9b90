"""The streams that services want, kept open: the plan of `core.lines` carried out, and silent streams asked for again.

Wishes live in memory and outlast connections, not this process: who wants something asks again whenever the session
becomes READY. The common symbols are wanted from the start.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from datetime import date
from math import ceil

import structlog
from prometheus_client import Counter, Gauge

from services.gateway.config import Settings
from services.gateway.core.freshness import Freshness, Hours, regular_hours
from services.gateway.core.line_queue import Stream
from services.gateway.core.lines import LineLimits, LinePlan, Phase
from services.gateway.ports import BrokerLost, Lines, RequestRefused
from services.gateway.session import Session
from shared.calendar import NEW_YORK
from shared.clock import Clock
from shared.instruments import parse
from shared.messages.base import Message
from shared.messages.broker import BrokerErrorReported, BrokerSnapshot, ErrorEffect, ExecutionReported
from shared.messages.market_requests import Feed, LinePriority

SOURCE, POSITIONS = "gateway", "positions"
"""The owners of the gateway's own wishes: the common symbols, and what is held."""
ROTATION_SECONDS, WATCH_SECONDS = 0.05, 1.0
"""Between two looks at turns that may be over, and at streams that may be silent (or a tenth of what is silence)."""
USED = Gauge("millrace_gateway_lines_used", "Market data lines in use")
LIMIT = Gauge("millrace_gateway_lines_limit", "Market data lines that may be used")
WANTED = Gauge("millrace_gateway_lines_wanted", "Streams that services want")
WAITING = Gauge("millrace_gateway_lines_waiting", "Streams that wait for a line", ["priority"])
OLDEST = Gauge("millrace_gateway_lines_oldest_seconds", "Since the stream that waits longest had its last turn")
TURNS = Counter("millrace_gateway_line_turns_total", "Lines opened")
REFUSED = Counter("millrace_gateway_lines_refused_total", "Streams that the broker, or we before it, refused")
SILENT = Counter("millrace_gateway_lines_silent_total", "Streams that were silent in their session and asked for again")
_log = structlog.get_logger()


class LineKeeper:
    """Works while the session is `linked`. `run` is its one task."""

    def __init__(self, session: Session, settings: Settings, clock: Clock, symbols: Iterable[str]) -> None:
        self._session = session
        self._clock = clock
        self._plan = LinePlan(
            LineLimits(
                lines=max(1, settings.market_data_lines - settings.spare_lines),
                turn_seconds=settings.rotation_seconds,
                rotation_messages=ceil(settings.requests_per_second * settings.rotation_share),
            )
        )
        self._freshness = Freshness(settings.silence_seconds)
        self._watch_seconds = min(WATCH_SECONDS, settings.silence_seconds / 10)
        self._watched_at = float("-inf")
        self._hours: dict[str, Hours] = {}
        self._day: date | None = None
        self._connection: asyncio.Event | None = None
        self._lost: set[Stream] = set()
        self._wake = asyncio.Event()
        self._stepped = asyncio.Event()
        self._measure()
        session.hearers.append(self.hear)
        self.want(SOURCE, symbols, Feed.QUOTES, LinePriority.WATCHED)

    # Wishes

    def want(self, owner: str, symbols: Iterable[str], feed: Feed, priority: LinePriority) -> None:
        """Stream these for `owner` until it leaves them; what can't be is reported as an error of data."""
        refused = self._plan.want(owner, [(symbol, feed) for symbol in symbols], priority)
        for (symbol, _), reason in refused.items():
            self._refuse(symbol, 0, reason)
        self._wake.set()

    def turns(self, symbol: str) -> int:
        """How often a symbol's quotes have had a line."""
        turns = self._plan.turns.get((symbol, Feed.QUOTES))
        return turns.count if turns else 0

    def leave(self, owner: str, symbols: Iterable[str], feed: Feed) -> None:
        """`owner` wants these no more."""
        self._plan.leave(owner, [(symbol, feed) for symbol in symbols])
        self._wake.set()

    def data_lost(self) -> None:
        """Streams may be dead though nothing says so: ask for all of them again."""
        with suppress(BrokerLost):
            opened = self._lines.opened()
            self._notice_refusals(opened, time.monotonic())
            self._lost |= opened
        self._plan.retry()
        self._wake.set()

    def hear(self, message: Message) -> None:
        """Keep the quotes of what the broker says is held, or was traded since; who else holds it says so itself."""
        match message:
            case BrokerSnapshot(positions=positions):
                held = {position.symbol for position in positions if position.quantity and _has_name(position.symbol)}
                self._plan.leave(
                    POSITIONS, {stream for stream in self._plan.wanted_by(POSITIONS) if stream[0] not in held}
                )
                self.want(POSITIONS, held, Feed.QUOTES, LinePriority.HELD)
            case ExecutionReported(symbol=symbol, combination=False) if _has_name(symbol):
                self.want(POSITIONS, [symbol], Feed.QUOTES, LinePriority.HELD)
            case _:
                pass

    async def settled(self) -> None:
        """Return once everything that can have a line of its own has been asked for, or the link is lost."""
        while self._session.linked.is_set() and not (self._connected() and self._plan.settled and not self._lost):
            self._stepped.clear()
            await self._stepped.wait()

    # The task

    async def run(self) -> None:
        """Keep the lines, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                if not self._session.linked.is_set():
                    self._stepped.set()  # whoever waits for lines is told that there will be none for now
                    await self._session.linked.wait()
                with suppress(BrokerLost):
                    for work in self._step(time.monotonic()):
                        group.create_task(work)
                self._stepped.set()
                waiting = self._plan.waiting
                rotating = waiting[LinePriority.WATCHED] or waiting[LinePriority.SCANNED]
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ROTATION_SECONDS if rotating else self._watch_seconds):
                        await self._wake.wait()

    @property
    def _lines(self) -> Lines:
        return self._session.broker.lines

    def _connected(self) -> bool:
        """Whether the plan is about the connection that there is now."""
        return self._connection is self._session.broker.closed

    def _step(self, now: float) -> list[Coroutine[None, None, None]]:
        """What is to be done now. Raises BrokerLost without a connection."""
        opened = self._lines.opened()
        if not self._connected():
            self._plan.lost()
            self._connection = self._session.broker.closed
            self._lost.clear()
        self._notice_refusals(opened, now)
        step = self._plan.step(now, lambda stream: self._lines.complete(stream[0]))
        silent, unknown = self._silent(now)
        again = {stream for stream in (*(self._lost & opened), *silent) if self._is_open(stream)}
        self._lost.clear()
        return [
            *(self._close(stream) for stream in step.close),
            *(self._open(stream) for stream in step.open),
            *(self._reopen(stream) for stream in again),
            *(self._learn_hours(symbol) for symbol in unknown),
        ]

    def _notice_refusals(self, opened: frozenset[Stream], now: float) -> None:
        """Lines that the broker has ended: it has said why."""
        for stream in [stream for stream in self._plan.lines if stream not in opened and self._is_open(stream)]:
            REFUSED.inc()
            self._plan.refused(stream, now)

    def _is_open(self, stream: Stream) -> bool:
        line = self._plan.lines.get(stream)
        return line is not None and line.phase is Phase.OPEN

    async def _open(self, stream: Stream) -> None:
        connection, asked = self._connection, False
        try:
            await self._lines.open(*stream)
            asked = True
        except BrokerLost:
            pass  # the plan hears of it by the next connection
        except RequestRefused as error:
            self._refuse(stream[0], error.code, str(error))
        if connection is self._connection:
            if asked:
                TURNS.inc()
                self._plan.opened(stream, time.monotonic())
            else:
                self._plan.refused(stream, time.monotonic())
            self._wake.set()

    async def _close(self, stream: Stream) -> None:
        connection = self._connection
        with suppress(BrokerLost):
            await self._lines.close(*stream)
            if connection is self._connection:
                self._plan.closed(stream, time.monotonic())
                self._wake.set()

    async def _reopen(self, stream: Stream) -> None:
        with suppress(BrokerLost, RequestRefused):
            await self._lines.reopen(*stream)

    def _refuse(self, symbol: str, code: int, reason: str) -> None:
        REFUSED.inc()
        self._session.heard(BrokerErrorReported(code=code, text=reason, effect=ErrorEffect.DATA, symbol=symbol))

    # Silent streams

    def _silent(self, now: float) -> tuple[list[Stream], set[str]]:
        """Streams that are to be asked for again, and symbols whose hours must be known to judge their silence."""
        silent, unknown = list[Stream](), set[str]()
        if now - self._watched_at < self._watch_seconds:
            return silent, unknown
        self._watched_at, moment = now, self._clock.now()
        self._begin_day(moment.astimezone(NEW_YORK).date())
        staying = [
            stream
            for stream in self._plan.lines
            if self._is_open(stream) and stream[1] is not Feed.NEWS and not self._plan.rotates(stream)
        ]
        self._freshness.keep(staying)
        for stream in staying:
            symbol, feed = stream
            if not self._freshness.silent(stream, self._lines.heard_at(symbol, feed), now, moment):
                continue
            if symbol not in self._hours:
                self._hours[symbol] = regular_hours(moment)
                unknown.add(symbol)
            elif self._freshness.to_be_reopened(stream, self._hours[symbol], moment):
                SILENT.inc()
                _log.warning("a stream is silent in its session: asking for it again", symbol=symbol, feed=feed)
                silent.append(stream)
                if feed is Feed.QUOTES:
                    self._lines.mark_stale(symbol)
        return silent, unknown

    def _begin_day(self, day: date) -> None:
        if day != self._day:
            self._day = day
            self._hours.clear()

    async def _learn_hours(self, symbol: str) -> None:
        """Take a symbol's own hours of the day for the regular US ones, where the broker tells them."""
        with suppress(BrokerLost, RequestRefused):
            facts = await self._session.broker.requests.contract(symbol)
            self._hours[symbol] = facts.liquid_hours or self._hours[symbol]

    def _measure(self) -> None:
        LIMIT.set(self._plan.limits.lines)
        USED.set_function(lambda: len(self._plan.lines))
        WANTED.set_function(lambda: self._plan.wanted)
        OLDEST.set_function(lambda: self._plan.oldest_wait(time.monotonic()))
        for priority, queue in self._plan.waiting.items():
            WAITING.labels(priority.value).set_function(lambda queue=queue: len(queue))


def _has_name(symbol: str) -> bool:
    """Whether `shared.instruments` can name it; an account may hold bonds and worse."""
    try:
        parse(symbol)
    except ValueError:
        return False
    return True
