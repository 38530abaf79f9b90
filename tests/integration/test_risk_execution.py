"""Risk and execution as they run, with real Redis and PostgreSQL; the test plays strategy, gateway and trader."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from services.execution import app as execution
from services.execution.config import Settings as ExecutionSettings
from services.risk import app as risk
from services.risk.config import Settings as RiskSettings
from shared.bus import Bus
from shared.clock import MessageClock
from shared.config import Common
from shared.messages.base import Envelope, Message, follow, originate
from shared.messages.broker import (
    AccountValues,
    BrokerPosition,
    BrokerSnapshot,
    CommissionReported,
    ExecutionReported,
    OrderReported,
)
from shared.messages.broker_commands import ModifyOrder, OrderTerms, RequestSnapshot, SubmitOrder
from shared.messages.control import Flatten, Halt, Resume
from shared.messages.market import Bar, Quote, QuoteBatch
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import OrderStatus, QuoteQuality, Side, Timeframe

NOW = datetime(2012, 6, 1, 13, 35, tzinfo=UTC)  # Friday 09:35 in New York
ACCOUNT = AccountValues(
    account="DU1", net_liquidation=Decimal(1_000_000), cash=Decimal(1_000_000), buying_power=Decimal(4_000_000)
)
BAR = Bar(
    symbol="AAPL",
    timeframe=Timeframe.DAY,
    start=NOW - timedelta(days=1),
    end=NOW - timedelta(hours=17),
    open=Decimal(560),
    high=Decimal(570),
    low=Decimal(550),
    close=Decimal(565),
    volume=Decimal(1_000_000),
)
QUOTE = Quote(
    symbol="AAPL",
    bid=Decimal("565.00"),
    ask=Decimal("565.02"),
    last=Decimal("565.01"),
    bid_size=Decimal(100),
    ask_size=Decimal(100),
    volume=Decimal(1),
    time=NOW,
    quality=QuoteQuality.LIVE,
)
INTENT = OrderIntent(
    strategy="crossover",
    symbol="AAPL",
    purpose=Purpose.ENTER,
    side=Side.BUY,
    score=1.0,
    reason="crossed above",
    stop_distance=Decimal(20),
    target_distance=Decimal(40),
    bar=BAR,
    expires_at=NOW + timedelta(minutes=5),
    job_run_id=None,
)


@dataclass
class World:
    """Everything around the two services."""

    common: Common
    held: Decimal = Decimal(0)  # shares of AAPL in the account

    def bus(self, service: str) -> Bus:
        return Bus(self.common.redis_url, service=service, consumer="test", clock=MessageClock())

    async def say(self, service: str, data: Message, key: str, cause: Envelope[Any] | None = None) -> None:
        bus = self.bus(service)
        made = (
            follow(cause, data, source=service, time=NOW, subject="AAPL", key=key)
            if cause
            else originate(data, source=service, time=NOW, subject="AAPL", key=key)
        )
        await bus.publish([made])
        await bus.close()

    async def heard(self, stream: str, kind: type[Message], count: int = 1) -> list[Envelope[Any]]:
        """The messages of one type on a stream, once there are at least `count`."""
        bus = self.bus("test")
        try:
            async with asyncio.timeout(20):
                while True:
                    found = [item for item in await bus.tail(stream, 1000) if isinstance(item.data, kind)]
                    if len(found) >= count:
                        return found
                    await asyncio.sleep(0.02)
        finally:
            await bus.close()

    async def rows(self, query: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
        async with asyncio.timeout(20):
            while True:
                async with await psycopg.AsyncConnection.connect(self.common.database_url) as connection:
                    rows = await (await connection.execute(query.encode())).fetchall()
                if enough(rows):
                    return rows
                await asyncio.sleep(0.02)

    async def answer_snapshots(self, stop: asyncio.Event) -> None:
        """What a gateway does with every RequestSnapshot."""
        gateway = self.bus("gateway")

        async def handle(command: Envelope[Any]) -> list[Envelope[Any]]:
            if not isinstance(command.data, RequestSnapshot):
                return []
            held = BrokerPosition(symbol="AAPL", quantity=self.held, average_cost=Decimal(565))
            answer = BrokerSnapshot(
                request_id=command.id,
                account=ACCOUNT,
                positions=(held,) if self.held else (),
                orders=(),
                executions=(),
                commissions=(),
            )
            return [follow(command, answer, source="gateway", time=NOW, subject="account")]

        gateway.subscribe("broker.commands", handle)
        await gateway.open()
        await gateway.run(stop)
        await gateway.close()


@asynccontextmanager
async def running(*runs: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.ensure_future(run(stop)) for run in runs]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
def world(common: Common) -> World:
    return World(common)


@asynccontextmanager
async def both(world: World, **risk_settings: object) -> AsyncIterator[None]:
    the_risk = risk.build(RiskSettings.model_validate(risk_settings), world.common)
    the_execution = execution.build(ExecutionSettings(snapshot_patience_seconds=30), world.common)
    async with running(world.answer_snapshots, the_execution.run, the_risk.run):
        async with asyncio.timeout(20):
            for ready in (the_risk.ready, the_execution.ready):
                while await reason(ready):  # noqa: ASYNC110 - a service tells when it is asked
                    await asyncio.sleep(0.02)
        assert await world.rows("SELECT state FROM trading_state", bool) == [("ACTIVE",)]
        yield


async def reason(ready: Callable[[], Awaitable[str | None]]) -> str | None:
    try:
        return await ready()
    except RuntimeError as error:  # the store is not open yet
        return str(error)


async def test_an_intent_becomes_one_bracket_and_its_fills_become_a_position(world: World) -> None:
    async with both(world):
        await world.say("gateway", QuoteBatch(quotes=(QUOTE,)), "q1")
        await world.say("strategy", INTENT, "i1")
        await world.say("strategy", INTENT, "i1")  # a redelivery
        (submit,) = await world.heard("broker.commands", SubmitOrder)
        order, *children = submit.data.orders
        assert [child.parent for child in children] == [order.order_ref] * 2
        assert (order.quantity, order.limit_price) == (Decimal(250), Decimal("565.02"))
        orders = await world.rows("SELECT order_ref, status FROM orders ORDER BY 1", lambda rows: len(rows) == 3)
        assert {status for _, status in orders} == {"INTENT"}
        fill = ExecutionReported(
            execution_id="e1",
            order_ref=order.order_ref,
            symbol="AAPL",
            side=Side.BUY,
            quantity=Decimal(250),
            price=Decimal("565.02"),
            time=NOW,
            perm_id=1,
        )
        report = OrderReported(
            order_ref=order.order_ref,
            status=OrderStatus.FILLED,
            filled=Decimal(250),
            remaining=Decimal(0),
            average_price=Decimal("565.02"),
            limit_price=None,
            broker_order_id=1,
            perm_id=1,
        )
        for number in range(2):  # the broker repeats itself under other message ids
            await world.say("gateway", fill, f"e1:{number}")
            await world.say("gateway", report, f"r1:{number}")
            await world.say(
                "gateway", CommissionReported(execution_id="e1", commission=Decimal("1.25")), f"c1:{number}"
            )
        positions = await world.rows(
            "SELECT symbol, quantity, average_price, commissions FROM positions",
            lambda rows: bool(rows) and rows[0][3] > 0,
        )
        assert positions == [("AAPL", Decimal(250), Decimal("565.02"), Decimal("1.25"))]
    assert len(await world.heard("broker.commands", SubmitOrder)) == 1
    decisions = await world.rows("SELECT approved, order_id FROM decisions", bool)
    assert decisions == [(True, order.order_ref)]


async def test_halt_survives_a_restart_and_resume_arms_after_a_comparison(world: World) -> None:
    async with both(world):
        await world.say("cli", Halt(actor="trader", reason="storm"), "h1")
        await world.rows("SELECT state FROM trading_state", lambda rows: rows == [("HALTED",)])
    the_risk = risk.build(RiskSettings(), world.common)
    the_execution = execution.build(ExecutionSettings(snapshot_patience_seconds=30), world.common)
    async with running(world.answer_snapshots, the_execution.run, the_risk.run):
        await world.say("gateway", QuoteBatch(quotes=(QUOTE,)), "q1")
        await world.say("strategy", INTENT, "i1")
        await world.rows("SELECT code FROM decisions", lambda rows: rows == [("trading_state",)])
        await world.say("cli", Resume(actor="trader", reason="calm"), "r1")
        await world.rows("SELECT state FROM trading_state", lambda rows: rows == [("ACTIVE",)])


async def test_risk_remembers_open_trades_over_a_restart(world: World) -> None:
    async with both(world):
        await world.say("gateway", QuoteBatch(quotes=(QUOTE,)), "q1")
        await world.say("strategy", INTENT, "i1")
        await world.heard("broker.commands", SubmitOrder)
    async with both(world):
        await world.say("strategy", INTENT, "i2")
        codes = await world.rows(
            "SELECT code FROM decisions ORDER BY decided_at, code NULLS FIRST", lambda r: len(r) == 2
        )
        assert codes == [(None,), ("duplicate_intent",)]


async def test_a_position_without_a_stop_is_closed_by_an_exit_of_its_own_over_a_restart(world: World) -> None:
    bare = INTENT.model_copy(update={"stop_distance": None, "target_distance": None, "quantity": Decimal(100)})
    leave = bare.model_copy(update={"purpose": Purpose.EXIT, "side": Side.SELL, "quantity": None})
    async with both(world):
        await world.say("gateway", QuoteBatch(quotes=(QUOTE,)), "q1")
        await world.say("strategy", bare, "i1")
        await world.rows("SELECT code FROM decisions", lambda rows: rows == [("stop_loss",)])
    async with both(world, require_stop=False):
        await world.say("strategy", bare, "i2")
        (submit,) = await world.heard("broker.commands", SubmitOrder)
        (entry,) = submit.data.orders
        assert entry.quantity == 100
        await fill(world, entry.order_ref, Side.BUY)
        await world.rows("SELECT quantity FROM positions", lambda rows: rows == [(Decimal(100),)])
    async with both(world, require_stop=False):
        await world.say("strategy", leave, "i3")
        submit = (await world.heard("broker.commands", SubmitOrder, 2))[-1]
        (out,) = submit.data.orders
        assert (out.order_ref, out.side, out.quantity) == (f"{entry.order_ref}.exit", Side.SELL, Decimal(100))
        await world.rows("SELECT leg, status FROM orders ORDER BY 1", lambda rows: ("exit", "INTENT") in rows)
        await fill(world, out.order_ref, Side.SELL)
        await world.rows("SELECT quantity FROM positions", lambda rows: rows == [(Decimal(0),)])
        await world.rows("SELECT leg, status FROM orders", lambda rows: ("exit", "FILLED") in rows)
    async with both(world, require_stop=False):  # risk reads in the tables that the trade is done
        await world.say("strategy", leave, "i4")
        await world.rows("SELECT code FROM decisions", lambda rows: ("no_position",) in rows)


async def fill(world: World, order_ref: str, side: Side) -> None:
    """The broker fills 100 shares of an order."""
    price, whole = Decimal("565.02"), Decimal(100)
    world.held += whole * side.sign
    await world.say(
        "gateway",
        ExecutionReported(
            execution_id=order_ref, order_ref=order_ref, symbol="AAPL", side=side, quantity=whole, price=price,
            time=NOW, perm_id=1,
        ),
        f"e:{order_ref}",
    )  # fmt: skip
    await world.say(
        "gateway",
        OrderReported(
            order_ref=order_ref, status=OrderStatus.FILLED, filled=whole, remaining=Decimal(0), average_price=price,
            limit_price=None, broker_order_id=1, perm_id=1,
        ),
        f"r:{order_ref}",
    )  # fmt: skip


def reported(order: OrderTerms, status: OrderStatus, filled: int) -> OrderReported:
    return OrderReported(
        order_ref=order.order_ref,
        status=status,
        filled=Decimal(filled),
        remaining=order.quantity - filled,
        average_price=Decimal("565.02") if filled else None,
        limit_price=None,
        broker_order_id=1,
        perm_id=1,
    )


async def bought(world: World, shares: int) -> Sequence[OrderTerms]:
    """Enter, and have so many shares filled; returns entry, stop and target."""
    await world.say("gateway", QuoteBatch(quotes=(QUOTE,)), "q1")
    await world.say("strategy", INTENT, "i1")
    (submit,) = await world.heard("broker.commands", SubmitOrder)
    orders = submit.data.orders
    for order in orders:
        await world.say("gateway", reported(order, OrderStatus.SUBMITTED, 0), f"sent:{order.order_ref}")
    fill = ExecutionReported(
        execution_id="e1",
        order_ref=orders[0].order_ref,
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(shares),
        price=Decimal("565.02"),
        time=NOW,
        perm_id=1,
    )
    await world.say("gateway", fill, "e1")
    world.held = Decimal(shares)
    return orders


@pytest.mark.parametrize("target_goes", ["before the stop", "while it is moved"])
async def test_a_half_filled_entry_that_loses_its_stop_is_sold_without_a_person(world: World, target_goes: str) -> None:
    async with both(world):
        entry, stop, target = await bought(world, 100)
        await world.say("gateway", reported(entry, OrderStatus.CANCELLED, 100), "half")
        if target_goes == "before the stop":
            await world.say("gateway", reported(target, OrderStatus.CANCELLED, 0), "target gone")
        await world.say("gateway", reported(stop, OrderStatus.CANCELLED, 0), "stop gone")
        if target_goes == "while it is moved":
            await world.heard("broker.commands", ModifyOrder)
            await world.say("gateway", reported(target, OrderStatus.CANCELLED, 0), "target gone")
        _, submit = await world.heard("broker.commands", SubmitOrder, 2)
        (leave,) = submit.data.orders
        assert (leave.order_ref, leave.side, leave.quantity) == (f"{entry.order_ref}.exit", Side.SELL, Decimal(100))
        assert await world.rows("SELECT state FROM trading_state", bool) == [("DISABLED",)]


async def test_flatten_closes_the_position_by_its_target_and_halts(world: World) -> None:
    async with both(world):
        entry, _, target = await bought(world, 250)
        await world.say("gateway", reported(entry, OrderStatus.FILLED, 250), "whole")
        await world.rows("SELECT filled FROM orders WHERE leg = 'entry'", lambda rows: rows == [(Decimal(250),)])
        await world.say("cli", Flatten(actor="trader", reason="storm"), "f1")
        (move,) = await world.heard("broker.commands", ModifyOrder)
        assert (move.data.order_ref, move.data.limit_price) == (target.order_ref, Decimal("562.17"))
        assert await world.rows("SELECT state FROM trading_state", bool) == [("HALTED",)]
