"""The order state table, and its invariants under any sequence of reports."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.execution.core.order import MOVES, Order, apply
from shared.messages.broker import OrderReported
from shared.types import Leg, OrderStatus, Side, TimeInForce

NOW = datetime(2012, 6, 1, 14, 0, tzinfo=UTC)
LATER = datetime(2012, 6, 1, 15, 0, tzinfo=UTC)


def order(status: OrderStatus = OrderStatus.INTENT, filled: int = 0) -> Order:
    return Order(
        "AAPL-120601-1",
        "AAPL-120601-1",
        Leg.ENTRY,
        "crossover",
        "AAPL",
        Side.BUY,
        Decimal(100),
        Decimal("560.25"),
        None,
        TimeInForce.DAY,
        status,
        Decimal(filled),
        None,
        None,
        None,
        None,
        NOW,
        NOW,
    )


def report(status: OrderStatus, filled: int = 0, **other: object) -> OrderReported:
    values = {
        "order_ref": "AAPL-120601-1",
        "status": status,
        "filled": Decimal(filled),
        "remaining": Decimal(100 - filled),
        "average_price": Decimal("560.2") if filled else None,
        "limit_price": None,
        "broker_order_id": 7,
        "perm_id": 9,
    }
    return OrderReported.model_validate(values | other)


def test_every_status_has_its_row() -> None:
    assert set(MOVES) == set(OrderStatus)


def test_a_filled_order_stays_filled() -> None:
    filled = apply(order(OrderStatus.SUBMITTED), report(OrderStatus.FILLED, 100), NOW)
    assert filled.status is OrderStatus.FILLED
    assert apply(filled, report(OrderStatus.CANCELLED, 100), LATER).status is OrderStatus.FILLED


def test_a_fill_after_a_cancel_counts() -> None:
    cancelled = order(OrderStatus.CANCELLED)
    assert apply(cancelled, report(OrderStatus.FILLED, 100), LATER).status is OrderStatus.FILLED


def test_unknown_is_settled_by_the_broker_only() -> None:
    unknown = order(OrderStatus.UNKNOWN)
    assert apply(unknown, report(OrderStatus.UNKNOWN), LATER).status is OrderStatus.UNKNOWN
    assert apply(unknown, report(OrderStatus.SUBMITTED), LATER).status is OrderStatus.SUBMITTED


def test_a_repeated_report_changes_nothing() -> None:
    once = apply(order(), report(OrderStatus.SUBMITTED), NOW)
    assert apply(once, report(OrderStatus.SUBMITTED), LATER) is once


@given(st.lists(st.tuples(st.sampled_from(OrderStatus), st.integers(0, 100)), max_size=12))
def test_filled_never_shrinks_and_moves_follow_the_table(reports: list[tuple[OrderStatus, int]]) -> None:
    current = order()
    for status, filled in reports:
        after = apply(current, report(status, filled), LATER)
        assert after.filled >= current.filled
        assert after.status is current.status or after.status in MOVES[current.status]
        current = after
