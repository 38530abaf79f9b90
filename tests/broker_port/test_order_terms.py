"""Every attribute an order can have, and what it does."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.ports import Ability
from services.simulator.core.orders import ConditionKind as BookedKind
from shared.messages.broker_commands import Algorithm, Condition, ConditionKind, OcaType
from shared.types import OrderStatus, OrderType, Side, TimeInForce
from tests.broker_port.stage import Stage, cents, limit, terms
from tests.conformance.market import CLOSE, DAY, MINUTE, OPEN, TEN_O_CLOCK

ATTRIBUTES = pytest.mark.needs(Ability.ORDER_ATTRIBUTES)
CONDITIONS = pytest.mark.needs(Ability.CONDITIONS)
ELEVEN = TEN_O_CLOCK + timedelta(hours=1)


async def waiting(stage: Stage, **rest: Any) -> str:
    """An order that rests far below the market, with some attribute; it works at the broker."""
    ref = stage.ref("order")
    await stage.submit(limit(ref, cents(stage.market().last / 2), **rest))
    await stage.works(ref)
    return ref


async def test_day_order_ends_with_the_day(stage: Stage) -> None:
    ref = await waiting(stage)
    stage.advance(CLOSE + MINUTE)
    report = await stage.order(ref, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    assert report.filled == 0


async def test_good_till_cancelled_lives_on(stage: Stage) -> None:
    ref = await waiting(stage, time_in_force=TimeInForce.GTC)
    assert stage.booked(ref).request.time_in_force == "GTC"
    stage.advance(OPEN + DAY + MINUTE)
    await stage.settle()
    assert not stage.told(ref)[-1].status.is_final
    assert stage.booked(ref).live


@ATTRIBUTES
async def test_good_till_a_time(stage: Stage) -> None:
    ref = await waiting(stage, time_in_force=TimeInForce.GTD, good_till=ELEVEN)
    assert (stage.booked(ref).request.time_in_force, stage.booked(ref).request.good_till) == ("GTD", ELEVEN)
    stage.advance(ELEVEN + MINUTE)
    await stage.order(ref, OrderStatus.CANCELLED, OrderStatus.EXPIRED)


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, pytest.param(TimeInForce.FOK, marks=ATTRIBUTES)])
async def test_now_or_never(stage: Stage, time_in_force: TimeInForce) -> None:
    now, first, second = stage.market(), stage.ref("first"), stage.ref("second")
    await stage.submit(limit(first, now.ask, quantity=now.ask_size + 500, time_in_force=time_in_force))
    report = await stage.order(first, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    assert report.filled == (now.ask_size if time_in_force is TimeInForce.IOC else 0)
    await stage.submit(limit(second, now.ask - 1, quantity=10, time_in_force=time_in_force))
    assert (await stage.order(second, OrderStatus.CANCELLED, OrderStatus.EXPIRED)).filled == 0


async def test_at_the_opening(stage: Stage) -> None:
    stage.advance(CLOSE + timedelta(hours=1))
    ref = stage.ref("order")
    await stage.submit(terms(ref, time_in_force=TimeInForce.OPG))
    await stage.works(ref)
    stage.advance(OPEN + DAY + MINUTE)
    assert {fill.time for fill in await stage.filled(ref)} == {OPEN + DAY}


@ATTRIBUTES
async def test_good_after_a_time(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref, good_after=ELEVEN))
    assert stage.booked(ref).request.good_after == ELEVEN
    stage.advance(ELEVEN - MINUTE)
    await stage.works(ref)
    stage.advance(ELEVEN + MINUTE)
    assert {fill.time for fill in await stage.filled(ref)} == {ELEVEN}


@pytest.mark.simulator(extended_hours=True)
@pytest.mark.parametrize("outside", [False, True])
async def test_outside_regular_hours(stage: Stage, outside: bool) -> None:
    stage.advance(CLOSE + timedelta(hours=1))
    ref = stage.ref("order")
    await stage.submit(limit(ref, stage.market().ask + 1, outside_regular_hours=outside, time_in_force=TimeInForce.GTC))
    assert stage.booked(ref).request.outside_regular_hours == outside
    report = await stage.order(ref, OrderStatus.FILLED if outside else OrderStatus.SUBMITTED)
    assert report.filled == (100 if outside else 0)


async def test_all_or_none(stage: Stage) -> None:
    now, ref = stage.market(), stage.ref("order")
    await stage.submit(limit(ref, now.ask, quantity=now.ask_size + 500, all_or_none=True))
    assert stage.booked(ref).request.all_or_none
    assert (await stage.works(ref)).filled == 0


@ATTRIBUTES
async def test_minimum_quantity(stage: Stage) -> None:
    now, ref = stage.market(), stage.ref("order")
    size = now.ask_size + 500
    await stage.submit(limit(ref, now.ask, quantity=size, minimum_quantity=size - 100))
    assert stage.booked(ref).request.minimum_quantity == size - 100
    assert (await stage.works(ref)).filled == 0


@ATTRIBUTES
async def test_display_size(stage: Stage) -> None:
    ref = await waiting(stage, display_size=10)
    assert stage.booked(ref).request.display_size == 10


@ATTRIBUTES
async def test_hidden(stage: Stage) -> None:
    ref = await waiting(stage, hidden=True)
    assert dict(stage.booked(ref).request.echo)["hidden"] == "1"


@ATTRIBUTES
async def test_discretionary_amount(stage: Stage) -> None:
    ref = await waiting(stage, discretionary_amount=Decimal("0.10"))
    assert stage.booked(ref).request.discretionary_amount == Decimal("0.10")


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (OcaType.CANCEL_WITH_BLOCK, 1),
        pytest.param(OcaType.REDUCE_WITH_BLOCK, 2, marks=ATTRIBUTES),
        pytest.param(OcaType.REDUCE, 3, marks=ATTRIBUTES),
    ],
)
async def test_group_type(stage: Stage, kind: OcaType, number: int) -> None:
    group, low = stage.ref("group"), cents(stage.market().last / 2)
    orders = [limit(stage.ref(name), low, oca_group=group, oca_type=kind) for name in ("first", "second")]
    await stage.submit(*orders)
    first, second = (stage.booked(order.order_ref) for order in orders)
    assert first.oca_group == second.oca_group != ""
    assert {first.request.oca_type, second.request.oca_type} == {number}


CONDITIONED: dict[ConditionKind, tuple[dict[str, Any], dict[str, Any]]] = {
    ConditionKind.PRICE: ({"symbol": "IBM", "value": Decimal("1.5"), "is_more": False}, {"value": Decimal("1.5")}),
    ConditionKind.TIME: ({"time": ELEVEN}, {"time": ELEVEN}),
    ConditionKind.MARGIN: ({"value": Decimal(10), "is_more": False}, {"value": Decimal(10)}),
    ConditionKind.EXECUTION: ({"symbol": "IBM"}, {"symbol": "IBM"}),
    ConditionKind.VOLUME: ({"symbol": "IBM", "value": Decimal(10**9)}, {"value": Decimal(10**9)}),
    ConditionKind.PERCENT_CHANGE: ({"symbol": "IBM", "value": Decimal(50)}, {"value": Decimal(50)}),
}


@CONDITIONS
@pytest.mark.parametrize("kind", list(ConditionKind))
async def test_condition(stage: Stage, kind: ConditionKind) -> None:
    given, wanted = CONDITIONED[kind]
    ref = stage.ref("order")
    await stage.submit(terms(ref, conditions=(Condition(kind=kind, **given),)))
    (booked,) = stage.booked(ref).request.conditions
    assert booked.kind is BookedKind[kind.name]
    assert {name: getattr(booked, name) for name in wanted} == wanted
    if kind is not ConditionKind.EXECUTION:
        assert booked.is_more == given.get("is_more", True)
    if kind in (ConditionKind.PRICE, ConditionKind.VOLUME, ConditionKind.PERCENT_CHANGE):
        assert booked.contract_id == stage.listed("IBM").contract_id
    assert (await stage.works(ref)).filled == 0


@CONDITIONS
async def test_condition_that_comes_true(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref, conditions=(Condition(kind=ConditionKind.TIME, time=ELEVEN),)))
    stage.advance(ELEVEN - MINUTE)
    assert (await stage.works(ref)).filled == 0
    stage.advance(ELEVEN + 2 * MINUTE)
    assert min(fill.time for fill in await stage.filled(ref)) >= ELEVEN


@CONDITIONS
@pytest.mark.parametrize("both", [True, False], ids=["and", "or"])
async def test_conditions_are_joined(stage: Stage, both: bool) -> None:
    never = Condition(kind=ConditionKind.PRICE, symbol="IBM", value=Decimal(1), is_more=False, and_next=both)
    soon, ref = Condition(kind=ConditionKind.TIME, time=stage.now + MINUTE), stage.ref("order")
    await stage.submit(terms(ref, conditions=(never, soon)))
    stage.advance(stage.now + 5 * MINUTE)
    await stage.order(ref, OrderStatus.SUBMITTED if both else OrderStatus.FILLED)


@CONDITIONS
async def test_condition_that_cancels(stage: Stage) -> None:
    condition = Condition(kind=ConditionKind.TIME, time=ELEVEN)
    ref = await waiting(stage, conditions=(condition,), conditions_cancel=True, conditions_outside_regular_hours=True)
    request = stage.booked(ref).request
    assert (request.conditions_cancel, request.conditions_outside_regular_hours) == (True, True)
    stage.advance(ELEVEN + 2 * MINUTE)
    await stage.order(ref, OrderStatus.CANCELLED)


@pytest.mark.needs(Ability.ALGORITHMS)
async def test_algorithm(stage: Stage) -> None:
    ref = await waiting(stage, algorithm=Algorithm(name="Adaptive", parameters={"adaptivePriority": "Patient"}))
    assert stage.booked(ref).request.algorithm == "Adaptive"
    assert "Patient" in str(stage.booked(ref).request.echo)


@pytest.mark.parametrize("side", list(Side))
async def test_side_and_quantity(stage: Stage, side: Side) -> None:
    price = cents(stage.market().last * (Decimal("0.5") if side is Side.BUY else Decimal("1.5")))
    ref = stage.ref("order")
    await stage.submit(limit(ref, price, side=side, quantity=37))
    request = stage.booked(ref).request
    assert (request.action, request.quantity, request.limit_price) == (side.value, 37, price)


async def test_stop_order_outside_regular_hours(stage: Stage) -> None:
    """Where the order type does not know these hours the broker warns, and the order lives."""
    ref = stage.ref("order")
    price = cents(stage.market().last * 2)
    await stage.submit(terms(ref, OrderType.STOP, trigger_price=price, outside_regular_hours=True))
    assert (await stage.works(ref)).filled == 0
    assert ref in stage.working()
