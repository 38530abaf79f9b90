"""Prices on the steps of a market rule, sizes on the increments of a contract."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.price_increments import fault, step_at
from services.simulator.core.increments import OPTION_RULE, PENNY_STOCK_RULE, on_grid
from shared.messages.broker_commands import ComboLeg, ModifyOrder, NetPrice, OrderTerms, PriceEffect
from shared.messages.market_requests import ContractFacts, PriceIncrement
from shared.types import OrderType, SecurityType, Side

OPTION_STEPS = (("0", "0.01"), ("3", "0.05"))
PENNY_STEPS = (("0", "0.0001"), ("1", "0.01"))


def facts(steps: tuple[tuple[str, str], ...], minimum: str = "1", increment: str = "1") -> ContractFacts:
    return ContractFacts(
        symbol="X",
        contract_id=1,
        security_type=SecurityType.STOCK,
        long_name="X",
        exchange="SMART",
        primary_exchange="NYSE",
        currency="USD",
        multiplier=Decimal(1),
        increments=tuple(PriceIncrement(from_price=Decimal(low), increment=Decimal(step)) for low, step in steps),
        minimum_size=Decimal(minimum),
        size_increment=Decimal(increment),
        time_zone="US/Eastern",
        trading_hours=(),
        liquid_hours=(),
        order_types=(),
    )


def order(price: str = "10", quantity: str = "1", **fields: Any) -> OrderTerms:
    values: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": Decimal(price)} | fields
    return OrderTerms(order_ref="a", symbol="X", side=Side.BUY, quantity=Decimal(quantity), **values)


def test_a_price_off_its_step_is_refused_with_the_nearest_ones() -> None:
    assert fault(facts(OPTION_STEPS), order("2.99")) is None
    assert fault(facts(OPTION_STEPS), order("3.05")) is None
    assert fault(facts(OPTION_STEPS), order("3.03")) == (
        "limit_price = 3.03 of X is not a multiple of 0.05, its step from 3 USD on; the nearest are 3.00 and 3.05"
    )


@pytest.mark.parametrize("field", ["limit_price", "trigger_price", "price_cap"])
def test_every_price_of_an_order_is_looked_at(field: str) -> None:
    terms = order(order_type=OrderType.STOP_LIMIT, trigger_price=Decimal(10))
    found = fault(facts(PENNY_STEPS), terms.model_copy(update={field: Decimal("10.001")}))
    assert found is not None
    assert found.startswith(f"{field} = 10.001 ")


def test_a_change_is_looked_at_like_an_order() -> None:
    assert fault(facts(PENNY_STEPS), ModifyOrder(order_ref="a", limit_price=Decimal("0.9999"))) is None
    change = ModifyOrder(order_ref="a", trigger_price=Decimal("1.0001"))
    assert "trigger_price = 1.0001" in (fault(facts(PENNY_STEPS), change) or "")
    assert "quantity = 1.5" in (fault(facts(PENNY_STEPS), ModifyOrder(order_ref="a", quantity=Decimal("1.5"))) or "")


@pytest.mark.parametrize(
    ("quantity", "minimum", "increment", "problem"),
    [
        ("1", "1", "1", None),
        ("0.0003", "0.0001", "0.0001", None),
        ("1.5", "1", "1", "quantity = 1.5 of X is not a multiple of 1, its increment"),
        ("0.5", "1", "0.1", "quantity = 0.5 of X is too small; it trades from 1 on"),
    ],
)
def test_sizes(quantity: str, minimum: str, increment: str, problem: str | None) -> None:
    assert fault(facts(OPTION_STEPS, minimum, increment), order(quantity=quantity)) == problem


def test_the_net_price_of_a_combination_is_the_brokers_business() -> None:
    legs = (ComboLeg(symbol="A", side=Side.BUY), ComboLeg(symbol="B", side=Side.SELL))
    net = NetPrice(effect=PriceEffect.CREDIT, amount=Decimal("3.03"))
    assert fault(facts(OPTION_STEPS), order(legs=legs, limit_price=None, net_price=net)) is None


@given(st.decimals(Decimal("-20"), Decimal("20"), places=4), st.sampled_from([OPTION_RULE, PENNY_STOCK_RULE]))
def test_the_simulator_agrees_on_what_is_on_a_step(price: Decimal, rule: int) -> None:
    known = facts(OPTION_STEPS if rule == OPTION_RULE else PENNY_STEPS)
    assert (fault(known, order(str(price))) is None) == on_grid(rule, price)


def test_a_price_below_the_lowest_step_keeps_to_that_one() -> None:
    steps = (PriceIncrement(from_price=Decimal(1), increment=Decimal("0.5")),)
    assert step_at(steps, Decimal("0.2")).increment == Decimal("0.5")
