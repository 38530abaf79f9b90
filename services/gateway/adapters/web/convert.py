"""IBKR's JSON values as ours and back. Texts with commas, K and M, percent signs and missing values end here."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from services.gateway.core import bar_times
from services.gateway.core.book import order_status
from services.gateway.ports import RequestRefused
from shared.instruments import Instrument
from shared.messages.broker import CommissionReported, ExecutionReported, OrderPreviewed, OrderReported
from shared.messages.market import Bar
from shared.types import OrderStatus, QuoteQuality, Side, Timeframe

Row = Mapping[str, Any]
"""One JSON object of IBKR's."""

ZERO, ONE = Decimal(0), Decimal(1)
_SCALES = {"K": Decimal(1_000), "M": Decimal(1_000_000), "B": Decimal(1_000_000_000)}
_PREFIXES = "CH"  # of a last price: yesterday's close, and a halt (field 31)
_QUALITIES = {
    "R": QuoteQuality.LIVE,
    "D": QuoteQuality.DELAYED,
    "Z": QuoteQuality.FROZEN,
    "Y": QuoteQuality.DELAYED,  # frozen and delayed: the worse of the two is told
}
_LIMIT_TYPES = frozenset({"LMT", "LIMIT", "STOP_LIMIT", "STOPLIMIT", "STP LMT", "TRAILLMT", "TRAILING_STOP_LIMIT"})
_STOP_TYPES = frozenset({"STP", "STOP", "TRAIL", "TRAILING_STOP"})
_NOT_TRANSMITTED = "PENDINGSUBMIT"


def rows(told: Row, name: str) -> list[Row]:
    """The list under a name; empty where there is none."""
    value: Any = told.get(name)
    return list(value) if value else []


def number(value: Any) -> Decimal | None:
    """The number in a JSON value: `1,234.5`, `1.2M`, `C199.50`, `25.3%`, 7.0; None where there is none."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip().replace(",", "").rstrip("%").lstrip(_PREFIXES)
    scale = _SCALES.get(text[-1:].upper(), Decimal(1))
    try:
        found = Decimal(text[:-1] if scale != 1 else text) * scale
    except InvalidOperation:
        return None
    if not found.is_finite():
        return None
    return found.quantize(Decimal(1)) if found == found.to_integral_value() else found.normalize()


def price(value: Any) -> Decimal | None:
    """None where there is no price: a side of the market that is empty is told as 0, -1 or not at all."""
    found = number(value)
    return found if found is not None and found > 0 else None


def quality(availability: Any) -> QuoteQuality | None:
    """Of field 6509, whose first letter tells; None for N (not subscribed) and anything else."""
    return _QUALITIES.get(str(availability)[:1])


def written(value: Decimal) -> float | int:
    """A number as JSON has it: the shortest one that is this decimal."""
    return int(value) if value == value.to_integral_value() else float(value)


def side(word: Any) -> Side:
    """B and BUY, S and SELL, BOT and SLD."""
    return Side.BUY if str(word).upper().startswith("B") else Side.SELL


def milliseconds(value: Any) -> datetime:
    """A time in milliseconds since 1970."""
    return datetime.fromtimestamp(int(value) / 1000, UTC)


def order_type(row: Row) -> str:
    """The type of an order in a listing: `Limit`, `LIMIT`, `Stop Limit` ... in one spelling."""
    return str(row.get("origOrderType") or row.get("orderType") or "").upper().replace(" ", "_")


def prices(row: Row) -> tuple[Decimal | None, Decimal | None]:
    """Limit and trigger of an order row; `price` is the stop of a stop order, as IBKR documents of new orders."""
    kind, told = order_type(row), price(row.get("price"))
    stop = price(row.get("auxPrice")) or price(row.get("stop_price"))
    if kind in _STOP_TYPES:
        return None, stop or told
    # the net price of a combination is negative where it is a credit
    return (number(row.get("price")) if kind in _LIMIT_TYPES else None), stop


def order_report(order_ref: str, row: Row) -> OrderReported:
    """An order as a listing, the stream or an answer tells it.

    This API has one number for an order; it is the TWS API's permanent id (assumed).
    """
    total, filled = number(row.get("totalSize")), number(row.get("filledQuantity")) or ZERO
    remaining = number(row.get("remainingQuantity"))
    if remaining is None:
        remaining = max((total or filled) - filled, ZERO)
    limit, trigger = prices(row)
    status = _status(row, filled)
    reason = row.get("order_cancellation_by_system_reason") or row.get("text")
    return OrderReported(
        order_ref=order_ref,
        status=status,
        filled=filled,
        remaining=remaining,
        average_price=price(row.get("avgPrice")) if filled else None,
        limit_price=limit,
        trigger_price=trigger,
        broker_order_id=int(row["orderId"]),
        perm_id=int(row["orderId"]),
        reason=str(reason) if reason and status.is_final and status is not OrderStatus.FILLED else None,
    )


def _status(row: Row, filled: Decimal) -> OrderStatus:
    """IBKR tells an order that it has not passed on yet as Inactive, with `Pending Submit` in order_ccp_status."""
    word, routed = str(row.get("status", "")), str(row.get("order_ccp_status", "")).upper().replace(" ", "")
    if word == "Inactive" and routed == _NOT_TRANSMITTED:
        word = "PendingSubmit"
    return order_status(word, filled)


def execution(row: Row, order_ref: str, symbol: str, multiplier: Decimal) -> ExecutionReported:
    """One row of the trades, of the listing and of the stream."""
    return ExecutionReported(
        execution_id=str(row["execution_id"]),
        order_ref=order_ref,
        symbol=symbol,
        side=side(row["side"]),
        quantity=number(row["size"]) or ZERO,
        price=number(row["price"]) or ZERO,
        time=milliseconds(row["trade_time_r"]),
        perm_id=int(row.get("order_id") or 0),
        multiplier=multiplier,
        combination=row.get("sec_type") == "BAG",
    )


def commission(row: Row) -> CommissionReported | None:
    """What the trade of a row cost; None while IBKR has not told it."""
    cost = number(row.get("commission"))
    return None if cost is None else CommissionReported(execution_id=str(row["execution_id"]), commission=cost)


def bar(wanted: Instrument, timeframe: Timeframe, row: Row, volume_factor: Decimal, *, regular: bool) -> Bar | None:
    """One row of the history; None for a day on which our calendar has no session."""
    span = bar_times.span(wanted.security_type, timeframe, milliseconds(row["t"]), regular_hours=regular)
    if span is None:
        return None
    return Bar(
        symbol=wanted.name,
        timeframe=timeframe,
        start=span[0],
        end=span[1],
        open=number(row["o"]) or ZERO,
        high=number(row["h"]) or ZERO,
        low=number(row["l"]) or ZERO,
        close=number(row["c"]) or ZERO,
        volume=max(number(row.get("v")) or ZERO, ZERO) * volume_factor,  # -1: there is no volume
    )


def day(text: Any) -> date:
    """A date written 20261218."""
    return datetime.strptime(str(text), "%Y%m%d").replace(tzinfo=UTC).date()


def month(expiry: date) -> str:
    """The month of an expiry as this API names it: DEC26."""
    return f"{_MONTHS[expiry.month - 1]}{expiry:%y}"


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def preview(order_ref: str, told: Row) -> OrderPreviewed:
    """The answer to a what-if. Raises RequestRefused where IBKR left a figure out."""

    def figure(part: str, key: str) -> Decimal | None:
        values: Any = told.get(part) or {}
        return number(str(values.get(key) or "").partition(" ")[0])  # "1.01 USD"

    made = OrderPreviewed(
        order_ref=order_ref,
        initial_margin=figure("initial", "after"),
        initial_margin_change=figure("initial", "change"),
        maintenance_margin=figure("maintenance", "after"),
        maintenance_margin_change=figure("maintenance", "change"),
        equity_with_loan=figure("equity", "after"),
        commission=figure("amount", "commission"),
        warning=told.get("warn") or None,
    )
    if missing := [name for name in _PREVIEWED if getattr(made, name) is None]:
        raise RequestRefused(f"the preview of order {order_ref} has no {', '.join(missing)}")
    return made


_PREVIEWED = ("initial_margin", "initial_margin_change", "maintenance_margin", "maintenance_margin_change")
