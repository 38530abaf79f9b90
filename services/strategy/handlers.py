"""Bars, scans and due evaluations -> intents."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from services.strategy.core.host import Instance, Windows, evaluate
from shared.calendar import NEW_YORK, session_hours, sessions
from shared.clock import Clock
from shared.messages.base import Envelope, follow, originate
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.market import Bar
from shared.messages.scan import ShardScanned
from shared.messages.strategy import OrderIntent
from shared.types import Timeframe

SOURCE = "strategy"
LOOK_BACK_DAYS = 10  # no exchange holiday is longer
INTENTS = Counter("millrace_intents_total", "Order intents published", ["strategy", "purpose"])
FAILURES = Counter("millrace_strategy_failures_total", "Evaluations that the strategy itself failed", ["strategy"])
_log = structlog.get_logger()


class Handlers:
    """Remembers bars and the newest scan of each symbol; both are rebuilt at the start from table and stream."""

    def __init__(self, instances: Sequence[Instance], windows: Windows, clock: Clock, *, only_scanned: bool) -> None:
        self._instances = instances
        self._windows = windows
        self._clock = clock
        self._only_scanned = only_scanned
        self._scans: dict[str, tuple[datetime, bool]] = {}  # symbol -> when scanned, whether kept

    async def on_bar(self, envelope: Envelope[Bar]) -> Sequence[Envelope[Any]]:
        """Intraday strategies act at once; daily ones wait for their job."""
        bar = envelope.data
        self._windows.add(bar)
        if bar.timeframe is Timeframe.DAY:
            return ()
        at_work = [i for i in self._instances if i.timeframe is bar.timeframe and bar.symbol in i.symbols]
        intents = [self._evaluate(i, bar.symbol, bar.end, expires_from=bar.end, run_id=None)[0] for i in at_work]
        return self._envelopes(intents)

    async def on_scan(self, envelope: Envelope[ShardScanned]) -> Sequence[Envelope[Any]]:
        self.learn(envelope)
        return ()

    def learn(self, scanned: Envelope[ShardScanned]) -> None:
        """Remember what a scan said, unless a newer one has spoken."""
        for candidate in scanned.data.candidates:
            known = self._scans.get(candidate.symbol)
            if known is None or scanned.time >= known[0]:
                self._scans[candidate.symbol] = (scanned.time, candidate.kept)

    async def on_job(self, run: Envelope[RunJob]) -> Sequence[Envelope[Any]]:
        """Evaluate the daily strategies on bars through the session before the run's."""
        if run.data.job is not Job.EVALUATE_STRATEGIES:
            return ()
        began = time.perf_counter()
        end = previous_close(run.data.scheduled_for)
        results = [
            self._evaluate(instance, symbol, end, expires_from=run.data.scheduled_for, run_id=run.id)
            for instance in self._instances
            if instance.timeframe is Timeframe.DAY
            for symbol in instance.symbols
        ]
        intents = self._envelopes([intent for intent, _ in results])
        problems = [problem for _, problem in results if problem is not None]
        report = JobFinished(
            run_id=run.id,
            job=run.data.job,
            outcome=JobOutcome.FAILED if problems else JobOutcome.SUCCEEDED,
            detail="; ".join([f"{len(intents)} intents", *problems]),
            duration_seconds=time.perf_counter() - began,
        )
        finished = follow(run, report, source=SOURCE, time=self._clock.now(), subject=run.data.job)
        return [*intents, finished]

    def _evaluate(
        self, instance: Instance, symbol: str, end: datetime, *, expires_from: datetime, run_id: UUID | None
    ) -> tuple[OrderIntent | None, str | None]:
        """The intent, if there is one, and what stood in the way of an evaluation."""
        window = self._windows.until(symbol, instance.timeframe, end)
        if not window or window[-1].end != end:
            _log.warning("no evaluation without the newest bar", strategy=instance.name, symbol=symbol, wanted=end)
            return None, f"no bar of {end:%Y-%m-%d} for {symbol}"
        try:
            intent = evaluate(
                instance,
                window,
                may_enter=not self._only_scanned or self._scans.get(symbol, (end, False))[1],
                expires_at=expires_from + instance.lifetime,
                job_run_id=run_id,
            )
        except Exception:  # noqa: BLE001 - a strategy is its author's code: whatever it raises, the others go on
            FAILURES.labels(instance.name).inc()
            _log.exception("strategy failed", strategy=instance.name, symbol=symbol)
            return None, f"{instance.name} failed on {symbol}"
        return intent, None

    def _envelopes(self, intents: Sequence[OrderIntent | None]) -> list[Envelope[Any]]:
        """Intents follow from their bars, so that a repeated evaluation says the same with the same ids."""
        envelopes: list[Envelope[Any]] = []
        for intent in intents:
            if intent is not None:
                INTENTS.labels(intent.strategy, intent.purpose).inc()
                key = f"{intent.strategy}:{intent.purpose}"
                cause = bar_envelope(intent.bar)
                time = self._clock.now()
                envelopes.append(follow(cause, intent, source=SOURCE, time=time, subject=intent.symbol, key=key))
        return envelopes


def bar_envelope(bar: Bar) -> Envelope[Bar]:
    """The envelope in which marketdata published this bar; its id is made of the bar's key alone."""
    return originate(bar, source="marketdata", time=bar.end, subject=bar.symbol, key=bar.key)


def previous_close(time: datetime) -> datetime:
    """The close of the last session before the date (New York) of `time`, UTC."""
    today = time.astimezone(NEW_YORK).date()
    before = sessions(today - timedelta(days=LOOK_BACK_DAYS), today - timedelta(days=1))
    hours = session_hours(before[-1])
    assert hours is not None  # noqa: S101 - it is a session
    return hours[1]
