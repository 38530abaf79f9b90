"""What the broker's last word says already of a change."""

from decimal import Decimal
from typing import Any

import pytest

from services.gateway.core.words import says_already
from shared.messages.broker import OrderReported
from shared.messages.broker_commands import ModifyOrder, NetPrice, PriceEffect
from shared.types import OrderStatus

KNOWN = OrderReported(
    order_ref="a",
    status=OrderStatus.PARTIALLY_FILLED,
    filled=Decimal(30),
    remaining=Decimal(70),
    average_price=Decimal(10),
    limit_price=Decimal("10.50"),
    broker_order_id=1,
    perm_id=2,
    trigger_price=None,
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit_price": Decimal("10.5")}, True),
        ({"limit_price": Decimal("10.51")}, False),
        ({"quantity": Decimal(100)}, True),
        ({"quantity": Decimal(70)}, False),
        ({"quantity": Decimal(100), "limit_price": Decimal(11)}, False),
        ({"trigger_price": Decimal(9)}, False),
        ({"trailing_amount": Decimal(1)}, False),
        ({"net_price": NetPrice(effect=PriceEffect.DEBIT, amount=Decimal(1))}, False),
        ({}, True),
    ],
)
def test_a_change_is_sent_unless_the_broker_reports_all_of_it(change: dict[str, Any], said: bool) -> None:
    assert says_already(ModifyOrder(order_ref="a", **change), KNOWN) is said
