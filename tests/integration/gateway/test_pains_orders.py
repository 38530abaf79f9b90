"""Pains of order handling that others report (docs/pains.md), each with the fault script that causes it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.execution.core.position import Position
from services.execution.core.reconcile import compare
from services.gateway.app import Gateway
from services.simulator.core.catalogue import stock
from services.simulator.faults import load
from shared.messages.base import Message
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
    OrderTerms,
    PreviewOrder,
    RequestSnapshot,
    SubmitOrder,
)
from shared.types import OrderStatus, OrderType, Side
from tests.integration.gateway.desk import NEVER, OPEN, Desk, order, until

BEFORE_THE_OUTAGE = datetime.fromisoformat("2010-01-04T09:40:00-05:00")
IN_THE_OUTAGE = datetime.fromisoformat("2010-01-04T10:30:00-05:00")
AFTER_THE_OUTAGE = datetime.fromisoformat("2010-01-04T11:30:00-05:00")


def script(desk: Desk, scenario: str) -> None:
    desk.simulator.faults.add(load(scenario))


def market(desk: Desk) -> Any:
    return desk.simulator.engine.market.quote(stock("AAPL").contract_id, desk.simulator.engine.now)


def single(order_ref: str, limit_price: Decimal | None = None, **rest: Any) -> SubmitOrder:
    """One order for 100 AAPL, at the market without a limit."""
    kind = OrderType.MARKET if limit_price is None else OrderType.LIMIT
    given = {"symbol": "AAPL", "side": Side.BUY, "quantity": Decimal(100), "limit_price": limit_price, **rest}
    terms = OrderTerms.model_validate({"order_ref": order_ref, "order_type": kind, **given})
    return SubmitOrder(orders=(terms,), expires_at=NEVER)


async def told(desk: Desk, kind: type[Message], order_ref: str) -> list[Any]:
    return [event.data for event in await desk.events(kind) if getattr(event.data, "order_ref", None) == order_ref]


async def reaches(desk: Desk, order_ref: str, status: OrderStatus) -> OrderReported:
    async def there() -> bool:
        return (await desk.statuses(order_ref))[-1:] == [status]

    await until(there)
    return (await told(desk, OrderReported, order_ref))[-1]


async def fills_are_the_brokers(desk: Desk) -> None:
    """Every execution and every commission of the broker was told, each once."""
    executions = [event.data for event in await desk.events(ExecutionReported)]
    commissions = [event.data for event in await desk.events(CommissionReported)]
    books = {one.execution_id: one for one in desk.simulator.engine.executions}
    assert sorted(one.execution_id for one in executions) == sorted(books)
    assert sorted(one.execution_id for one in commissions) == sorted(books)
    assert all(books[one.execution_id].shares == one.quantity for one in executions)
    assert all(books[one.execution_id].commission == one.commission for one in commissions)


@pytest.mark.parametrize("scenario", ["fills-during-outage", "fills-lost-in-outage"])
async def test_fills_of_an_outage_are_told_once(desk: Desk, scenario: str) -> None:
    """Pain 3: an order fills while IBKR is out of reach; its fill is told later, or never."""
    script(desk, scenario)
    async with desk.gateway() as gateway:
        desk.advance(BEFORE_THE_OUTAGE)
        coming = desk.simulator.engine.market.tape_at(stock("AAPL").contract_id, desk.simulator.engine.now)
        assert coming is not None
        first, last = coming.index(BEFORE_THE_OUTAGE) + 10, coming.index(IN_THE_OUTAGE)
        lowest = coming.price(int(coming.last[first:last].min()))
        await desk.command(single("order", lowest))
        await reaches(desk, "order", OrderStatus.SUBMITTED)
        desk.advance(IN_THE_OUTAGE)
        await until(lambda: not gateway.session.ready.is_set())
        assert desk.simulator.engine.executions, "it filled meanwhile"
        assert (await desk.statuses("order"))[-1] is OrderStatus.SUBMITTED
        desk.advance(AFTER_THE_OUTAGE)
        await until(lambda: gateway.session.ready.is_set())
        await reaches(desk, "order", OrderStatus.FILLED)
        await gateway.session.beat()
        await fills_are_the_brokers(desk)


async def test_a_stale_next_id_is_not_believed(desk: Desk) -> None:
    """Pain 10: after a restart the broker offers an order id that was used before."""
    desk.advance(OPEN)
    async with desk.gateway():
        await desk.command(single("first"))
        await reaches(desk, "first", OrderStatus.FILLED)
    script(desk, "stale-next-id")
    async with desk.gateway():
        await desk.command(single("second"))
        await reaches(desk, "second", OrderStatus.FILLED)
    requests = [one.request for one in desk.simulator.engine.book.orders.values()]
    assert [one.order_ref for one in requests] == ["first", "second"]
    assert requests[0].order_id < requests[1].order_id
    assert (await desk.statuses("first"))[-1] is OrderStatus.FILLED


async def test_an_order_that_a_dialog_holds_back_is_unknown_and_not_sent_again(desk: Desk) -> None:
    """Pain 11: the order hangs in the gateway program; whoever sends it again has two."""
    script(desk, "order-blocked")
    desk.advance(OPEN)
    async with desk.gateway(order_timeout_seconds=0.2, settle_seconds=60):
        await desk.command(single("order", market(desk).last / 2 // 1))
        await reaches(desk, "order", OrderStatus.UNKNOWN)
        assert desk.at_broker() == []
        desk.simulator.faults.release()
        await reaches(desk, "order", OrderStatus.SUBMITTED)
        assert desk.at_broker() == ["order"]


async def test_orders_are_managed_after_a_restart(desk: Desk) -> None:
    """Pain 12: the working orders of the process before are changed and cancelled by the next one."""
    desk.advance(OPEN)
    async with desk.gateway():
        await desk.command(order(desk.simulator, limit="100.00"))
        await reaches(desk, "order-1.target", OrderStatus.SUBMITTED)
    async with desk.gateway():
        await desk.command(ModifyOrder(order_ref="order-1", limit_price=Decimal("101.00")))
        await until(lambda: desk.at_broker("modify") == ["order-1"])
        await desk.command(CancelOrder(order_ref="order-1"))
        await reaches(desk, "order-1.target", OrderStatus.CANCELLED)
    assert desk.simulator.engine.book.live() == []
    assert len(desk.at_broker()) == 3


async def test_a_change_during_an_outage_waits_and_makes_no_second_order(desk: Desk) -> None:
    """Pain 13: a change that is sent into an outage leaves two working orders."""
    script(desk, "fills-during-outage")
    async with desk.gateway() as gateway:
        desk.advance(BEFORE_THE_OUTAGE)
        low = market(desk).last / 2 // 1
        await desk.command(single("order", low))
        before = await reaches(desk, "order", OrderStatus.SUBMITTED)
        desk.advance(IN_THE_OUTAGE)
        await until(lambda: not gateway.session.ready.is_set())
        await desk.command(ModifyOrder(order_ref="order", limit_price=low + 1))
        await gateway.session.beat()
        assert desk.at_broker("modify") == []
        desk.advance(AFTER_THE_OUTAGE)
        await until(lambda: desk.at_broker("modify") == ["order"])
        (working,) = desk.simulator.engine.book.live()
        assert (working.permanent_id, working.request.limit_price) == (before.perm_id, low + 1)


@pytest.mark.parametrize("scenario", ["false-cancel", "warning-last"])
async def test_a_notice_that_others_take_for_a_cancel_changes_nothing(desk: Desk, scenario: str) -> None:
    """Pain 14: 10349 and 399 come with orders that live on."""
    script(desk, scenario)
    desk.advance(OPEN)
    async with desk.gateway() as gateway:
        await desk.command(single("order", market(desk).last / 2 // 1))
        await reaches(desk, "order", OrderStatus.SUBMITTED)

        async def warned() -> bool:
            return bool(await told(desk, BrokerErrorReported, "order"))

        await until(warned)
        await desk.settled(gateway)
        effects = {error.effect for error in await told(desk, BrokerErrorReported, "order")}
        assert effects == {ErrorEffect.WARNING}
        assert set(await desk.statuses("order")) == {OrderStatus.SUBMITTED}
        assert len(desk.simulator.engine.book.live()) == 1


async def test_a_cancel_that_the_broker_does_not_find_leaves_the_order_alive(desk: Desk) -> None:
    """Pain 14: 10147 says nothing about whether the order works."""
    script(desk, "cancel-not-found")
    desk.advance(OPEN)
    async with desk.gateway() as gateway:
        await desk.command(single("order", market(desk).last / 2 // 1))
        await reaches(desk, "order", OrderStatus.SUBMITTED)
        await desk.command(CancelOrder(order_ref="order"))

        async def answered() -> bool:
            return 10147 in [error.code for error in await told(desk, BrokerErrorReported, "order")]

        await until(answered)
        await desk.settled(gateway)
        assert (await desk.statuses("order"))[-1] is OrderStatus.SUBMITTED


@pytest.mark.parametrize(("scenario", "reason"), [("rejected", "insufficient"), ("silent-inactive", "")])
async def test_every_rejection_is_told(desk: Desk, scenario: str, reason: str) -> None:
    """Pain 15: refused with an error, or only by the status Inactive."""
    script(desk, scenario)
    desk.advance(OPEN)
    async with desk.gateway():
        await desk.command(single("order"))
        report = await reaches(desk, "order", OrderStatus.REJECTED)
        assert reason in (report.reason or "")
        assert report.reason, "somebody reads this"


async def test_a_half_filled_entry_never_turns_into_the_opposite_position(desk: Desk) -> None:
    """Pain 16: the stop of an entry that filled in part."""
    async with desk.gateway() as gateway:
        desk.advance(OPEN)
        now = market(desk)
        quantity = Decimal(int(now.ask_size) + 1000)
        tape = desk.simulator.engine.market.tape_at(stock("AAPL").contract_id, desk.simulator.engine.now)
        assert tape is not None
        coming = tape.last[tape.index(OPEN) :]
        stop = tape.price(int(coming.min())) + Decimal("0.05")
        await desk.command(
            order(
                desk.simulator, limit=str(now.ask), quantity=quantity, stop_price=stop, target_price=now.last * 2 // 1
            )
        )
        await reaches(desk, "order-1", OrderStatus.PARTIALLY_FILLED)
        held = Decimal(0)
        for minutes in range(0, 380, 10):
            desk.advance(OPEN + timedelta(minutes=minutes))
            for one in desk.simulator.engine.accounts["DU1000001"].positions.values():
                held = max(held, one.quantity)
                assert one.quantity >= 0
        assert held >= now.ask_size
        await desk.settled(gateway)
        sold = sum(one.quantity for one in await told(desk, ExecutionReported, "order-1.stop"))
        bought = sum(one.quantity for one in await told(desk, ExecutionReported, "order-1"))
        assert 0 < sold <= bought


@pytest.mark.parametrize("scenario", ["execution-before-order", "commission-first", "doubled", "late"])
async def test_callbacks_in_any_order_tell_each_fill_once(desk: Desk, scenario: str) -> None:
    """Pains 3 and 17."""
    script(desk, scenario)
    desk.advance(OPEN)
    async with desk.gateway() as gateway:
        await desk.command(single("order", quantity=Decimal(int(market(desk).ask_size) + 200)))
        report = await reaches(desk, "order", OrderStatus.FILLED)

        async def paid() -> bool:
            return len(await desk.events(CommissionReported)) >= len(desk.simulator.engine.executions)

        await until(paid)
        await desk.settled(gateway)
        assert report.remaining == 0
        await fills_are_the_brokers(desk)


async def test_execution_times_with_a_dash_are_understood(desk: Desk) -> None:
    """Pain 22: some gateways write the times of executions in another form."""
    script(desk, "dash-times")
    desk.advance(OPEN)
    async with desk.gateway():
        await desk.command(single("order"))
        await reaches(desk, "order", OrderStatus.FILLED)
        (fill,) = await told(desk, ExecutionReported, "order")
        assert fill.time == OPEN
        assert fill.time.utcoffset() == timedelta(0)


async def snapshot(desk: Desk, gateway: Gateway) -> BrokerSnapshot:
    asked = await desk.command(RequestSnapshot())

    async def answered() -> bool:
        return any(event.data.request_id == asked.id for event in await desk.events(BrokerSnapshot))

    await until(answered)
    return (await desk.events(BrokerSnapshot))[-1].data


@pytest.mark.parametrize("scenario", ["assignment", "positions-missing"])
async def test_a_position_that_is_not_what_the_fills_say_is_a_difference(desk: Desk, scenario: str) -> None:
    """Pains 21 and 23: shares appear overnight without an order, or the broker forgets to list what is held."""
    desk.advance(OPEN)
    async with desk.gateway() as gateway:
        await desk.command(single("order", quantity=Decimal(40)))
        await reaches(desk, "order", OrderStatus.FILLED)
        (fill,) = await told(desk, ExecutionReported, "order")
        ours = Position("AAPL", fill.quantity, fill.price, Decimal(0), Decimal(0), fill.time)
        agreed = await snapshot(desk, gateway)
        assert list(compare([], [ours], agreed.positions, {"order"})) == []
        script(desk, scenario)
        desk.advance(OPEN + timedelta(days=1))
        (difference,) = compare([], [ours], (await snapshot(desk, gateway)).positions, {"order"})
        assert difference.subject == "position AAPL"


@pytest.mark.parametrize("scenario", ["what-if-unset", "what-if-hangs"])
async def test_a_preview_without_figures_says_so(desk: Desk, scenario: str) -> None:
    """Pain 25: the largest double stands for "not known", and some answers never come."""
    script(desk, scenario)
    desk.advance(OPEN)
    async with desk.gateway(order_timeout_seconds=1, answer_timeout_seconds=1):
        await desk.command(PreviewOrder(order=single("order").orders[0]))

        async def answered() -> bool:
            return bool(await desk.events(OrderPreviewed))

        await until(answered)
        (preview,) = await told(desk, OrderPreviewed, "order")
        assert preview.error
        assert (preview.initial_margin, preview.initial_margin_change) == (None, None)
        assert desk.at_broker() == []
