"""Halt, flatten and a lost stop: risk and execution as they run; the test plays strategy, gateway and trader."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from services.execution import app as execution
from services.execution.config import Settings as ExecutionSettings
from services.risk import app as risk
from services.risk.config import Settings as RiskSettings
from shared.config import Common
from shared.messages.broker import ExecutionReported, OrderReported
from shared.messages.broker_commands import ModifyOrder, OrderTerms, SubmitOrder
from shared.messages.control import Flatten, Halt, Resume
from shared.messages.market import QuoteBatch
from shared.types import OrderStatus, Side
from tests.integration.risk_world import INTENT, NOW, QUOTE, World, both, running


@pytest.fixture
def world(common: Common) -> World:
    return World(common)


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
