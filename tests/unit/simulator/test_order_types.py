"""Each order type on a tape of a few ticks: when it is triggered, when it fills, at which price."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.simulator.core.engine import Engine
from services.simulator.core.orders import Event, Executed, Notice, OrderRequest, Status
from tests.unit.simulator.world import AAA, SESSIONS, Listed, make_engine, minutes, order, place_all, state, tape

# last prices in cents, one a minute
FALLS = [10000, 9990, 9980, 9970, 9960, 9950]
RISES = [10000, 10010, 10020, 10030, 10040, 10050]
VALLEY = [10000, 9980, 9960, 9980, 10000, 10020]
HILL = [10000, 10020, 10040, 10020, 10000, 9980]


def engine_on(prices: list[int], **more: Any) -> Engine:
    """An engine at the first tick of a day with these prices, and of one more day at the last of them."""
    first = tape(AAA, 1, prices, **more)
    return started(Listed((first, tape(AAA, 2, [prices[-1]] * 6))))


def started(listed: Listed) -> Engine:
    engine = make_engine(listed)
    engine.advance(SESSIONS[1].open)
    return engine


def fills(events: list[Event]) -> list[tuple[int, str, int]]:
    """Minute of the first day, price and quantity of each fill."""
    return [
        (
            (event.execution.time - SESSIONS[1].open) // timedelta(minutes=1),
            str(event.execution.price),
            int(event.execution.shares),
        )
        for event in events
        if isinstance(event, Executed)
    ]


def codes(events: list[Event]) -> list[int]:
    return [event.code for event in events if isinstance(event, Notice)]


def outcome(prices: list[int], request: OrderRequest, **more: Any) -> list[tuple[int, str, int]]:
    engine = engine_on(prices, **more)
    events = engine.place(request)
    assert not codes(events)
    return fills(events + engine.advance(minutes(1, len(prices) - 1)))


D = Decimal
CASES: dict[str, tuple[list[int], OrderRequest, list[tuple[int, str, int]]]] = {
    "MKT buys at the ask": (RISES, order(1, "BUY", "MKT"), [(0, "100.01", 100)]),
    "LMT gets its limit": (FALLS, order(1, "BUY", "LMT", "99.75"), [(3, "99.75", 100)]),
    "LMT sells at its limit": (RISES, order(1, "SELL", "LMT", "100.15"), [(2, "100.15", 100)]),
    "STP buys when the price rises to it": (RISES, order(1, "BUY", "STP", "100.15"), [(2, "100.21", 100)]),
    "STP sells when the price falls to it": (FALLS, order(1, "SELL", "STP", "99.80"), [(2, "99.79", 100)]),
    "STP LMT waits for its limit": (
        [10000, 10020, 10030, 10019, 10010, 10000],
        order(1, "BUY", "STP LMT", "100.20", aux_price=D("100.15")),
        [(3, "100.20", 100)],
    ),
    "STP LMT that is elected within its limit takes the quote": (
        RISES, order(1, "BUY", "STP LMT", "100.50", aux_price=D("100.15")), [(2, "100.21", 100)],
    ),
    "TRAIL sells a distance below the highest price": (
        HILL, order(1, "SELL", "TRAIL", "0.30"), [(4, "99.99", 100)],
    ),
    "TRAIL buys a distance above the lowest price": (VALLEY, order(1, "BUY", "TRAIL", "0.30"), [(4, "100.01", 100)]),
    "TRAIL by percent": (HILL, order(1, "SELL", "TRAIL", trailing_percent=D("0.3")), [(4, "99.99", 100)]),
    "TRAIL begins at its initial stop": (
        FALLS, order(1, "SELL", "TRAIL", "0.50", trail_stop_price=D("99.80")), [(2, "99.79", 100)],
    ),
    "TRAIL LIMIT has its limit at an offset from the stop": (
        [10000, 10040, 10000, 9990, 10000, 10006],
        order(1, "SELL", "TRAIL LIMIT", aux_price=D("0.30"), limit_price_offset=D("0.05"), trail_stop_price=D("99.50")),
        [(5, "100.05", 100)],
    ),
    "MIT buys when the price falls to it": (FALLS, order(1, "BUY", "MIT", "99.85"), [(2, "99.81", 100)]),
    "MIT sells when the price rises to it": (RISES, order(1, "SELL", "MIT", "100.15"), [(2, "100.19", 100)]),
    "LIT works as a limit order once touched": (
        [10000, 9990, 9980, 9979, 9970, 9960],
        order(1, "BUY", "LIT", "99.75", aux_price=D("99.85")),
        [(4, "99.75", 100)],
    ),
    "REL takes what comes down to its bid": (FALLS, order(1, "BUY", "REL", aux_price=D(0)), [(1, "99.99", 100)]),
    "REL is not chased by a rising price": (RISES, order(1, "BUY", "REL", aux_price=D(0)), []),
    "REL that reaches the other side takes it": (
        RISES, order(1, "BUY", "REL", aux_price=D("0.02")), [(0, "100.01", 100)],
    ),
    "REL stays within its cap": (
        FALLS, order(1, "BUY", "REL", aux_price=D("0.01"), price_cap=D("99.85")), [(2, "99.85", 100)],
    ),
    "PEG MKT keeps its distance from the other side": (
        FALLS, order(1, "BUY", "PEG MKT", aux_price=D("0.05")), [(1, "99.96", 100)],
    ),
    "PEG MID sells at the middle": (RISES, order(1, "SELL", "PEG MID"), [(1, "100.00", 100)]),
    "MIDPRICE sells at the middle, within its cap": (
        RISES, order(1, "SELL", "MIDPRICE", price_cap=D("100.25")), [(3, "100.25", 100)],
    ),
    "MTL fills at the best price": (RISES, order(1, "BUY", "MTL"), [(0, "100.01", 100)]),
}  # fmt: skip


@pytest.mark.parametrize(("prices", "request_", "expected"), CASES.values(), ids=CASES)
def test_order_type(prices: list[int], request_: OrderRequest, expected: list[tuple[int, str, int]]) -> None:
    assert outcome(prices, request_) == expected


@pytest.mark.parametrize(("prices", "request_", "expected"), CASES.values(), ids=CASES)
def test_stepping_through_time_makes_no_difference(
    prices: list[int], request_: OrderRequest, expected: list[tuple[int, str, int]]
) -> None:
    engine = engine_on(prices)
    events = engine.place(request_)
    while engine.now < minutes(1, len(prices) - 1):
        events += engine.advance(engine.now + timedelta(seconds=13))
    assert fills(events) == expected


def test_opening_auction() -> None:
    engine = make_engine(Listed((tape(AAA, 1, RISES),)))
    place_all(
        engine,
        [
            order(1, "BUY", "MKT", time_in_force="OPG"),
            order(2, "BUY", "LMT", "100.00", time_in_force="OPG"),
            order(3, "BUY", "LMT", "99.99", time_in_force="OPG"),
        ],
    )
    assert fills(engine.advance(minutes(1, 1))) == [(0, "100.00", 100)] * 2
    assert state(engine, 3).status is Status.CANCELLED


def test_order_for_the_opening_that_comes_after_it_waits_for_the_next() -> None:
    engine = engine_on(RISES)
    assert codes(engine.place(order(1, "BUY", "MKT", time_in_force="OPG"))) == [399]
    engine.advance(SESSIONS[2].open)
    assert engine.executions[0].time == SESSIONS[2].open


@pytest.mark.parametrize(("request_", "filled"), [
    (order(1, "BUY", "MOC"), True),
    (order(1, "BUY", "LOC", "100.50"), True),
    (order(1, "BUY", "LOC", "100.49"), False),
])  # fmt: skip
def test_closing_auction_fills_at_the_last_price_without_spread(request_: OrderRequest, filled: bool) -> None:
    engine = make_engine(Listed((tape(AAA, 1, RISES),)))
    engine.place(request_)
    assert fills(engine.advance(minutes(1, 5))) == ([(5, "100.50", 100)] if filled else [])
    assert state(engine, 1).status is (Status.FILLED if filled else Status.CANCELLED)


def test_closing_auction_has_a_cut_off_and_needs_an_auction() -> None:
    late = engine_on(RISES * 3)
    late.advance(minutes(1, 8))
    assert codes(late.place(order(1, "BUY", "LMT", "90"))) == []
    assert codes(late.place(order(2, "BUY", "MOC"))) == [201]
    assert codes(engine_on(RISES, auctions=False).place(order(1, "BUY", "MOC"))) == [387]


def test_trailing_stop_can_be_watched() -> None:
    engine = engine_on(HILL)
    engine.place(order(1, "SELL", "TRAIL", "0.50"))
    seen: list[str] = []
    for minute in range(4):
        engine.advance(minutes(1, minute))
        seen.append(str(state(engine, 1).stop))
    assert seen == ["99.50", "99.70", "99.90", "99.90"]


def test_gap_fills_a_limit_at_the_better_quote_and_a_stop_at_the_worse() -> None:
    listed = Listed((tape(AAA, 1, FALLS), tape(AAA, 2, [11000] * 6)))
    engine = started(listed)
    engine.place(order(1, "SELL", "LMT", "105", time_in_force="GTC"))
    engine.place(order(2, "BUY", "STP", "105", time_in_force="GTC"))
    engine.advance(SESSIONS[2].open)
    assert [(e.order.request.order_id, str(e.price)) for e in engine.executions] == [(2, "110.01"), (1, "109.99")]


def test_immediate_or_cancel_takes_what_there_is() -> None:
    engine = engine_on(RISES, size=30)
    events = engine.place(order(1, "BUY", "LMT", "100.02", time_in_force="IOC"))
    assert fills(events) == [(0, "100.01", 30), (0, "100.02", 30)]
    assert (state(engine, 1).status, state(engine, 1).filled) == (Status.CANCELLED, 60)


def test_fill_or_kill_takes_all_or_nothing() -> None:
    engine = engine_on(RISES, size=30)
    assert fills(engine.place(order(1, "BUY", "LMT", "100.02", time_in_force="FOK"))) == []
    assert state(engine, 1).status is Status.CANCELLED
    assert len(fills(engine.place(order(2, "BUY", "LMT", "100.05", time_in_force="FOK")))) == 4


def test_all_or_none_waits_for_enough() -> None:
    engine = engine_on(FALLS, size=30, volume=0)
    assert fills(engine.place(order(1, "BUY", "LMT", "99.92", all_or_none=True))) == []
    assert fills(engine.advance(minutes(1, 5))) == [(2, "99.92", 100)], "the tick before shows 60 up to the limit"


def test_minimum_quantity_counts_for_the_first_fill() -> None:
    request = order(1, "BUY", "LMT", "100.01", minimum_quantity=Decimal(50))
    assert fills(engine_on(RISES, size=30).place(request)) == []
    assert fills(engine_on(RISES, size=60).place(request)) == [(0, "100.01", 60)]


def test_good_till_date_ends_at_its_time_also_between_ticks() -> None:
    engine = engine_on(FALLS)
    good_till = minutes(1, 2) + timedelta(seconds=20)
    engine.place(order(1, "BUY", "LMT", "99.70", time_in_force="GTD", good_till=good_till))
    engine.advance(minutes(1, 5))
    assert (state(engine, 1).status, state(engine, 1).completed_at) == (Status.CANCELLED, good_till)


def test_good_after_time_begins_at_its_time_with_the_quote_of_then() -> None:
    engine = engine_on(RISES)
    later = minutes(1, 2) + timedelta(seconds=20)
    engine.place(order(1, "BUY", "MKT", good_after=later))
    assert fills(engine.advance(minutes(1, 5))) == [(2, "100.21", 100)]
    assert engine.executions[0].time == later


def test_good_till_cancelled_ends_with_the_next_quarter() -> None:
    engine = engine_on(FALLS)
    engine.place(order(1, "BUY", "LMT", "50", time_in_force="GTC"))
    assert str(state(engine, 1).expires) == "2010-07-01 03:59:59+00:00"


def test_hours_outside_the_regular_ones() -> None:
    prices = [9000, 10000, 10010, 10020, 9000, 9000]
    listed = Listed((tape(AAA, 1, prices, regular=(1, 3)), tape(AAA, 2, [9000] * 6)))
    engine = started(listed)
    warned = engine.place(order(1, "BUY", "LMT", "95"))
    assert codes(warned) == [399]
    assert fills(engine.place(order(2, "BUY", "LMT", "95", outside_regular_hours=True))) == [(0, "90.01", 100)]
    events = engine.place(order(3, "SELL", "MKT", outside_regular_hours=True))
    assert codes(events) == [2109, 399]
    assert fills(engine.advance(minutes(1, 3))) == [(1, "99.99", 100)]
    assert state(engine, 1).status is Status.CANCELLED, "a DAY order ends with regular hours"
    engine.place(order(4, "BUY", "LMT", "95", outside_regular_hours=True))
    assert fills(engine.advance(minutes(1, 5))) == [(4, "95", 100)]
    assert [e.order.request.order_id for e in engine.executions] == [2, 3, 4]


def test_nothing_fills_in_a_halt() -> None:
    engine = engine_on([10000, 9900, 9900, 9800, 9800, 9800], halts=((1, 4),))
    engine.place(order(1, "BUY", "LMT", "98.50"))
    engine.advance(minutes(1, 2))
    assert fills(engine.place(order(2, "BUY", "MKT"))) == []
    assert fills(engine.advance(minutes(1, 5))) == [(4, "98.01", 100), (4, "98.01", 100)], "a halt ends with a gap"
