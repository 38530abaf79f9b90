"""Orders that contradict themselves never get as far as the broker."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from shared.messages.broker_commands import (
    ComboLeg,
    Condition,
    ConditionKind,
    NetPrice,
    OrderTerms,
    PriceEffect,
    SubmitOrder,
    bracket,
)
from shared.types import OrderType, Side, TimeInForce

LATER = datetime(2030, 1, 1, tzinfo=UTC)
SPREAD = (ComboLeg(symbol="A", side=Side.BUY), ComboLeg(symbol="B", side=Side.SELL))
DEBIT = NetPrice(effect=PriceEffect.DEBIT, amount=Decimal("1.25"))


def terms(**changes: Any) -> OrderTerms:
    values = {"order_ref": "one", "symbol": "AAPL", "side": Side.BUY, "quantity": 1, "order_type": OrderType.MARKET}
    return OrderTerms.model_validate(values | changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_type": OrderType.LIMIT}, "limit_price"),
        ({"order_type": OrderType.LIMIT, "legs": SPREAD}, "net_price"),
        ({"order_type": OrderType.LIMIT, "legs": SPREAD, "net_price": DEBIT, "limit_price": 1}, "limit_price"),
        ({"net_price": DEBIT}, "net_price"),
        ({"legs": SPREAD[:1]}, "legs"),
        ({"order_type": OrderType.STOP}, "trigger_price"),
        ({"order_type": OrderType.LIMIT_IF_TOUCHED, "limit_price": 1}, "trigger_price"),
        ({"order_type": OrderType.TRAILING_STOP}, "trailing_amount"),
        ({"order_type": OrderType.TRAILING_STOP, "trailing_amount": 1, "trailing_percent": 1}, "trailing_amount"),
        ({"trailing_percent": 1}, "trailing_percent"),
        ({"order_type": OrderType.TRAILING_STOP_LIMIT, "trailing_amount": 1}, "limit_offset"),
        ({"time_in_force": TimeInForce.GTD}, "good_till"),
        ({"good_till": LATER}, "good_till"),
        ({"quantity": 0}, "quantity"),
        ({"order_ref": "x" * 41}, "order_ref"),
    ],
)
def test_a_contradiction_is_refused_by_the_name_of_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        terms(**changes)


@pytest.mark.parametrize(
    "condition",
    [
        {"kind": ConditionKind.PRICE, "value": 1},
        {"kind": ConditionKind.PRICE, "symbol": "AAPL"},
        {"kind": ConditionKind.TIME},
        {"kind": ConditionKind.TIME, "time": LATER, "symbol": "AAPL"},
        {"kind": ConditionKind.MARGIN, "value": 1, "symbol": "AAPL"},
        {"kind": ConditionKind.EXECUTION, "symbol": "AAPL", "value": 1},
    ],
)
def test_a_condition_that_lacks_or_has_too_much_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="is not allowed"):
        Condition.model_validate(condition)


def test_signs_of_a_net_price_are_ibkrs() -> None:
    credit = NetPrice(effect=PriceEffect.CREDIT, amount=Decimal(2))
    assert DEBIT.signed(Side.BUY) > 0 > credit.signed(Side.BUY)
    assert DEBIT.signed(Side.SELL) < 0 < credit.signed(Side.SELL)


def test_a_bracket_is_an_entry_and_two_children_that_exit() -> None:
    prices = {"limit_price": Decimal(10), "stop_price": Decimal(9), "target_price": Decimal(12)}
    entry, stop, target = bracket(
        order_id="b",
        symbol="AAPL",
        side=Side.SELL,
        quantity=Decimal(5),
        time_in_force=TimeInForce.DAY,
        expires_at=LATER,
        **prices,
    ).orders
    assert (entry.order_ref, stop.order_ref, target.order_ref) == ("b", "b.stop", "b.target")
    assert (entry.side, stop.side, target.side) == (Side.SELL, Side.BUY, Side.BUY)
    assert (stop.parent, target.parent) == ("b", "b")
    assert (entry.limit_price, stop.trigger_price, target.limit_price) == tuple(prices.values())
    assert {stop.time_in_force, target.time_in_force} == {TimeInForce.GTC}


def test_a_group_names_each_order_once_and_parents_first() -> None:
    child = terms(order_ref="two", parent="one")
    with pytest.raises(ValidationError, match="stands twice"):
        SubmitOrder(orders=(terms(), terms()), expires_at=LATER)
    with pytest.raises(ValidationError, match="must come before"):
        SubmitOrder(orders=(child, terms()), expires_at=LATER)
    assert SubmitOrder(orders=(terms(), child), expires_at=LATER).orders[1].parent == "one"
