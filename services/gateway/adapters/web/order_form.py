"""Our orders as the Web API takes them. Pure.

Source: "Place Order" of https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/. What has no documented field
is refused here, before anything is sent.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from services.gateway.adapters.web.convert import Row, number, order_type, prices, written
from services.gateway.ports import Unsupported
from shared.messages.broker_commands import ModifyOrder, OcaType, OrderTerms
from shared.types import OrderType, Side, TimeInForce

USD_SPREAD = 28812380
"""The contract id that stands for a combination in US dollars."""

Form = dict[str, Any]
"""One order as JSON."""

TYPES: Mapping[OrderType, str] = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STOP_LIMIT",
    OrderType.TRAILING_STOP: "TRAIL",
    OrderType.TRAILING_STOP_LIMIT: "TRAILLMT",
}
TIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.OPG})
_LISTED_TYPES = {
    "LIMIT": "LMT",
    "MARKET": "MKT",
    "STOP": "STP",
    "STOPLIMIT": "STOP_LIMIT",
    "TRAILING_STOP": "TRAIL",
    "TRAILING_STOP_LIMIT": "TRAILLMT",
}
_UNSENDABLE = ("good_till", "good_after", "minimum_quantity", "display_size", "discretionary_amount", "price_cap")


def check(orders: Sequence[OrderTerms]) -> None:
    """Raises Unsupported for what can't be said, and for orders that IBKR would not take as one."""
    for order in orders:
        for problem in _problems(order):
            raise Unsupported(f"order {order.order_ref}: {problem} over the Web API; use adapter = tws")
    if len(orders) == 1:
        return
    first, *others = orders
    bracket = first.oca_group is None and all(
        order.parent == first.order_ref and order.oca_group is None for order in others
    )
    group = first.oca_group is not None and all(
        order.oca_group == first.oca_group and order.parent is None for order in orders
    )
    if not bracket and not group:
        raise Unsupported(
            f"the orders {[order.order_ref for order in orders]} are neither one bracket nor one OCA group; "
            "over the Web API send the others by themselves"
        )


def _problems(order: OrderTerms) -> list[str]:
    found: list[str] = []
    if order.order_type not in TYPES:
        found.append(f"order_type = {order.order_type} can't be sent")
    if order.time_in_force not in TIMES:
        found.append(f"time_in_force = {order.time_in_force} can't be sent")
    values = ((name, getattr(order, name)) for name in _UNSENDABLE)
    found += [f"{name} = {value} can't be sent" for name, value in values if value is not None]
    if order.hidden:
        found.append("hidden = True can't be sent")
    if order.conditions:
        found.append("conditions can't be sent")
    if order.algorithm is not None:
        found.append(f"algorithm = {order.algorithm.name} can't be sent")
    if order.oca_group is not None and order.oca_type is not OcaType.CANCEL_WITH_BLOCK:
        found.append(f"oca_type = {order.oca_type} can't be sent")
    if order.order_type is OrderType.TRAILING_STOP_LIMIT and order.trigger_price is None:
        found.append("TRAIL LIMIT without trigger_price can't be sent")
    return found


def form(order: OrderTerms, contract_id: int, legs: Mapping[str, int], account: str, *, group: bool) -> Form:
    """One order as JSON.

    Args:
        contract_id: of what is traded; not used for a combination.
        legs: contract ids of a combination's legs by symbol.
        group: it is one of an OCA group.
    """
    made: Form = {
        "acctId": account,
        "orderType": TYPES[order.order_type],
        "side": order.side.value,
        "quantity": written(order.quantity),
        "tif": order.time_in_force.value,
        "outsideRTH": order.outside_regular_hours,
    }
    if order.legs:
        made["conidex"] = combination(order, legs)
    else:
        made["conid"] = contract_id
    if order.parent is None:
        made["cOID"] = order.order_ref
    else:
        made["parentId"] = order.parent  # IBKR wants no cOID on the children of a bracket
    if order.all_or_none:
        made["allOrNone"] = True
    if group:
        made["isSingleGroup"] = True
    if order.trailing_amount is not None:
        made |= {"trailingType": "amt", "trailingAmt": written(order.trailing_amount)}
    if order.trailing_percent is not None:
        made |= {"trailingType": "%", "trailingAmt": written(order.trailing_percent)}
    limit = order.net_price.signed(order.side) if order.net_price is not None else order.limit_price
    return made | _price_fields(order, limit)


def _price_fields(order: OrderTerms, limit: Decimal | None) -> Form:
    """`price` is the limit, or the stop of STP and TRAIL; `auxPrice` the stop of STOP_LIMIT and TRAILLMT."""
    stop = order.trigger_price
    if order.order_type is OrderType.TRAILING_STOP_LIMIT and stop is not None and order.limit_offset is not None:
        limit = stop + order.limit_offset * order.side.sign
    if order.order_type in (OrderType.STOP, OrderType.TRAILING_STOP):
        return {} if stop is None else {"price": written(stop)}
    made: Form = {}
    if limit is not None:
        made["price"] = written(limit)
    if stop is not None:
        made["auxPrice"] = written(stop)
    return made


def combination(order: OrderTerms, legs: Mapping[str, int]) -> str:
    """IBKR's name of a combination: `28812380;;;conid/ratio,conid/-ratio`, sold legs negative."""
    parts = (f"{legs[leg.symbol]}/{leg.ratio * leg.side.sign}" for leg in order.legs)
    return f"{USD_SPREAD};;;{','.join(parts)}"


def of_row(row: Row) -> Form:
    """The JSON of a listed order, for a change of one that an earlier process sent."""
    limit, stop = prices(row)
    kind = order_type(row)
    kind = _LISTED_TYPES.get(kind, kind)
    made: Form = {
        "acctId": str(row.get("acct") or row.get("account")),
        "orderType": kind,
        "side": str(row["side"]).upper(),
        "quantity": written(number(row["totalSize"]) or Decimal(0)),
        "tif": {"CLOSE": "DAY"}.get(str(row.get("timeInForce")), str(row.get("timeInForce") or "DAY")),
        "outsideRTH": bool(row.get("outsideRTH", False)),
    }
    if ";;;" in (combined := str(row.get("conidex") or "")):
        made["conidex"] = combined
    else:
        made["conid"] = int(row["conid"])
    if kind in ("STP", "TRAIL"):
        return made if stop is None else made | {"price": written(stop)}
    if limit is not None:
        made["price"] = written(limit)
    return made if stop is None else made | {"auxPrice": written(stop)}


def children(orders: Sequence[str], forms: Sequence[Form], strangers: Mapping[int, Row]) -> dict[int, str]:
    """The children of a bracket whose answer was lost, among the listed orders that bear no reference.

    They have no name at IBKR, so they are told by what they are: the same in every term, the lowest id first.

    Args:
        orders: orderRefs, the parent's first.
        strangers: rows by IBKR's order id.

    Returns:
        orderRefs by order id.
    """
    found: dict[int, str] = {}
    for order_ref, made in zip(orders[1:], forms[1:], strict=True):
        for order_id in sorted(strangers.keys() - found.keys()):
            listed = of_row(strangers[order_id])
            if all(made.get(name) == value for name, value in listed.items()):
                found[order_id] = order_ref
                break
    return found


def changed(old: Form, change: ModifyOrder) -> Form:
    """The whole order again with what the change gives; a changed order carries none of the names of a new one."""
    made = {name: value for name, value in old.items() if name not in ("cOID", "parentId", "isSingleGroup")}
    stop_in_price = made["orderType"] in ("STP", "TRAIL")
    limit = change.net_price.signed(Side(made["side"])) if change.net_price is not None else change.limit_price
    if change.quantity is not None:
        made["quantity"] = written(change.quantity)
    if limit is not None and not stop_in_price:
        made["price"] = written(limit)
    if change.trigger_price is not None:
        made["price" if stop_in_price else "auxPrice"] = written(change.trigger_price)
    if change.trailing_amount is not None:
        made |= {"trailingType": "amt", "trailingAmt": written(change.trailing_amount)}
    if change.trailing_percent is not None:
        made |= {"trailingType": "%", "trailingAmt": written(change.trailing_percent)}
    return made


def row(made: Form) -> dict[str, Any]:
    """What a listing would say of the terms of an order that was just taken."""
    return {
        "acct": made["acctId"],
        "conid": made.get("conid"),
        "conidex": made.get("conidex"),
        "side": made["side"],
        "origOrderType": made["orderType"],
        "totalSize": made["quantity"],
        "price": made.get("price"),
        "auxPrice": made.get("auxPrice"),
        "timeInForce": made["tif"],
        "outsideRTH": made["outsideRTH"],
    }
