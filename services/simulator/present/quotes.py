"""Quotes as ticks of the TWS API. Tick types are IBKR's ("Available tick types")."""

from collections.abc import Iterator
from decimal import Decimal

from services.simulator.core.instruments import SecurityType
from services.simulator.core.quotes import Quote
from services.simulator.wire.layout import Values
from shared.options import Greeks

BID, ASK, LAST, HIGH, LOW, VOLUME, CLOSE, OPEN, TIME, HALTED = 1, 2, 4, 6, 7, 8, 9, 14, 45, 49
SIZE_OF = {BID: 0, ASK: 3, LAST: 5}
"""The tick type of the size that belongs to a price."""
DELAYED = {0: 69, 1: 66, 2: 67, 3: 70, 4: 68, 5: 71, 6: 72, 7: 73, 8: 74, 9: 75, 14: 76, 45: 88, 49: 90} | {
    10: 80, 11: 81, 12: 82, 13: 83
}  # fmt: skip
"""Delayed data have tick types of their own."""
NO_PRICE = Decimal(-1)
"""With a size of 0: nobody quotes."""
_NO_TRADES = (SecurityType.CURRENCY, SecurityType.COMBO)
_UNSET_GREEK, _UNSET = "-2", "-1"


def price_ticks(quote: Quote, kind: SecurityType) -> Iterator[tuple[int, Decimal, int]]:
    """Yield the prices of a quote: tick type, price, size (0 where TWS sends none)."""
    if kind is not SecurityType.INDEX:
        yield (BID, quote.bid, quote.bid_size) if quote.bid_size else (BID, NO_PRICE, 0)
        yield (ASK, quote.ask, quote.ask_size) if quote.ask_size else (ASK, NO_PRICE, 0)
    if kind not in _NO_TRADES:
        yield LAST, quote.last, quote.last_size
        yield OPEN, quote.open, 0
    if kind is not SecurityType.COMBO:
        yield HIGH, quote.high, 0
        yield LOW, quote.low, 0
    if quote.previous_close is not None:
        yield CLOSE, quote.previous_close, 0


def volume_and_time(quote: Quote, kind: SecurityType) -> Iterator[tuple[int, int | str]]:
    """Yield the day's volume as a number and the time of the last trade as text."""
    if kind in _NO_TRADES:
        return
    if kind is not SecurityType.INDEX:
        yield VOLUME, quote.volume
    yield TIME, str(int(quote.time.timestamp()))


def greeks(request_id: int, tick_type: int, found: Greeks | None, price: Decimal | None = None) -> Values:
    """Return the values of an option computation; unset ones where there is none."""
    values: dict[str, int | str | Decimal] = {"request_id": request_id, "tick_type": tick_type, "tick_attribute": 0}
    if found is not None:
        values |= {
            "implied_volatility": _number(found.volatility),
            "delta": _number(found.delta),
            "option_price": _number(found.price) if price is None else price,
            "dividends": "0.0",
            "gamma": _number(found.gamma),
            "vega": _number(found.vega),
            "theta": _number(found.theta),
            "under_price": _number(found.underlying),
        }
    return values


def _number(value: float) -> str:
    return repr(round(value, 10))
