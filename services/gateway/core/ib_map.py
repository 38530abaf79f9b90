"""What IBKR's order statuses and error codes mean.

Invariants:
1. A code that is not listed changes nothing; it is reported as UNKNOWN and somebody is alerted.
2. A code that refuses a new order says nothing about an order that the broker has acknowledged: there it is a warning
   (a refused change), and the order's own status decides.

Sources: https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/ (order status, error codes) and
https://interactivebrokers.github.io/tws-api/message_codes.html.
"""

from decimal import Decimal

from shared.messages.broker import ErrorEffect
from shared.types import OrderStatus

_WORKING = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel"})
_FINAL = {
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "ApiCancelled": OrderStatus.CANCELLED,
    "Inactive": OrderStatus.REJECTED,  # received, and refused by IBKR or the exchange
}

DUPLICATE_ORDER_ID = 103
ORDER_CANCELLED = 202
CLIENT_ID_IN_USE = 326
LINK_LOST = frozenset({1100, 2110})
LINK_RESTORED = frozenset({1101, 1102})  # with market data lost, with market data kept

# Refuse a new order; on an acknowledged one they refuse a change.
_REFUSALS = frozenset(
    {105, 106, 107, 109, 110, 111, 113, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 129, 131, 132, 133,
     134, 135, 136, 140, 141, 144, 145, 146, 147, 151, 152, 153, 157, 158, 159, 160, 163, 164, 200, 201, 203, 321,
     322, 325, 328, 329, 346, 347, 351, 355, 358, 359, 360, 361, 363, 367, 368, 382, 383, 387, 388, 389, 391, 392,
     394, 395, 396, 397, 400, 401, 403, 405, 407, 412, 413, 415, 416, 417, 418, 422, 423, 424, 427, 431, 433, 434,
     435, 436, 441, 451, 460, 10006, 10011, 10043, 10052, 10243, 10311}
)  # fmt: skip
# The order lives on as it was.
_WARNINGS = frozenset({100, 104, 161, 165, 202, 399, 404, 492, 10147, 10148, 10167, 10349})
_LINK = frozenset({326, 502, 504, 507, 1100, 1101, 1102, 1300, 2110})
_DATA = frozenset(
    {101, 162, 300, 309, 316, 317, 354, 366, 420, 430, 10089, 10090, 10091, 10168, 10186, 10187, 10189, 10190, 10197,
     10225, 2103, 2104, 2105, 2106, 2107, 2108, 2119, 2157, 2158}
)  # fmt: skip
_NOTICES = range(2100, 2200)


def ends_request(code: int) -> bool:
    """Whether an error that names a request is its answer; notices and warnings only precede the answer."""
    return code not in _WARNINGS and code not in _NOTICES


def order_status(status: str, filled: Decimal) -> OrderStatus:
    """IBKR's word for the state of an order, with the shares filled so far, as ours; UNKNOWN for a new word."""
    if status in _WORKING:
        return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.SUBMITTED
    return _FINAL.get(status, OrderStatus.UNKNOWN)


def error_effect(code: int, *, new_order: bool) -> ErrorEffect:
    """What an error code means; `new_order`: it names an order that the broker has not acknowledged yet.

    Error 103 for a new order is UNKNOWN and no refusal: its id was used before, perhaps for this very order.
    """
    if code == ORDER_CANCELLED:
        return ErrorEffect.ORDER_CANCELLED
    if code in _REFUSALS:
        return ErrorEffect.ORDER_REJECTED if new_order else ErrorEffect.WARNING
    if code in _LINK:
        return ErrorEffect.LINK
    if code in _DATA:
        return ErrorEffect.DATA
    if code in _WARNINGS or code in _NOTICES:
        return ErrorEffect.WARNING
    return ErrorEffect.UNKNOWN
