"""Which orders, changes and cancels are refused, with which code."""

from decimal import Decimal

import pytest

from services.simulator.core.orders import Condition, ConditionKind, Notice, Status
from tests.unit.simulator.test_engine import codes
from tests.unit.simulator.world import (
    BBB,
    CALL,
    PUT,
    at_open,
    bracket,
    leg,
    make_engine,
    minutes,
    order,
    place_all,
    state,
)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (order(2, "BUY", "LMT", "95.005"), 110),
        (order(2, "BUY", "LMT"), 321),
        (order(2, "HOLD", "MKT"), 321),
        (order(2, "BUY", "PEG STK"), 387),
        (order(2, "BUY", "MKT", time_in_force="DTC"), 201),
        (order(2, "BUY", "MKT", quantity=Decimal(0)), 434),
        (order(2, "BUY", "MKT", quantity=Decimal("1.5")), 10243),
        (order(2, "BUY", "MKT", quantity=Decimal("1e30")), 383),
        (order(2, "BUY", "LMT", "1e30"), 109),
        (order(2, "BUY", "MKT", quantity=Decimal(100_000)), 201),
        (order(2, "SELL", "MKT", parent_id=9), 135),
        (order(1, "BUY", "LMT", "95"), 104),
        (order(2, "BUY", "STP LMT", "95"), 321),
        (order(2, "BUY", "TRAIL"), 321),
        (order(2, "BUY", "TRAIL", trailing_percent=Decimal(100)), 321),
        (order(2, "BUY", "STP", "-1"), 321),
        (order(2, "BUY", "STP", "95", time_in_force="OPG"), 387),
        (order(2, "BUY", "LMT", "95", legs=(leg(CALL, "BUY"), leg(PUT, "HOLD"))), 321),
        (order(2, "BUY", "STP", "95", legs=(leg(CALL, "BUY"), leg(PUT, "SELL"))), 387),
        (order(2, "BUY", "LMT", "95", time_in_force="GTD"), 321),
        (order(2, "BUY", "LMT", "95", time_in_force="GTD", good_till=minutes(1, -9)), 201),
        (order(2, "BUY", "LMT", "95", oca_group="g", oca_type=4), 321),
        (order(2, "BUY", "LMT", "95", minimum_quantity=Decimal(101)), 321),
        (order(2, "BUY", "LMT", "95", conditions=(Condition(ConditionKind.PRICE, "a"),)), 321),
        (order(2, "SELL", "LMT", "95", parent_id=1, oca_group="done"), 201),
    ],
)
def test_refusals(request_: object, code: int) -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "MKT", oca_group="done"))
    events = engine.place(request_)  # type: ignore[arg-type]
    assert codes(events) == [code]
    assert len(engine.executions) == 1
    assert not engine.book.live()


def test_used_order_ids_are_refused() -> None:
    engine = at_open(make_engine())
    engine.place(order(5, "BUY", "LMT", "95"))
    assert codes(engine.place(order(4, "BUY", "LMT", "95"))) == [103]
    engine.cancel(1, 5)
    assert codes(engine.place(order(5, "BUY", "LMT", "95"))) == [103]
    assert engine.next_order_id(1) == 6
    assert engine.next_order_id(2) == 1


def test_change_of_another_order_is_refused_and_the_order_lives() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "LMT", "95"))
    assert codes(engine.place(order(1, "SELL", "LMT", "95"))) == [105]
    assert state(engine, 1).live


def test_cancel_of_unknown_and_done_orders() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "MKT"))
    assert codes(engine.cancel(1, 1)) == [10148]
    assert codes(engine.cancel(1, 2)) == [10147]


def test_cancel_all_cancels_everything_alive() -> None:
    engine = at_open(make_engine())
    place_all(engine, bracket(1, "95", "108", "85"))
    engine.place(order(4, "BUY", "MKT"))
    assert codes(engine.cancel_all()) == [], "the order that is done is not touched"
    assert not engine.book.live()


@pytest.mark.parametrize("order_type", ["PEG STK", "PEG BENCH", "VOL"])
def test_order_types_that_are_not_simulated_are_named(order_type: str) -> None:
    events = at_open(make_engine()).place(order(1, "BUY", order_type, "95"))
    assert [event.text for event in events if isinstance(event, Notice)] == [
        f"Unsupported order type for this exchange and security type. {order_type} is not simulated."
    ]


def test_margin_refusal_makes_the_whole_bracket_inactive() -> None:
    engine = at_open(make_engine())
    events = place_all(engine, bracket(1, "95", "108", "85", quantity=Decimal(50_000)))
    assert codes(events) == [201, 201, 201]
    assert {state(engine, number).status for number in (1, 2, 3)} == {Status.INACTIVE}


def test_twenty_active_orders_on_a_side() -> None:
    engine = at_open(make_engine())
    for number in range(1, 21):
        assert codes(engine.place(order(number, "BUY", "LMT", "50"))) == []
    assert codes(engine.place(order(21, "BUY", "LMT", "50"))) == [201]
    assert codes(engine.place(order(22, "SELL", "LMT", "150"))) == []
    assert codes(engine.place(order(23, "BUY", "LMT", "40", contract_id=BBB.contract_id))) == []
    engine.cancel(1, 5)
    assert codes(engine.place(order(24, "BUY", "LMT", "50"))) == []
    assert codes(engine.place(order(25, "BUY", "LMT", "50"))) == [201]
