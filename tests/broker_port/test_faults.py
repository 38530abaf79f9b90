"""What a broker does wrong, by the simulator's fault scripts, and what must be heard of it all the same."""

from datetime import timedelta

import pytest

from services.gateway.ports import BrokerLost
from services.simulator.faults import load
from services.simulator.faults.effects import ClockSkew, Cut, Link
from shared.messages.broker import BrokerErrorReported, CommissionReported, ErrorEffect
from shared.types import OrderStatus
from tests.broker_port.stage import Stage, cents, limit, terms, until

pytestmark = pytest.mark.simulator(fault_seconds=0.02)
IMPATIENT = pytest.mark.gateway(answer_timeout_seconds=1)
LOST, RESTORED = 1100, (1101, 1102)


def script(stage: Stage, scenario: str) -> None:
    stage.simulator.faults.add(load(scenario))


def codes(stage: Stage) -> list[int]:
    return [error.code for error in stage.heard.of(BrokerErrorReported) if error.effect is ErrorEffect.LINK]


@pytest.mark.parametrize("data_lost", [False, True])
async def test_link_to_ibkr_lost_and_restored(stage: Stage, data_lost: bool) -> None:
    stage.fire(Link(up=False))
    await until(lambda: LOST in codes(stage), "the loss is heard", lambda: stage.heard.messages)
    stage.fire(Link(up=True, data_lost=data_lost))
    await until(lambda: set(codes(stage)) & set(RESTORED), "the return is heard", lambda: stage.heard.messages)
    await stage.settle()
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    await stage.filled(ref)


async def test_fill_while_the_link_was_down_is_heard_or_listed(stage: Stage) -> None:
    price, ref = stage.future().between(0.5, above=False), stage.ref("order")
    await stage.submit(limit(ref, price))
    await stage.works(ref)
    stage.fire(Link(up=False, events="lost"))
    stage.advance(stage.now + timedelta(hours=5, minutes=59))
    assert stage.booked(ref).filled == 100
    stage.fire(Link(up=True))
    await until(lambda: set(codes(stage)) & set(RESTORED), "the return is heard", lambda: stage.heard.messages)
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert {order.order_ref: order.status for order in snapshot.orders} == {ref: OrderStatus.FILLED}
    assert sum(fill.quantity for fill in snapshot.executions) == 100
    assert len(snapshot.commissions) == len(snapshot.executions)


async def test_clock_that_is_wrong(stage: Stage) -> None:
    stage.fire(ClockSkew(seconds=90))
    assert await stage.broker.current_time() == stage.now + timedelta(seconds=90)


async def test_connection_that_breaks(stage: Stage) -> None:
    closed = stage.broker.closed
    stage.fire(Cut())
    await until(closed.is_set, "closed")
    with pytest.raises(BrokerLost):
        await stage.broker.current_time()
    await stage.connect()
    assert await stage.broker.current_time() == stage.now


@pytest.mark.parametrize("scenario", ["doubled", "late", "commission-first", "commission-late"])
async def test_fills_add_up_whatever_the_order_of_messages(stage: Stage, scenario: str) -> None:
    script(stage, scenario)
    ref, quantity = stage.ref("order"), int(stage.market().ask_size) + 200
    await stage.submit(terms(ref, quantity=quantity))
    fills = await stage.filled(ref)
    assert {fill.execution_id for fill in fills} == {one.execution_id for one in stage.simulator.engine.executions}
    assert sum(fill.quantity for fill in fills) == quantity
    told = {one.execution_id: one.commission for one in stage.heard.of(CommissionReported)}
    assert told == {one.execution_id: one.commission for one in stage.simulator.engine.executions}


@pytest.mark.parametrize("scenario", ["fill-lost", "commission-lost"])
async def test_what_was_not_told_is_in_the_next_listing(stage: Stage, scenario: str) -> None:
    script(stage, scenario)
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    await stage.order(ref, OrderStatus.FILLED)
    snapshot = await stage.broker.snapshot(stage.account, None)
    books = {one.execution_id: one.commission for one in stage.simulator.engine.executions}
    assert {fill.execution_id for fill in snapshot.executions} == set(books)
    assert {one.execution_id: one.commission for one in snapshot.commissions} == books


async def test_rejected(stage: Stage) -> None:
    script(stage, "rejected")
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    assert (await stage.order(ref, OrderStatus.REJECTED)).reason
    assert stage.working() == []


@IMPATIENT
async def test_order_that_gets_lost_is_not_known_and_not_made_up(stage: Stage) -> None:
    script(stage, "order-never-answered")
    ref, price = stage.ref("order"), cents(stage.market().last / 2)
    order = limit(ref, price)
    try:
        await stage.submit(order)
    except BrokerLost:
        await stage.connect()
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert stage.broker.orders.known(ref) is None
    assert [one.order_ref for one in snapshot.orders] == []
    assert stage.told(ref) == [] or stage.told(ref)[-1].status is OrderStatus.UNKNOWN


@IMPATIENT
async def test_cancel_that_is_not_answered_leaves_the_order_as_it_is(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, cents(stage.market().last / 2)))
    await stage.works(ref)
    script(stage, "cancel-unanswered")
    try:
        await stage.cancel(ref)
    except BrokerLost:
        await stage.connect()
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert {one.order_ref: one.status for one in snapshot.orders} == {ref: OrderStatus.SUBMITTED}


async def test_notice_is_no_cancellation(stage: Stage) -> None:
    script(stage, "false-cancel")
    ref = stage.ref("order")
    await stage.submit(limit(ref, cents(stage.market().last / 2)))
    await stage.works(ref)
    await stage.settle()
    assert stage.told(ref)[-1].status is OrderStatus.SUBMITTED
    assert [one.order_ref for one in (await stage.broker.snapshot(stage.account, None)).orders] == [ref]
