"""Session, job -> requests for history; history, quotes -> bars.

A run of `fetch_bars` asks for every symbol at once. Answers come in any order; only those about one symbol come in the
order of the requests. The run ends when every symbol has one. After a restart in between, symbols whose newest bar is
not in the store are asked for once more: what their answers were, if they had any, is not known any longer.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from services.marketdata.core import history
from services.marketdata.core.aggregate import MinuteAggregator
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.base import Envelope, follow, originate
from shared.messages.broker import SessionChanged
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.market import Bar, QuoteBatch
from shared.messages.market_requests import FetchHistory, HistoryFetched, Subscribe
from shared.transactor import Effects
from shared.types import SessionState, Timeframe

SOURCE = "marketdata"
BARS = Counter("millrace_bars_total", "Closed bars stored and published", ["timeframe"])
FAULTY = Counter("millrace_bars_faulty_total", "Bars of the broker that can't be believed", ["symbol"])
GAPS = Counter("millrace_bar_gaps_total", "Sessions that the broker's history leaves out", ["symbol"])
USUAL_REQUEST = 5  # bars; some of the days before, to fill what an earlier answer left out
_log = structlog.get_logger()


def bar_envelope(bar: Bar) -> Envelope[Bar]:
    """The one envelope of a bar: the same id and time whenever, and from whatever, the bar was made."""
    return originate(bar, source=SOURCE, time=bar.end, subject=bar.symbol, key=bar.key)


def bar_effects(bars: Sequence[Bar]) -> tuple[list[Row], list[Envelope[Any]]]:
    """Rows and messages of new bars, in their order."""
    envelopes = [bar_envelope(bar) for bar in bars]
    for bar in bars:
        BARS.labels(bar.timeframe).inc()
    rows = [Row(tables.bars, dict(envelope.data) | {"message_id": envelope.id}) for envelope in envelopes]
    return rows, list(envelopes)


@dataclass
class _Run:
    """A run of `fetch_bars` that goes on; `waiting` are the symbols without an answer."""

    command: Envelope[RunJob]
    waiting: set[str]
    began: float = field(default_factory=time.perf_counter)


class MarketData:
    """Knows which daily bars are stored (`ends`: symbol -> ends) and which runs of `fetch_bars` go on."""

    def __init__(
        self,
        symbols: Sequence[str],
        history_bars: int,
        clock: Clock,
        *,
        ends: dict[str, set[datetime]],
    ) -> None:
        self._symbols = symbols
        self._history_bars = history_bars
        self._clock = clock
        self._ends = {symbol: ends.get(symbol, set()) for symbol in symbols}
        self._runs: dict[UUID, _Run] = {}
        self._aggregator = MinuteAggregator()

    def on_broker_event(self, event: Envelope[Any]) -> Effects:
        match event.data:
            case SessionChanged(state=SessionState.READY):
                return self._begin_session(event)
            case HistoryFetched(timeframe=Timeframe.DAY) if event.causationid != event.correlationid:
                return self._take_history(event)  # a person's question has no cause, and its bars are not stored
            case _:
                return Effects()

    def on_job(self, run: Envelope[RunJob]) -> Effects:
        if run.data.job is not Job.FETCH_BARS:
            return Effects()
        self._runs.setdefault(run.id, _Run(run, set(self._symbols)))
        return Effects(messages=self._ask(run, self._symbols))

    def resume(self, runs: Iterable[Envelope[RunJob]], process: str) -> Effects:
        """Go on with runs that an earlier process began; `process` names this one."""
        messages: list[Envelope[Any]] = []
        for run in runs:
            self._clock.observe(run.time)
            behind = self._behind()
            self._runs[run.id] = _Run(run, set(behind))
            messages += self._ask(run, behind, again=process) if behind else [self._finish(run.id)]
        return Effects(messages=messages)

    def on_quotes(self, batch: QuoteBatch) -> Effects:
        """The minutes that these quotes close."""
        bars = [bar for quote in batch.quotes if (bar := self._aggregator.add(quote)) is not None]
        return Effects(*bar_effects(bars))

    def _begin_session(self, event: Envelope[Any]) -> Effects:
        """Ask for quotes, and for the history of symbols whose store is short or behind."""
        wanted = self._history_bars
        counts = {
            symbol: wanted if len(self._ends[symbol]) < wanted else missing
            for symbol, missing in self._missing().items()
        }
        subscribe = self._follow(event, Subscribe(symbols=tuple(self._symbols)), "quotes")
        return Effects(
            messages=[
                subscribe,
                *(self._fetch(event, symbol, count) for symbol, count in counts.items() if count),
            ]
        )

    def _take_history(self, event: Envelope[HistoryFetched]) -> Effects:
        rows, messages = bar_effects(self._believe(event.data))
        run = self._runs.get(event.correlationid)
        if run is not None:
            run.waiting.discard(event.data.symbol)
            if not run.waiting:
                messages.append(self._finish(event.correlationid))
        return Effects(rows, messages)

    def _believe(self, answer: HistoryFetched) -> tuple[Bar, ...]:
        """The new bars of an answer; they count as stored from here on."""
        if answer.error is not None:
            _log.warning("no history", symbol=answer.symbol, error=answer.error)
        known = self._ends.setdefault(answer.symbol, set())
        sifted = history.sift(answer.bars, known)
        for bar, reason in sifted.faulty:
            FAULTY.labels(bar.symbol).inc()
            _log.warning("faulty bar left out", bar=bar.key, reason=reason)
        for day in history.gaps(sifted.new, known):
            GAPS.labels(answer.symbol).inc()
            _log.warning("no bar for a session", symbol=answer.symbol, session=day.isoformat())
        known.update(bar.end for bar in sifted.new)
        return sifted.new

    def _missing(self) -> dict[str, int]:
        """Symbol -> how many of the newest bars the store lacks."""
        now = self._clock.now()
        return {symbol: history.bars_missing(self._ends[symbol], now, self._history_bars) for symbol in self._symbols}

    def _behind(self) -> list[str]:
        """The symbols whose newest bar is not in the store."""
        newest = history.newest_close(self._clock.now())
        return [symbol for symbol in self._symbols if newest not in self._ends[symbol]]

    def _finish(self, run_id: UUID) -> Envelope[Any]:
        """The end of a run; its id follows from the run's alone, so a second one is not heard."""
        run = self._runs.pop(run_id)
        newest, behind = history.newest_close(self._clock.now()), self._behind()
        detail = f"no bar of {newest:%Y-%m-%d} for {', '.join(behind)}" if behind else f"bars until {newest:%Y-%m-%d}"
        report = JobFinished(
            run_id=run_id,
            job=Job.FETCH_BARS,
            outcome=JobOutcome.FAILED if behind else JobOutcome.SUCCEEDED,
            detail=detail,
            duration_seconds=time.perf_counter() - run.began,
        )
        return self._follow(run.command, report, Job.FETCH_BARS)

    def _ask(self, run: Envelope[RunJob], symbols: Iterable[str], again: str = "") -> list[Envelope[Any]]:
        """The requests of a run; `again` tells those of another process apart, which the gateway would leave out."""
        missing = self._missing()
        return [self._fetch(run, symbol, max(USUAL_REQUEST, missing[symbol]), again) for symbol in symbols]

    def _fetch(self, cause: Envelope[Any], symbol: str, count: int, again: str = "") -> Envelope[Any]:
        request = FetchHistory(symbol=symbol, timeframe=Timeframe.DAY, count=count)
        return self._follow(cause, request, symbol, key=f"{symbol}{again}")

    def _follow(
        self, cause: Envelope[Any], message: FetchHistory | Subscribe | JobFinished, subject: str, key: str = ""
    ) -> Envelope[Any]:
        return follow(cause, message, source=SOURCE, time=self._clock.now(), subject=subject, key=key or subject)
