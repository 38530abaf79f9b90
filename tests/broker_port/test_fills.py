"""What becomes of orders: refusals with their reason, fills, what they cost, corrections, and the order of it all."""

from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest

from services.gateway.ports import RequestRefused
from services.simulator.faults.effects import Correct, ManualOrder
from shared.messages.broker import CommissionReported, ExecutionReported, OrderReported
from shared.types import OrderStatus, OrderType, Side, TimeInForce
from tests.broker_port.stage import Stage, cents, limit, terms, until
from tests.conformance.market import CLOSE, MINUTE

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "price between two steps": ({"order_type": OrderType.LIMIT, "limit_price": Decimal("100.001")}, "price variation"),
    "more than the margin": ({"quantity": Decimal(1_000_000)}, "MARGIN"),
    "an index": ({"symbol": "^SPX"}, "not available for trading"),
    "a fraction": ({"quantity": Decimal("0.5")}, "raction"),
    "more than can be sold": ({"quantity": Decimal(1_000_000), "side": Side.SELL}, "MARGIN"),
    "a price of nothing": ({"order_type": OrderType.LIMIT, "limit_price": Decimal(0)}, "price"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_refused_with_the_brokers_reason(stage: Stage, what: str) -> None:
    given, words = REFUSED[what]
    ref = stage.ref("order")
    order = terms(ref, **given)
    await stage.submit(order)
    report = await stage.order(ref, OrderStatus.REJECTED)
    assert words.lower() in (report.reason or "").lower()
    assert (report.filled, stage.working(), stage.simulator.engine.executions) == (0, [], [])


async def test_refused_option_price_where_steps_grow(stage: Stage) -> None:
    """Above 3 USD options have steps of 0.05: 3.01 is none."""
    ref = stage.ref("order")
    await stage.submit(limit(ref, Decimal("3.01"), symbol=stage.option("C", -3), quantity=1))
    assert "price variation" in ((await stage.order(ref, OrderStatus.REJECTED)).reason or "")


@pytest.mark.parametrize("symbol", ["NOSUCH", "not a name", "AAPL  240621C00000500"])
async def test_contract_that_cannot_be_found_sends_nothing(stage: Stage, symbol: str) -> None:
    with pytest.raises(RequestRefused):
        await stage.submit(terms(stage.ref("order"), symbol=symbol))
    assert stage.received() == []
    assert stage.heard.of(OrderReported) == []


async def test_twenty_one_orders_on_a_side(stage: Stage) -> None:
    """IBKR takes at most 20 active orders per contract, side and account."""
    low = cents(stage.market().last / 2)
    refs = [stage.ref(str(number)) for number in range(21)]
    for ref in refs:
        await stage.submit(limit(ref, low))
    await stage.order(refs[20], OrderStatus.REJECTED)
    assert len(stage.working()) == 20


async def test_fills_in_parts_add_up(stage: Stage) -> None:
    now, ref = stage.market(), stage.ref("order")
    quantity = now.ask_size + 700
    await stage.submit(limit(ref, now.ask + 5, quantity=quantity, time_in_force=TimeInForce.GTC))
    stage.advance(CLOSE)
    fills = await stage.filled(ref)
    assert len(fills) > 1
    assert len({fill.execution_id for fill in fills}) == len(fills)
    report = await stage.order(ref, OrderStatus.FILLED)
    assert (report.filled, report.remaining) == (quantity, 0)
    assert sum(fill.quantity for fill in fills) == quantity
    value = sum(fill.quantity * fill.price for fill in fills)
    assert report.average_price == pytest.approx(value / quantity, abs=Decimal("0.0001"))
    assert {fill.perm_id for fill in fills} == {report.perm_id}


async def test_executions_are_those_of_the_books(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref, quantity=int(stage.market().ask_size) + 200))
    fills = {fill.execution_id: fill for fill in await stage.filled(ref)}
    books = {one.execution_id: one for one in stage.simulator.engine.executions}
    assert set(fills) == set(books)
    for key, one in books.items():
        fill = fills[key]
        assert (fill.quantity, fill.price, fill.time) == (one.shares, one.price, one.time)
        assert (fill.symbol, fill.side, fill.order_ref) == ("AAPL", Side.BUY, ref)
        assert (fill.combination, fill.corrects, fill.multiplier) == (False, None, 1)


@pytest.mark.parametrize(("symbol", "quantity"), [("AAPL", 1000), ("option", 10), ("/ESM4", 2)])
async def test_commissions_are_those_of_the_books(stage: Stage, symbol: str, quantity: int) -> None:
    ref = stage.ref("order")
    name = stage.option() if symbol == "option" else symbol
    await stage.submit(terms(ref, symbol=name, quantity=quantity))
    fills = await stage.filled(ref)
    told = {one.execution_id: one.commission for one in stage.heard.of(CommissionReported)}
    assert told == {one.execution_id: one.commission for one in stage.simulator.engine.executions}
    assert sum(told[fill.execution_id] for fill in fills) == stage.booked(ref).commission


async def test_correction_names_what_it_corrects(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    (first,) = await stage.filled(ref)
    stage.fire(Correct(price=first.price - 1, order_ref=stage.booked(ref).request.order_ref))
    await until(lambda: len(stage.fills(ref)) == 2, "the correction")
    second = stage.fills(ref)[1]
    assert second.corrects == first.execution_id
    assert (second.price, second.quantity) == (first.price - 1, first.quantity)


async def test_correction_is_in_the_next_snapshot(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref))
    (first,) = await stage.filled(ref)
    stage.fire(Correct(price=first.price - 1, order_ref=stage.booked(ref).request.order_ref))
    snapshot = await stage.broker.snapshot(stage.account, None)
    newest = {fill.execution_id: fill for fill in snapshot.executions}
    assert [fill.price for fill in newest.values() if fill.corrects == first.execution_id] == [first.price - 1]


async def test_fills_of_an_absence_are_in_the_snapshot(stage: Stage) -> None:
    price, ref = stage.future().between(0.5, above=False), stage.ref("order")
    await stage.submit(limit(ref, price))
    await stage.works(ref)
    stage.broker.disconnect()
    stage.advance(CLOSE)
    await stage.connect()
    snapshot = await stage.broker.snapshot(stage.account, None)
    (order,) = snapshot.orders
    assert (order.order_ref, order.status, order.filled) == (ref, OrderStatus.FILLED, 100)
    assert sum(fill.quantity for fill in snapshot.executions) == 100
    assert {one.execution_id for one in snapshot.commissions} == {fill.execution_id for fill in snapshot.executions}


async def test_what_others_do_is_heard_without_a_reference(stage: Stage) -> None:
    """Somebody trades by hand in the same account; its execution is told at the next question at the latest."""
    ref = stage.ref("order")
    await stage.submit(limit(ref, cents(stage.market().last / 2)))
    stage.fire(ManualOrder(client_id=0, symbol="AAPL", action="SELL", quantity=Decimal(30)))
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert {(fill.order_ref, fill.quantity, fill.side) for fill in snapshot.executions} == {("", 30, Side.SELL)}
    assert {order.order_ref for order in snapshot.orders} <= {ref, ""}
    assert stage.told(ref)[-1].filled == 0


async def test_states_are_heard_in_order(stage: Stage) -> None:
    price, ref = stage.future().between(0.5, above=False), stage.ref("order")
    await stage.submit(limit(ref, price, quantity=1000))
    await stage.works(ref)
    while stage.booked(ref).live:
        assert stage.now < CLOSE
        stage.advance(stage.now + MINUTE)
    await stage.filled(ref)
    reports = stage.told(ref)
    assert reports[0].status is OrderStatus.SUBMITTED
    assert reports[-1].status is OrderStatus.FILLED
    assert [report.filled for report in reports] == sorted(report.filled for report in reports)
    assert all(report.filled + report.remaining == 1000 for report in reports)
    states = [status for status, _ in groupby(report.status for report in reports)]
    assert states in (
        [OrderStatus.SUBMITTED, OrderStatus.FILLED],
        [OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED],
    )


async def test_commission_follows_its_execution(stage: Stage) -> None:
    refs = [stage.ref(str(number)) for number in range(3)]
    for ref in refs:
        await stage.submit(terms(ref, quantity=10))
        await stage.filled(ref)
    executed: set[str] = set()
    for message in stage.heard.messages:
        if isinstance(message, ExecutionReported):
            executed.add(message.execution_id)
        elif isinstance(message, CommissionReported):
            assert message.execution_id in executed
    assert len(executed) == 3


async def test_orders_are_heard_in_the_order_they_happened(stage: Stage) -> None:
    refs = [stage.ref(str(number)) for number in range(5)]
    for ref in refs:
        await stage.submit(terms(ref, quantity=10))
    for ref in refs:
        await stage.filled(ref)
    heard = list(dict.fromkeys(fill.order_ref for fill in stage.heard.of(ExecutionReported)))
    assert heard == refs
    ended = [one.order_ref for one in stage.heard.of(OrderReported) if one.status is OrderStatus.FILLED]
    assert list(dict.fromkeys(ended)) == refs


async def test_execution_times_are_the_markets(stage: Stage) -> None:
    """Also in the first minutes of a day, whatever zone the broker writes them in."""
    ref = stage.ref("order")
    stage.advance(CLOSE + timedelta(hours=1))
    await stage.submit(terms(ref, time_in_force=TimeInForce.GTC))
    stage.advance(CLOSE + timedelta(hours=18))
    fills = await stage.filled(ref)
    assert {fill.time for fill in fills} == {one.time for one in stage.simulator.engine.executions}
    assert all(fill.time.utcoffset() == timedelta(0) for fill in fills)
