"""Orders as the Web API writes them, and as the request of the TWS API that the broker is sent.

Names and meaning of fields: IBKR Campus, "Place Order". Assumed, where it does not say: `price` of a trailing order is
where its stop begins; the limit of a TRAILLMT order lies as far from its stop as `price` from `auxPrice`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from services.simulator.core.instruments import COMBO_CONTRACT_ID
from services.simulator.web.call import WebError, number, whole
from services.simulator.wire.layout import Values

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "STOP": "STP", "STOP_LIMIT": "STP LMT", "STOPLIMIT": "STP LMT", "STP_LIMIT": "STP LMT", "STPLMT": "STP LMT",
        "TRAILLMT": "TRAIL LIMIT", "TRAILING_STOP": "TRAIL", "TRAILING_STOP_LIMIT": "TRAIL LIMIT", "MARKET": "MKT",
        "LIMIT": "LMT", "MARKETONCLOSE": "MOC", "LIMITONCLOSE": "LOC", "RELATIVE": "REL", "MIDPX": "MIDPRICE",
    }
)  # fmt: skip
"""Other names of an order type; what is not here is called as in the TWS API."""
_SHOWN = {
    "MKT": "Market", "LMT": "Limit", "STP": "Stop", "STP LMT": "Stop Limit", "TRAIL": "Trailing Stop",
    "TRAIL LIMIT": "Trailing Stop Limit", "MIDPRICE": "MidPrice", "MOC": "MOC", "LOC": "LOC", "REL": "Relative",
}  # fmt: skip
_ORIGINAL = {
    "MKT": "MARKET", "LMT": "LIMIT", "STP": "STOP", "STP LMT": "STOP_LIMIT", "TRAIL": "TRAILING_STOP",
    "TRAIL LIMIT": "TRAILING_STOP_LIMIT", "MOC": "MARKETONCLOSE", "LOC": "LIMITONCLOSE", "REL": "RELATIVE",
}  # fmt: skip
_PRICE_IS_STOP = frozenset({"STP", "MIT"})
_NOT_SIMULATED = ("cashQty", "fxQty", "strategy", "isCcyConv")
_SIDES = {"BUY": "BUY", "SELL": "SELL", "B": "BUY", "S": "SELL"}


def shown_type(order_type: str) -> str:
    """Return an order type as it is displayed: Limit for LMT."""
    return _SHOWN.get(order_type, order_type)


def original_type(order_type: str) -> str:
    """Return an order type as field `origOrderType` has it: LIMIT for LMT."""
    return _ORIGINAL.get(order_type, order_type)


@dataclass(frozen=True, slots=True)
class WebOrder:
    """One order of a request. Prices in the contract's currency, None where there is none."""

    account: str
    contract_id: int
    legs: tuple[tuple[int, int], ...]
    """Of a combination: contract id and ratio, negative for a leg that is sold."""
    action: str
    quantity: Decimal
    order_type: str
    """As the TWS API calls it."""
    limit_price: Decimal | None
    aux_price: Decimal | None
    trail_stop: Decimal | None
    trailing_percent: Decimal | None
    limit_offset: Decimal | None
    time_in_force: str
    outside_regular_hours: bool
    all_or_none: bool
    reference: str
    """The client's own id, cOID."""
    parent_reference: str
    single_group: bool

    def values(self, order_id: int, parent_id: int = 0, *, group: str = "", transmit: bool = True) -> Values:
        """Return the values of placeOrder."""
        contract: dict[str, Any] = {"con_id": self.contract_id, "exchange": "SMART"}
        if self.legs:
            legs = [
                {"con_id": each, "ratio": abs(ratio), "action": "BUY" if ratio > 0 else "SELL", "exchange": "SMART"}
                for each, ratio in self.legs
            ]
            contract = {"sec_type": "BAG", "exchange": "SMART", "currency": "USD", "combo_legs": legs}
        return {
            **contract,
            "order_id": order_id,
            "action": self.action,
            "total_quantity": self.quantity,
            "order_type": self.order_type,
            "limit_price": self.limit_price,
            "aux_price": self.aux_price,
            "trail_stop_price": self.trail_stop,
            "trailing_percent": self.trailing_percent,
            "limit_price_offset": self.limit_offset,
            "tif": self.time_in_force,
            "account": self.account,
            "order_ref": self.reference,
            "outside_rth": self.outside_regular_hours,
            "all_or_none": self.all_or_none,
            "parent_id": parent_id,
            "oca_group": group,
            "oca_type": 1 if group else "",
            "transmit": transmit,
        }


def read_order(account: str, body: Mapping[str, Any]) -> WebOrder:
    """Return an order of a request. Raises WebError 400 that names the field which cannot be understood."""
    for name in _NOT_SIMULATED:
        if body.get(name):
            raise WebError(400, f"Bad Request: {name} is not simulated")
    contract_id, legs = _contract(body)
    text = str(body.get("orderType", "")).upper().replace(" ", "_") if body.get("orderType") else ""
    order_type = _TYPES.get(text, text.replace("_", " "))
    side, quantity = str(body.get("side", "")).upper(), number("quantity", body.get("quantity"))
    if side not in _SIDES or quantity is None or not order_type:
        raise WebError(400, "Bad Request: order needs side (BUY or SELL), quantity and orderType")
    reference, parent = str(body.get("cOID") or ""), str(body.get("parentId") or "")
    if "\0" in reference + parent + order_type + str(body.get("tif")):
        raise WebError(400, "Bad Request: a text holds a NUL")
    return WebOrder(
        account=account,
        contract_id=contract_id,
        legs=legs,
        action=_SIDES[side],
        quantity=quantity,
        order_type=order_type,
        time_in_force=str(body.get("tif") or "DAY").upper(),
        outside_regular_hours=body.get("outsideRTH") is True,
        all_or_none=body.get("allOrNone") is True,
        reference=reference,
        parent_reference=parent,
        single_group=body.get("isSingleGroup") is True,
        **_prices(order_type, body),
    )


def _prices(order_type: str, body: Mapping[str, Any]) -> dict[str, Any]:
    price, aux = number("price", body.get("price")), number("auxPrice", body.get("auxPrice"))
    found: dict[str, Any] = dict.fromkeys(
        ("limit_price", "aux_price", "trail_stop", "trailing_percent", "limit_offset"), None
    )
    if order_type in ("TRAIL", "TRAIL LIMIT"):
        amount = number("trailingAmt", body.get("trailingAmt"))
        found["trailing_percent" if body.get("trailingType") == "%" else "aux_price"] = amount
        found["trail_stop"] = price if order_type == "TRAIL" else aux
        if order_type == "TRAIL LIMIT" and price is not None and aux is not None:
            found["limit_offset"] = abs(aux - price)
    elif order_type in _PRICE_IS_STOP:
        found["aux_price"] = aux if price is None else price
    else:
        found |= {"limit_price": price, "aux_price": aux}
    return found


def _contract(body: Mapping[str, Any]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return contract id and legs of `conid` or of `conidex`: `ID`, `ID@EXCHANGE` or `ID;;;LEG/RATIO,LEG/-RATIO`."""
    text = str(body.get("conidex") or body.get("conid") or "")
    head, _, tail = text.partition(";;;")
    contract_id = whole("conidex" if body.get("conidex") else "conid", head.partition("@")[0])
    if not tail:
        return contract_id, ()
    if contract_id != COMBO_CONTRACT_ID:
        raise WebError(400, f"Bad Request: conidex {text[:60]!r} does not begin with {COMBO_CONTRACT_ID}")
    legs: list[tuple[int, int]] = []
    for leg in tail.split(","):
        each, _, ratio = leg.partition("/")
        size = whole("conidex", ratio.removeprefix("-"))
        legs.append((whole("conidex", each.partition("@")[0]), -size if ratio.startswith("-") else size))
    return contract_id, tuple(legs)
