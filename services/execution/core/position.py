"""Positions and profit, folded from fills in exact decimals.

Invariants:
1. quantity = sum of signed fills; realised = the gross profit of every closed share; commissions apart.
2. cash + cost of the position is unchanged by any fill but for its realised profit and commission.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from shared.types import Side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Position:
    """Shares or contracts held (negative = short). Columns of `positions`.

    `average_price` is the cost of one in USD, its multiplier included (250 for an option bought at 2.50), without
    commissions.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal
    realised: Decimal
    commissions: Decimal
    changed_at: datetime


def book(position: Position, side: Side, quantity: Decimal, price: Decimal, now: datetime) -> tuple[Position, Decimal]:
    """Book one fill; returns the position after it and the profit it realised, gross, in USD."""
    signed = quantity * side.sign
    after = position.quantity + signed
    if position.quantity * signed >= 0:  # opens or adds
        cost = position.quantity * position.average_price + signed * price
        return replace(position, quantity=after, average_price=cost / after, changed_at=now), ZERO
    closed = min(quantity, abs(position.quantity))
    realised = closed * (price - position.average_price) * (1 if position.quantity > 0 else -1)
    kept = position.average_price if after * position.quantity > 0 else price  # else the fill opened beyond zero
    average = kept if after else ZERO
    changed = replace(
        position, quantity=after, average_price=average, realised=position.realised + realised, changed_at=now
    )
    return changed, realised
