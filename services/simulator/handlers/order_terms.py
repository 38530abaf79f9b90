"""The terms of an order: what placeOrder says, as the engine understands it."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType

from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.order_types import ORDER_TYPES, PEGGED, OrderType, Trading, Trigger
from services.simulator.core.orders import Condition, ConditionKind, Leg, OrderRequest
from services.simulator.core.rules import LARGEST_NUMBER
from services.simulator.handlers.times import parse_time
from services.simulator.present.order_fields import decimal, flag, kept_fields
from services.simulator.wire.layout import Row
from services.simulator.wire.requests import Request

_END_OF_DAY = time(23, 59, 59)
_SPELLINGS = MappingProxyType(
    {
        "PEGMID": "PEG MID",
        "PEGBEST": "PEG BEST",
        "PEGBENCH": "PEG BENCH",
        "PEGMKT": "PEG MKT",
        "PEGPRIM": "PEG PRIM",
        "PEGSTK": "PEG STK",
        "STPLMT": "STP LMT",
        "TRAILLIMIT": "TRAIL LIMIT",
        "TRAIL LMT": "TRAIL LIMIT",
    }
)
"""Other names that IBKR's documentation and clients use for an order type."""


class InvalidTimeError(ValueError):
    """A time in an order that cannot be understood: refused with an error, the connection goes on."""


def order_terms(
    request: Request, client_id: int, contract_id: int, account: str, legs: tuple[Leg, ...]
) -> OrderRequest:
    """Return the terms of a placeOrder; a price that the order type does not use is left out.

    Raises InvalidTimeError, and ValueError naming the field for one that is not of its kind.
    """
    order_type = _SPELLINGS.get(request.text("order_type"), request.text("order_type"))
    conditions = request.row.get("conditions")
    return OrderRequest(
        client_id=client_id,
        order_id=request.integer("order_id"),
        contract_id=contract_id,
        action=request.text("action"),
        quantity=_number(request, "total_quantity") or Decimal(0),
        order_type=order_type,
        account=account,
        legs=legs,
        **_prices(request, ORDER_TYPES.get(order_type)),
        time_in_force=request.text("tif") or "DAY",
        good_after=_moment(request.text("good_after_time")),
        good_till=_moment(request.text("good_till_date")),
        oca_group=request.text("oca_group"),
        oca_type=request.integer("oca_type") or 3,
        order_ref=request.text("order_ref"),
        transmit=request.flag("transmit"),
        parent_id=request.integer("parent_id"),
        outside_regular_hours=request.flag("outside_rth"),
        all_or_none=request.flag("all_or_none"),
        minimum_quantity=_number(request, "min_quantity") or None,
        display_size=request.integer("display_size") or None,
        discretionary_amount=_number(request, "discretionary_amount") or Decimal(0),
        trigger_method=request.integer("trigger_method"),
        conditions=tuple(_condition(row) for row in conditions) if isinstance(conditions, list) else (),
        conditions_cancel=request.flag("conditions_cancel_order"),
        conditions_outside_regular_hours=request.flag("conditions_ignore_rth"),
        algorithm=request.text("algo_strategy"),
        echo=kept_fields(request.row),
    )


def _prices(request: Request, kind: OrderType | None) -> dict[str, Decimal | None]:
    """Return the prices that an order type uses; clients send 0 as well as nothing for a price that is not given."""
    if kind is None:
        return {}
    limit, offset = _number(request, "limit_price"), _number(request, "aux_price")
    prices: dict[str, Decimal | None] = {}
    if kind.trading in PEGGED:
        competing = "compete_against_best_offset"  # of PEG BEST; infinite = up to the midpoint, taken as none here
        if not request.text(competing).startswith("Infinit"):
            offset = _number(request, competing) or offset
        return {"aux_price": offset or _number(request, "percent_offset") or Decimal(0), "price_cap": limit or None}
    if kind.trigger in (Trigger.STOP, Trigger.TOUCH):
        prices["aux_price"] = offset
    if kind.trigger is Trigger.TRAIL:
        percent = _number(request, "trailing_percent") or None
        prices |= {"aux_price": None if percent else offset or None, "trailing_percent": percent}
        prices["trail_stop_price"] = _number(request, "trail_stop_price") or None
    if request.text("order_type") in ("TRAIL LIMIT", "TRAILLIMIT", "TRAIL LMT"):
        prices["limit_price_offset"] = _number(request, "limit_price_offset")
        prices["limit_price"] = limit or None
    elif kind.trading is Trading.LIMIT or "limit_price" in kind.prices:
        prices["limit_price"] = limit
    return prices


def _number(request: Request, name: str) -> Decimal | None:
    """Return a decimal field, None if it is empty or TWS's "unset". Raises ValueError for anything else.

    Clients compute in doubles: 213.01000000000002 means 213.01, so what is beyond eight decimals is noise.
    """
    number = decimal(name, request.text(name))
    if number is None or abs(number) > LARGEST_NUMBER:
        return number  # the engine refuses it; it may have too many digits to be rounded
    rounded = round(number, 8)
    return rounded.normalize() if rounded % 1 else rounded.to_integral_value()


def _moment(text: str) -> datetime | None:
    """Return a time in an order; a date alone means its end, in the exchange's zone."""
    if not text:
        return None
    try:
        if len(text) == 8:
            return datetime.combine(date.fromisoformat(text), _END_OF_DAY, EXCHANGE_ZONE).astimezone(UTC)
        return parse_time(text, EXCHANGE_ZONE).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidTimeError(str(error)) from error


def _text(row: Row, name: str) -> str:
    value = row.get(name, "")
    return value if isinstance(value, str) else ""


def _value(row: Row, name: str) -> Decimal:
    found = decimal(f"conditions.{name}", _text(row, name))
    if found is None:
        raise ValueError(f"conditions.{name}: is missing")
    return found


def _whole(row: Row, name: str) -> int:
    text = _text(row, name)
    try:
        return int(text or 0)
    except ValueError:
        raise ValueError(f"conditions.{name}: {text[:40]!r} is not a whole number") from None


def _time_condition(row: Row) -> dict[str, object]:
    moment = _moment(_text(row, "time"))
    if moment is None:
        raise InvalidTimeError("a time condition without a time")
    return {"time": moment}


_PARTS: Mapping[ConditionKind, Callable[[Row], dict[str, object]]] = MappingProxyType(
    {
        ConditionKind.PRICE: lambda row: {"value": _value(row, "price"), "contract_id": _whole(row, "con_id")},
        ConditionKind.TIME: _time_condition,
        ConditionKind.MARGIN: lambda row: {"value": _value(row, "percent")},
        ConditionKind.EXECUTION: lambda row: {"symbol": _text(row, "symbol"), "security_type": _text(row, "sec_type")},
        ConditionKind.VOLUME: lambda row: {"value": _value(row, "volume"), "contract_id": _whole(row, "con_id")},
        ConditionKind.PERCENT_CHANGE: lambda row: {
            "value": _value(row, "change_percent"),
            "contract_id": _whole(row, "con_id"),
        },
    }
)


def _condition(row: Row) -> Condition:
    try:
        kind = ConditionKind(_text(row, "type"))
    except ValueError:
        raise ValueError(f"conditions.type: {_text(row, 'type')[:40]!r} is not a kind of condition") from None
    is_more = flag("conditions.is_more", _text(row, "is_more") or "1") == "1"
    parts = _PARTS[kind](row)
    return Condition(kind=kind, conjunction=_text(row, "conjunction") or "a", is_more=is_more, **parts)  # type: ignore[arg-type]
