"""What becomes of orders on which the broker says nothing, on its wire and in the database."""

from decimal import Decimal
from typing import Any

import psycopg

from services.simulator.faults.model import Script
from shared.messages.broker import (
    BrokerErrorReported,
    BrokerSnapshot,
    OrderReported,
)
from shared.types import OrderStatus
from tests.integration.gateway.desk import Desk, last_report, order, until, verdicts

BRACKET = ["order-1", "order-1.stop", "order-1.target"]
QUICK: dict[str, Any] = {"order_timeout_seconds": 0.3, "settle_seconds": 0.2}
S = OrderStatus


async def test_claims_get_their_verdicts_in_the_database(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator))
        await desk.settled(gateway)
        await until(lambda: verdicts(desk, ["answered"] * 3))
    with psycopg.connect(desk.common.database_url) as connection:
        rows = connection.execute("SELECT order_ref, broker_order_id, quantity FROM broker_orders ORDER BY 2")
        found = rows.fetchall()
    assert [row[0] for row in found] == BRACKET
    assert len({row[1] for row in found}) == 3
    assert {row[2] for row in found} == {Decimal(100)}


# Silence


def swallow_orders(desk: Desk) -> None:
    """From now on what clients order never arrives, as behind a dialog that nobody sees."""
    drop(desk, receives="placeOrder")


def drop(desk: Desk, **when: str | tuple[str, ...]) -> None:
    rule = {"when": {**when, "times": 0}, "do": [{"effect": "drop"}]}
    desk.simulator.faults.add(Script.model_validate({"rule": [rule]}))


async def test_a_silent_broker_holds_nobody_up_and_its_silence_gets_a_verdict(desk: Desk) -> None:
    async with desk.gateway(**QUICK) as gateway:
        desk.advance()
        swallow_orders(desk)
        await desk.command(order(desk.simulator))
        await desk.settled(gateway)  # acknowledged as soon as its bytes are written
        for order_ref in BRACKET:
            await until(lambda ref=order_ref: last_report(desk, ref, S.REJECTED))
            assert await desk.statuses(order_ref) == [S.UNKNOWN, S.REJECTED]
        reports = [event.data for event in await desk.events(OrderReported)]
        assert "never reached the broker: missing from" in (reports[-1].reason or "")
        assert await verdicts(desk, ["lost"] * 3)
        assert desk.at_broker() == []


async def test_a_verdict_is_found_after_a_restart_in_between(desk: Desk) -> None:
    async with desk.gateway(order_timeout_seconds=60) as gateway:
        desk.advance()
        swallow_orders(desk)
        await desk.command(order(desk.simulator))
        await desk.settled(gateway)
        assert await desk.statuses("order-1") == []
    async with desk.gateway(**QUICK):
        for order_ref in BRACKET:
            await until(lambda ref=order_ref: last_report(desk, ref, S.REJECTED))
            assert await desk.statuses(order_ref) == [S.UNKNOWN, S.REJECTED]
    async with desk.gateway(**QUICK):
        assert await desk.statuses("order-1") == [S.UNKNOWN, S.REJECTED], "once and for all"


async def test_an_entry_that_waits_for_a_refused_child_for_ever_is_found_out(desk: Desk) -> None:
    """IBKR keeps a family that is not complete: its entry is there, does not work, and is in no listing."""
    async with desk.gateway(**QUICK) as gateway:
        desk.advance()
        rule = {"when": {"receives": "placeOrder", "order_ref": "*.target"}, "do": [{"effect": "drop"}]}
        desk.simulator.faults.add(Script.model_validate({"rule": [rule]}))
        await desk.command(order(desk.simulator, limit="100.00"))
        for order_ref in BRACKET:
            await until(lambda ref=order_ref: last_report(desk, ref, S.REJECTED))
        await desk.settled(gateway)
        assert desk.at_broker() == []


async def test_an_order_that_comes_to_life_after_its_verdict_is_cancelled(desk: Desk) -> None:
    """As one behind a dialog that somebody confirms at last: nobody counts on it any more."""
    async with desk.gateway(**QUICK) as gateway:
        desk.advance()
        rule = {"when": {"receives": "placeOrder", "times": 0}, "do": [{"effect": "hold", "until": "release"}]}
        desk.simulator.faults.add(Script.model_validate({"rule": [rule]}))
        await desk.command(order(desk.simulator, limit="100.00"))
        for order_ref in BRACKET:
            await until(lambda ref=order_ref: last_report(desk, ref, S.REJECTED))
        desk.simulator.faults.clear()  # what was held is delivered
        for order_ref in BRACKET:
            await until(lambda ref=order_ref: last_report(desk, ref, S.CANCELLED))
        await desk.settled(gateway)
        assert desk.simulator.engine.book.live() == []
        texts = [event.data.text for event in await desk.events(BrokerErrorReported)]
        assert any("order-1 was reported never to have reached the broker" in text for text in texts)


async def test_an_order_that_came_to_life_while_no_gateway_was_there_is_cancelled(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        await desk.command(order(desk.simulator, limit="100.00"))
        await desk.settled(gateway)
        await until(lambda: verdicts(desk, ["answered"] * 3))
    with psycopg.connect(desk.common.database_url) as connection:
        connection.execute("UPDATE broker_orders SET verdict = 'lost'")
    async with desk.gateway(**QUICK):
        for order_ref in BRACKET:
            await until(lambda ref=order_ref: last_report(desk, ref, S.CANCELLED))
        assert desk.simulator.engine.book.live() == []
        await until(lambda: verdicts(desk, ["answered"] * 3))


async def test_an_answer_that_was_lost_with_its_connection_is_found_in_the_listing(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        drop(desk, sends=("openOrder", "orderStatus"))
        await desk.command(order(desk.simulator, limit="100.00"))
        await desk.settled(gateway)
        assert await desk.statuses("order-1") == []
        desk.simulator.faults.clear()
        desk.drop_clients()
        await until(lambda: verdicts(desk, ["answered"] * 3))
        newest = (await desk.events(BrokerSnapshot))[-1].data
        assert {report.order_ref: report.status for report in newest.orders} == dict.fromkeys(BRACKET, S.SUBMITTED)
        assert S.UNKNOWN not in await desk.statuses("order-1")


# What overtakes
