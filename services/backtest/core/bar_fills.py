"""At which prices bars fill orders, exactly: Decimals in USD. docs/backtest-rules.md tells the rules."""

from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

from services.backtest.core.model import PRICE_UNIT, Costs
from services.backtest.core.tape import Integers
from services.risk.core.sizing import round_down, round_up
from shared.messages.market import Quote
from shared.types import QuoteQuality

LIVE = QuoteQuality.LIVE
WIDTH = 32
"""Bars that are looked through at once at first; twice as many each time."""


@lru_cache(65_536)
def to_price(units: int) -> Decimal:
    """USD. Symbols trade at few different prices, so remembering is faster."""
    return units * PRICE_UNIT


class BarFills:
    """The costs of a run, applied. Every price it returns is on the tick."""

    def __init__(self, costs: Costs, tick_size: Decimal) -> None:
        self._tick = tick_size
        self._above, self._below = 1 + costs.spread / 2, 1 - costs.spread / 2
        self._kept = 1 - costs.slippage
        self._participation = costs.participation
        self._per_share, self._minimum = costs.commission_per_share, costs.commission_minimum

    def quote(self, symbol: str, opening: Decimal, time: datetime) -> Quote:
        """What risk is told at a bar's open."""
        return Quote.trusted(
            symbol=symbol,
            bid=round_down(opening * self._below, self._tick),
            ask=round_up(opening * self._above, self._tick),
            last=opening,
            bid_size=None,
            ask_size=None,
            volume=None,
            time=time,
            quality=LIVE,
        )

    def entered(self, wanted: Decimal, volume: int) -> Decimal:
        """Shares that an entry gets of a bar's volume."""
        return min(wanted, (self._participation * volume).to_integral_value(ROUND_FLOOR))

    def sold(self, price: Decimal) -> Decimal:
        """What a market sale gets that was meant to trade at `price`."""
        return round_down(price * self._kept, self._tick)

    def commission(self, quantity: Decimal) -> Decimal:
        """USD for one order."""
        return max(self._minimum, self._per_share * quantity)


def first_hit(low: Integers, high: Integers, begin: int, end: int, stop: int, target: int) -> int | None:
    """The first bar from `begin` on, before `end`, whose low reaches the stop or whose high the target."""
    width = WIDTH
    while begin < end:
        until = min(begin + width, end)
        hits = (low[begin:until] <= stop) | (high[begin:until] >= target)
        place = int(hits.argmax())
        if hits[place]:
            return begin + place
        begin, width = until, 2 * width
    return None
