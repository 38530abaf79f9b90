"""Margin by textbook examples, and laws that hold for any positions."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.core.instruments import Instrument
from services.simulator.core.margin import Requirement, requirement
from tests.unit.simulator.holdings import (
    CHEAP,
    EURO,
    FRIDAY,
    FUTURE,
    INDEX,
    KRONE,
    STOCK,
    FlatPrices,
    make_prices,
    option,
)

LATER = date(2010, 2, 19)


def margin(prices: FlatPrices, *held: tuple[Instrument, int]) -> Requirement:
    positions = {instrument.contract_id: Decimal(quantity) for instrument, quantity in held}
    for instrument, _ in held:
        prices.instruments.setdefault(instrument.contract_id, instrument)
    return requirement(positions, prices.instrument, prices.price)


@pytest.mark.parametrize(
    ("instrument", "price", "quantity", "initial", "maintenance"),
    [
        (STOCK, "100", 100, "5000", "2500"),
        (STOCK, "100", -100, "5000", "3000"),
        (STOCK, "10", -100, "500", "500"),  # 5 USD per share
        (STOCK, "3", -100, "300", "300"),  # all of its value
        (CHEAP, "1", -100, "250", "250"),  # 2.50 USD per share
        (FUTURE, "1100", -2, "11000", "9900"),
        (EURO, "1.25", 10_000, "250", "250"),
        (KRONE, "0.05", -10_000, "25", "25"),
        (option("C", 100), "5", 10, "0", "0"),
    ],
)
def test_single_positions(instrument: Instrument, price: str, quantity: int, initial: str, maintenance: str) -> None:
    prices = make_prices((STOCK, "100"), (instrument, price))
    assert margin(prices, (instrument, quantity)) == (Decimal(initial), Decimal(maintenance))


@pytest.mark.parametrize(
    ("contract", "underlying", "premium", "expected"),
    [
        # Cboe margin manual: the premium, and 20 % of the underlying less what it is out of the money, 10 % at least
        (option("C", 120), "128.50", "8.40", "3410.00"),
        (option("P", 80), "95", "2.00", "1000.00"),  # 200 + max(1900 - 1500, 800)
        (option("C", 180), "100", "0.10", "1010.00"),  # the 10 % of the underlying
        (
            option("C", 1100, underlying=INDEX),
            "1000",
            "5",
            "10500.00",
        ),  # 15 % for an index: 500 + max(15000-10000, 10000)
    ],
)
def test_naked_options(contract: Instrument, underlying: str, premium: str, expected: str) -> None:
    underlying_instrument = INDEX if contract.underlying_id == INDEX.contract_id else STOCK
    prices = make_prices((underlying_instrument, underlying), (contract, premium))
    assert margin(prices, (contract, -1)) == (Decimal(expected), Decimal(expected))


def spread_prices() -> FlatPrices:
    prices = make_prices((STOCK, "175"))
    for strike, call, put in ((160, "16", "1"), (170, "8", "3"), (180, "3", "8"), (190, "1", "16")):
        prices.set(option("C", strike), call)
        prices.set(option("P", strike), put)
        prices.set(option("C", strike, LATER), call)
    return prices


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([(option("C", 180), -10), (option("C", 190), 10)], 10_000),  # credit spread: the width
        ([(option("C", 170), 10), (option("C", 180), -10)], 0),  # debit spread: paid for
        ([(option("P", 170), -10), (option("P", 160), 10)], 10_000),
        # iron condor (IBKR knowledge base 600): one side
        ([(option("P", 160), 10), (option("P", 170), -10), (option("C", 180), -10), (option("C", 190), 10)], 10_000),
        # condor whose short strikes overlap: both sides can lose
        ([(option("P", 170), 1), (option("P", 190), -1), (option("C", 160), -1), (option("C", 170), 1)], 3_000),
        ([(option("C", 180), -1), (option("C", 180, LATER), 1)], 0),  # calendar spread
        ([(option("C", 180, LATER), -1), (option("C", 180), 1)], 3300),  # the long one expires first: naked
        ([(option("C", 170), -1), (STOCK, 100)], 8750 + 500),  # covered call, 5 in the money
        ([(option("C", 180), -2), (STOCK, 199)], 199 * 87.5 + 3300),  # one covered, one naked
        ([(option("P", 180), -1), (STOCK, -100)], 8750 + 500),  # covered put
        # short strangle: the greater side (call 300 + 3000, put 300 + 3000) and the other's value
        ([(option("C", 180), -1), (option("P", 170), -1)], 3300 + 300),
    ],
)
def test_combinations(held: list[tuple[Instrument, int]], expected: float) -> None:
    prices = spread_prices()
    found = margin(prices, *held)
    assert found.initial == Decimal(str(expected)).quantize(Decimal("0.01"))
    assert margin(prices, *reversed(held)) == found


def test_a_spread_wider_than_naked_margin_is_margined_naked() -> None:
    prices = make_prices((STOCK, "100"), (option("C", 100), "2"), (option("C", 200), "0"))
    alone = margin(prices, (option("C", 100), -1))
    assert margin(prices, (option("C", 100), -1), (option("C", 200), 1)) == alone


def test_without_prices_nothing_fails() -> None:
    assert margin(FlatPrices(instruments={1: STOCK}), (option("P", 100), -1)).initial == 1000


strikes = st.sampled_from([160, 170, 180, 190])
contracts = st.builds(option, st.sampled_from("CP"), strikes, st.sampled_from([FRIDAY, LATER]))
one_expiry = st.builds(option, st.sampled_from("CP"), strikes)
quantities = st.integers(-5, 5)


def full_prices(underlying: int) -> FlatPrices:
    """Prices at expiry value plus one, so that they are consistent with each other."""
    prices = make_prices((STOCK, str(underlying)))
    for strike in (160, 170, 180, 190):
        for expiry in (FRIDAY, LATER):
            prices.set(option("C", strike, expiry), str(max(underlying - strike, 0) + 1))
            prices.set(option("P", strike, expiry), str(max(strike - underlying, 0) + 1))
    return prices


@given(st.dictionaries(contracts, quantities, max_size=6), st.integers(-500, 500), st.integers(120, 230))
def test_requirements_are_never_negative_and_grow_with_the_size(
    held: dict[Instrument, int], shares: int, underlying: int
) -> None:
    prices = full_prices(underlying)
    found = margin(prices, (STOCK, shares), *held.items())
    assert 0 <= found.maintenance <= found.initial
    doubled = [(instrument, 2 * quantity) for instrument, quantity in held.items()]
    if shares % 100 == 0:
        assert margin(prices, (STOCK, 2 * shares), *doubled) == (2 * found.initial, 2 * found.maintenance)


@settings(max_examples=500)
@given(st.dictionaries(one_expiry, quantities, max_size=6), one_expiry, st.integers(120, 230))
def test_a_long_option_more_never_needs_more_margin(
    drawn: dict[Instrument, int], added: Instrument, underlying: int
) -> None:
    """Among options of one right. Short calls beside short puts pair greedily, not always best."""
    prices = full_prices(underlying)
    held = {instrument: quantity for instrument, quantity in drawn.items() if instrument.right == added.right}
    before = margin(prices, *held.items())
    if held.get(added, 0) < 0:
        return  # that buys a short one back, which is another matter
    after = margin(prices, *{**held, added: held.get(added, 0) + 1}.items())
    assert after.initial <= before.initial


@given(
    st.dictionaries(st.tuples(st.sampled_from("CP"), st.sampled_from([1000, 1010, 1020, 1030])), quantities),
    st.integers(900, 1130),
)
def test_spreads_require_what_can_be_lost_by_expiry(drawn: dict[tuple[str, int], int], underlying: int) -> None:
    """The strikes are so close together that naked margin is never the cheaper way."""
    for right in "CP":
        if sum(quantity for (of, _), quantity in drawn.items() if of == right) < 0:
            return
    prices = make_prices((STOCK, str(underlying)))
    for right, strike in drawn:
        prices.set(option(right, strike), str(max((underlying - strike) * (1 if right == "C" else -1), 0) + 1))
    required = margin(prices, *((option(*terms), quantity) for terms, quantity in drawn.items())).initial
    for end in range(900, 1150, 5):
        outcome = sum(
            quantity * 100 * max(0, (end - strike) * (1 if right == "C" else -1))
            for (right, strike), quantity in drawn.items()
        )
        assert outcome >= -required, f"at {end}"
