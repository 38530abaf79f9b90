"""Orders on the wire of the TWS API: what ib_async's own sockets carry, what it can't read, and who is meant by it.

What any broker must do is in tests/broker_port; here is what only this API does. No Redis: a broker, a listener that
records, and the simulator with its faults.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.adapters.tws.broker import TwsBroker
from services.gateway.core.error_codes import UNDECODABLE
from services.gateway.ports import BrokerLost, RequestRefused, TimedOut
from services.simulator.faults import load
from services.simulator.faults.model import Script
from shared.messages.broker import BrokerErrorReported, CommissionReported, ErrorEffect, ExecutionReported
from shared.messages.broker_commands import (
    Algorithm,
    Condition,
    ConditionKind,
    ModifyOrder,
    OcaType,
)
from shared.types import Mode, OrderStatus, OrderType, TimeInForce
from tests.broker_port.stage import Stage, addresses, cents, limit, make_broker, simulated, terms, until

NOTICES = (2104, 2106, 2158)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with simulated("tws", fault_seconds=0.02) as made:
        await made.connect()
        yield made


def play(stage: Stage, *rules: dict[str, Any], scenario: str = "") -> None:
    stage.simulator.faults.add(load(scenario) if scenario else Script.model_validate({"rule": rules}))


def errors(stage: Stage) -> list[BrokerErrorReported]:
    """What the broker complained about, in order; without its greetings."""
    return [error for error in stage.heard.of(BrokerErrorReported) if error.code not in NOTICES]


def statuses(stage: Stage, order_ref: str) -> list[OrderStatus]:
    """Each state an order was reported in, repetitions left out."""
    told = [report.status for report in stage.told(order_ref)]
    return [status for number, status in enumerate(told) if number == 0 or told[number - 1] is not status]


def low(stage: Stage) -> Decimal:
    return cents(stage.market().last / 2)


async def restarted(stage: Stage) -> None:
    """Another process of ours takes over: nothing of what this one remembers is left."""
    stage.broker.disconnect()
    stage.broker = make_broker("tws", Mode.SIMULATED, addresses(stage.simulator))
    await stage.connect()
    await stage.broker.snapshot(stage.account, None)


# What is written


async def test_orders_that_belong_together_leave_in_one_write(stage: Stage) -> None:
    assert isinstance(stage.broker, TwsBroker)
    await stage.broker.requests.contract("AAPL")
    transport = stage.broker.orders._connection.client.conn.transport
    writes: list[bytes] = []
    stage.broker.orders._connection.client.conn.transport = Recorder(transport, writes)
    group = [limit(stage.ref(f"oca-{n}"), low(stage), oca_group="g", oca_type=OcaType.REDUCE) for n in range(3)]
    first = stage.broker.orders.next_order_id()
    await stage.broker.orders.submit(group, {one.order_ref: first + n for n, one in enumerate(group)}, stage.account)
    assert len(writes) == 1
    assert all(one.order_ref.encode() in writes[0] for one in group)
    for one in group:
        await stage.works(one.order_ref)


class Recorder:
    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(bytes(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def resting(stage: Stage, kind: OrderType) -> dict[str, Any]:
    """Prices with which an order to buy waits."""
    last = stage.market().last
    far, near = cents(last / 2), cents(last * 2)
    return {
        OrderType.LIMIT: {"limit_price": far},
        OrderType.STOP: {"trigger_price": near},
        OrderType.STOP_LIMIT: {"trigger_price": near, "limit_price": near},
        OrderType.TRAILING_STOP: {"trailing_percent": Decimal(9), "trigger_price": near},
        OrderType.TRAILING_STOP_LIMIT: {
            "trailing_amount": Decimal(50),
            "trigger_price": near,
            "limit_offset": Decimal("0.10"),
        },
        OrderType.MARKET_IF_TOUCHED: {"trigger_price": far},
        OrderType.LIMIT_IF_TOUCHED: {"trigger_price": far, "limit_price": far},
        OrderType.LIMIT_ON_CLOSE: {"limit_price": far},
        OrderType.MARKET_ON_CLOSE: {},
        OrderType.RELATIVE: {"limit_offset": Decimal("0.01"), "price_cap": far},
        OrderType.PEGGED_TO_MIDPOINT: {"limit_offset": Decimal("0.01"), "price_cap": far},
        OrderType.PEGGED_TO_BEST: {"limit_offset": Decimal("0.01"), "price_cap": far},
        OrderType.MIDPRICE: {"price_cap": far},
    }[kind]


WAITING = [
    kind for kind in OrderType if kind not in (OrderType.MARKET, OrderType.MARKET_TO_LIMIT, OrderType.PEGGED_TO_MARKET)
]


@pytest.mark.parametrize("kind", WAITING)
async def test_a_change_after_a_restart_changes_nothing_else(stage: Stage, kind: OrderType) -> None:
    """Only the broker's echo is left of the order; sent back as it is, it would say things we never said."""
    ref = stage.ref("order")
    await stage.submit(terms(ref, kind, **resting(stage, kind)))
    await stage.works(ref)
    before, stop = stage.booked(ref).request, stage.booked(ref).stop
    await restarted(stage)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, quantity=Decimal(70)))
    await until(lambda: stage.booked(ref).request.quantity == 70, "the change at the broker")
    after = stage.booked(ref).request
    for name in ("order_type", "limit_price", "aux_price", "trailing_percent", "limit_price_offset", "price_cap",
                 "order_ref", "time_in_force"):  # fmt: skip
        assert getattr(after, name) == getattr(before, name), name
    assert stage.booked(ref).stop == stop, "a trailing stop stays where it has come to"


async def test_attributes_survive_a_change_after_a_restart(stage: Stage) -> None:
    ref, later = stage.ref("order"), stage.now + timedelta(hours=2)
    conditions = (
        Condition(kind=ConditionKind.PRICE, symbol="IBM", value=Decimal(1), is_more=False, and_next=False),
        Condition(kind=ConditionKind.TIME, time=later),
        Condition(kind=ConditionKind.MARGIN, value=Decimal(30)),
        Condition(kind=ConditionKind.EXECUTION, symbol="MSFT"),
        Condition(kind=ConditionKind.VOLUME, symbol="IBM", value=Decimal(10**9)),
        Condition(kind=ConditionKind.PERCENT_CHANGE, symbol="IBM", value=Decimal(50)),
    )
    order = limit(
        ref,
        low(stage),
        time_in_force=TimeInForce.GTD,
        good_till=stage.now + timedelta(days=3),
        good_after=later,
        outside_regular_hours=True,
        all_or_none=True,
        minimum_quantity=Decimal(10),
        display_size=20,
        oca_group="group",
        oca_type=OcaType.REDUCE_WITH_BLOCK,
        conditions=conditions,
        conditions_cancel=False,
        conditions_outside_regular_hours=True,
        algorithm=Algorithm(name="Adaptive", parameters={"adaptivePriority": "Normal"}),
    )
    await stage.submit(order)
    await stage.works(ref)
    before = stage.booked(ref).request
    assert (before.good_till, before.good_after) == (order.good_till, later)
    assert [condition.kind.value for condition in before.conditions] == ["1", "3", "4", "5", "6", "7"]
    assert before.conditions[1].time == later
    await restarted(stage)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, limit_price=low(stage) + 1))
    await until(lambda: stage.booked(ref).request.limit_price == low(stage) + 1, "the change at the broker")
    after = stage.booked(ref).request
    for name in before.__slots__:
        if name not in ("limit_price", "echo"):
            assert getattr(after, name) == getattr(before, name), name
    for name in ("hidden", "algo_strategy", "algo_params", "display_size"):
        assert dict(after.echo).get(name) == dict(before.echo).get(name), name


async def test_a_change_that_does_not_fit_is_not_sent(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, low(stage)))
    with pytest.raises(RequestRefused, match="trailing_amount can't be changed of a LMT order"):
        await stage.broker.orders.modify(ModifyOrder(order_ref=ref, trailing_amount=Decimal(1)))
    await stage.settle()
    assert stage.received("modify") == []


# What can't be read


async def test_an_unreadable_message_about_orders_is_heard_of_and_asked_again(stage: Stage) -> None:
    ref = stage.ref("order")
    play(stage, {"when": {"sends": "orderStatus"}, "do": [{"effect": "replace", "fields": {"filled": "many"}}]})
    await stage.submit(limit(ref, low(stage)))
    (error,) = errors(stage)
    assert (error.code, error.effect) == (UNDECODABLE, ErrorEffect.UNKNOWN)
    assert "'many'" in error.text
    assert stage.told(ref) == []
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert [(one.order_ref, one.status) for one in snapshot.orders] == [(ref, OrderStatus.SUBMITTED)]


async def test_a_listing_that_cannot_be_read_is_no_listing(stage: Stage) -> None:
    """Whoever takes it for complete believes that the order is gone."""
    ref = stage.ref("order")
    await stage.submit(limit(ref, low(stage)))
    rule = {"when": {"sends": "openOrder"}, "do": [{"effect": "replace", "fields": {"total_quantity": "many"}}]}
    play(stage, rule)
    with pytest.raises(RequestRefused, match="can't be read"):
        await stage.broker.snapshot(stage.account, None)
    known = stage.broker.orders.known(ref)
    assert known is not None
    assert known.status is OrderStatus.SUBMITTED


async def test_bytes_that_are_no_message_are_heard_of(stage: Stage) -> None:
    play(stage, {"do": [{"effect": "raw", "hex": "0000000568656c6c6f"}]})
    await stage.settle()
    assert [error.code for error in errors(stage)] == [UNDECODABLE]
    play(stage, scenario="garbage")
    with pytest.raises(BrokerLost):
        await ask_often(stage)
    assert UNDECODABLE in [error.code for error in errors(stage)[1:]]


async def ask_often(stage: Stage) -> None:
    """More answers than the scenario lets pass before it goes wrong."""
    for _ in range(20):
        await stage.settle()


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("20240603 10:00:00 US/Eastern", True),
        ("20240603 10:00:00 EST", True),
        ("20240603 09:00:00 Central Standard Time", True),
        ("20240603-14:00:00", True),
        ("20240603  14:00:00", True),
        ("20240603 10:00:00 Mars/Phobos", False),
        ("yesterday", False),
    ],
)
async def test_no_fill_is_lost_for_its_time(stage: Stage, written: str, understood: bool) -> None:
    ref, now = stage.ref("order"), stage.now
    play(stage, {"when": {"sends": "execDetails"}, "do": [{"effect": "replace", "fields": {"time": written}}]})
    await stage.submit(terms(ref, quantity=10))
    (fill,) = await stage.filled(ref)
    if understood:
        assert fill.time == now
        assert errors(stage) == []
    else:
        (error,) = errors(stage)
        assert (error.effect, fill.execution_id in error.text, written in error.text) == (
            ErrorEffect.UNKNOWN,
            True,
            True,
        )


# Who is meant


def another(**fields: str) -> list[dict[str, Any]]:
    """Of each order the broker tells twice; the second time some fields are different."""

    def rule(message: str, known: set[str]) -> dict[str, Any]:
        told = {name: value for name, value in fields.items() if name in known}
        return {
            "when": {"sends": message},
            "do": [{"effect": "deliver"}, {"effect": "send", "message": message, "fields": told}],
        }

    ids = {"perm_id", "order_id"}
    return [rule("openOrder", {*ids, "order_ref", "total_quantity"}), rule("orderStatus", {*ids, "remaining"})]


async def test_two_orders_of_one_reference_are_both_known_and_both_cancelled(stage: Stage) -> None:
    """Pain 13: a change that was sent while the link was down has become a second order."""
    ref = stage.ref("order")
    play(stage, *another(perm_id="77", order_id="500"))
    await stage.submit(limit(ref, low(stage)))
    known = stage.broker.orders.known(ref)
    assert known is not None
    assert (known.status, known.remaining) == (OrderStatus.SUBMITTED, 200)
    (error,) = errors(stage)
    assert error.effect is ErrorEffect.UNKNOWN
    assert "2 orders work at the broker" in error.text
    with pytest.raises(RequestRefused, match="exactly one can be changed"):
        await stage.broker.orders.modify(ModifyOrder(order_ref=ref, quantity=Decimal(1)))
    mine = stage.booked(ref).request.order_id
    await stage.broker.orders.cancel(ref, mine)
    await stage.settle()
    assert stage.working() == []
    assert [(error.code, error.order_ref) for error in errors(stage)[1:]] == [(202, ref), (10147, ref)]
    assert stage.broker.orders.next_order_id() > 500


async def test_an_id_that_the_broker_hands_out_again_mixes_nothing(stage: Stage) -> None:
    """Pain 10: the same order id, another orderRef, another permId."""
    ref, other = stage.ref("order"), stage.ref("other")
    play(stage, *another(perm_id="77", order_ref=other, total_quantity="3", remaining="3"))
    await stage.submit(limit(ref, low(stage)))
    mine, theirs = stage.broker.orders.known(ref), stage.broker.orders.known(other)
    assert mine is not None
    assert theirs is not None
    assert (mine.remaining, theirs.remaining) == (100, 3)
    assert (mine.broker_order_id, theirs.perm_id) == (theirs.broker_order_id, 77)
    assert mine.perm_id != 77


async def test_the_id_of_another_order_is_not_cancelled(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, low(stage)))
    with pytest.raises(RequestRefused, match="is another order's"):
        await stage.broker.orders.cancel("lost", stage.told(ref)[-1].broker_order_id)
    await stage.settle()
    assert stage.working() == [ref]


# Scenarios of the fault catalogue


SUBMITTED, FILLED, CANCELLED, REJECTED = (
    OrderStatus.SUBMITTED,
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.REJECTED,
)


@pytest.mark.parametrize(
    ("scenario", "heard", "codes"),
    [
        ("cancel-error-first", [SUBMITTED, CANCELLED], [202]),
        ("cancel-not-found", [SUBMITTED], [10147]),
        ("cancel-unanswered", [SUBMITTED], []),
    ],
)
async def test_cancel(stage: Stage, scenario: str, heard: list[OrderStatus], codes: list[int]) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, low(stage)))
    play(stage, scenario=scenario)
    answered = stage.broker.orders.answered(ref)
    await stage.cancel(ref)
    await stage.settle()
    assert statuses(stage, ref) == heard
    assert [error.code for error in errors(stage)] == codes
    assert answered.done() == bool(codes)
    assert all(error.effect is not ErrorEffect.ORDER_REJECTED for error in errors(stage))


@pytest.mark.parametrize("scenario", ["false-cancel", "warning-last"])
async def test_a_warning_is_no_verdict(stage: Stage, scenario: str) -> None:
    ref = stage.ref("order")
    play(stage, scenario=scenario)
    await stage.submit(limit(ref, low(stage)))
    assert statuses(stage, ref) == [SUBMITTED]
    assert {error.effect for error in errors(stage)} == {ErrorEffect.WARNING}


@pytest.mark.parametrize(
    "scenario",
    ["commission-first", "commission-late", "doubled", "execution-before-order", "dash-times", "fill-after-cancel"],
)
async def test_a_fill_is_heard_whole(stage: Stage, scenario: str) -> None:
    ref = stage.ref("order")
    play(stage, scenario=scenario)
    await stage.submit(terms(ref, quantity=10))
    (fill,) = await stage.filled(ref)
    (booked,) = stage.simulator.engine.executions
    assert (fill.execution_id, fill.quantity, fill.price) == (booked.execution_id, booked.shares, booked.price)
    assert statuses(stage, ref)[-1] is FILLED
    order = [type(message) for message in stage.heard.messages]
    assert order.index(ExecutionReported) < order.index(CommissionReported)
    assert [error.code for error in errors(stage) if error.effect is ErrorEffect.UNKNOWN] == []


@pytest.mark.parametrize("scenario", ["commission-lost", "fill-lost"])
async def test_what_was_lost_is_in_the_next_listing(stage: Stage, scenario: str) -> None:
    ref = stage.ref("order")
    play(stage, scenario=scenario)
    await stage.submit(terms(ref, quantity=10))
    await stage.order(ref, FILLED)
    assert stage.heard.of(CommissionReported) == []
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert [one.order_ref for one in snapshot.executions] == [ref]
    assert [one.execution_id for one in snapshot.commissions] == [snapshot.executions[0].execution_id]


@pytest.mark.parametrize(("scenario", "reason"), [("rejected", "201 Order rejected"), ("silent-inactive", "inactive")])
async def test_a_rejection_has_a_reason(stage: Stage, scenario: str, reason: str) -> None:
    ref = stage.ref("order")
    play(stage, scenario=scenario)
    await stage.submit(limit(ref, low(stage)))
    assert statuses(stage, ref) == [REJECTED]
    assert reason in (stage.told(ref)[-1].reason or "")


async def test_a_correction_names_what_it_corrects(stage: Stage) -> None:
    ref = stage.ref("order")
    play(stage, scenario="correction")
    await stage.submit(terms(ref, quantity=10))
    await until(lambda: len(stage.fills(ref)) == 2, "the correction")
    first, second = stage.fills(ref)
    assert (first.corrects, second.corrects, second.price) == (None, first.execution_id, 1)
    assert errors(stage) == []


async def test_silence_is_no_verdict(stage: Stage) -> None:
    ref = stage.ref("order")
    play(stage, scenario="order-never-answered")
    answered = stage.broker.orders.answered(ref)
    await stage.submit(limit(ref, low(stage)))
    assert stage.broker.orders.known(ref) is None
    assert not answered.done()
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert snapshot.orders == ()
    stage.broker.disconnect()
    with pytest.raises(BrokerLost):
        await answered


async def test_a_stale_next_id_is_not_handed_out(stage: Stage) -> None:
    ref = stage.ref("order")
    await stage.submit(limit(ref, low(stage)))
    play(stage, scenario="stale-next-id")
    await restarted(stage)
    assert stage.broker.orders.next_order_id() > stage.booked(ref).request.order_id


@pytest.mark.parametrize(
    ("scenario", "text"),
    [("what-if-hangs", "321 .*What-if is not available"), ("what-if-unset", "margin.* unset|201 ")],
)
async def test_a_preview_without_figures_is_refused(stage: Stage, scenario: str, text: str) -> None:
    play(stage, scenario=scenario)
    with pytest.raises(RequestRefused, match=text):
        await stage.preview(limit(stage.ref("order"), low(stage)))


async def test_a_preview_may_be_answered_twice(stage: Stage) -> None:
    """A gateway may send a warning with nothing else first, and the figures later."""
    unset = "1.7976931348623157E308"
    figures = ("initial_margin_after", "initial_margin_change", "maintenance_margin_after")
    first = {"effect": "send", "message": "openOrder", "fields": dict.fromkeys(figures, unset)}
    play(stage, {"when": {"sends": "openOrder", "fields": {"what_if": "1"}}, "do": [first, {"effect": "deliver"}]})
    previewed = await stage.preview(limit(stage.ref("order"), low(stage)))
    assert previewed.initial_margin_change is not None
    assert 0 < previewed.initial_margin_change < 10**6


async def test_a_preview_that_is_never_answered_ends(stage: Stage) -> None:
    stage.broker.disconnect()
    given = {**addresses(stage.simulator), "order_timeout_seconds": 0.1}
    stage.broker = make_broker("tws", Mode.SIMULATED, given)
    await stage.connect()
    play(stage, {"when": {"receives": "placeOrder"}, "do": [{"effect": "drop"}]})
    with pytest.raises(TimedOut, match=r"within 0\.1 s"):
        await stage.preview(limit(stage.ref("order"), low(stage)))
