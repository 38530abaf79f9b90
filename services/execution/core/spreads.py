"""What expiry, exercise and assignment do to the books: the broker moves positions and reports no order.

An option that is exercised or assigned is booked out at its own cost and its premium moves into the price of the
shares, as brokers do; one that expires worthless is booked out at zero. So cash and profit stay exact either way.
"""

from datetime import datetime
from decimal import Decimal

from services.execution.core.books import Books
from services.execution.core.change import Change
from services.execution.core.order import apply, intended
from services.execution.core.position import ZERO
from shared.instruments import Instrument
from shared.messages.broker import ExecutionReported, OrderReported
from shared.messages.broker_commands import OrderTerms
from shared.types import OrderStatus, OrderType, Right, Side, TimeInForce

MULTIPLIER = Decimal(100)


def settle(books: Books, option: Instrument, quantity: Decimal, price: Decimal | None, now: datetime) -> list[Change]:
    """Book out `quantity` contracts of what is held in `option` (more than 0, whether it is held long or short).

    Args:
        price: USD per share for which they are settled, zero for worthless ones; None: they are turned into shares.
    """
    assert option.strike is not None  # noqa: S101 - every option has one
    held = books.positions[option.name]
    leaving = Side.SELL if held.quantity > 0 else Side.BUY
    premium = held.average_price / MULTIPLIER
    changes = [_book(books, option.name, leaving, quantity, premium if price is None else price, MULTIPLIER, now)]
    if price is None:
        calls = option.right is Right.CALL
        side = leaving.opposite if calls else leaving
        cost = option.strike + premium if calls else option.strike - premium
        changes.append(_book(books, option.symbol, side, quantity * MULTIPLIER, cost, Decimal(1), now, option.name))
    return changes


def _book(
    books: Books,
    symbol: str,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    multiplier: Decimal,
    now: datetime,
    cause: str = "",
) -> Change:
    execution = ExecutionReported(
        execution_id=f"settled:{now:%Y%m%d}:{cause or symbol}:{symbol}",
        order_ref="",
        symbol=symbol,
        side=side,
        quantity=quantity,
        price=price,
        time=now,
        perm_id=0,
        multiplier=multiplier,
    )
    return books.report_execution(execution, now)


def adopt(
    books: Books,
    order_id: str,
    strategy: str,
    symbol: str,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    now: datetime,
) -> Change:
    """Enter what a settlement left as if an order had bought it, so that it can be closed like any position."""
    terms = OrderTerms(
        order_ref=order_id,
        symbol=symbol,
        side=side,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        limit_price=price,
        time_in_force=TimeInForce.DAY,
    )
    report = OrderReported(
        order_ref=order_id,
        status=OrderStatus.FILLED,
        filled=quantity,
        remaining=ZERO,
        average_price=price,
        limit_price=price,
        broker_order_id=0,
        perm_id=0,
        reason="left by expiry, exercise or assignment",
    )
    change = Change()
    books.orders[order_id] = change.orders[order_id] = apply(intended(terms, order_id, strategy, now), report, now)
    return change
