"""Positions and profit, folded from fills in exact decimals.

Invariants:
1. quantity = sum of signed fills; realised = the gross profit of every closed share; commissions apart.
2. cash + cost of the position is unchanged by any fill but for its realised profit and commission.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from shared.types import Side

ZERO = Decimal(0)
BUY = Side.BUY  # looked up once, which takes a call in Python 3.11


class Position(NamedTuple):
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
    symbol, held, average, realised, commissions, _ = position
    signed = quantity if side is BUY else -quantity
    after = held + signed
    if not held:
        return Position(symbol, after, price, realised, commissions, now), ZERO
    if (held > ZERO) is (signed > ZERO):  # adds
        cost = held * average + signed * price
        return Position(symbol, after, cost / after, realised, commissions, now), ZERO
    closed = min(quantity, abs(held))
    gained = closed * (price - average) if held > ZERO else closed * (average - price)
    if not after:
        average = ZERO
    elif (after > ZERO) is not (held > ZERO):  # it opened beyond zero
        average = price
    return Position(symbol, after, average, realised + gained, commissions, now), gained
