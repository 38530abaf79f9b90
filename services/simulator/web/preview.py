"""What an order would do to its account, as `/iserver/account/{accountId}/orders/whatif` answers."""

from decimal import Decimal

from services.simulator.core.account import to_cents
from services.simulator.web.order_terms import WebOrder
from services.simulator.web.portal import text_of
from services.simulator.wire.layout import Row


def preview(order: WebOrder, row: Row, multiplier: int, price: Decimal) -> dict[str, object]:
    """Return the answer from the broker's own to a what-if order; `price` is what a market order is valued at."""
    commission = Decimal(text_of(row, "commission") or 0)
    amount = to_cents((order.limit_price or price) * order.quantity * multiplier)
    return {
        "amount": {
            "amount": f"{amount:,} USD ({order.quantity:f} Shares)",
            "commission": f"{commission.normalize():,f} USD",
            "total": f"{to_cents(amount + commission):,} USD",
        },
        "equity": _change(row, "equity"),
        "initial": _change(row, "initial_margin"),
        "maintenance": _change(row, "maintenance_margin"),
        "warn": None,
        "error": None,
    }


def _change(row: Row, name: str) -> dict[str, str]:
    words = {"current": "before", "change": "change", "after": "after"}
    return {key: f"{Decimal(text_of(row, f'{name}_{word}')):,}" for key, word in words.items()}
