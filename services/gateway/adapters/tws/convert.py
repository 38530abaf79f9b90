"""IBKR's values as ours and back. Unset doubles, -1 prices and '?' end here."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite

from ib_async.contract import Contract
from ib_async.objects import BarData, Execution
from ib_async.order import Order
from ib_async.util import UNSET_DOUBLE

from services.gateway.core.order_ids import BracketIds, references
from shared.calendar import NEW_YORK, session_hours
from shared.messages.broker import ExecutionReported, SubmitOrder
from shared.messages.market import Bar
from shared.types import Side, Timeframe, TimeInForce

SESSION_MINUTES = 390
LONGEST_DAYS = 365  # of a duration in days; IBKR wants years beyond it


@lru_cache(maxsize=1 << 16)
def decimal(value: float) -> Decimal:
    """The decimal number that IBKR wrote: the shortest one that is this double."""
    return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))


def decimal_or_none(value: float | Decimal | None) -> Decimal | None:
    """None for IBKR's unset double and for anything that is no number."""
    if value is None or value == UNSET_DOUBLE or not isfinite(value):
        return None
    return value if isinstance(value, Decimal) else decimal(value)


def price_or_none(value: float | None) -> Decimal | None:
    """None where there is no price: IBKR sends -1 or 0 for a side of a stock's market that is empty."""
    return decimal(value) if value is not None and isfinite(value) and value > 0 and value != UNSET_DOUBLE else None


def size_or_none(value: float | None) -> Decimal | None:
    return decimal(value) if value is not None and isfinite(value) and value >= 0 else None


def stock(symbol: str) -> Contract:
    """A US stock, routed by IBKR; to be qualified before it is used."""
    return Contract(symbol=symbol, secType="STK", exchange="SMART", currency="USD")


def bracket(order: SubmitOrder, ids: BracketIds, account: str) -> tuple[Order, Order, Order]:
    """Entry, stop and target. Nothing is transmitted before the last one is there."""
    entry, stop, target = (
        Order(orderId=order_id, orderRef=reference, account=account, totalQuantity=_written(order.quantity))  # type: ignore[arg-type]
        for order_id, reference in zip(ids, references(order.order_id), strict=True)
    )
    entry.action, entry.orderType, entry.tif = order.side.value, "LMT", order.time_in_force.value
    entry.lmtPrice, entry.transmit = _written(order.limit_price), False
    for child in (stop, target):
        child.action, child.tif, child.parentId = order.side.opposite.value, TimeInForce.GTC.value, ids.entry
    stop.orderType, stop.auxPrice, stop.transmit = "STP", _written(order.stop_price), False
    target.orderType, target.lmtPrice = "LMT", _written(order.target_price)
    return entry, stop, target


def with_limit(order: Order, limit_price: Decimal) -> Order:
    """The same order at another limit price.

    Only what our orders carry is sent again: an order that the broker has echoed is full of values such as `None`,
    `?` and unset doubles, some of which mean something else when they come back.
    """
    return Order(
        orderId=order.orderId,
        action=order.action,
        totalQuantity=order.totalQuantity,
        orderType=order.orderType,
        lmtPrice=_written(limit_price),
        auxPrice=order.auxPrice,
        tif=order.tif,
        ocaGroup=order.ocaGroup,
        ocaType=order.ocaType,
        account=order.account,
        orderRef=order.orderRef,
        parentId=order.parentId,
        outsideRth=order.outsideRth,
        transmit=True,
    )


def _written(value: Decimal) -> Decimal:
    """The same number without an exponent, which IBKR can't read."""
    return Decimal(format(value, "f"))


def execution(contract: Contract, told: Execution) -> ExecutionReported:
    return ExecutionReported(
        execution_id=told.execId,
        order_ref=told.orderRef,
        symbol=contract.symbol,
        side=Side.BUY if told.side == "BOT" else Side.SELL,
        quantity=decimal(told.shares),
        price=decimal(told.price),
        time=told.time.astimezone(UTC),
        perm_id=told.permId,
    )


def duration(timeframe: Timeframe, count: int) -> str:
    """IBKR's duration that holds at least `count` closed bars and the one that is open."""
    days = count + 1 if timeframe is Timeframe.DAY else -(-count // SESSION_MINUTES) + 1
    return f"{days} D" if days <= LONGEST_DAYS else f"{-(-days // 250)} Y"


def bar(symbol: str, timeframe: Timeframe, told: BarData) -> Bar | None:
    """One historical bar; None for a day on which our calendar has no session."""
    span = _span(timeframe, told.date)
    if span is None:
        return None
    return Bar(
        symbol=symbol,
        timeframe=timeframe,
        start=span[0],
        end=span[1],
        open=decimal(told.open),
        high=decimal(told.high),
        low=decimal(told.low),
        close=decimal(told.close),
        volume=decimal(told.volume),
    )


def _span(timeframe: Timeframe, told: date | datetime) -> tuple[datetime, datetime] | None:
    if timeframe is Timeframe.DAY:
        return session_hours(told.date() if isinstance(told, datetime) else told)
    start = told if isinstance(told, datetime) else datetime.combine(told, time(), NEW_YORK)
    start = start.astimezone(UTC)
    return start, start + timedelta(minutes=1)
