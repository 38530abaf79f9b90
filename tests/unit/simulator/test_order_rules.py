"""Conditions, short sales, combinations, several accounts, what-if orders, edits and corrections."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.simulator.core.engine import Engine
from services.simulator.core.instruments import COMBO_CONTRACT_ID
from services.simulator.core.orders import (
    Condition,
    ConditionKind,
    Executed,
    Notice,
    OrderCancelled,
    OrderRequest,
    PositionMoved,
    Status,
)
from services.simulator.core.rules import Refusal
from services.simulator.core.what_if import WhatIf
from tests.unit.simulator.test_order_types import FALLS, RISES, codes, engine_on, fills, started
from tests.unit.simulator.world import (
    AAA,
    ACCOUNT,
    BBB,
    CALL,
    INDEX,
    PUT,
    SESSIONS,
    Listed,
    leg,
    make_engine,
    minutes,
    order,
    place_all,
    state,
    tape,
)

D = Decimal


# -- conditions -------------------------------------------------------------------------------------------------------


def when(kind: ConditionKind, value: str | None = None, conjunction: str = "a", **more: Any) -> Condition:
    terms = {"contract_id": AAA.contract_id, "value": None if value is None else D(value), **more}
    return Condition(kind, conjunction, **terms)


PRICE, VOLUME, CHANGE, TIME = (
    ConditionKind.PRICE,
    ConditionKind.VOLUME,
    ConditionKind.PERCENT_CHANGE,
    ConditionKind.TIME,
)
IN_BBB = {"contract_id": BBB.contract_id}


@pytest.mark.parametrize(
    ("conditions", "minute"),
    [
        ((when(PRICE, "100.25"),), 3),
        ((when(PRICE, "100.00", is_more=False),), 0),
        ((when(VOLUME, "4500"),), 4),
        ((when(CHANGE, "0.15"),), 2),
        ((when(TIME, time=minutes(1, 3)),), 3),
        ((when(PRICE, "100.25"), when(TIME, time=minutes(1, 4))), 4),
        ((when(PRICE, "100.25", "o"), when(TIME, time=minutes(1, 4))), 3),
        # and binds closer: (never and now) or later
        ((when(PRICE, "999"), when(PRICE, "1", "o"), when(PRICE, "100.35")), 4),
        ((when(PRICE, "999"),), None),
        ((when(PRICE, "50.25", **IN_BBB), when(PRICE, "100.15")), 3),
        ((when(ConditionKind.MARGIN, "50", is_more=False),), None),
        ((when(ConditionKind.MARGIN, "50"),), 0),
    ],
)
def test_order_works_once_its_conditions_hold(conditions: tuple[Condition, ...], minute: int | None) -> None:
    listed = Listed((
        tape(AAA, 0, [10000] * 3), tape(AAA, 1, RISES), tape(AAA, 2, [9000] * 3),
        tape(BBB, 1, [5000, 5010, 5020, 5030, 5010, 5000]),
    ))  # fmt: skip
    engine = started(listed)
    events = engine.place(order(1, "BUY", "MKT", conditions=conditions))
    events += engine.advance(minutes(1, 5))
    assert [found[0] for found in fills(events)] == ([] if minute is None else [minute])


def test_conditions_cancel() -> None:
    engine = engine_on(FALLS)
    engine.place(
        order(1, "BUY", "LMT", "99.60", conditions=(when(PRICE, "99.70", is_more=False),), conditions_cancel=True)
    )
    events = engine.advance(minutes(1, 5))
    assert not fills(events)
    assert state(engine, 1).completed_at == minutes(1, 3)


def test_execution_condition() -> None:
    condition = Condition(ConditionKind.EXECUTION, "a", symbol="AAA", security_type="STK")
    engine = engine_on(RISES)
    engine.place(order(1, "BUY", "MKT"))
    engine.place(order(2, "BUY", "MKT", conditions=(condition,)))
    engine.advance(minutes(1, 2))
    assert state(engine, 2).status is Status.PRE_SUBMITTED, "executions before it do not count"
    engine.place(order(3, "SELL", "MKT"))
    assert [e.order.request.order_id for e in engine.executions] == [1, 3, 2]
    assert engine.executions[2].time == minutes(1, 2)


# -- short sales ------------------------------------------------------------------------------------------------------


def test_short_sale_without_shares_to_borrow_is_held_and_tried_again_each_day() -> None:
    listed = Listed((tape(AAA, 1, FALLS), tape(AAA, 2, [9900] * 3), tape(AAA, 3, [9800] * 3)), borrowable=50)
    engine = started(listed)
    events = engine.place(order(1, "SELL", "MKT", time_in_force="GTC"))
    assert codes(events) == [404]
    assert (state(engine, 1).why_held, state(engine, 1).status) == ("locate", Status.PRE_SUBMITTED)
    assert not fills(engine.advance(SESSIONS[2].open))
    listed.borrowable = 200
    engine.advance(SESSIONS[3].open)
    assert [(e.time, str(e.price)) for e in engine.executions] == [(SESSIONS[3].open, "97.99")]


def test_sale_of_what_is_held_needs_no_locate() -> None:
    engine = started(Listed((tape(AAA, 1, FALLS),), borrowable=0))
    place_all(engine, [order(1, "BUY", "MKT"), order(2, "SELL", "MKT")])
    assert codes(engine.place(order(3, "SELL", "MKT"))) == [404]
    assert len(engine.executions) == 2


# -- combinations -----------------------------------------------------------------------------------------------------

CALLS = [300, 310, 320, 330, 340, 350]
PUTS = [200, 190, 180, 170, 160, 150]


def options_engine(**more: Any) -> Engine:
    return started(Listed((tape(AAA, 1, RISES), tape(CALL, 1, CALLS, **more), tape(PUT, 1, PUTS, **more))))


def combo(order_id: int, action: str, order_type: str, price: str | None = None, **more: Any) -> OrderRequest:
    """A risk reversal: a call bought, a put sold, both by its buyer."""
    legs = (leg(CALL, "BUY"), leg(PUT, "SELL"))
    terms = {"contract_id": COMBO_CONTRACT_ID, "quantity": D(2), "legs": legs, **more}
    return order(order_id, action, order_type, price, **terms)


def test_combination_fills_all_legs_at_one_tick() -> None:
    engine = options_engine()
    engine.place(combo(1, "BUY", "MKT"))
    whole, call, put = engine.executions
    # call at the ask 3.01, put at the bid 1.99
    assert (whole.price, whole.combo, whole.contract_id, whole.commission) == (D("1.02"), True, COMBO_CONTRACT_ID, 0)
    assert (call.price, call.side, call.shares, call.leg) == (D("3.01"), "BOT", 2, True)
    assert (put.price, put.side, put.shares, put.leg) == (D("1.99"), "SLD", 2, True)
    assert [e.execution_id[-5:] for e in engine.executions] == ["01.01", "02.01", "03.01"]
    held = engine.accounts[ACCOUNT]
    assert (held.quantity(CALL.contract_id), held.quantity(PUT.contract_id)) == (2, -2)
    assert held.quantity(COMBO_CONTRACT_ID) == 0
    assert state(engine, 1).commission == call.commission + put.commission > 0


def test_combination_waits_for_its_net_price_also_a_negative_one() -> None:
    engine = options_engine()
    engine.place(combo(1, "SELL", "LMT", "1.30"))  # its bid: call bid less put ask, 0.98 and 0.20 more each tick
    engine.advance(minutes(1, 5))
    assert next((e.time, e.price) for e in engine.executions) == (minutes(1, 2), D("1.38"))
    reverse = (leg(CALL, "SELL"), leg(PUT, "BUY"))
    engine = options_engine()
    engine.place(combo(2, "BUY", "LMT", "-1.30", legs=reverse))
    engine.advance(minutes(1, 5))
    assert next((e.time, e.price) for e in engine.executions) == (minutes(1, 2), D("-1.38"))


def test_combination_takes_no_more_than_every_leg_shows() -> None:
    engine = options_engine(size=3)
    engine.place(combo(1, "BUY", "MKT", quantity=D(5)))
    assert [e.shares for e in engine.executions] == [3, 3, 3]
    engine.advance(minutes(1, 1))
    assert [e.shares for e in engine.executions] == [3, 3, 3, 2, 2, 2]
    assert state(engine, 1).status is Status.FILLED


def test_combination_and_its_leg_share_what_is_shown() -> None:
    engine = options_engine(size=3)
    engine.place(order(1, "BUY", "LMT", "3.01", contract_id=CALL.contract_id, quantity=D(2)))
    engine.place(combo(2, "BUY", "MKT", quantity=D(3)))
    assert state(engine, 2).filled == 1


def test_combination_of_stock_and_option_is_priced_per_share() -> None:
    engine = options_engine()
    legs = (leg(AAA, "BUY", 100), leg(CALL, "SELL"))
    engine.place(combo(1, "BUY", "LMT", "97.02", legs=legs, quantity=D(1)))
    assert [str(e.price) for e in engine.executions] == ["97.02", "100.01", "2.99"]
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 100


# -- accounts, what-if, hand-made changes -----------------------------------------------------------------------------


def test_accounts_are_apart() -> None:
    engine = make_engine(Listed((tape(AAA, 1, RISES),)), accounts=("DU1", "DU2"))
    engine.advance(SESSIONS[1].open)
    engine.place(order(1, "BUY", "MKT"))
    engine.place(order(2, "SELL", "MKT", account="DU2"))
    assert [account.quantity(AAA.contract_id) for account in engine.accounts.values()] == [100, -100]
    assert [e.account for e in engine.executions] == ["DU1", "DU2"]
    with pytest.raises(KeyError):
        engine.place(order(3, "BUY", "MKT", account="DU3"))


def test_what_if_changes_nothing() -> None:
    engine = engine_on(RISES)
    found = engine.what_if(order(1, "BUY", "MKT"))
    assert isinstance(found, WhatIf)
    assert (found.initial_margin_change, found.commission) == (D(5000), D(1))
    assert found.equity_change == -1
    assert engine.next_order_id(1) == 1
    assert not engine.book.orders
    assert isinstance(engine.what_if(order(1, "BUY", "LMT", "99.999")), Refusal)


def test_margin_is_asked_for_again_when_an_order_grows() -> None:
    engine = engine_on(RISES)
    engine.place(order(1, "BUY", "LMT", "90"))
    assert codes(engine.place(order(1, "BUY", "LMT", "90", quantity=D(50_000)))) == [201]
    assert (state(engine, 1).live, state(engine, 1).request.quantity) == (True, 100)
    assert codes(engine.place(order(1, "BUY", "LMT", "90", quantity=D(200)))) == []


def test_position_edited_by_hand() -> None:
    engine = engine_on(RISES)
    assert engine.edit_position(ACCOUNT, AAA.contract_id, D(7), D(90)) == [PositionMoved(ACCOUNT, AAA.contract_id)]
    assert engine.accounts[ACCOUNT].quantity(AAA.contract_id) == 7


def test_correction_of_an_execution() -> None:
    engine = engine_on(RISES)
    engine.place(order(1, "BUY", "MKT"))
    (event,) = engine.correct(engine.executions[0].execution_id, D("99.01"))
    assert isinstance(event, Executed)
    assert event.execution.execution_id == engine.executions[0].execution_id[:-2] + "02"
    assert event.execution.order.average_price == D("99.01")
    account = engine.accounts[ACCOUNT]
    assert account.cash == D(1_000_000) - D("9901.00") - account.commissions
    assert engine.correct("unknown.01", D(1)) == []


def test_index_cannot_be_traded() -> None:
    engine = engine_on(RISES)
    assert codes(engine.place(order(1, "BUY", "MKT", contract_id=INDEX.contract_id))) == [201]


def test_order_on_an_option_that_expired_ends() -> None:
    engine = started(Listed((tape(AAA, 1, RISES), tape(CALL, 1, CALLS), tape(CALL, 2, CALLS))))
    engine.place(order(1, "BUY", "LMT", "1", contract_id=CALL.contract_id, quantity=D(1), time_in_force="GTC"))
    events = engine.advance(SESSIONS[3].open)
    assert [event.order.completed_at for event in events if isinstance(event, OrderCancelled)] == [minutes(2, 5)]


def test_market_order_without_a_price_is_refused_when_tried_and_rests_when_placed() -> None:
    engine = engine_on(RISES)
    request = order(1, "BUY", "MKT", contract_id=BBB.contract_id)
    assert isinstance(engine.what_if(request), Refusal)
    assert not [event for event in engine.place(request) if isinstance(event, Notice) and event.code == 201]
    assert state(engine, 1).live


def test_modified_stop_stays_elected_unless_its_stop_changes() -> None:
    request = order(1, "BUY", "STP LMT", "100.05", aux_price=D("100.10"))
    engine = engine_on(RISES)
    engine.place(request)
    engine.advance(minutes(1, 2))
    assert state(engine, 1).triggered
    engine.place(replace(request, limit_price=D("100.04")))
    assert state(engine, 1).triggered
    engine.place(replace(request, aux_price=D("100.90")))
    assert not state(engine, 1).triggered


def test_time_only_moves_at_commands() -> None:
    engine = engine_on(RISES)
    engine.advance(minutes(1, 1) + timedelta(seconds=30))
    engine.place(order(1, "BUY", "MKT"))
    assert engine.executions[0].time == minutes(1, 1) + timedelta(seconds=30)
    assert str(engine.executions[0].price) == "100.11"
