"""Streams -> books -> rows and messages."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from services.execution.core.books import Books
from services.execution.core.change import Change
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.base import Envelope, Message, follow
from shared.messages.broker import BrokerSnapshot, CommissionReported, ExecutionReported, OrderReported
from shared.messages.broker_commands import RequestSnapshot
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.order import CancelEntry, ClosePosition, PlaceOrder, Reconcile, Reconciled
from shared.transactor import NOTHING, Effects

SOURCE = "execution"
JOB_KEY = "job"  # marks the snapshot requests that a job made


class Handlers:
    def __init__(self, books: Books, clock: Clock, on_snapshot: Callable[[], None]) -> None:
        self._books = books
        self._clock = clock
        self._on_snapshot = on_snapshot
        self._job_began: dict[UUID, float] = {}

    async def on_order_command(self, command: Envelope[Any]) -> Effects:
        now = self._clock.now()
        match command.data:
            case PlaceOrder():
                change = self._books.place(command.data, now)
            case ClosePosition():
                change = self._books.close(command.data, now)
            case CancelEntry():
                change = self._books.cancel_entry(command.data)
            case Reconcile():
                change = Change()
                change.say(RequestSnapshot(), "")
            case _:
                return NOTHING
        return self._effects(command, change)

    async def on_broker_event(self, event: Envelope[Any]) -> Effects:
        now = self._clock.now()
        match event.data:
            case OrderReported():
                change = self._books.report_order(event.data, now)
            case ExecutionReported():
                change = self._books.report_execution(event.data, now)
            case CommissionReported():
                change = self._books.report_commission(event.data, now)
            case BrokerSnapshot():
                change = self._books.report_snapshot(event.data, now)
                self._on_snapshot()
                self._finish_job(event, change)
            case _:
                return NOTHING
        return self._effects(event, change)

    async def on_job(self, run: Envelope[RunJob]) -> Effects:
        if run.data.job is not Job.SYNC_POSITIONS:
            return NOTHING
        self._job_began[run.id] = time.perf_counter()
        change = Change()
        change.say(RequestSnapshot(), JOB_KEY)
        return self._effects(run, change)

    def _finish_job(self, event: Envelope[BrokerSnapshot], change: Change) -> None:
        run_id = event.correlationid
        if event.data.request_id != uuid5(run_id, f"{SOURCE}:{RequestSnapshot.__name__}:{JOB_KEY}"):
            return  # nobody's job asked for this snapshot
        breaks = next(message.breaks for message, _ in change.messages if isinstance(message, Reconciled))
        change.say(
            JobFinished(
                run_id=run_id,
                job=Job.SYNC_POSITIONS,
                outcome=JobOutcome.FAILED if breaks else JobOutcome.SUCCEEDED,
                detail="; ".join(f"{item.subject}: ours {item.ours}, broker {item.broker}" for item in breaks),
                duration_seconds=time.perf_counter() - self._job_began.pop(run_id, time.perf_counter()),
            ),
            "",
        )

    def _effects(self, cause: Envelope[Any], change: Change) -> Effects:
        rows = [Row(tables.orders, order._asdict()) for order in change.orders.values()]
        rows += [Row(tables.fills, fill._asdict()) for fill in change.fills.values()]
        rows += [Row(tables.positions, position._asdict()) for position in change.positions.values()]
        if change.account is not None:
            rows.append(Row(tables.accounts, change.account._asdict()))
        return Effects(rows, [self._envelope(cause, message, key) for message, key in change.messages])

    def _envelope(self, cause: Envelope[Any], message: Message, key: str) -> Envelope[Any]:
        subject = str(getattr(message, "symbol", "") or getattr(message, "order_ref", "") or "account")
        return follow(cause, message, source=SOURCE, time=self._clock.now(), subject=subject, key=key)
