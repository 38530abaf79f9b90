"""What the books say: trades, orders, positions, and whether the account agrees. Money in USD."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from shared.db import tables
from shared.types import Leg

Record = Mapping[str, Any]
ZERO = Decimal(0)


def rows(database: Engine, query: sa.Executable) -> list[Record]:
    with database.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def orders(database: Engine, *, newest: int | None = None) -> list[Record]:
    """Orders at the broker, oldest first; only the `newest` ones if given."""
    table = tables.orders
    query = sa.select(table).order_by(table.c.created_at.desc(), table.c.order_ref.desc()).limit(newest)
    return rows(database, query)[::-1]


def fills(database: Engine) -> list[Record]:
    """Fills with the order_id, leg and strategy of their orders, in the order they happened; corrected ones once."""
    order, fill, correction = tables.orders, tables.fills, tables.fills.alias()
    query = (
        sa.select(fill, order.c.order_id, order.c.leg, order.c.strategy)
        .join(order, fill.c.order_ref == order.c.order_ref)
        .where(~sa.exists().where(correction.c.corrects == fill.c.execution_id))
        .order_by(fill.c.time, fill.c.execution_id)
    )
    return rows(database, query)


def positions(database: Engine) -> list[Record]:
    return rows(database, sa.select(tables.positions).order_by(tables.positions.c.symbol))


@dataclass(frozen=True, slots=True)
class Trade:
    """One position's life, from its entry's fills to those that closed it.

    Quantity in shares, prices are averages over fills in USD per share; `profit` is realised less commissions.
    `exit_time`, `exit_price` and `exit_reason` are None while it is open.
    """

    order_id: str
    symbol: str
    quantity: Decimal
    entry_time: datetime
    entry_price: Decimal
    exit_time: datetime | None
    exit_price: Decimal | None
    exit_reason: str | None
    profit: Decimal


def trades(all_fills: Sequence[Record], close_reasons: Mapping[str, str]) -> list[Trade]:
    """Pair fills by order_id. `close_reasons`: order_id -> why risk closed it before its stop or target."""
    by_order: dict[str, list[Record]] = {}
    for fill in all_fills:
        by_order.setdefault(fill["order_id"], []).append(fill)
    return [_trade(order_id, found, close_reasons.get(order_id)) for order_id, found in by_order.items()]


def _trade(order_id: str, found: Sequence[Record], close_reason: str | None) -> Trade:
    entries = [fill for fill in found if fill["leg"] == Leg.ENTRY]
    exits = [fill for fill in found if fill["leg"] != Leg.ENTRY]
    quantity = sum((fill["quantity"] for fill in entries), ZERO)
    closed = bool(exits) and sum((fill["quantity"] for fill in exits), ZERO) == quantity
    reason = close_reason if exits and exits[-1]["leg"] != Leg.STOP and close_reason else None
    return Trade(
        order_id=order_id,
        symbol=found[0]["symbol"],
        quantity=quantity,
        entry_time=found[0]["time"],
        entry_price=_average(entries),
        exit_time=exits[-1]["time"] if closed else None,
        exit_price=_average(exits) if closed else None,
        exit_reason=(reason or str(exits[-1]["leg"])) if closed else None,
        profit=sum((fill["realised"] - (fill["commission"] or ZERO) for fill in found), ZERO),
    )


def _average(found: Sequence[Record]) -> Decimal:
    quantity = sum((fill["quantity"] for fill in found), ZERO)
    return sum((fill["price"] * fill["quantity"] for fill in found), ZERO) / quantity if quantity else ZERO


@dataclass(frozen=True, slots=True)
class Books:
    """Our books beside the broker's account, all in USD."""

    start_cash: Decimal
    realised: Decimal
    commissions: Decimal
    unrealised: Decimal
    net_liquidation: Decimal

    @property
    def value(self) -> Decimal:
        """What the account must be worth if every fill was booked once, to the cent."""
        return (self.start_cash + self.realised - self.commissions + self.unrealised).quantize(Decimal("0.01"))

    @property
    def agree(self) -> bool:
        return self.value == self.net_liquidation.quantize(Decimal("0.01"))


def reckon(database: Engine, last_prices: Mapping[str, Decimal], net_liquidation: Decimal) -> Books:
    """Add up the books; `last_prices` are ours, from the market's quotes, `net_liquidation` is the broker's word.

    Raises:
        LookupError: no account is in the books, or an open position has no price.
    """
    accounts = rows(database, sa.select(tables.accounts))
    if not accounts:
        raise LookupError("the books have no account: execution has not been told by the broker yet")
    held = positions(database)
    for position in held:
        if position["quantity"] and position["symbol"] not in last_prices:
            raise LookupError(f"no price of {position['symbol']} on market.quotes to value the position with")
    return Books(
        start_cash=accounts[0]["start_cash"],
        realised=sum((position["realised"] for position in held), ZERO),
        commissions=sum((position["commissions"] for position in held), ZERO),
        unrealised=sum(
            (
                position["quantity"] * (last_prices[position["symbol"]] - position["average_price"])
                for position in held
                if position["quantity"]
            ),
            ZERO,
        ),
        net_liquidation=net_liquidation,
    )
