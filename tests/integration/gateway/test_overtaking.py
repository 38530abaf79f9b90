"""Cancels overtake orders that wait, and changes wait while the link is uncertain."""

import asyncio
from decimal import Decimal
from typing import Any

from services.gateway.app import Gateway
from services.simulator.faults.effects import Link
from shared.messages.broker import (
    BrokerErrorReported,
    ErrorEffect,
)
from shared.messages.broker_commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
)
from shared.types import OrderStatus
from tests.integration.gateway.desk import Desk, last_report, order, until

BRACKET = ["order-1", "order-1.stop", "order-1.target"]
QUICK: dict[str, Any] = {"order_timeout_seconds": 0.3, "settle_seconds": 0.2}
S = OrderStatus


async def not_linked(desk: Desk, gateway: Gateway) -> None:
    """Cut IBKR off (1100): orders wait."""
    desk.simulator.faults.fire(Link(up=False))
    await until(lambda: not gateway.session.linked.is_set())


async def test_a_cancel_withdraws_an_order_that_waits(desk: Desk) -> None:
    async with desk.starting(port=1) as (gateway, _):  # nobody listens there
        desk.advance()
        await desk.command(order(desk.simulator, "first"))
        await desk.command(order(desk.simulator, "second"))
        await desk.command(order(desk.simulator, "third"))
        await desk.command(CancelOrder(order_ref="second"))
        await desk.command(CancelOrder(order_ref="third.target"))
        await until(lambda: last_report(desk, "second", S.CANCELLED))
        await until(lambda: last_report(desk, "second.stop", S.CANCELLED))
        await until(lambda: last_report(desk, "third.target", S.CANCELLED))
        assert not gateway.session.ready.is_set()
    async with desk.gateway() as gateway:
        await desk.settled(gateway)
        assert desk.at_broker() == ["first", "first.stop", "first.target", "third", "third.stop"]
        assert await desk.statuses("second") == [S.CANCELLED]


async def test_cancelling_all_withdraws_what_waits_and_cancels_what_works(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, "working", limit="100.00"))
        await desk.settled(gateway)
        gateway.session.ready.clear()  # not tradable, and linked
        await desk.command(order(desk.simulator, "waiting", limit="100.00"))
        await desk.command(CancelAllOrders())
        await desk.command(order(desk.simulator, "later", limit="100.00"))
        await until(lambda: last_report(desk, "waiting", S.CANCELLED))
        await until(lambda: last_report(desk, "working", S.CANCELLED))
        gateway.session.ready.set()
        await desk.settled(gateway)
        assert desk.at_broker() == [
            "working", "working.stop", "working.target", "later", "later.stop", "later.target"
        ]  # fmt: skip


async def test_a_cancel_overtakes_orders_that_wait_for_the_message_budget(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, "working", limit="100.00"))
        await desk.settled(gateway)
    async with desk.gateway(requests_per_second=10) as gateway:
        for number in range(6):
            await desk.command(order(desk.simulator, f"order-{number}", limit="100.00"))
        await desk.command(CancelOrder(order_ref="working"))
        await desk.command(CancelOrder(order_ref="order-5"))
        await until(lambda: last_report(desk, "order-5", S.CANCELLED))
        await until(lambda: last_report(desk, "working", S.CANCELLED))
        assert "order-4" not in desk.at_broker(), "they still wait"
        await desk.settled(gateway)
        assert [ref for ref in desk.at_broker() if "." not in ref] == ["working", *(f"order-{n}" for n in range(5))]


async def test_a_cancel_of_an_order_that_was_sent_reaches_the_broker_after_it(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        for number in range(10):
            await desk.command(order(desk.simulator, f"order-{number}", limit="100.00"))
            await desk.command(CancelOrder(order_ref=f"order-{number}"))
        await desk.settled(gateway)
        for number in range(10):
            assert (await desk.statuses(f"order-{number}"))[-1] is S.CANCELLED
        assert desk.simulator.engine.book.live() == []
        errors = [event.data for event in await desk.events(BrokerErrorReported)]
        assert [error for error in errors if error.effect is ErrorEffect.UNKNOWN] == []


async def test_a_change_waits_while_the_link_is_uncertain(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, limit="100.00"))
        await desk.settled(gateway)
        await not_linked(desk, gateway)
        await desk.command(ModifyOrder(order_ref="order-1", limit_price=Decimal("100.50")))
        await desk.command(order(desk.simulator, "order-2", limit="100.00"))
        await asyncio.sleep(0.2)  # that nothing happens takes time to see
        assert desk.at_broker("modify") == []
        desk.simulator.faults.clear()
        await until(gateway.session.ready.is_set)
        await desk.settled(gateway)
        assert desk.at_broker("modify") == ["order-1"]
        assert "order-2" in desk.at_broker()
