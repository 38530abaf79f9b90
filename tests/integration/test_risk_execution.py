"""Risk and execution as they run, with real Redis and PostgreSQL; the test plays strategy, gateway and trader."""

from decimal import Decimal

import pytest

from shared.config import Common
from shared.messages.broker import CommissionReported, ExecutionReported, OrderReported
from shared.messages.broker_commands import SubmitOrder
from shared.messages.market import QuoteBatch
from shared.messages.strategy import Purpose
from shared.types import OrderStatus, Side
from tests.integration.risk_world import INTENT, NOW, QUOTE, World, both


@pytest.fixture
def world(common: Common) -> World:
    return World(common)


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
