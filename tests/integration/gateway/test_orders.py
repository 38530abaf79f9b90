"""Order commands through the gateway: sent once, in order, overtaken by cancels, and never without a verdict."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.adapters.tws.orders import Orders
from services.gateway.ports import RequestRefused
from shared.messages.base import Envelope
from shared.messages.broker import (
    BrokerErrorReported,
    BrokerSnapshot,
    CommissionReported,
    ErrorEffect,
    ExecutionReported,
    OrderPreviewed,
    OrderReported,
)
from shared.messages.broker_commands import (
    CancelOrder,
    ModifyOrder,
    PreviewOrder,
    RequestSnapshot,
)
from shared.types import OrderStatus
from tests.integration.gateway.desk import DEADLINE_SECONDS, OPEN, Desk, order, until, verdicts

BRACKET = ["order-1", "order-1.stop", "order-1.target"]
QUICK: dict[str, Any] = {"order_timeout_seconds": 0.3, "settle_seconds": 0.2}
S = OrderStatus


async def test_a_bracket_is_submitted_once_though_delivered_twice(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        sent = await desk.command(order(desk.simulator))
        await desk.bus.publish([sent])
        await desk.command(order(desk.simulator))  # the same order in another message
        await desk.settled(gateway)
        assert desk.at_broker() == BRACKET
        assert (await desk.statuses("order-1"))[-1] is S.FILLED
        (fill,) = await desk.events(ExecutionReported)
        (commission,) = await desk.events(CommissionReported)
        assert (fill.data.order_ref, fill.data.quantity) == ("order-1", 100)
        assert commission.data.execution_id == fill.data.execution_id
        placed = {entry.order_ref: entry for entry in desk.simulator.engine.received}
        assert placed["order-1.stop"].order_type == "STP"
        assert placed["order-1.stop"].parent_ref == "order-1"
        assert placed["order-1.target"].time_in_force == "GTC"


@pytest.mark.parametrize("crash", ["before the send", "after the send"])
async def test_killed_around_the_send_leaves_one_order(desk: Desk, crash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.advance()
    submit = Orders.submit
    reached = asyncio.Event()

    async def submit_and_hang(self: Orders, *arguments: Any) -> None:
        if crash == "after the send":
            await submit(self, *arguments)
        reached.set()
        await asyncio.get_running_loop().create_future()

    killed = desk.make()
    with monkeypatch.context() as patch:
        patch.setattr(Orders, "submit", submit_and_hang)
        running = asyncio.create_task(killed.run(asyncio.Event()))
        await desk.command(order(desk.simulator, limit="100.00"))
        await asyncio.wait_for(reached.wait(), DEADLINE_SECONDS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    async with desk.gateway() as gateway:
        await desk.settled(gateway)
        assert desk.at_broker() == BRACKET
        newest = (await desk.events(BrokerSnapshot))[-1].data
        reported = {report.order_ref: report.status for report in newest.orders}
        assert ((await desk.statuses("order-1"))[-1:] or [reported.get("order-1")]) == [S.SUBMITTED]
        assert S.UNKNOWN not in await desk.statuses("order-1")


async def test_a_connection_lost_around_the_send_leaves_one_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = Orders.submit
    attempts: list[str] = []

    async def submit_and_drop(self: Orders, sent: Sequence[Any], *arguments: Any) -> None:
        attempts.append(sent[0].order_ref)
        if len(attempts) == 1:
            self._connection.disconnect()  # pyright: ignore[reportPrivateUsage] - the first never reaches the wire
        await submit(self, sent, *arguments)

    monkeypatch.setattr(Orders, "submit", submit_and_drop)
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, limit="100.00"))
        await desk.settled(gateway)
        assert len(attempts) == 2
        assert desk.at_broker() == BRACKET


async def test_an_expired_order_is_not_sent(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await gateway.session.beat()
        await desk.command(order(desk.simulator, expires_at=OPEN - timedelta(minutes=1)))
        await desk.settled(gateway)
        for order_ref in BRACKET:
            assert await desk.statuses(order_ref) == [S.EXPIRED]
        assert await verdicts(desk, ["never_sent"] * 3)
        assert desk.at_broker() == []


async def test_orders_are_changed_and_cancelled_after_a_restart(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, "kept", limit="100.00"))
        await desk.command(order(desk.simulator, "dropped", limit="101.00"))
        await desk.settled(gateway)
    async with desk.gateway() as gateway:
        await desk.command(ModifyOrder(order_ref="kept", limit_price=Decimal("102.50")))
        await desk.command(ModifyOrder(order_ref="kept.target", limit_price=Decimal("300.00")))
        await desk.command(CancelOrder(order_ref="dropped"))
        await desk.settled(gateway)
        refs = {entry.request.order_ref: entry for entry in desk.simulator.engine.book.orders.values()}
        kept, target = refs["kept"].request, refs["kept.target"].request
        assert (kept.limit_price, kept.quantity, kept.time_in_force) == (Decimal("102.50"), 100, "DAY")
        assert (target.limit_price, target.time_in_force, target.parent_id) == (300, "GTC", kept.order_id)
        assert target.action == "SELL"
        for order_ref in ("dropped", "dropped.stop"):
            assert (await desk.statuses(order_ref))[-1] is S.CANCELLED
        reports = [event.data for event in await desk.events(OrderReported) if event.data.order_ref == "kept"]
        assert reports[-1].limit_price == Decimal("102.50")
        assert [e.data for e in await desk.events(BrokerErrorReported) if e.data.order_ref == "kept"] == []


async def test_a_change_right_behind_its_order_waits_for_the_brokers_first_word(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, limit="100.00"))
        await desk.command(ModifyOrder(order_ref="order-1", limit_price=Decimal("100.50")))
        await desk.settled(gateway)
        assert [entry.what for entry in desk.simulator.engine.received] == ["place"] * 3 + ["modify"]
        assert desk.simulator.engine.received[-1].limit_price == Decimal("100.50")


async def test_a_change_of_an_order_that_is_done_or_unknown_is_answered(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        await desk.settled(gateway)
        filled = await desk.command(CancelOrder(order_ref="order-1"))
        unknown = await desk.command(ModifyOrder(order_ref="nobody", limit_price=Decimal(1)))
        nobody = await desk.command(CancelOrder(order_ref="nobody"))
        await desk.settled(gateway)
        answers = {event.causationid: event.data for event in await desk.events(OrderReported) if event.causationid}
        assert answers[filled.id].status is S.FILLED
        assert answers[unknown.id].status is answers[nobody.id].status is S.UNKNOWN
        assert desk.at_broker("cancel") == []


async def test_a_refused_order_is_reported_with_its_reason(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, quantity=Decimal(10_000_000)))
        await desk.settled(gateway)
        reports = [event.data for event in await desk.events(OrderReported) if event.data.order_ref == "order-1"]
        assert {report.status for report in reports} == {S.REJECTED}
        assert "201" in (reports[-1].reason or "")
        await until(lambda: verdicts(desk, ["answered"] * 3))


async def test_an_order_in_an_unknown_symbol_is_rejected_and_never_sent(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, symbol="NOSUCH"))
        await desk.settled(gateway)
        await desk.command(CancelOrder(order_ref="order-1.target"))  # what is said already stays said
        await desk.settled(gateway)
        for order_ref in BRACKET:
            assert await desk.statuses(order_ref) == [S.REJECTED]
        assert await verdicts(desk, ["never_sent"] * 3)
        assert desk.at_broker() == []


async def test_a_price_that_is_no_multiple_of_its_increment_is_refused_before_it_is_sent(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, "odd", limit="100.005"))
        await desk.command(order(desk.simulator, limit="100.00"))
        await desk.settled(gateway)
        await desk.command(ModifyOrder(order_ref="order-1", limit_price=Decimal("100.125")))
        await desk.settled(gateway)
        assert desk.at_broker() == BRACKET
        assert desk.at_broker("modify") == []
        assert await desk.statuses("odd.stop") == [S.REJECTED]
        reasons = {event.data.reason for event in await desk.events(OrderReported) if event.data.order_ref == "odd"}
        assert "odd: limit_price = 100.005" in (reasons.pop() or "")
        (error,) = [e for e in await desk.events(BrokerErrorReported) if e.data.order_ref]
        assert (error.data.effect, error.data.order_ref) == (ErrorEffect.STILL_ALIVE, "order-1")


async def test_an_order_that_can_not_be_expressed_is_rejected_after_its_claim(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise RequestRefused("this can't be ordered here")

    async with desk.gateway() as gateway:
        desk.advance()
        with monkeypatch.context() as patch:
            patch.setattr(Orders, "submit", refuse)
            await desk.command(order(desk.simulator))
            await desk.settled(gateway)
        for order_ref in BRACKET:
            assert await desk.statuses(order_ref) == [S.REJECTED]
        assert await verdicts(desk, ["never_sent"] * 3)


async def test_a_snapshot_on_request_names_the_request(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        request = await desk.command(RequestSnapshot())
        await desk.settled(gateway)
        snapshot = (await desk.events(BrokerSnapshot))[-1]
        assert snapshot.data.request_id == request.id
        assert snapshot.causationid == request.id


async def test_a_preview_orders_nothing(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        wanted = order(desk.simulator)
        asked = await desk.command(PreviewOrder(order=wanted.orders[0]))
        await desk.settled(gateway)
        (preview,) = await desk.events(OrderPreviewed)
        assert preview.causationid == asked.id
        assert preview.data.error is None
        assert (preview.data.initial_margin_change or 0) > 0
        await desk.command(wanted)
        await desk.settled(gateway)
        assert desk.at_broker() == BRACKET


async def test_a_reconnect_tells_the_same_facts_with_the_same_ids(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        await desk.settled(gateway)
        (fill,) = await desk.events(ExecutionReported)
        desk.drop_clients()
        await until(lambda: gateway.session.broker.closed.is_set())
        await until(gateway.session.ready.is_set)
    async with desk.gateway() as gateway:
        await desk.settled(gateway)
        assert {event.id for event in await desk.events(ExecutionReported)} == {fill.id}
        assert len(await desk.events(ExecutionReported)) == 2  # once by each process
        newest = (await desk.events(BrokerSnapshot))[-1].data
        assert newest.executions == (fill.data,)
        assert [position.quantity for position in newest.positions] == [100]
        assert {report.order_ref: report.status for report in newest.orders} == {
            "order-1": S.FILLED,
            "order-1.stop": S.SUBMITTED,
            "order-1.target": S.SUBMITTED,
        }


async def test_a_snapshot_never_lacks_what_was_reported_before_it(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        for number in range(9):  # IBKR takes 20 working orders a side in one contract
            await desk.command(order(desk.simulator, f"order-{number}"))
            await desk.command(RequestSnapshot())
        await desk.settled(gateway)
        assert_consistent(await desk.events())


def assert_consistent(events: Sequence[Envelope[Any]]) -> None:
    orders: set[str] = set()
    executions: dict[str, Decimal] = {}
    snapshots = 0
    for event in events:
        match event.data:
            case OrderReported(order_ref=order_ref):
                orders.add(order_ref)
            case ExecutionReported(execution_id=execution_id, quantity=quantity):
                executions[execution_id] = quantity
            case BrokerSnapshot():
                snapshots += 1
                assert orders <= {report.order_ref for report in event.data.orders}
                executions |= {execution.execution_id: execution.quantity for execution in event.data.executions}
                held = sum(position.quantity for position in event.data.positions)
                assert held == sum(executions.values())
            case _:
                pass
    assert snapshots >= 9
