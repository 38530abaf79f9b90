"""What nights do to positions: exercise, assignment, expiry, dividends, splits, fees."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.core.account import Account
from services.simulator.core.corporate import ActionKind, CorporateAction, Instruction, Overnight, next_night
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import PositionMoved
from services.simulator.core.valuation import value
from tests.unit.simulator.holdings import FRIDAY, FUTURE, INDEX, MONDAY, STOCK, FlatPrices, make_prices, option

SATURDAY_NIGHT = datetime(2010, 1, 16, 7, 30, tzinfo=UTC)  # 02:30 in New York, the night after expiry
FRIDAY_NIGHT = SATURDAY_NIGHT - timedelta(days=1)
START = Decimal(100_000)
CALL, PUT = option("C", 100), option("P", 100)
LATER_CALL = option("C", 100, date(2010, 2, 19))


def make_overnight(prices: FlatPrices, *actions: CorporateAction, borrow_fee: str = "0") -> Overnight:
    return Overnight(prices, lambda contract_id: actions if contract_id == 1 else (), Decimal(borrow_fee))


def held(*positions: tuple[Instrument, int, str]) -> Account:
    """Return an account that bought (negative: sold) these at a price, without commissions."""
    account = Account("DU1", START)
    for instrument, quantity, price in positions:
        account.trade(instrument, Decimal(quantity), Decimal(price), Decimal(0))
    return account


def books_balance(account: Account, prices: FlatPrices) -> bool:
    valuation = value(account, prices.instrument, prices.price)
    result = START + account.realized + account.income + account.transferred + valuation.unrealized
    return result == valuation.net_liquidation


@pytest.mark.parametrize(
    ("contract", "contracts", "close", "shares", "cash", "realized"),
    [
        (CALL, 2, "100.01", 200, -20_000, 0),  # exercised by exception
        (CALL, 2, "100.00", 0, 0, -400),  # worthless
        (CALL, -2, "105", -200, 20_000, 0),  # assigned
        (CALL, -2, "99", 0, 0, 400),
        (PUT, 1, "99.99", -100, 10_000, 0),
        (PUT, -1, "90", 100, -10_000, 0),
        (PUT, 1, "101", 0, 0, -200),
    ],
)
def test_expiry(contract: Instrument, contracts: int, close: str, shares: int, cash: int, realized: int) -> None:
    prices = make_prices((STOCK, close), (contract, "3"))
    account = held((contract, contracts, "2"))
    before = account.cash
    overnight = make_overnight(prices)
    assert overnight.apply(FRIDAY_NIGHT, [account]) == [], "not before its last day is over"
    moved = overnight.apply(SATURDAY_NIGHT, [account])
    expected = [PositionMoved("DU1", contract.contract_id)] + [PositionMoved("DU1", 1)] * bool(shares)
    assert moved == expected
    assert (account.quantity(1), account.quantity(contract.contract_id)) == (shares, 0)
    assert account.cash - before == cash
    assert account.realized == realized
    assert books_balance(account, prices)
    assert overnight.apply(SATURDAY_NIGHT + timedelta(days=1), [account]) == []


def test_index_options_and_futures_settle_in_cash() -> None:
    contract = option("C", 1000, underlying=INDEX)
    prices = make_prices((INDEX, "1012.50"), (contract, "13"), (FUTURE, "1110"))
    account = held((contract, 1, "10"), (FUTURE, -1, "1100"))
    make_overnight(prices).apply(SATURDAY_NIGHT, [account])
    assert account.held() == [FUTURE.contract_id]
    assert account.realized == 250
    make_overnight(prices).apply(datetime(2010, 3, 20, 6, 30, tzinfo=UTC), [account])
    assert account.held() == []
    assert account.cash == START + 250 - 500
    assert books_balance(account, prices)


def test_exercise_that_is_asked_for_happens_in_the_next_night() -> None:
    prices = make_prices((STOCK, "120"), (LATER_CALL, "21"))
    account, overnight = held((LATER_CALL, 3, "5")), make_overnight(prices)
    wanted = Instruction(exercise=True, contracts=Decimal(2), override=False)
    assert overnight.refuse(account, LATER_CALL.contract_id, wanted, FRIDAY_NIGHT) is None
    overnight.instruct(account, LATER_CALL.contract_id, wanted)
    overnight.apply(FRIDAY_NIGHT, [account])
    overnight.apply(SATURDAY_NIGHT, [account])
    assert account.quantity(LATER_CALL.contract_id) == 1
    assert account.quantity(1) == 200
    assert account.positions[1].average_cost == 105


def test_lapse_keeps_an_option_in_the_money_from_being_exercised() -> None:
    prices = make_prices((STOCK, "120"), (CALL, "21"))
    account, overnight = held((CALL, 3, "5")), make_overnight(prices)
    lapse = Instruction(exercise=False, contracts=Decimal(1), override=False)
    refusal = overnight.refuse(account, CALL.contract_id, lapse, FRIDAY_NIGHT)
    assert refusal is not None
    assert refusal == "Lapse ignored because option is in-the-money"
    lapse.override = True
    assert overnight.refuse(account, CALL.contract_id, lapse, FRIDAY_NIGHT) is None
    overnight.instruct(account, CALL.contract_id, lapse)
    overnight.apply(FRIDAY_NIGHT, [account])
    overnight.apply(SATURDAY_NIGHT, [account])
    assert account.quantity(1) == 200
    assert account.realized == -500


@pytest.mark.parametrize(
    ("contract", "instruction", "text"),
    [
        (STOCK, Instruction(True, Decimal(1), True), "Only options"),
        (CALL, Instruction(True, Decimal(3), True), "position of 2"),
        (CALL, Instruction(True, Decimal(0), True), "Cannot exercise 0"),
        (PUT, Instruction(True, Decimal(1), True), "position of 0"),
        (CALL, Instruction(True, Decimal(1), False), "Exercise ignored because option is not in-the-money"),
    ],
)
def test_instructions_that_cannot_be(contract: Instrument, instruction: Instruction, text: str) -> None:
    prices = make_prices((STOCK, "99"), (CALL, "1"), (PUT, "1"))
    account = held((CALL, 2, "1"), (STOCK, 100, "99"), (PUT, -1, "1"))
    refusal = make_overnight(prices).refuse(account, contract.contract_id, instruction, FRIDAY_NIGHT)
    assert refusal is not None
    assert text in refusal


@pytest.mark.parametrize(("call", "assigned"), [("20.40", True), ("20.60", False)])
def test_short_calls_are_assigned_before_a_dividend_that_is_more_than_their_time_value(
    call: str, assigned: bool
) -> None:
    prices = make_prices((STOCK, "120"), (LATER_CALL, call))
    dividend = CorporateAction(date(2010, 1, 15), ActionKind.DIVIDEND, Decimal("0.50"))
    account = held((LATER_CALL, -1, "5"), (STOCK, 100, "110"))
    make_overnight(prices, dividend).apply(FRIDAY_NIGHT, [account])
    assert account.held() == ([] if assigned else [LATER_CALL.contract_id, 1])
    assert account.income == (0 if assigned else 50)
    assert books_balance(account, prices)


@pytest.mark.parametrize("shares", [100, -100])
def test_dividends_are_paid_on_the_ex_date_to_long_and_by_short(shares: int) -> None:
    prices, account = make_prices((STOCK, "50")), held((STOCK, shares, "50"))
    overnight = make_overnight(prices, CorporateAction(MONDAY, ActionKind.DIVIDEND, Decimal("0.235")))
    for days in range(5):
        overnight.apply(FRIDAY_NIGHT + timedelta(days=days), [account])
    assert account.income == Decimal("0.235") * shares
    assert books_balance(account, prices)


def test_split_changes_shares_and_closes_options() -> None:
    prices = make_prices((STOCK, "120"), (LATER_CALL, "21"))
    account = held((STOCK, 101, "100"), (LATER_CALL, 1, "5"))
    overnight = make_overnight(prices, CorporateAction(MONDAY, ActionKind.SPLIT, Decimal("1.5")))
    assert overnight.splits([1, 2], SATURDAY_NIGHT) == []
    night = SATURDAY_NIGHT + timedelta(days=2)
    assert overnight.splits([1, 2], night) == [1]
    moved = overnight.apply(night, [account])
    assert set(moved) == {PositionMoved("DU1", 1), PositionMoved("DU1", LATER_CALL.contract_id)}
    assert (account.quantity(1), account.held()) == (151, [1])
    assert account.cash == START - 10_100 - 500 + 2100 + 40, "half a share at 80"
    prices.set(STOCK, "80")
    assert books_balance(account, prices)


def test_one_for_three_split_is_exact() -> None:
    prices, account = make_prices((STOCK, "10")), held((STOCK, 300, "10"))
    ratio = Decimal(1) / Decimal(3)
    make_overnight(prices, CorporateAction(MONDAY, ActionKind.SPLIT, ratio)).apply(
        SATURDAY_NIGHT + timedelta(days=2), [account]
    )
    assert (account.quantity(1), account.cash) == (100, START - 3000)


def test_borrow_fees_are_charged_every_night_on_short_stock_alone() -> None:
    prices = make_prices((STOCK, "50"), (LATER_CALL, "1"))
    account = held((STOCK, -720, "50"), (LATER_CALL, -1, "1"))
    overnight = make_overnight(prices, borrow_fee="0.05")
    overnight.apply(FRIDAY_NIGHT, [account])
    overnight.apply(SATURDAY_NIGHT, [account])
    assert account.income == -10
    assert books_balance(account, prices)


def test_every_account_has_its_own_night() -> None:
    prices = make_prices((STOCK, "120"), (CALL, "20"))
    first, second = held((CALL, 1, "5")), held((CALL, 1, "5"))
    second.account_id = "DU2"
    overnight = make_overnight(prices)
    overnight.instruct(second, CALL.contract_id, Instruction(exercise=False, contracts=Decimal(1), override=True))
    overnight.apply(SATURDAY_NIGHT, [first, second])
    assert (first.quantity(1), second.quantity(1)) == (100, 0)


def test_nights_follow_the_clock_of_new_york() -> None:
    assert next_night(datetime(2010, 1, 16, 7, 29, tzinfo=UTC)) == SATURDAY_NIGHT
    assert next_night(SATURDAY_NIGHT) == SATURDAY_NIGHT + timedelta(days=1)
    assert next_night(datetime(2010, 7, 1, 12, tzinfo=UTC)) == datetime(2010, 7, 2, 6, 30, tzinfo=UTC)
    night = datetime(2010, 3, 13, 12, tzinfo=UTC)
    for expected in ("03-14 07:30", "03-15 06:30", "03-16 06:30"):  # 02:30 does not exist on the 14th
        night = next_night(night)
        assert f"{night:%m-%d %H:%M}" == expected


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([STOCK, CALL, PUT, LATER_CALL, FUTURE]), st.integers(-7, 7).filter(bool)),
    st.integers(8000, 12000),
    st.sampled_from(["0.5", "1.5", "3"]),
    st.integers(0, 300),
)
def test_books_balance_after_any_nights(
    drawn: dict[Instrument, int], cents: int, ratio: str, dividend_cents: int
) -> None:
    prices = make_prices((STOCK, str(Decimal(cents) / 100)), (FUTURE, "1105.25"))
    for contract in (CALL, PUT, LATER_CALL):
        prices.set(contract, "3.15")
    dividend = CorporateAction(FRIDAY, ActionKind.DIVIDEND, Decimal(dividend_cents) / 100)
    split = CorporateAction(MONDAY, ActionKind.SPLIT, Decimal(ratio))
    overnight = make_overnight(prices, dividend, split, borrow_fee="0.03")
    account = held(*((instrument, quantity, "2.37") for instrument, quantity in drawn.items()))
    for days in range(7):
        night = FRIDAY_NIGHT + timedelta(days=days)
        before = {contract_id: account.quantity(contract_id) for contract_id in prices.instruments}
        moved = {item.contract_id for item in overnight.apply(night, [account])}
        after = {contract_id: account.quantity(contract_id) for contract_id in prices.instruments}
        assert moved >= {contract_id for contract_id in before if before[contract_id] != after[contract_id]}
        assert books_balance(account, prices)
    assert {CALL.contract_id, PUT.contract_id}.isdisjoint(account.held())
    assert all(account.quantity(contract_id) % 1 == 0 for contract_id in account.held())
