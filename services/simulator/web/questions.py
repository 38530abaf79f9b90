"""The questions that IBKR asks before it takes an order, each under its message id.

Texts and ids: IBKR Campus, "Order Reply Messages" and "Suppressible Message IDs". When exactly each is asked is
not documented; assumed: the size and value limits of the presets are off, the percentage limit is 3 % to both sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from services.simulator.core.instruments import Instrument
from services.simulator.core.quotes import Quote
from services.simulator.web.order_terms import WebOrder

PERCENTAGE = Decimal(3)
_SURE = "Are you sure you want to submit this order?"
_NO_DATA = (
    "You are submitting an order without market data. We strongly recommend against this as it may result in erroneous "
    f"and unexpected trades.\n{_SURE}"
)
_MARKET = (
    "A Market Order is an instruction to trade your order at any available price. Market Orders are not guaranteed "
    f"a specific execution price.\n{_SURE}"
)
_STOP = (
    "You are about to submit a stop order. Please be aware of the various stop order types available and the risks "
    f"associated with each one.\n{_SURE}"
)
_STOPS = frozenset({"STP", "STP LMT", "TRAIL", "TRAIL LIMIT"})


@dataclass(frozen=True, slots=True)
class Question:
    message_id: str
    text: str


def questions(order: WebOrder, instrument: Instrument | None, quote: Quote | None, *, live: bool) -> Iterator[Question]:
    """Yield what is asked about an order; a combination has no `instrument`, `live` tells of its market data."""
    if not live:
        yield Question("o354", _NO_DATA)
    if order.order_type == "MKT":
        yield Question("o10151", _MARKET)
    if order.order_type in _STOPS:
        yield Question("o10331", _STOP)
    if instrument is not None and quote is not None and _is_far(order.limit_price, quote):
        name = f"{order.action} {order.quantity:f} {instrument.symbol} {instrument.primary_exchange}"
        yield Question(
            "o163",
            f'The following order "{name} @ {order.limit_price}" price exceeds \nthe Percentage constraint of '
            f"{PERCENTAGE}%.\n{_SURE}",
        )


def _is_far(price: Decimal | None, quote: Quote) -> bool:
    return price is not None and quote.last > 0 and abs(price / quote.last - 1) * 100 > PERCENTAGE
