"""Position keeping against cash, which needs no average price and no realised profit to be right."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.execution.core.position import Position, book
from shared.types import Side

NOW = datetime(2012, 6, 1, tzinfo=UTC)
ZERO = Decimal(0)
FLAT = Position("AAPL", ZERO, ZERO, ZERO, ZERO, NOW)
fills = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 500), st.decimals(1, 900, places=2)), min_size=1, max_size=30
)


@given(fills)
def test_realised_plus_unrealised_is_what_the_cash_says(trades: list[tuple[Side, int, Decimal]]) -> None:
    position, cash, held = FLAT, ZERO, ZERO
    for side, quantity, price in trades:
        position, _ = book(position, side, Decimal(quantity), price, NOW)
        cash -= side.sign * quantity * price
        held += side.sign * quantity
    mark = Decimal("123.45")
    assert position.quantity == held
    value = position.realised + position.quantity * (mark - position.average_price)
    assert abs(value - (cash + held * mark)) < Decimal("1e-15")


def test_a_sale_through_zero_realises_the_closed_part_only() -> None:
    long, _ = book(FLAT, Side.BUY, Decimal(100), Decimal(10), NOW)
    short, realised = book(long, Side.SELL, Decimal(150), Decimal(12), NOW)
    assert realised == Decimal(200)
    assert (short.quantity, short.average_price) == (Decimal(-50), Decimal(12))


def test_a_flat_position_has_no_price() -> None:
    long, _ = book(FLAT, Side.BUY, Decimal(3), Decimal("10.01"), NOW)
    flat, realised = book(long, Side.SELL, Decimal(3), Decimal("9.99"), NOW)
    assert (flat.quantity, flat.average_price, realised) == (ZERO, ZERO, Decimal("-0.06"))
