"""Risk, put together."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from starlette.routing import BaseRoute

from services.risk.config import Settings
from services.risk.core.judge import Judge
from services.risk.core.spreads import Package, package_of
from services.risk.core.trade import Equity, Trade
from services.risk.handlers import SOURCE, Handlers, trading_state_row
from shared.bus import Bus
from shared.clock import clock_for
from shared.config import Common
from shared.db import tables
from shared.db.engine import engine, read_all
from shared.db.store import Row, Store
from shared.messages.base import originate
from shared.messages.broker_commands import NetPrice
from shared.messages.order import Reconcile
from shared.messages.risk import TradingStateChanged
from shared.messages.strategy import OrderIntent, Purpose
from shared.quotes import QuoteBoard
from shared.transactor import Effects, Transactor
from shared.types import Leg, OrderStatus, Side, TradingState


def load_judge(settings: Settings, database_url: str) -> Judge:
    """The judge as the database has it: HALTED stays, anything else begins DISABLED."""
    database = engine(database_url)
    with database.connect() as connection:
        equities = read_all(connection, tables.risk_account, Equity)
        stored = connection.execute(sa.select(tables.trading_state.c.state)).scalar()
        decisions = connection.execute(
            sa.select(tables.decisions)
            .where(tables.decisions.c.approved, tables.decisions.c.order_id.is_not(None))
            .order_by(tables.decisions.c.decided_at)
        ).mappings()
        legs = connection.execute(sa.select(tables.orders)).mappings()
        trades = open_trades([dict(row) for row in decisions], [dict(row) for row in legs])
    database.dispose()
    state = TradingState.HALTED if stored == TradingState.HALTED else TradingState.DISABLED
    return Judge(settings, state, equities[0] if equities else None, trades)


def open_trades(decisions: list[dict[str, Any]], legs: list[dict[str, Any]]) -> dict[str, Trade]:
    """Approved orders that are not done, from our decisions and execution's orders."""
    entries = {row["order_id"]: row for row in legs if row["leg"] == Leg.ENTRY}
    closed: dict[str, dict[str, Decimal]] = {}
    for row in legs:
        if row["leg"] != Leg.ENTRY:
            closed.setdefault(row["order_id"], {})[row["order_ref"]] = row["filled"]
    trades: dict[str, Trade] = {}
    for row in decisions:
        order_id = row["order_id"]
        if row["intent"]["purpose"] == Purpose.ENTER:
            side = Side(row["intent"]["side"])
            package = _package(row) if row["intent"].get("legs") else None
            trade = Trade(order_id, row["strategy"], row["symbol"], side, row["decided_at"], package=package)
            if entry := entries.get(order_id):
                trade.entry_status, trade.filled = OrderStatus(entry["status"]), entry["filled"]
                trade.closed = closed.get(order_id, {})
            if not trade.done:
                trades[order_id] = trade
        elif order_id in trades:
            trades[order_id].closing = row["intent"]["reason"]
    return trades


def _package(decision: dict[str, Any]) -> Package:
    """The combination that an approved intent ordered."""
    intent = OrderIntent.model_validate(decision["intent"])
    limit = NetPrice.model_validate(decision["placed"]["net_price"])
    return package_of(intent, limit.signed(intent.side))


class Risk:
    routes: Sequence[BaseRoute] = ()

    def __init__(self, settings: Settings, common: Common) -> None:
        self._settings = settings
        self._common = common
        self._clock = clock_for(common.mode)
        self._bus = Bus(common.redis_url, service=SOURCE, consumer=common.consumer, clock=self._clock)
        self._transactor = Transactor(self._bus, Store(common.database_url, SOURCE))
        self._reconciled = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        await self._transactor.open()
        judge = load_judge(self._settings, self._common.database_url)
        handlers = Handlers(judge, QuoteBoard(self._bus), self._clock, self._reconciled)
        self._transactor.subscribe("order.events", handlers.on_order_event)
        self._transactor.subscribe("control.commands", handlers.on_control)
        # Intents and exits wait until our view of orders and account is the broker's.
        self._transactor.subscribe("strategy.signals", handlers.on_signal, gate=self._reconciled)
        self._transactor.subscribe("job.commands", handlers.on_job, gate=self._reconciled)
        await self._begin(judge.state)
        try:
            await self._transactor.run(stop)
        finally:
            await self._transactor.close()

    async def _begin(self, state: TradingState) -> None:
        """Write down that we are not armed, and ask for the comparison that arms us."""
        rows: list[Row] = []
        if state is not TradingState.HALTED:
            started = TradingStateChanged(state=state, previous=state, reason="started", actor=SOURCE)
            rows.append(trading_state_row(started, self._clock))
        request = originate(
            Reconcile(), source=SOURCE, time=self._clock.now(), subject="account", key=f"start:{uuid4()}"
        )
        await self._transactor.perform(Effects(rows, [request]))

    async def ready(self) -> str | None:
        await self._transactor.check()
        return None if self._reconciled.is_set() else "waiting for the first reconciliation"


def build(settings: Settings, common: Common) -> Risk:
    return Risk(settings, common)
