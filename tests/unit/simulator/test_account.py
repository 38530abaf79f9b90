"""The account is exact, with every kind of instrument, against an independent recomputation."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.core.account import Account, Position
from services.simulator.core.instruments import Instrument
from services.simulator.core.valuation import Valuation, end_of_day, value
from tests.unit.simulator.holdings import CHEAP, EURO, FUTURE, STOCK, FlatPrices, make_prices, option

CALL, PUT = option("C", 100), option("P", 100)
START = Decimal(100_000)


def make_account() -> Account:
    return Account("DU1", START)


def worth(account: Account, prices: FlatPrices) -> Valuation:
    return value(account, prices.instrument, prices.price)


def identity(account: Account, valuation: Valuation) -> Decimal:
    return START + account.realized + account.income + account.transferred + valuation.unrealized


def test_round_trip_includes_commissions() -> None:
    account = make_account()
    assert account.trade(STOCK, Decimal(100), Decimal("50.00"), Decimal("1.00")) is None
    assert account.positions[1].average_cost == Decimal("50.01")
    assert account.trade(STOCK, Decimal(-100), Decimal("51.00"), Decimal("1.00")) == Decimal("98.00")
    assert (account.cash, account.realized, account.commissions) == (START + 98, Decimal(98), Decimal(2))
    assert account.held() == []


def test_short_and_reversal() -> None:
    position = Position()
    assert position.trade(Decimal(-100), Decimal(-5000), Decimal(1)) is None
    assert position.average_cost == Decimal("49.99")
    # 300 bought at 45: 100 close the short (a third of the commission), 200 open a long
    assert position.trade(Decimal(300), Decimal(13_500), Decimal("1.50")) == Decimal("498.50")
    assert (position.quantity, position.cost) == (200, Decimal("9001.00"))


def test_closing_releases_all_of_a_cost_that_is_no_whole_number_of_cents() -> None:
    account = make_account()
    account.trade(CHEAP, Decimal(33), Decimal("0.1237"), Decimal("0.04"))
    account.trade(CHEAP, Decimal(-33), Decimal("0.1237"), Decimal("0.04"))
    assert account.positions[2] == Position(realized=Decimal("-0.08"))
    assert account.cash == START - Decimal("0.08")


def test_average_cost_of_an_option_counts_its_multiplier() -> None:
    account = make_account()
    account.trade(CALL, Decimal(2), Decimal("3.50"), Decimal("1.30"))
    assert account.positions[CALL.contract_id].average_cost == Decimal("350.65")
    assert account.cash == START - Decimal("701.30")


def test_a_future_moves_cash_only_when_it_is_closed() -> None:
    account, prices = make_account(), make_prices((FUTURE, "1110"))
    account.trade(FUTURE, Decimal(2), Decimal(1100), Decimal("4.50"))
    assert account.cash == START - Decimal("4.50")
    valuation = worth(account, prices)
    assert valuation.future_value == 1000
    assert valuation.net_liquidation == START + Decimal("995.50") == identity(account, valuation)
    assert valuation.unrealized == Decimal("995.50")
    assert account.trade(FUTURE, Decimal(-1), Decimal(1120), Decimal("2.25")) == Decimal("995.50")
    assert account.cash == START + Decimal("993.25")
    assert identity(account, worth(account, prices)) == worth(account, prices).net_liquidation


def test_a_currency_pair_is_cash_in_another_currency() -> None:
    account, prices = make_account(), make_prices((EURO, "1.30"))
    account.trade(EURO, Decimal(10_000), Decimal("1.25"), Decimal(2))
    valuation = worth(account, prices)
    assert account.cash == START - 12_502
    assert valuation.currencies == {"EUR": (Decimal(10_000), Decimal("1.30"))}
    assert valuation.total_cash == START + 498 == valuation.net_liquidation
    assert valuation.gross_position_value == 0


@pytest.mark.parametrize(
    ("contract", "contracts", "price", "shares", "cost", "cash"),
    [
        (CALL, 1, "2.00", 100, "10201", "-10201"),  # pays the strike for shares
        (CALL, -1, "2.00", -100, "-10199", "10199"),  # delivers them
        (PUT, 1, "2.00", -100, "-9799", "9799"),
        (PUT, -1, "2.00", 100, "9801", "-9801"),
    ],
)
def test_exercise_and_assignment_move_the_premium_into_the_shares(
    contract: Instrument, contracts: int, price: str, shares: int, cost: str, cash: str
) -> None:
    account = make_account()
    account.trade(contract, Decimal(contracts), Decimal(price), Decimal(1))
    account.exercise(contract, STOCK, Decimal(contracts))
    position = account.positions[1]
    assert (position.quantity, position.cost) == (shares, Decimal(cost))
    assert account.cash == START + Decimal(cash)
    assert account.realized == 0
    assert account.held() == [1]


def test_assignment_that_closes_shares_realizes_the_premium_with_them() -> None:
    account = make_account()
    account.trade(STOCK, Decimal(100), Decimal(90), Decimal(1))
    account.trade(CALL, Decimal(-1), Decimal(2), Decimal(1))
    account.exercise(CALL, STOCK, Decimal(-1))
    assert account.held() == []
    assert account.realized == account.cash - START == 1000 + 199 - 1


def test_split_pays_out_a_fraction_of_a_share() -> None:
    account, prices = make_account(), make_prices((STOCK, "33.40"))
    account.trade(STOCK, Decimal(101), Decimal(50), Decimal(0))
    account.split(STOCK, 3, 2, Decimal("33.40"))
    assert account.quantity(1) == 151
    assert account.cash == START - 5050 + Decimal("16.70")
    assert identity(account, worth(account, prices)) == worth(account, prices).net_liquidation
    short = make_account()
    short.trade(STOCK, Decimal(-101), Decimal(50), Decimal(0))
    short.split(STOCK, 1, 3, Decimal(150))
    assert short.quantity(1) == -33
    assert short.cash < START + 5050, "a short position pays for its fraction"


def test_edit_counts_as_a_transfer() -> None:
    account, prices = make_account(), make_prices((STOCK, "60"), (FUTURE, "1100"))
    account.trade(STOCK, Decimal(10), Decimal(50), Decimal(1))
    account.edit(STOCK, Decimal(30), Decimal(40))
    account.edit(FUTURE, Decimal(-1), Decimal(1000))
    assert account.positions[1].average_cost == 40
    assert account.transferred == 1200 - 501
    assert account.cash == START - 501
    assert identity(account, worth(account, prices)) == worth(account, prices).net_liquidation


def test_copy_can_be_traded_on() -> None:
    account = make_account()
    account.trade(STOCK, Decimal(10), Decimal(50), Decimal(1))
    account.previous_net_liquidation = Decimal(7)
    tried = account.copy()
    assert tried == account
    tried.trade(STOCK, Decimal(10), Decimal(50), Decimal(1))
    assert account.quantity(1) == 10
    assert account.cash == START - 501


def test_daily_profit_counts_from_the_end_of_the_day_before() -> None:
    account, prices = make_account(), make_prices((STOCK, "50"), (CALL, "2"))
    account.trade(STOCK, Decimal(100), Decimal(50), Decimal(1))
    end_of_day(account, worth(account, prices))
    prices.set(STOCK, "53")
    account.trade(STOCK, Decimal(-50), Decimal(52), Decimal(1))
    account.trade(CALL, Decimal(1), Decimal(1), Decimal(1))
    valuation = worth(account, prices)
    daily = {item.instrument.symbol + item.instrument.right: item.daily for item in valuation.positions}
    assert daily == {"AAA": Decimal(50 * 2 - 1 + 50 * 3), "AAAC": Decimal(99)}
    assert valuation.daily == 249 + 99


def test_what_never_had_a_price_is_valued_at_cost() -> None:
    account, prices = make_account(), make_prices((CALL, "1"))
    del prices.prices[CALL.contract_id]
    account.trade(CALL, Decimal(3), Decimal("1.25"), Decimal(0))
    assert worth(account, prices).option_value == 375


def test_options_have_no_loan_value() -> None:
    account, prices = make_account(), make_prices((CALL, "5"), (STOCK, "100"))
    account.trade(CALL, Decimal(10), Decimal(5), Decimal(0))
    valuation = worth(account, prices)
    assert valuation.net_liquidation == START
    assert valuation.available_funds == START - 5000
    assert valuation.buying_power == 2 * (START - 5000)


PRICES = make_prices((STOCK, "100"), (CHEAP, "0.1234"), (FUTURE, "1100"), (EURO, "1.25"), (CALL, "2.35"), (PUT, "2.10"))
INSTRUMENTS = [PRICES.instruments[contract_id] for contract_id in PRICES.prices]
trades = st.tuples(
    st.just("trade"), st.sampled_from(INSTRUMENTS), st.integers(-400, 400).filter(bool), st.integers(1, 500_000)
)
events = st.tuples(
    st.sampled_from(["exercise", "split", "dividend", "edit"]),
    st.sampled_from([STOCK, CALL, PUT]),
    st.integers(-9, 9).filter(bool),
    st.integers(1, 500_000),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(trades | events, max_size=40))
def test_books_balance_whatever_happens(drawn: list[tuple[str, Instrument, int, int]]) -> None:
    account, cash = make_account(), Fraction(int(START))
    for what, instrument, number, price in drawn:
        amount = Decimal(price) / 10_000
        if what == "trade":
            commission = Decimal(price % 700) / 100
            account.trade(instrument, Decimal(number), amount, commission)
            cash -= Fraction(commission)
            if instrument is not FUTURE:
                cash -= Fraction(number * instrument.multiplier * amount)
        elif what == "exercise" and account.quantity(instrument.contract_id) and instrument.right:
            held = account.quantity(instrument.contract_id)
            account.exercise(instrument, STOCK, held)
            cash -= int(held) * 100 * 100 * (1 if instrument.right == "C" else -1)
        elif what == "split" and account.quantity(1):
            before = account.quantity(1)
            account.split(STOCK, abs(number), 4, amount)
            fraction = abs(Fraction(before) * abs(number) / 4) % 1
            cash += fraction * Fraction(amount) * (1 if before > 0 else -1)
        elif what == "dividend":
            account.receive(Decimal(number))
            cash += number
        elif what == "edit":
            account.edit(instrument, Decimal(number), amount)
        valuation = worth(account, PRICES)
        assert identity(account, valuation) == valuation.net_liquidation
        assert all(item.position.cost == 0 for item in valuation.positions if not item.position.quantity)
    future = account.positions.get(FUTURE.contract_id, Position())
    if not future.quantity:  # then its profit is in cash as well
        cash += Fraction(future.realized)
        cash += sum(
            (
                Fraction(Decimal(price % 700) / 100)
                for what, item, _, price in drawn
                if what == "trade" and item is FUTURE
            ),
            Fraction(0),
        )
        assert Fraction(account.cash) == cash
