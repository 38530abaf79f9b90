from decimal import Decimal

import pytest

from services.gateway.core.ib_map import ends_request, error_effect, order_status
from shared.messages.broker import ErrorEffect
from shared.types import OrderStatus

NOTHING, SOME = Decimal(0), Decimal(5)


@pytest.mark.parametrize(
    ("word", "filled", "expected"),
    [
        ("PendingSubmit", NOTHING, OrderStatus.SUBMITTED),
        ("PreSubmitted", NOTHING, OrderStatus.SUBMITTED),
        ("PreSubmitted", SOME, OrderStatus.PARTIALLY_FILLED),
        ("Submitted", SOME, OrderStatus.PARTIALLY_FILLED),
        ("PendingCancel", NOTHING, OrderStatus.SUBMITTED),
        ("Filled", SOME, OrderStatus.FILLED),
        ("Cancelled", SOME, OrderStatus.CANCELLED),
        ("ApiCancelled", NOTHING, OrderStatus.CANCELLED),
        ("Inactive", NOTHING, OrderStatus.REJECTED),
        ("Frobnicated", NOTHING, OrderStatus.UNKNOWN),
    ],
)
def test_order_status(word: str, filled: Decimal, expected: OrderStatus) -> None:
    assert order_status(word, filled) is expected


@pytest.mark.parametrize(
    ("code", "for_new", "for_live"),
    [
        (201, ErrorEffect.ORDER_REJECTED, ErrorEffect.WARNING),
        (110, ErrorEffect.ORDER_REJECTED, ErrorEffect.WARNING),
        (202, ErrorEffect.ORDER_CANCELLED, ErrorEffect.ORDER_CANCELLED),
        (10349, ErrorEffect.WARNING, ErrorEffect.WARNING),  # ib_async calls such an order Cancelled
        (399, ErrorEffect.WARNING, ErrorEffect.WARNING),
        (2109, ErrorEffect.WARNING, ErrorEffect.WARNING),
        (103, ErrorEffect.UNKNOWN, ErrorEffect.UNKNOWN),
        (1100, ErrorEffect.LINK, ErrorEffect.LINK),
        (10197, ErrorEffect.DATA, ErrorEffect.DATA),
        (2104, ErrorEffect.DATA, ErrorEffect.DATA),
        (987654, ErrorEffect.UNKNOWN, ErrorEffect.UNKNOWN),
    ],
)
def test_error_effect(code: int, for_new: ErrorEffect, for_live: ErrorEffect) -> None:
    assert error_effect(code, new_order=True) is for_new
    assert error_effect(code, new_order=False) is for_live


def test_a_refusal_ends_a_request_and_a_notice_does_not() -> None:
    assert [ends_request(code) for code in (162, 200, 321, 2176, 10167)] == [True, True, True, False, False]
