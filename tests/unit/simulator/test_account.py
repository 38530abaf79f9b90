"""The account, exact to the cent, against an independent recomputation."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.core.account import Account, CommissionSchedule, Position
from services.simulator.core.matching import fill_price, first_match
from services.simulator.core.orders import OrderRequest
from tests.unit.simulator.world import CASH, SESSIONS, at_open, make_engine, order


def test_round_trip_includes_commissions() -> None:
    account = Account(Decimal(10_000))
    assert account.trade("AAA", Decimal(100), Decimal("50.00"), Decimal("1.00")) is None
    assert account.positions["AAA"].average_cost == Decimal("50.01")
    assert account.trade("AAA", Decimal(-100), Decimal("51.00"), Decimal("1.00")) == Decimal("98.00")
    assert (account.cash, account.realized, account.commissions) == (Decimal("10098.00"), Decimal(98), Decimal(2))


def test_short_and_reversal() -> None:
    position = Position()
    assert position.trade(Decimal(-100), Decimal(50), Decimal(1)) is None
    assert position.average_cost == Decimal("49.99")
    # 300 bought: 100 close the short (a third of the commission), 200 open a long
    assert position.trade(Decimal(300), Decimal(45), Decimal("1.50")) == Decimal("498.50")
    assert (position.quantity, position.cost) == (200, Decimal("9001.00"))


@pytest.mark.parametrize(
    ("shares", "value", "expected"),
    [(100, 10_000, "1.00"), (1000, 100_000, "5.00"), (10, 50, "0.50"), (333, 3330, "1.67")],
)
def test_commission_schedule(shares: int, value: int, expected: str) -> None:
    assert CommissionSchedule().of_order(Decimal(shares), Decimal(value)) == Decimal(expected)


orders = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["MKT", "LMT", "STP"]),
        st.integers(8500, 12600),
        st.integers(1, 5000),
        st.integers(0, 400),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(orders)
def test_books_equal_an_independent_recomputation(drawn: list[tuple[str, str, int, int, int]]) -> None:
    engine = at_open(make_engine())
    for number, (action, kind, cents, quantity, wait) in enumerate(drawn, 1):
        price = None if kind == "MKT" else str(Decimal(cents) / 100)
        engine.place(order(number, action, kind, price, quantity=Decimal(quantity)))
        engine.advance(engine.now + timedelta(minutes=wait))
    engine.advance(SESSIONS[3].close)

    cash, quantity, paid = Fraction(int(CASH)), 0, Fraction(0)
    for execution in engine.executions:
        shares = int(execution.shares) * (1 if execution.side == "BOT" else -1)
        value = shares * Fraction(str(execution.price))
        commission = min(max(Fraction(1, 200) * abs(shares), Fraction(1)), abs(value) / 100)
        assert abs(Fraction(str(execution.commission)) - commission) <= Fraction(1, 200)
        cash -= value + Fraction(str(execution.commission))
        paid += Fraction(str(execution.commission))
        quantity += shares
    valuation = engine.valuation()
    assert Fraction(str(valuation.cash)) == cash
    assert engine.account.quantity("AAA") == quantity
    assert Fraction(str(valuation.commissions)) == paid
    net_liquidation = cash + quantity * Fraction(111)
    assert Fraction(str(valuation.net_liquidation)) == net_liquidation
    assert CASH + valuation.realized + valuation.unrealized == valuation.net_liquidation
    reported = [execution.realized for execution in engine.executions if execution.realized is not None]
    assert sum(reported, Decimal(0)) == valuation.realized
    if quantity == 0:
        assert valuation.unrealized == 0


@given(st.sampled_from(["BUY", "SELL"]), st.sampled_from(["MKT", "LMT", "STP"]), st.integers(8900, 11100))
def test_first_match_is_where_fill_price_begins_to_fill(action: str, kind: str, cents: int) -> None:
    market = make_engine().market
    path = market.path("AAA", SESSIONS[1].day)
    assert path is not None
    request: OrderRequest = order(1, action, kind, None if kind == "MKT" else str(Decimal(cents) / 100))
    quotes = (market.quote_at_tick("AAA", SESSIONS[1], index) for index in range(len(path.last)))
    fitting = (i for i, quote in enumerate(quotes) if quote and fill_price(request, quote, arriving=False) is not None)
    assert first_match(request, path.last, market.spread_cents) == next(fitting, None)
