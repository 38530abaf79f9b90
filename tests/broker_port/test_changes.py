"""Working orders changed and cancelled, orders tried without being sent, and the ids that orders bear."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.ports import BrokerLost, RequestRefused
from services.simulator.faults.effects import ManualOrder
from shared.messages.broker import BrokerErrorReported, ErrorEffect
from shared.messages.broker_commands import ComboLeg, ModifyOrder, bracket
from shared.types import OrderStatus, OrderType, Side, TimeInForce
from tests.broker_port.stage import Desk, Stage, cents, limit, terms, until
from tests.conformance.market import CLOSE


async def resting(stage: Stage, kind: OrderType = OrderType.LIMIT, **rest: Any) -> str:
    """An order far from the market; it works."""
    ref, last = stage.ref(f"rests-{len(stage.received())}"), stage.market().last
    prices: dict[OrderType, dict[str, Decimal]] = {
        OrderType.LIMIT: {"limit_price": cents(last / 2)},
        OrderType.STOP: {"trigger_price": cents(last * 2)},
        OrderType.STOP_LIMIT: {"trigger_price": cents(last * 2), "limit_price": cents(last * 2) + 1},
        OrderType.TRAILING_STOP: {},
    }
    await stage.submit(terms(ref, kind, **{**prices[kind], **rest}))
    await stage.works(ref)
    return ref


@pytest.mark.parametrize(
    ("kind", "before", "field", "booked"),
    [
        (OrderType.LIMIT, {}, {"quantity": Decimal(150)}, "quantity"),
        (OrderType.LIMIT, {}, {"limit_price": Decimal("51.25")}, "limit_price"),
        (OrderType.STOP, {}, {"trigger_price": Decimal("951.25")}, "aux_price"),
        (OrderType.STOP_LIMIT, {}, {"limit_price": Decimal("951.25")}, "limit_price"),
        (OrderType.TRAILING_STOP, {"trailing_amount": Decimal(20)}, {"trailing_amount": Decimal(25)}, "aux_price"),
        (
            OrderType.TRAILING_STOP,
            {"trailing_percent": Decimal(9)},
            {"trailing_percent": Decimal(8)},
            "trailing_percent",
        ),
    ],
    ids=["quantity", "limit", "trigger", "limit-of-stop-limit", "trailing-amount", "trailing-percent"],
)
async def test_modify_changes_one_field(
    stage: Stage, kind: OrderType, before: dict[str, Any], field: dict[str, Decimal], booked: str
) -> None:
    ref = await resting(stage, kind, time_in_force=TimeInForce.GTC, **before)
    request, permanent = stage.booked(ref).request, stage.told(ref)[-1].perm_id
    await stage.broker.orders.modify(ModifyOrder.model_validate({"order_ref": ref, **field}))
    (wanted,) = field.values()
    await until(lambda: getattr(stage.booked(ref).request, booked) == wanted, f"{booked} {wanted} at the broker")
    after = stage.booked(ref).request
    for name in ("order_type", "action", "quantity", "limit_price", "aux_price", "trailing_percent", "time_in_force",
                 "outside_regular_hours", "order_ref", "account", "parent_id"):  # fmt: skip
        if name != booked:
            assert getattr(after, name) == getattr(request, name), name
    assert (await stage.works(ref)).perm_id == permanent
    assert len(stage.received("modify")) == 1
    assert len(stage.working()) == 1


async def test_modify_keeps_what_it_does_not_name(stage: Stage) -> None:
    ref = await resting(stage, time_in_force=TimeInForce.GTC, all_or_none=True, outside_regular_hours=True)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, quantity=Decimal(70)))
    await until(lambda: stage.booked(ref).request.quantity == 70, "70 at the broker")
    request = stage.booked(ref).request
    assert (request.time_in_force, request.all_or_none, request.outside_regular_hours) == ("GTC", True, True)
    await until(lambda: stage.told(ref)[-1].remaining == 70, "70 heard")


async def test_modify_into_a_fill(stage: Stage) -> None:
    ref = await resting(stage)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, limit_price=stage.market().ask))
    assert sum(fill.quantity for fill in await stage.filled(ref)) == 100


async def test_modify_after_a_partial_fill(stage: Stage) -> None:
    now, ref = stage.market(), stage.ref("order")
    await stage.submit(limit(ref, now.ask, quantity=now.ask_size + 500))
    await stage.order(ref, OrderStatus.PARTIALLY_FILLED)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, quantity=Decimal(now.ask_size + 100)))
    await until(lambda: stage.told(ref)[-1].remaining == 100, "100 remaining heard")
    assert stage.told(ref)[-1].filled == now.ask_size


async def test_modify_over_a_second_connection(stage: Stage) -> None:
    ref = await resting(stage)
    stage.broker.disconnect()
    await stage.connect()
    await stage.broker.snapshot(stage.account, None)
    price = cents(stage.market().last / 3)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, limit_price=price))
    await until(lambda: stage.booked(ref).request.limit_price == price, "changed at the broker")
    assert len(stage.working()) == 1


async def test_refused_change_leaves_the_order_as_it_was(stage: Stage) -> None:
    ref = await resting(stage)
    before = stage.booked(ref).request.limit_price
    assert before is not None
    with_error = len(stage.heard.of(BrokerErrorReported))
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, limit_price=before + Decimal("0.001")))
    await until(lambda: len(stage.heard.of(BrokerErrorReported)) > with_error, "an error")
    error = stage.heard.of(BrokerErrorReported)[-1]
    assert (error.order_ref, error.effect) == (ref, ErrorEffect.STILL_ALIVE)
    await stage.settle()
    assert stage.told(ref)[-1].status is OrderStatus.SUBMITTED
    assert stage.booked(ref).request.limit_price == before


async def test_modify_of_what_was_never_sent(desk: Desk) -> None:
    with pytest.raises(RequestRefused):
        await desk.broker.orders.modify(ModifyOrder(order_ref=desk.ref("nobody"), quantity=Decimal(1)))


async def test_cancel(stage: Stage) -> None:
    ref = await resting(stage)
    await stage.cancel(ref)
    report = await stage.order(ref, OrderStatus.CANCELLED)
    assert (report.filled, report.remaining) == (0, 100)
    assert stage.working() == []
    assert stage.received("cancel") == [ref]


async def test_cancel_what_is_left(stage: Stage) -> None:
    now, ref = stage.market(), stage.ref("order")
    await stage.submit(limit(ref, now.ask, quantity=now.ask_size + 500))
    await stage.order(ref, OrderStatus.PARTIALLY_FILLED)
    await stage.cancel(ref)
    report = await stage.order(ref, OrderStatus.CANCELLED)
    assert (report.filled, report.average_price) == (now.ask_size, now.ask)


async def test_cancel_of_what_is_not_there(desk: Desk) -> None:
    ref = desk.ref("nobody")
    before = len(desk.heard.of(BrokerErrorReported))
    await desk.broker.orders.cancel(ref, 987_654)
    await until(lambda: len(desk.heard.of(BrokerErrorReported)) > before, "an error")
    await desk.settle()
    error = desk.heard.of(BrokerErrorReported)[-1]
    assert error.effect not in (ErrorEffect.ORDER_CANCELLED, ErrorEffect.ORDER_REJECTED, ErrorEffect.UNKNOWN)
    assert desk.told(ref) == []


async def test_cancel_of_what_is_done_changes_nothing(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    await stage.filled(ref)
    before = len(stage.heard.of(BrokerErrorReported))
    await stage.cancel(ref)
    await until(lambda: len(stage.heard.of(BrokerErrorReported)) > before, "an error")
    await stage.settle()
    assert stage.told(ref)[-1].status is OrderStatus.FILLED


async def test_cancel_all_takes_those_of_others_too(stage: Stage) -> None:
    refs = [await resting(stage), await resting(stage, OrderType.STOP)]
    stage.fire(
        ManualOrder(
            client_id=0, symbol="IBM", action="BUY", quantity=Decimal(5), order_type="LMT", limit_price=Decimal(1)
        )
    )
    assert len(stage.working()) == 3
    await stage.broker.orders.cancel_all()
    for ref in refs:
        await stage.order(ref, OrderStatus.CANCELLED)
    await until(lambda: stage.working() == [], "nothing works")


async def test_preview_of_shares(stage: Stage) -> None:
    cost = 200 * stage.market().ask
    preview = await stage.preview(terms(stage.ref("order"), quantity=200))
    assert preview.error is None
    assert preview.initial_margin_change == pytest.approx(cost / 2, rel=Decimal("0.02"))
    assert preview.maintenance_margin_change == pytest.approx(cost / 4, rel=Decimal("0.02"))
    assert preview.initial_margin == preview.initial_margin_change
    assert preview.commission == 1
    assert preview.equity_with_loan == pytest.approx(Decimal(1_000_000), rel=Decimal("0.001"))
    assert stage.received() == []
    assert stage.told(preview.order_ref) == []


async def test_preview_on_any_account(desk: Desk) -> None:
    order = limit(desk.ref("order"), cents(await desk.price() / 2), quantity=1)
    preview = await desk.preview(order)
    assert preview.order_ref == order.order_ref
    assert preview.initial_margin_change is not None
    assert (await desk.broker.snapshot(desk.account, None)).orders == () or desk.told(order.order_ref) == []


async def test_preview_of_a_combination(stage: Stage) -> None:
    legs = (ComboLeg(symbol=stage.option(), side=Side.BUY), ComboLeg(symbol=stage.option("C", 2), side=Side.SELL))
    preview = await stage.preview(terms(stage.ref("order"), quantity=1, legs=legs))
    assert preview.initial_margin_change is not None
    assert abs(preview.initial_margin_change) < 5000, "a spread, not two naked legs"


@pytest.mark.parametrize("quantity", [10_000_000, Decimal("0.5")], ids=["margin", "fraction"])
async def test_preview_of_what_would_be_refused(stage: Stage, quantity: int | Decimal) -> None:
    """Refused, or answered with a warning: IBKR does either."""
    order, refusal = terms(stage.ref("order"), quantity=quantity), ""
    try:
        preview = await stage.preview(order)
        refusal = preview.error or preview.warning
    except RequestRefused as error:
        refusal = str(error)
    assert refusal
    assert stage.received() == []


async def test_ids_rise(stage: Stage) -> None:
    first = stage.broker.orders.next_order_id()
    assert first > 0
    assert stage.broker.orders.next_order_id() >= first, "asking takes nothing away"
    await resting(stage)
    assert stage.broker.orders.next_order_id() > first


async def test_ids_go_on_after_reconnecting(stage: Stage) -> None:
    ref = await resting(stage)
    stage.broker.disconnect()
    await stage.connect()
    await stage.broker.snapshot(stage.account, None)
    again = await resting(stage)
    assert stage.booked(again).request.order_id != stage.booked(ref).request.order_id
    assert len(stage.working()) == 2


async def test_ids_of_a_family(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    made = bracket(
        order_id=ref, symbol="AAPL", side=Side.BUY, quantity=Decimal(100), limit_price=cents(last / 2),
        stop_price=cents(last / 4), target_price=last, time_in_force=TimeInForce.DAY, expires_at=CLOSE,
    )  # fmt: skip
    await stage.submit(*made.orders)
    reports = [await stage.works(order.order_ref) for order in made.orders]
    assert len({report.broker_order_id for report in reports}) == 3
    assert len({report.perm_id for report in reports}) == 3
    for report in reports:
        await stage.broker.orders.cancel(report.order_ref, report.broker_order_id)
    await until(lambda: stage.working() == [], "each found by its id")


async def test_an_answer_is_waited_for(stage: Stage) -> None:
    ref = stage.ref("order")
    answered = stage.broker.orders.answered(ref)
    assert stage.broker.orders.known(ref) is None
    await stage.submit(limit(ref, cents(stage.market().last / 2)))
    await asyncio.wait_for(answered, 10)
    known = stage.broker.orders.known(ref)
    assert known is not None
    assert known == stage.told(ref)[-1]


async def test_an_answer_that_never_comes_ends_with_the_connection(stage: Stage) -> None:
    answered = stage.broker.orders.answered(stage.ref("order"))
    stage.broker.disconnect()
    with pytest.raises(BrokerLost):
        await asyncio.wait_for(answered, 10)


async def test_order_after_hours_waits_and_is_not_refused(stage: Stage) -> None:
    stage.advance(CLOSE + timedelta(hours=1))
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    assert (await stage.works(ref)).filled == 0
    assert not [error for error in stage.heard.of(BrokerErrorReported) if error.effect is ErrorEffect.ORDER_REJECTED]
