"""What happens without any order: nights, splits, dividends, expiry, and the base of the day's profit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.orders import OrderCancelled, PositionMoved, Status
from tests.unit.simulator.test_order_types import started
from tests.unit.simulator.world import (
    AAA,
    ACCOUNT,
    BBB,
    CALL,
    DAYS,
    SESSIONS,
    Listed,
    minutes,
    order,
    state,
    tape,
)

FLAT = [10000] * 6
NIGHT = datetime(2010, 1, 6, 7, 30, tzinfo=UTC)
"""02:30 in New York, before the second trading day."""


def listed(*actions: CorporateAction) -> Listed:
    tapes = [tape(item, day, FLAT) for item in (AAA, BBB) for day in (1, 2, 3)]
    return Listed((*tapes, tape(CALL, 1, [500] * 6), tape(CALL, 2, [700] * 6)), actions_of={AAA.contract_id: actions})


def test_split_cancels_orders_on_the_stock_alone_and_multiplies_the_position() -> None:
    engine = started(listed(CorporateAction(DAYS[2], ActionKind.SPLIT, Decimal(2))))
    engine.place(order(1, "BUY", "MKT"))
    engine.place(order(2, "SELL", "LMT", "150", time_in_force="GTC"))
    engine.place(order(3, "BUY", "LMT", "50", time_in_force="GTC", contract_id=BBB.contract_id))
    events = engine.advance(SESSIONS[2].open)
    cancelled = [event for event in events if isinstance(event, OrderCancelled)]
    assert [(event.order.request.order_id, event.order.completed_at) for event in cancelled] == [(2, NIGHT)]
    assert cancelled[0].reason
    assert PositionMoved(ACCOUNT, AAA.contract_id) in events
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 200
    assert state(engine, 3).live


def test_dividend_is_paid_in_the_night_before_the_ex_date() -> None:
    engine = started(listed(CorporateAction(DAYS[2], ActionKind.DIVIDEND, Decimal("0.25"))))
    engine.place(order(1, "BUY", "MKT"))
    before = engine.accounts[ACCOUNT].cash
    engine.advance(NIGHT - timedelta(seconds=1))
    assert engine.accounts[ACCOUNT].cash == before
    engine.advance(NIGHT)
    assert engine.accounts[ACCOUNT].cash == before + 25


def test_option_that_is_not_in_the_money_ends_worthless_in_the_night_after_its_last_day() -> None:
    engine = started(listed())
    engine.place(replace(order(1, "BUY", "MKT"), contract_id=CALL.contract_id, quantity=Decimal(2)))
    engine.advance(SESSIONS[2].close)
    assert engine.accounts[ACCOUNT].quantity(CALL.contract_id) == 2
    assert PositionMoved(ACCOUNT, CALL.contract_id) in engine.advance(SESSIONS[3].open)
    held = engine.accounts[ACCOUNT]
    assert (held.quantity(CALL.contract_id), held.quantity(AAA.contract_id)) == (0, 0)


def test_exercise_that_was_asked_for_happens_in_the_night() -> None:
    engine = started(listed())
    engine.place(replace(order(1, "BUY", "MKT"), contract_id=CALL.contract_id, quantity=Decimal(2)))
    assert engine.refuse_exercise(ACCOUNT, CALL.contract_id, Decimal(3), lapse=False) is not None
    assert engine.refuse_exercise(ACCOUNT, CALL.contract_id, Decimal(1), lapse=False) is not None, "not in the money"
    engine.exercise(ACCOUNT, CALL.contract_id, Decimal(1), lapse=False, override=True)
    events = engine.advance(NIGHT)
    held = engine.accounts[ACCOUNT]
    assert (held.quantity(CALL.contract_id), held.quantity(AAA.contract_id)) == (1, 100)
    assert PositionMoved(ACCOUNT, AAA.contract_id) in events


def test_profit_of_the_day_counts_from_just_before_the_open() -> None:
    engine = started(Listed((tape(AAA, 1, FLAT), tape(AAA, 2, [10100, 10200, 10200, 10200, 10200, 10200]))))
    engine.place(order(1, "BUY", "MKT"))
    engine.advance(minutes(1, 5))
    before = engine.valuation().net_liquidation
    engine.advance(minutes(2, 1))
    assert engine.valuation().daily == 200, "the jump at the open is of the new day"
    assert engine.accounts[ACCOUNT].previous_net_liquidation == before


def test_leap_and_steps_pass_the_same_days() -> None:
    def run(step: timedelta) -> tuple[object, ...]:
        engine = started(listed(CorporateAction(DAYS[2], ActionKind.DIVIDEND, Decimal("0.25"))))
        engine.place(order(1, "BUY", "MKT"))
        engine.place(order(2, "BUY", "LMT", "90", time_in_force="GTC"))
        while not engine.finished:
            engine.advance(engine.now + step)
        account = engine.accounts[ACCOUNT]
        return account.cash, account.previous_net_liquidation, state(engine, 2).status, engine.executions

    leap = run(timedelta(days=9))
    assert leap == run(timedelta(minutes=41)) == run(timedelta(hours=11))
    assert leap[2] is Status.SUBMITTED
