"""A message that can't be read: the gateway asks for everything again, and goes on."""

from decimal import Decimal

from services.gateway.core.error_codes import UNDECODABLE
from services.simulator.faults.model import Script
from shared.messages.broker import BrokerErrorReported, BrokerSnapshot
from shared.types import OrderStatus
from tests.integration.gateway.desk import OPEN, Desk, order, until


async def test_an_unreadable_status_is_asked_for_again(desk: Desk) -> None:
    desk.advance(OPEN)
    unreadable = {"effect": "replace", "fields": {"filled": "many"}}
    rule = {"when": {"sends": "orderStatus", "order_ref": "order-1", "times": 2}, "do": [unreadable]}
    async with desk.gateway() as gateway:
        await desk.settled(gateway)
        snapshots = len(await desk.events(BrokerSnapshot))
        desk.simulator.faults.add(Script.model_validate({"rule": [rule]}))
        await desk.command(order(desk.simulator, limit="1"))

        async def told() -> bool:
            return (await desk.statuses("order-1"))[-1:] == [OrderStatus.SUBMITTED]

        await until(told)
        await until(lambda: gateway.session.ready.is_set())
        errors = [event.data for event in await desk.events(BrokerErrorReported)]
        assert UNDECODABLE in [error.code for error in errors]
        assert len(await desk.events(BrokerSnapshot)) > snapshots
        assert desk.at_broker() == ["order-1", "order-1.stop", "order-1.target"]
        assert Decimal(0) == sum(one.shares for one in desk.simulator.engine.executions)
