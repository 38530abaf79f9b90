"""Orders against quotes: fills, brackets, expiry, refusals."""

from datetime import UTC, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.core.engine import Engine
from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.orders import Event, Executed, Notice, OrderCancelled, OrderChanged, Status
from tests.unit.simulator.world import (
    AAA,
    ACCOUNT,
    DAYS,
    SESSIONS,
    at_open,
    bracket,
    make_engine,
    minutes,
    order,
    place_all,
    state,
)


def fills(events: list[Event]) -> list[tuple[int, str]]:
    return [
        (event.execution.order.request.order_id, str(event.execution.price))
        for event in events
        if isinstance(event, Executed)
    ]


def codes(events: list[Event]) -> list[int]:
    return [event.code for event in events if isinstance(event, Notice)]


def test_time_begins_before_the_first_session() -> None:
    engine = make_engine()
    assert engine.now.astimezone(EXCHANGE_ZONE).strftime("%F %R") == f"{DAYS[1]} 09:00"
    assert engine.now.tzinfo is UTC


def test_market_order_pays_the_spread() -> None:
    engine = at_open(make_engine())
    assert fills(engine.place(order(1, "BUY", "MKT"))) == [(1, "100.01")]
    assert fills(engine.place(order(2, "SELL", "MKT"))) == [(2, "99.99")]


def test_limit_order_that_can_fill_gets_the_quote() -> None:
    engine = at_open(make_engine())
    assert fills(engine.place(order(1, "BUY", "LMT", "103"))) == [(1, "100.01")]
    assert fills(engine.place(order(2, "SELL", "LMT", "95"))) == [(2, "99.99")]


def test_resting_limit_order_gets_its_limit_within_a_session() -> None:
    engine = at_open(make_engine())
    assert fills(engine.place(order(1, "BUY", "LMT", "91.55"))) == []
    assert fills(engine.advance(SESSIONS[1].close)) == [(1, "91.55")]
    assert engine.executions[0].time < SESSIONS[1].close


def test_limit_touched_exactly_by_the_ask_fills() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "LMT", "90.00"))  # the lowest ask is 90.01
    engine.place(order(2, "BUY", "LMT", "90.01"))
    assert fills(engine.advance(SESSIONS[1].close)) == [(2, "90.01")]


def test_gap_at_the_open_fills_a_limit_at_the_better_quote() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "SELL", "LMT", "115", time_in_force="GTC"))
    assert fills(engine.advance(SESSIONS[2].open)) == [(1, "119.99")]


def test_gap_through_a_stop_costs_what_it_costs() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "STP", "115", time_in_force="GTC"))
    assert fills(engine.advance(SESSIONS[2].open)) == [(1, "120.01")]


def test_stop_is_elected_by_the_last_price_and_filled_at_that_quote() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "SELL", "STP", "95"))
    assert fills(engine.advance(SESSIONS[1].close)) == [(1, "94.99")]
    assert engine.executions[0].time == minutes(1, 50), "the first tick whose last price is 95.00"


def test_stop_that_is_already_through_fills_on_arrival() -> None:
    engine = at_open(make_engine())
    assert fills(engine.place(order(1, "BUY", "STP", "100"))) == [(1, "100.01")]


def test_stops_go_before_limits_of_the_same_tick() -> None:
    engine = make_engine()
    engine.place(order(1, "BUY", "LMT", "101"))
    engine.place(order(2, "BUY", "STP", "99"))
    assert [order_id for order_id, _ in fills(engine.advance(SESSIONS[1].open))] == [2, 1]


def test_steps_and_one_leap_give_the_same_fills() -> None:
    requests = [
        *bracket(1, "95.00", "108.00", "91.00", time_in_force="GTC"),
        order(4, "SELL", "STP", "116.5", time_in_force="GTC"),
        order(5, "BUY", "LMT", "112", time_in_force="GTC"),
    ]
    leaping, stepping = at_open(make_engine()), at_open(make_engine())
    place_all(leaping, requests)
    place_all(stepping, requests)
    leaping.advance(SESSIONS[3].close)
    while not stepping.finished:
        stepping.advance(stepping.now + timedelta(seconds=37))
    assert [(e.execution_id, e.time, e.price) for e in leaping.executions] == [
        (e.execution_id, e.time, e.price) for e in stepping.executions
    ]
    assert len(leaping.executions) == 4


def test_bracket_is_invisible_until_transmitted() -> None:
    engine = at_open(make_engine())
    parent, target, stop = bracket(1, "95", "108", "85")
    assert engine.place(parent) == engine.place(target) == []
    events = engine.place(stop)
    shown = [
        (event.order.request.order_id, str(event.order.status), event.order.why_held)
        for event in events
        if isinstance(event, OrderChanged)
    ]
    assert shown == [(1, "Submitted", ""), (2, "PreSubmitted", "child"), (3, "PreSubmitted", "child,trigger")]
    assert state(engine, 2).oca_group == state(engine, 3).oca_group == str(state(engine, 1).permanent_id)


def test_bracket_target_fill_cancels_the_stop() -> None:
    engine = at_open(make_engine())
    place_all(engine, bracket(1, "95", "108", "85"))
    events = engine.advance(SESSIONS[1].close)
    assert fills(events) == [(1, "95"), (2, "108")]
    assert [event.order.request.order_id for event in events if isinstance(event, OrderCancelled)] == [3]
    assert not engine.book.live()
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 0


def test_bracket_stop_fill_cancels_the_target() -> None:
    engine = at_open(make_engine())
    place_all(engine, bracket(1, "95", "108", "92"))
    engine.advance(SESSIONS[1].close)
    assert [state(engine, number).status for number in (1, 2, 3)] == [Status.FILLED, Status.CANCELLED, Status.FILLED]


def test_children_are_not_compared_with_the_quote_that_filled_the_parent() -> None:
    engine = at_open(make_engine())
    # target below and stop above the market: both would fill on the parent's own quote
    events = place_all(engine, bracket(1, "103", "99", "100.5"))
    assert fills(events) == [(1, "100.01")]
    events = engine.place(order(2, "SELL", "LMT", "98", parent_id=1))
    assert fills(events) == [], "also not when it is changed at that quote"
    assert fills(engine.advance(minutes(1, 1)))[0][0] == 3


def test_cancelling_the_parent_cancels_the_children() -> None:
    engine = at_open(make_engine())
    place_all(engine, bracket(1, "95", "108", "85"))
    events = engine.cancel(1, 1)
    assert [event.order.request.order_id for event in events if isinstance(event, OrderCancelled)] == [1, 2, 3]


def test_held_orders_are_replaced_dropped_and_never_logged() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "LMT", "95", transmit=False))
    engine.place(order(1, "BUY", "LMT", "96", transmit=False))
    assert state(engine, 1).request.limit_price == Decimal(96)
    assert codes(engine.cancel(1, 1)) == [10147]
    engine.drop_held(1)
    assert engine.book.orders == {}
    assert engine.received == []
    assert engine.next_order_id(1) == 1  # free again, for the client that lost its connection in the middle
    assert codes(engine.place(order(1, "BUY", "LMT", "80"))) == []


def test_day_order_expires_after_the_closing_tick_and_gtc_lives_on() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "LMT", "80"))
    engine.place(order(2, "BUY", "LMT", "80", time_in_force="GTC"))
    engine.place(order(3, "SELL", "LMT", "104.99"))
    events = engine.advance(SESSIONS[1].close)
    assert [event.order.request.order_id for event in events if isinstance(event, OrderCancelled)] == [1]
    assert state(engine, 2).status is Status.SUBMITTED
    assert state(engine, 3).status is Status.FILLED
    assert state(engine, 1).completed_at == SESSIONS[1].close


def test_order_out_of_hours_warns_and_rests_until_the_open() -> None:
    engine = make_engine()
    first, second = engine.place(order(1, "BUY", "MKT"))
    assert isinstance(first, Notice)
    assert (first.code, "until 2010-01-05 09:30:00 US/Eastern" in first.text) == (399, True)
    assert isinstance(second, OrderChanged)
    assert second.order.status is Status.PRE_SUBMITTED
    assert fills(engine.advance(SESSIONS[1].open)) == [(1, "100.01")]


def test_change_is_matched_at_once_and_keeps_its_identity() -> None:
    engine = at_open(make_engine())
    engine.place(order(1, "BUY", "LMT", "95"))
    permanent_id = state(engine, 1).permanent_id
    events = engine.place(order(1, "BUY", "LMT", "100.50", quantity=Decimal(50)))
    assert fills(events) == [(1, "100.01")]
    assert (state(engine, 1).permanent_id, state(engine, 1).filled) == (permanent_id, 50)


def test_oca_group_of_the_client() -> None:
    engine = at_open(make_engine())
    place_all(engine, [order(1, "BUY", "LMT", "95", oca_group="g"), order(2, "BUY", "LMT", "80", oca_group="g")])
    engine.advance(SESSIONS[1].close)
    assert [state(engine, number).status for number in (1, 2)] == [Status.FILLED, Status.CANCELLED]


def test_log_of_received_orders() -> None:
    engine = at_open(make_engine())
    place_all(engine, bracket(1, "95", "108", "85"))
    engine.place(order(1, "BUY", "LMT", "94"))
    engine.cancel(1, 1)
    assert [(entry.what, entry.order_ref, entry.parent_ref, entry.limit_price) for entry in engine.received] == [
        ("place", "ref-1", "", Decimal(95)),
        ("place", "ref-2", "ref-1", Decimal(108)),
        ("place", "ref-3", "ref-1", None),
        ("modify", "ref-1", "", Decimal(94)),
        ("cancel", "ref-1", "", Decimal(94)),
    ]


def test_advance_stops_at_the_end_and_never_goes_back() -> None:
    engine = make_engine()
    engine.advance(SESSIONS[3].close + timedelta(days=30))
    assert engine.finished
    assert engine.now == SESSIONS[3].close
    assert engine.advance(SESSIONS[1].open) == []
    assert engine.now == SESSIONS[3].close


def test_same_commands_give_the_same_identities() -> None:
    def run() -> Engine:
        engine = at_open(make_engine())
        place_all(engine, bracket(1, "95", "108", "85"))
        engine.advance(SESSIONS[2].close)
        return engine

    first, second = run(), run()
    assert [execution.execution_id for execution in first.executions] == [e.execution_id for e in second.executions]
    assert first.book == second.book
    assert first.accounts == second.accounts


prices = st.integers(8800, 12600).map(lambda cents: str(Decimal(cents) / 100))
times_in_force = st.sampled_from(["DAY", "GTC"])


@settings(deadline=None)
@given(st.lists(st.tuples(prices, prices, prices, times_in_force, st.integers(0, 300), st.booleans()), max_size=6))
def test_brackets_never_leave_what_they_must_not(drawn: list[tuple[str, str, str, str, int, bool]]) -> None:
    engine = at_open(make_engine())
    for number, (entry, target, stop, time_in_force, wait, cancelled) in enumerate(drawn):
        place_all(engine, bracket(1 + 3 * number, entry, target, stop, time_in_force=time_in_force))
        engine.advance(engine.now + timedelta(minutes=wait))
        if cancelled:
            engine.cancel(1, 1 + 3 * number)
        for first in range(1, 1 + 3 * (number + 1), 3):
            parent, *children = (state(engine, first + offset) for offset in range(3))
            filled = [child for child in children if child.status is Status.FILLED]
            assert len(filled) <= 1, "target and stop both filled"
            if filled:
                assert parent.status is Status.FILLED
                assert not any(child.live for child in children), "a sibling lives on"
                assert filled[0].completed_at > parent.completed_at, "filled by its parent's own quote"
            if parent.status is Status.CANCELLED:
                assert not any(child.live for child in children), "a child outlives its cancelled parent"
            if parent.live:
                assert all(child.waits_for_parent for child in children if child.live)
    net = sum((e.shares if e.side == "BOT" else -e.shares for e in engine.executions), Decimal(0))
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == net >= 0
