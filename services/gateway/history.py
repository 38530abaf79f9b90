"""Questions for history, asked as fast as the broker's limits allow, in the order in which they came.

One answer for each question, whatever happens: a question under way when the connection ends is asked again on the
next one; a pacing violation is tried again a few times; silence ends with a cancel. Questions that must have the same
answer are asked once.
"""

import asyncio
import time
from datetime import datetime
from itertools import count
from math import inf

import structlog
from prometheus_client import Counter, Gauge

from services.gateway.config import Settings
from services.gateway.core import bar_times
from services.gateway.core.history_pacing import HistoryPacing
from services.gateway.ports import Paced, RequestRefused, TimedOut
from services.gateway.session import Session
from services.gateway.shared_answers import SharedAnswers
from shared.messages.market import Bar
from shared.messages.market_requests import FetchHistory, HistoryFetched, HistoryOutcome

OPEN = Gauge("millrace_gateway_history_open", "Questions for history that the broker has not answered")
WAITING = Gauge("millrace_gateway_history_waiting", "Questions for history that wait for their turn")
OLDEST = Gauge("millrace_gateway_history_oldest_seconds", "Age of the oldest question for history without an answer")
USED = Gauge("millrace_gateway_history_budget_used", "Part of the requests for small bars in ten minutes, 0 to 1")
OUTCOMES = Counter("millrace_gateway_history_total", "Questions for history that the broker decided", ["outcome"])
SHARED = Counter("millrace_gateway_history_shared_total", "Questions for history answered with another one's answer")
Question = tuple[FetchHistory, datetime]
_log = structlog.get_logger()


class Turns:
    """Who may ask next: first come, first served, except that nobody waits for a limit that does not concern him."""

    def __init__(self) -> None:
        self.pacing = HistoryPacing()
        self._queue: dict[int, tuple[FetchHistory, asyncio.Future[None]]] = {}
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def take(self, request: FetchHistory) -> None:
        """Wait until this request may be sent; `give_back` follows its answer."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._queue[number] = request, turn
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if self._queue.pop(number, None) is None:  # its turn had come
                self.give_back(request)
            raise

    def give_back(self, request: FetchHistory) -> None:
        self.pacing.answered(request, time.monotonic())
        self._serve()

    def refused(self, seconds: float) -> None:
        self.pacing.refused(time.monotonic(), seconds)

    def _serve(self) -> None:
        """Let go whoever may go; come back when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now, soonest = time.monotonic(), inf
        for number, (request, turn) in list(self._queue.items()):
            if self.pacing.full:
                return
            pause = self.pacing.wait(request, now)
            soonest = min(soonest, pause or inf)
            if not pause and not turn.done():  # else its asker was cancelled
                del self._queue[number]
                self.pacing.sent(request)
                turn.set_result(None)
        if soonest < inf:
            self._timer = asyncio.get_running_loop().call_later(soonest, self._serve)


class History:
    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        self._turns = Turns()
        self._answers = SharedAnswers[Question, HistoryFetched]()
        self._asked_at: dict[Question, float] = {}
        self._beating = asyncio.Lock()
        self._next_beat: asyncio.Task[datetime] | None = None
        OPEN.set_function(lambda: self._turns.pacing.open)
        WAITING.set_function(lambda: self._turns.waiting)
        OLDEST.set_function(self._oldest)
        USED.set_function(lambda: self._turns.pacing.used(time.monotonic()))

    def close(self) -> None:
        """Ask no more; whoever waits is cancelled."""
        self._answers.close()

    async def fetch(self, request: FetchHistory) -> HistoryFetched:
        """The answer to a question, in the end; it can take as long as the broker is away, or its limits are used up.

        Its bars are those that were closed when it was asked, by the broker's clock.
        """
        until = await self._session.connected(self._now)
        question = request, bar_times.floor(until, request.timeframe)  # no bar closes between the two
        if question in self._answers:
            SHARED.inc()
        return await self._answers.get(question, lambda: self._ask(question, until))

    def _oldest(self) -> float:
        now = time.monotonic()
        return now - min(self._asked_at.values(), default=now)

    async def _ask(self, question: Question, until: datetime) -> HistoryFetched:
        request = question[0]
        self._asked_at[question] = time.monotonic()
        try:
            fetched = await self._decided(request, until)
        finally:
            del self._asked_at[question]
        OUTCOMES.labels(fetched.outcome).inc()
        if fetched.outcome in (HistoryOutcome.BARS, HistoryOutcome.NO_DATA):
            keep = self._turns.pacing.rules.identical_period
        else:
            keep = 0  # another try may fare better
        asyncio.get_running_loop().call_later(keep, self._answers.forget, question)
        return fetched

    async def _decided(self, request: FetchHistory, until: datetime) -> HistoryFetched:
        seconds = self._settings.history_retry_seconds
        for _ in range(self._settings.history_tries - 1):
            try:
                return await self._outcome(request, until)
            except Paced as error:
                _log.warning("history is paced", symbol=request.symbol, error=str(error), again_in_seconds=seconds)
                self._turns.refused(seconds)
                await asyncio.sleep(seconds)
        try:
            return await self._outcome(request, until)
        except Paced as error:
            return _nothing(request, HistoryOutcome.PACED, str(error))

    async def _outcome(self, request: FetchHistory, until: datetime) -> HistoryFetched:
        """Raises Paced; every other refusal is an outcome."""
        try:
            bars = await self._session.connected(lambda: self._once(request, until))
        except Paced:
            raise
        except TimedOut as error:
            return _nothing(request, HistoryOutcome.TIMED_OUT, str(error))
        except RequestRefused as error:
            return _nothing(request, HistoryOutcome.REFUSED, str(error))
        if not bars:
            return _nothing(request, HistoryOutcome.NO_DATA, f"the broker has no closed {request.timeframe} bars")
        return HistoryFetched(symbol=request.symbol, timeframe=request.timeframe, bars=bars)

    async def _once(self, request: FetchHistory, until: datetime) -> tuple[Bar, ...]:
        await self._turns.take(request)
        try:
            return tuple(await self._session.broker.requests.history(request, until))
        finally:
            self._turns.give_back(request)

    async def _now(self) -> datetime:
        """The broker's time after this call; one question for all who wait for it."""
        if self._next_beat is None:
            self._next_beat = asyncio.ensure_future(self._beat())
            self._next_beat.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._next_beat)

    async def _beat(self) -> datetime:
        async with self._beating:
            self._next_beat = None
            return await self._session.beat()


def _nothing(request: FetchHistory, outcome: HistoryOutcome, reason: str) -> HistoryFetched:
    return HistoryFetched(
        symbol=request.symbol,
        timeframe=request.timeframe,
        bars=(),
        error=f"{request.symbol}: {reason}",
        outcome=outcome,
    )
