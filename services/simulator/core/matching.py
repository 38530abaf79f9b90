"""When an order fills, and at which price: pure functions of an order's terms and a quote.

Assumptions, chosen so that the simulator never flatters a strategy:
- A market order fills whole, at the ask (buy) or the bid (sell); the size at the quote does not limit it.
- A limit order fills when the ask is at or below its limit (buy), or the bid at or above it (sell). On arrival, and at
  the first tick of a session, where prices may jump, it gets the quote, which is no worse than its limit. Later in a
  session prices are a sampled continuous path, which must have touched the limit on its way: it gets its limit.
- A stop order is elected when the last price is at or above its stop (buy), or at or below it (sell), and then fills
  as a market order at that same quote, so a gap through the stop costs what it costs.
- Of several orders that one quote would fill, stops go first, then the order of arrival.
"""

from decimal import Decimal

import numpy as np

from services.simulator.core.market import IntegerArray, Quote
from services.simulator.core.orders import Order, OrderRequest


def market_price(request: OrderRequest, quote: Quote) -> Decimal:
    """Return what a market order pays (buy) or gets (sell), in USD per share."""
    return quote.ask if request.action == "BUY" else quote.bid


def fill_price(request: OrderRequest, quote: Quote, *, arriving: bool) -> Decimal | None:
    """Return the price at which the whole order fills on this quote, or None if it does not.

    `arriving` is true for an order that was just received or changed, false for one that rests.
    """
    price = market_price(request, quote)
    if request.order_type == "MKT":
        return price
    if request.order_type == "LMT":
        assert request.limit_price is not None  # noqa: S101 - validated on arrival
        if (request.limit_price - price) * request.sign < 0:
            return None
        return price if arriving or quote.session_first else request.limit_price
    assert request.stop_price is not None  # noqa: S101 - validated on arrival
    return price if (quote.last - request.stop_price) * request.sign >= 0 else None


def first_match(request: OrderRequest, last: IntegerArray, spread: int) -> int | None:
    """Return the index of the first of the prices `last` at which `fill_price` would fill a resting order, or None.

    The same conditions as there, for a whole stretch of ticks at once; `last` and `spread` are in cents.
    """
    if request.order_type == "MKT":
        return 0 if len(last) else None
    bound = request.limit_price if request.order_type == "LMT" else request.stop_price
    assert bound is not None  # noqa: S101 - validated on arrival
    cents = int(bound.scaleb(2))
    if request.order_type == "LMT":
        hits = last + spread <= cents if request.action == "BUY" else last - spread >= cents
    else:
        hits = last >= cents if request.action == "BUY" else last <= cents
    found = np.flatnonzero(hits)
    return int(found[0]) if len(found) else None


def priority(order: Order) -> tuple[bool, int]:
    """Sort key of orders that compete for one quote."""
    return order.request.order_type != "STP", order.sequence
