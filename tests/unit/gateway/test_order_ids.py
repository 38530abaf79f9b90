"""Order ids are never used twice; what is left of a family is one that can be sent."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.order_ids import left_of, reserve
from shared.messages.broker_commands import OrderTerms
from shared.types import OrderType, Side


def terms(order_ref: str, parent: str | None = None) -> OrderTerms:
    return OrderTerms(
        order_ref=order_ref,
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(1),
        order_type=OrderType.MARKET,
        parent=parent,
    )


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(-5, 60)), max_size=20))
def test_ids_rise_whatever_the_broker_says_is_free(rounds: list[tuple[int, int]]) -> None:
    highest, used = 0, list[int]()
    for size, next_free in rounds:
        ids = list(reserve([str(number) for number in range(size)], next_free, highest).values())
        assert min(ids) >= max(next_free, 1)
        used += ids
        highest = max(highest, *ids)
    assert used == sorted(set(used))


BRACKET = (
    terms("entry"),
    terms("stop", "entry"),
    terms("target", "entry"),
    terms("grandchild", "stop"),
    terms("other"),
)


def test_children_go_with_their_parents() -> None:
    def left(*withdrawn: str) -> list[str]:
        return [order.order_ref for order in left_of(BRACKET, withdrawn)]

    assert left() == ["entry", "stop", "target", "grandchild", "other"]
    assert left("entry") == ["other"]
    assert left("stop") == ["entry", "target", "other"]
    assert left("other", "nobody") == ["entry", "stop", "target", "grandchild"]
