"""IBKR's published schedule, by example."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.core.commissions import Commissions
from services.simulator.core.instruments import Instrument
from tests.unit.simulator.holdings import EURO, FUTURE, STOCK, option

CALL = option("C", 100)


@pytest.mark.parametrize(
    ("shares", "price", "fixed", "tiered"),
    [
        (100, "100", "1.00", "0.35"),
        (1000, "100", "5.00", "3.50"),
        (10, "5", "0.50", "0.35"),  # the maximum is below the fixed plan's minimum
        (333, "10", "1.67", "1.17"),
        (5000, "0.20", "10.00", "10.00"),  # the maximum again
    ],
)
def test_stocks(shares: int, price: str, fixed: str, tiered: str) -> None:
    value = shares * Decimal(price)
    assert Commissions().of_fills(STOCK, "BUY", Decimal(shares), value) == Decimal(fixed)
    assert Commissions(plan="tiered").of_fills(STOCK, "SELL", Decimal(shares), value) == Decimal(tiered)


@pytest.mark.parametrize(
    ("contracts", "premium", "expected"),
    [(1, "2.00", "1.00"), (10, "2.00", "6.50"), (10, "0.09", "5.00"), (10, "0.04", "2.50"), (10, "0.10", "6.50")],
)
def test_options_by_premium(contracts: int, premium: str, expected: str) -> None:
    found = Commissions().of_fills(CALL, "BUY", Decimal(contracts), contracts * Decimal(premium))
    assert found == Decimal(expected)


def test_futures_and_currencies() -> None:
    assert Commissions().of_fills(FUTURE, "BUY", Decimal(2), Decimal(2200)) == Decimal("4.50")
    assert Commissions().of_fills(EURO, "SELL", Decimal(20_000), Decimal(25_000)) == Decimal("2.00")
    assert Commissions().of_fills(EURO, "SELL", Decimal(1_000_000), Decimal(1_250_000)) == Decimal("25.00")


def test_regulatory_fees_are_for_sales_and_only_if_asked_for() -> None:
    with_fees = Commissions(regulatory_fees=True)
    quantity, value = Decimal(1000), Decimal(1_000_000)
    assert with_fees.of_fills(STOCK, "BUY", quantity, value) == Decimal("5.00")
    assert with_fees.of_fills(STOCK, "SELL", quantity, value) == Decimal("5.00") + Decimal("27.80") + Decimal("0.17")
    assert Commissions().of_fills(STOCK, "SELL", quantity, value) == Decimal("5.00")
    # 10 contracts at 10.00: 6.50, 27.80 per million of 10,000, 0.00279 each
    assert with_fees.of_fills(CALL, "SELL", Decimal(10), Decimal(100)) == Decimal("6.81")


@given(
    st.sampled_from([STOCK, CALL, FUTURE, EURO]),
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 100_000)), min_size=1, max_size=10),
    st.booleans(),
)
def test_partial_fills_cost_what_one_fill_does_and_never_give_back(
    instrument: Instrument, fills: list[tuple[int, int]], fees: bool
) -> None:
    schedule, charged = Commissions(regulatory_fees=fees), Decimal(0)
    quantity = value = Decimal(0)
    for size, cents in fills:
        quantity += size
        value += size * Decimal(cents) / 100
        increment = schedule.increment(instrument, "SELL", quantity, value, charged)
        assert increment >= 0
        charged += increment
    whole = schedule.of_fills(instrument, "SELL", quantity, value)
    assert charged >= whole
    if instrument is not CALL:  # whose rate can fall with the average premium
        assert charged == whole


def test_nothing_filled_costs_nothing() -> None:
    assert Commissions().of_fills(STOCK, "BUY", Decimal(0), Decimal(0)) == 0
