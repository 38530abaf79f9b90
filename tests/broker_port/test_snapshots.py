"""Everything the broker knows at one moment, against the simulator's books."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from services.gateway.ports import RequestRefused
from services.simulator.faults.effects import ManualOrder
from shared.messages.broker import BrokerSnapshot
from shared.messages.broker_commands import bracket
from shared.types import OrderStatus, OrderType, Side, TimeInForce
from tests.broker_port.stage import Desk, Heard, Stage, cents, limit, terms
from tests.conformance.market import OPEN


async def taken(desk: Desk) -> BrokerSnapshot:
    return await desk.broker.snapshot(desk.account, None)


async def bought(stage: Stage, symbol: str = "AAPL", quantity: int = 100, side: Side = Side.BUY) -> str:
    ref = stage.ref(f"{side}{symbol}".replace(" ", ""))[:40]
    await stage.submit(terms(ref, symbol=symbol, quantity=quantity, side=side))
    await stage.filled(ref)
    return ref


async def test_new_account(stage: Stage) -> None:
    snapshot = await taken(stage)
    assert snapshot.account.account == stage.account
    assert (snapshot.account.cash, snapshot.account.net_liquidation) == (1_000_000, 1_000_000)
    assert snapshot.account.buying_power > 0
    assert (snapshot.positions, snapshot.orders, snapshot.executions, snapshot.commissions) == ((), (), (), ())


async def test_any_account_has_values(desk: Desk) -> None:
    snapshot = await taken(desk)
    assert snapshot.account.account == desk.account
    assert snapshot.account.net_liquidation > 0


async def test_it_answers_its_request(desk: Desk) -> None:
    asked = uuid4()
    assert (await desk.broker.snapshot(desk.account, asked)).request_id == asked
    assert (await taken(desk)).request_id is None


async def test_two_at_once(desk: Desk) -> None:
    asked = [uuid4(), uuid4()]
    both = await asyncio.gather(*(desk.broker.snapshot(desk.account, one) for one in asked))
    assert [snapshot.request_id for snapshot in both] == asked
    assert both[0].positions == both[1].positions


async def test_account_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(RequestRefused):
        await desk.broker.snapshot("DU0000000", None)


async def test_account_after_a_trade(stage: Stage) -> None:
    await bought(stage)
    engine, snapshot = stage.simulator.engine, await taken(stage)
    assert snapshot.account.cash == pytest.approx(engine.valuation().cash, abs=Decimal("0.01"))
    assert snapshot.account.net_liquidation == pytest.approx(engine.valuation().net_liquidation, abs=Decimal("0.01"))


@pytest.mark.parametrize("side", list(Side))
async def test_stock_position(stage: Stage, side: Side) -> None:
    ref = await bought(stage, side=side)
    (held,) = (await taken(stage)).positions
    assert (held.symbol, held.quantity) == ("AAPL", 100 * side.sign)
    commission = stage.booked(ref).commission
    cost = stage.booked(ref).average_price + side.sign * commission / 100
    assert held.average_cost == pytest.approx(cost, abs=Decimal("0.01"))


async def test_option_position_is_named_by_its_occ_symbol_and_costs_with_the_multiplier(stage: Stage) -> None:
    name = stage.option()
    ref = await bought(stage, name, 2)
    (held,) = (await taken(stage)).positions
    assert (held.symbol, held.quantity) == (name, 2)
    assert held.average_cost == pytest.approx(100 * stage.booked(ref).average_price, rel=Decimal("0.02"))


async def test_positions_of_every_kind_have_our_names(stage: Stage) -> None:
    wanted = {"AAPL": 100, stage.option("P"): 1, "/ESM4": 1, "EUR.USD": 20_000}
    for symbol, quantity in wanted.items():
        await bought(stage, symbol, quantity)
    assert {held.symbol: held.quantity for held in (await taken(stage)).positions} == wanted


async def test_closed_position_is_not_listed(stage: Stage) -> None:
    await bought(stage)
    await bought(stage, side=Side.SELL)
    snapshot = await taken(stage)
    assert snapshot.positions == ()
    assert len({fill.execution_id for fill in snapshot.executions}) == len(stage.simulator.engine.executions)


async def test_working_order(stage: Stage) -> None:
    ref, price = stage.ref("order"), cents(stage.market().last / 2)
    await stage.submit(limit(ref, price))
    (order,) = (await taken(stage)).orders
    assert (order.order_ref, order.status, order.limit_price) == (ref, OrderStatus.SUBMITTED, price)
    assert (order.filled, order.remaining) == (0, 100)
    assert order.broker_order_id
    assert order.average_price is None


async def test_stop_order_shows_its_trigger(stage: Stage) -> None:
    ref, price = stage.ref("stop"), cents(stage.market().last * 2)
    await stage.submit(terms(ref, OrderType.STOP, trigger_price=price))
    (order,) = (await taken(stage)).orders
    assert (order.status, order.trigger_price, order.limit_price) == (OrderStatus.SUBMITTED, price, None)


async def test_order_that_is_filled_in_part(stage: Stage) -> None:
    now, ref = stage.market(), stage.ref("order")
    await stage.submit(limit(ref, now.ask, quantity=now.ask_size + 300))
    await stage.order(ref, OrderStatus.PARTIALLY_FILLED)
    snapshot = await taken(stage)
    (order,) = snapshot.orders
    assert (order.status, order.filled, order.remaining) == (OrderStatus.PARTIALLY_FILLED, now.ask_size, 300)
    assert order.average_price == now.ask
    assert sum(fill.quantity for fill in snapshot.executions) == order.filled


async def test_executions_and_their_commissions(stage: Stage) -> None:
    ref = await bought(stage)
    snapshot = await taken(stage)
    books = {one.execution_id: one for one in stage.simulator.engine.executions}
    assert {fill.execution_id for fill in snapshot.executions} == set(books)
    assert {fill.order_ref for fill in snapshot.executions} == {ref}
    assert {one.execution_id: one.commission for one in snapshot.commissions} == {
        key: one.commission for key, one in books.items()
    }


async def test_ended_orders_are_told_by_a_second_connection(stage: Stage) -> None:
    filled = await bought(stage)
    cancelled, price = stage.ref("cancelled"), cents(stage.market().last / 2)
    await stage.submit(limit(cancelled, price))
    await stage.works(cancelled)
    await stage.cancel(cancelled)
    await stage.order(cancelled, OrderStatus.CANCELLED)
    stage.broker.disconnect()
    stage.heard = Heard()
    await stage.connect()
    found = {order.order_ref: order for order in (await taken(stage)).orders}
    assert found[filled].status is OrderStatus.FILLED
    assert found[filled].filled == 100
    assert found[cancelled].status is OrderStatus.CANCELLED
    assert found[cancelled].filled == 0


async def test_bracket_is_told_by_a_second_connection(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    sent = bracket(
        order_id=ref, symbol="AAPL", side=Side.BUY, quantity=Decimal(100), limit_price=cents(last / 2),
        stop_price=cents(last / 4), target_price=last, time_in_force=TimeInForce.GTC, expires_at=OPEN + timedelta(9),
    )  # fmt: skip
    await stage.submit(*sent.orders)
    stage.broker.disconnect()
    await stage.connect()
    found = {order.order_ref: order.status for order in (await taken(stage)).orders}
    assert found == dict.fromkeys((ref, f"{ref}.stop", f"{ref}.target"), OrderStatus.SUBMITTED)


async def test_executions_of_others_have_no_reference_of_ours(stage: Stage) -> None:
    stage.fire(ManualOrder(client_id=0, symbol="AAPL", action="BUY", quantity=Decimal(50)))
    snapshot = await taken(stage)
    assert [held.quantity for held in snapshot.positions] == [50]
    assert {fill.order_ref for fill in snapshot.executions} == {""}


async def test_yesterdays_executions_are_over(stage: Stage) -> None:
    await bought(stage)
    stage.advance(OPEN + timedelta(days=1))
    snapshot = await taken(stage)
    assert (snapshot.executions, len(snapshot.positions)) == ((), 1)
