"""Streams -> judge -> rows and messages."""

import asyncio
import time
from typing import Any

from services.risk.core.judge import Judge, Verdict
from shared.calendar import NEW_YORK, is_open
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.base import Envelope, Message, follow
from shared.messages.control import Flatten, Halt, Resume
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.order import OrderChanged, Reconciled
from shared.messages.risk import TradingStateChanged
from shared.messages.strategy import OrderIntent
from shared.quotes import QuoteBoard
from shared.transactor import NOTHING, Effects

SOURCE = "risk"


def trading_state_row(change: TradingStateChanged, clock: Clock) -> Row:
    return Row(
        tables.trading_state,
        {
            "scope": "account",
            "state": change.state,
            "reason": change.reason,
            "actor": change.actor,
            "changed_at": clock.now(),
        },
    )


class Handlers:
    def __init__(self, judge: Judge, board: QuoteBoard, clock: Clock, reconciled: asyncio.Event) -> None:
        self._judge = judge
        self._board = board
        self._clock = clock
        self._reconciled = reconciled  # set once the books were compared with the broker's since the start

    async def on_signal(self, signal: Envelope[OrderIntent]) -> Effects:
        quotes = await self._board.catch_up()  # never older than what led to the intent
        now = self._clock.now()
        verdict, messages = self._judge.judge(signal.id, signal.data, quotes, now, market_open=is_open(now))
        return self._effects(signal, messages, [self._decision(verdict)])

    async def on_order_event(self, event: Envelope[Any]) -> Effects:
        match event.data:
            case OrderChanged():
                return self._effects(event, self._judge.order_changed(event.data, self._board.quotes))
            case Reconciled():
                now = self._clock.now()
                session = now.astimezone(NEW_YORK).date().isoformat()
                quotes = await self._board.catch_up() if event.data.breaks else {}
                messages = self._judge.reconciled(event.data, session, now, quotes)
                self._reconciled.set()
                return self._effects(event, messages, [self._equity()])
            case _:
                pass
        return NOTHING

    async def on_control(self, command: Envelope[Any]) -> Effects:
        match command.data:
            case Halt(actor=actor, reason=reason):
                return self._effects(command, self._judge.halt(actor, reason))
            case Flatten(actor=actor, reason=reason):
                quotes = await self._board.catch_up()
                return self._effects(command, self._judge.flatten(actor, reason, quotes))
            case Resume(actor=actor, reason=reason):
                return self._effects(command, self._judge.resume(actor, reason))
            case _:
                return NOTHING

    async def on_job(self, run: Envelope[RunJob]) -> Effects:
        if run.data.job is not Job.CHECK_EXITS:
            return NOTHING
        began = time.perf_counter()
        quotes = await self._board.catch_up()
        messages = self._judge.check_exits(quotes, self._clock.now())
        finished = JobFinished(
            run_id=run.id,
            job=run.data.job,
            outcome=JobOutcome.SUCCEEDED,
            detail=f"{len(messages)} exits",
            duration_seconds=time.perf_counter() - began,
        )
        return self._effects(run, [*messages, finished])

    def _effects(self, cause: Envelope[Any], messages: list[Message], rows: list[Row] | None = None) -> Effects:
        rows = rows or []
        rows += [trading_state_row(item, self._clock) for item in messages if isinstance(item, TradingStateChanged)]
        return Effects(rows, [self._envelope(cause, message) for message in messages])

    def _envelope(self, cause: Envelope[Any], message: Message) -> Envelope[Any]:
        subject = str(getattr(message, "symbol", "") or getattr(message, "order_id", "") or "account")
        key = str(getattr(message, "order_id", ""))
        return follow(cause, message, source=SOURCE, time=self._clock.now(), subject=subject, key=key)

    def _decision(self, verdict: Verdict) -> Row:
        return Row(
            tables.decisions,
            {
                "intent_id": verdict.intent_id,
                "strategy": verdict.intent.strategy,
                "symbol": verdict.intent.symbol,
                "approved": verdict.approved,
                "code": verdict.code,
                "order_id": verdict.order_id,
                "intent": verdict.intent.model_dump(mode="json"),
                "checks": [check.model_dump(mode="json") for check in verdict.checks],
                "placed": verdict.placed.model_dump(mode="json") if verdict.placed else None,
                "decided_at": self._clock.now(),
            },
        )

    def _equity(self) -> Row:
        equity = self._judge.equity
        assert equity is not None  # noqa: S101 - called after a reconciliation
        return Row(
            tables.risk_account,
            {
                "account": equity.account,
                "net_liquidation": equity.net_liquidation,
                "session": equity.session,
                "session_open_value": equity.session_open_value,
                "reported_at": equity.reported_at,
            },
        )
