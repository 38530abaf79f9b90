"""Bars, scans and due evaluations -> intents."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from services.strategy.core.confluence import Blocked, Confluence, Readings
from services.strategy.core.host import SOURCE, Instance, Windows, evaluate, intent_envelope, previous_close
from shared.clock import Clock
from shared.messages.base import Envelope, follow
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.market import Bar
from shared.messages.scan import ShardScanned
from shared.messages.sentiment import SentimentReading
from shared.messages.strategy import OrderIntent
from shared.types import Timeframe

READINGS_KEPT = 20  # of each symbol and component: a redelivered evaluation scores as the first one did
INTENTS = Counter("millrace_intents_total", "Order intents published", ["strategy", "purpose"])
BLOCKED = Counter("millrace_entries_blocked_total", "Entry signals that their score kept back", ["strategy", "code"])
FAILURES = Counter("millrace_strategy_failures_total", "Evaluations that the strategy itself failed", ["strategy"])
_log = structlog.get_logger()


class Handlers:
    """Remembers bars, the newest scan of each symbol and readings; all are rebuilt at the start from table and stream.

    A strategy that raises is evaluated again next time. `disabled` names instances that could not start, and why.
    """

    def __init__(
        self,
        instances: Sequence[Instance],
        windows: Windows,
        clock: Clock,
        *,
        only_scanned: bool,
        confluence: Confluence,
        disabled: Mapping[str, str],
    ) -> None:
        self._instances = instances
        self._windows = windows
        self._clock = clock
        self._only_scanned = only_scanned
        self._confluence = confluence
        self._disabled = [f"{name} is disabled: {reason}" for name, reason in disabled.items()]
        self._scans: dict[str, tuple[datetime, bool]] = {}  # symbol -> when scanned, whether kept
        self._readings = Readings(READINGS_KEPT)

    async def on_bar(self, envelope: Envelope[Bar]) -> Sequence[Envelope[Any]]:
        """Intraday strategies act at once; daily ones wait for their job."""
        bar = envelope.data
        self._windows.add(bar)
        if bar.timeframe is Timeframe.DAY:
            return ()
        at_work = [i for i in self._instances if i.timeframe is bar.timeframe and bar.symbol in i.symbols]
        intents = [self._evaluate(i, bar.symbol, bar.end, at=bar.end, run_id=None)[0] for i in at_work]
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

    async def on_reading(self, envelope: Envelope[SentimentReading]) -> Sequence[Envelope[Any]]:
        self.hear(envelope)
        return ()

    def hear(self, reading: Envelope[SentimentReading]) -> None:
        """Remember a reading."""
        self._readings.add(reading.data)

    async def on_job(self, run: Envelope[RunJob]) -> Sequence[Envelope[Any]]:
        """Evaluate the daily strategies on bars through the session before the run's."""
        if run.data.job is not Job.EVALUATE_STRATEGIES:
            return ()
        began = time.perf_counter()
        end = previous_close(run.data.scheduled_for)
        results = [
            self._evaluate(instance, symbol, end, at=run.data.scheduled_for, run_id=run.id)
            for instance in self._instances
            if instance.timeframe is Timeframe.DAY
            for symbol in instance.symbols
        ]
        intents = self._envelopes([intent for intent, _ in results])
        problems = [*self._disabled, *(problem for _, problem in results if problem is not None)]
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
        self, instance: Instance, symbol: str, end: datetime, *, at: datetime, run_id: UUID | None
    ) -> tuple[OrderIntent | None, str | None]:
        """The intent, if there is one, and what stood in the way of an evaluation."""
        window = self._windows.until(symbol, instance.timeframe, end)
        if not window or window[-1].end != end:
            _log.warning("no evaluation without the newest bar", strategy=instance.name, symbol=symbol, wanted=end)
            return None, f"no bar of {end:%Y-%m-%d} for {symbol}"
        try:
            wanted = evaluate(
                instance,
                window,
                may_enter=not self._only_scanned or self._scans.get(symbol, (end, False))[1],
                confluence=self._confluence,
                readings=self._readings,
                at=at,
                job_run_id=run_id,
            )
        except Exception:  # noqa: BLE001 - a strategy is its author's code: whatever it raises, the others go on
            FAILURES.labels(instance.name).inc()
            _log.exception("strategy failed", strategy=instance.name, symbol=symbol)
            return None, f"{instance.name} failed on {symbol}"
        if isinstance(wanted, Blocked):
            BLOCKED.labels(instance.name, wanted.code).inc()
            _log.info("entry blocked", strategy=instance.name, symbol=symbol, code=wanted.code, reason=wanted.reason)
            return None, None
        return wanted, None

    def _envelopes(self, intents: Sequence[OrderIntent | None]) -> list[Envelope[Any]]:
        envelopes: list[Envelope[Any]] = []
        for intent in intents:
            if intent is not None:
                INTENTS.labels(intent.strategy, intent.purpose).inc()
                envelopes.append(intent_envelope(intent, self._clock.now()))
        return envelopes
