"""Liquidity: partial fills, queues, ladders; brackets and OCA groups when fills are partial; the books of all that."""

from decimal import Decimal
from typing import Any

import pytest

from services.simulator.core.engine import Engine
from services.simulator.core.orders import Executed, OrderCancelled, OrderChanged, Status
from tests.unit.simulator.test_order_types import FALLS, RISES, engine_on, fills, started
from tests.unit.simulator.world import (
    AAA,
    ACCOUNT,
    BBB,
    MINUTE,
    SESSIONS,
    Listed,
    bracket,
    make_engine,
    minutes,
    order,
    place_all,
    state,
    tape,
)

D = Decimal
FLAT = [10000] * 6


# -- liquidity ------------------------------------------------------------------------------------------------------


def test_market_order_walks_the_ladder_and_goes_on_at_the_next_tick() -> None:
    engine = engine_on(RISES, size=30)
    events = engine.place(order(1, "BUY", "MKT", quantity=D(200)))
    assert fills(events) == [(0, f"100.0{cent}", 30) for cent in range(1, 6)]
    assert state(engine, 1).status is Status.SUBMITTED
    assert fills(engine.advance(minutes(1, 5))) == [(1, "100.11", 30), (1, "100.12", 20)]
    assert state(engine, 1).average_price == sum(e.price * e.shares for e in engine.executions) / 200


def test_what_one_order_has_taken_is_gone_for_the_next() -> None:
    engine = engine_on(FLAT, size=30, volume=0)
    engine.place(order(1, "BUY", "LMT", "100.01", quantity=D(20)))
    assert fills(engine.place(order(2, "BUY", "LMT", "100.01", quantity=D(20)))) == [(0, "100.01", 10)]
    assert fills(engine.advance(minutes(1, 1))) == [(1, "100.01", 10)], "a new tick shows new sizes"


def test_limit_order_that_sweeps_goes_on_at_the_quote() -> None:
    engine = engine_on([10000, 9990, 9990, 10200, 10000], size=10, volume=0)
    events = engine.place(order(1, "BUY", "LMT", "101", quantity=D(160)))
    events += engine.advance(minutes(1, 4))
    prices = [price for _, price, _ in fills(events)]
    assert prices[:6] == ["100.01", "100.02", "100.03", "100.04", "100.05", "99.91"]
    # after a tick that was beyond its limit it rests, and gets the limit
    assert fills(events)[-1] == (4, "101", 10)
    assert max(map(Decimal, prices)) == 101


@pytest.mark.parametrize(
    ("price", "prices", "expected"),
    [
        # joins 300 at the bid, while each tick trades 100 at that price
        ("100.00", [10001] + [10000] * 5, [(4, "100.00", 100)]),
        ("100.00", [10001, 10000, 10001, 10000, 10000, 10000], [(5, "100.00", 100)]),
        # between bid and ask: nobody is ahead
        ("100.02", [10002] * 6, [(1, "100.02", 100)]),
        # beyond the ladder's five levels: as many ahead as at the last level
        ("99.80", [10000] + [9980] * 5, [(4, "99.80", 100)]),
        # what trades beyond the limit has come through it
        ("100.00", [10001, 9999, 10001, 10001, 10001, 10001], [(1, "100.00", 100)]),
    ],
)
def test_resting_limit_order_waits_in_its_queue(price: str, prices: list[int], expected: list[Any]) -> None:
    engine = engine_on(prices, size=300, volume=100, spread=2 if price == "100.02" else 1)
    events = engine.place(order(1, "BUY", "LMT", price))
    assert fills(events + engine.advance(minutes(1, 5))) == expected


def test_queue_is_kept_by_a_smaller_quantity_and_lost_by_another_price() -> None:
    def filled_at(*changes: dict[str, Any]) -> int:
        engine = engine_on([10001, 10000, 10001] + [10000] * 6, size=300, volume=100)
        engine.place(order(1, "BUY", "LMT", "100.00"))
        engine.advance(minutes(1, 2))
        for change in changes:
            engine.place(order(1, "BUY", "LMT", **{"price": "100.00", **change}))
        engine.advance(minutes(1, 8))
        return (engine.executions[0].time - SESSIONS[1].open) // MINUTE

    assert filled_at() == 5
    assert filled_at({"quantity": D(60)}) == 5
    assert filled_at({"price": "99.99"}, {"price": "100.00"}) == 6


def test_partial_fill_at_the_limit_is_no_more_than_what_trades() -> None:
    engine = engine_on([10001] + [10000] * 5, size=40, volume=30, spread=1)
    engine.place(order(1, "BUY", "LMT", "100.00"))
    events = engine.advance(minutes(1, 5))
    assert fills(events) == [(2, "100.00", 20), (3, "100.00", 30), (4, "100.00", 30), (5, "100.00", 20)]


def test_commission_minimum_is_charged_once_per_order() -> None:
    engine = engine_on(RISES, size=30)
    engine.place(order(1, "BUY", "MKT"))
    assert [e.commission for e in engine.executions] == [1, 0, 0, 0]


def test_market_to_limit_leaves_a_limit_order() -> None:
    engine = engine_on([10000, 10010, 10010, 9999, 9999, 9999], size=30, volume=0)
    assert fills(engine.place(order(1, "BUY", "MTL", quantity=D(50)))) == [(0, "100.01", 30)]
    assert state(engine, 1).working_limit == D("100.01")
    assert fills(engine.advance(minutes(1, 5))) == [(3, "100.01", 20)]


# -- brackets -------------------------------------------------------------------------------------------------------


def partly_filled_bracket(**more: Any) -> Engine:
    """A bracket whose entry has filled 60 of 100: 30 shown at each tick from 0, limit at the quote."""
    engine = engine_on([10000, 10000, 10100, 10100, 10200, 10200, 10300], size=30, volume=0)
    place_all(engine, bracket(1, "100.01", "101.95", "90", **more))
    engine.advance(minutes(1, 2))
    assert state(engine, 1).filled == 60
    return engine


def test_children_work_for_what_the_parent_has_filled() -> None:
    engine = partly_filled_bracket()
    assert [(state(engine, n).status, state(engine, n).waits_for_parent) for n in (2, 3)] == [
        (Status.SUBMITTED, False),
        (Status.PRE_SUBMITTED, False),
    ]
    engine.advance(minutes(1, 6))
    assert (state(engine, 2).filled, state(engine, 2).status) == (60, Status.CANCELLED), "DAY: ended at the close"
    assert state(engine, 3).request.quantity == 40, "reduced by what its sibling has filled"
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 0


def test_cancelling_a_partly_filled_parent_leaves_protection_for_its_part() -> None:
    engine = partly_filled_bracket()
    engine.cancel(1, 1)
    assert [state(engine, n).request.quantity for n in (2, 3)] == [60, 60]
    assert all(state(engine, n).live for n in (2, 3))
    engine.advance(minutes(1, 5))
    assert (state(engine, 2).status, state(engine, 3).status) == (Status.FILLED, Status.CANCELLED)
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 0


def test_stop_that_fills_in_part_reduces_the_target() -> None:
    engine = engine_on([10000, 9000, 9000, 9000], size=10, volume=0)
    place_all(engine, bracket(1, "100.10", "110", "91", quantity=D(40)))
    assert state(engine, 1).status is Status.FILLED
    engine.advance(minutes(1, 1))
    assert (state(engine, 3).filled, state(engine, 2).status) == (40, Status.CANCELLED)


# -- one cancels all ------------------------------------------------------------------------------------------------


def group(engine: Engine, oca_type: int, *quantities: int) -> None:
    for number, quantity in enumerate(quantities, 1):
        engine.place(
            order(
                number,
                "BUY",
                "LMT",
                f"{99.60 + number / 100:.2f}",
                oca_group="g",
                oca_type=oca_type,
                quantity=D(quantity),
            )
        )


@pytest.mark.parametrize(("oca_type", "left"), [(1, None), (2, 90), (3, 90)])
def test_partial_fill_cancels_or_reduces_the_group(oca_type: int, left: int | None) -> None:
    engine = engine_on([10000, 9961, 10000, 10000], size=10, volume=0)
    group(engine, oca_type, 100, 100)
    events = engine.advance(minutes(1, 1))
    assert fills(events) == [(1, "99.62", 10)]
    other = state(engine, 1)
    if left is None:
        assert other.status is Status.CANCELLED
    else:
        assert (other.live, other.request.quantity) == (True, left)


def test_unequal_orders_of_a_group_are_reduced_in_proportion_rounded_up() -> None:
    engine = engine_on([10000, 9961, 10000, 10000], size=10, volume=0)
    group(engine, 2, 7, 100)  # a tenth of seven is one
    engine.advance(minutes(1, 1))
    assert state(engine, 1).request.quantity == 6


def test_order_reduced_at_the_closing_tick_still_gets_its_match_there() -> None:
    engine = started(Listed([tape(stock, 1, [10000, 10000, 9900], size=10, volume=0) for stock in (AAA, BBB)]))
    for number, stock in enumerate((AAA, BBB), 1):
        terms: dict[str, object] = {"contract_id": stock.contract_id, "oca_group": "g", "time_in_force": "GTC"}
        engine.place(order(number, "BUY", "LMT", "99.50", **terms))
    events = engine.advance(minutes(1, 2))
    assert fills(events) == [(2, "99.50", 50), (2, "99.50", 50)], "five levels of ten each"
    assert [state(engine, n).status for n in (1, 2)] == [Status.CANCELLED, Status.FILLED]


def test_reduced_order_cannot_be_made_larger_again() -> None:
    engine = engine_on([10000, 9961, 10000, 10000], size=10, volume=0)
    group(engine, 2, 100, 100)
    engine.advance(minutes(1, 1))
    again: dict[str, object] = {"oca_group": "g", "oca_type": 2}
    events = engine.place(order(1, "BUY", "LMT", "99.00", **again))
    assert [(e.order.request.quantity, e.order.request.limit_price) for e in events if isinstance(e, OrderChanged)] == [
        (90, D("99.00"))
    ]
    engine.place(order(1, "BUY", "LMT", "99.00", quantity=D(80), **again))
    assert state(engine, 1).request.quantity == 80
    engine.place(order(2, "BUY", "LMT", "99.00", quantity=D(120), **again))
    assert state(engine, 2).request.quantity == 120, "nothing has reduced this one"


def test_child_cut_down_to_its_parents_part_cannot_be_made_larger_again() -> None:
    engine = partly_filled_bracket()
    engine.cancel(1, 1)
    engine.place(order(2, "SELL", "LMT", "101.90", parent_id=1))
    assert state(engine, 2).request.quantity == 60
    engine.advance(minutes(1, 6))
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 0


def test_complete_fill_cancels_the_group_whatever_its_type() -> None:
    for oca_type in (1, 2, 3):
        engine = engine_on(FALLS)
        group(engine, oca_type, 100, 100)
        events = engine.advance(minutes(1, 5))
        assert len([event for event in events if isinstance(event, Executed)]) == 1
        assert [event.order.request.order_id for event in events if isinstance(event, OrderCancelled)] == [2]


def test_group_of_orders_that_one_tick_would_fill_fills_one() -> None:
    listed = Listed((tape(AAA, 1, FLAT), tape(AAA, 2, [9000] * 6)))
    engine = started(listed)
    for number in (1, 2):
        engine.place(order(number, "BUY", "LMT", "95", oca_group="g", oca_type=1, time_in_force="GTC"))
    engine.advance(SESSIONS[2].open)
    assert [state(engine, n).status for n in (1, 2)] == [Status.FILLED, Status.CANCELLED]


def test_engine_is_the_same_after_the_same_commands() -> None:
    def run() -> Engine:
        engine = make_engine(Listed((tape(AAA, 1, RISES, size=30), tape(AAA, 2, FALLS, size=20))))
        place_all(engine, bracket(1, "100.35", "100.50", "99.70", time_in_force="GTC"))
        engine.advance(SESSIONS[2].close)
        return engine

    first, second = run(), run()
    assert first.executions == second.executions
    assert first.book == second.book
    assert first.accounts == second.accounts
