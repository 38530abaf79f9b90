"""What TWS tells about an instrument besides its quote: extremes of past weeks, usual volume, dividends.

All of it is about days before the one asked for, except dividends, which are announced a year ahead.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from services.simulator.core.bars import DailyBar
from services.simulator.core.market import Market

_USUAL_DAYS = 20
_LONG_DAYS = 90
_YEAR = timedelta(days=365)


def _bars_before(market: Market, contract_id: int, day: date, first: date, most: int = 400) -> list[DailyBar]:
    series = market.series(contract_id)
    beyond = bisect_left(series.days, day)
    found = [series.bar(one) for one in series.days[max(0, beyond - most) : beyond] if one >= first]
    return [bar for bar in found if bar is not None]


def extremes(market: Market, contract_id: int, day: date, weeks: int) -> tuple[Decimal, Decimal] | None:
    """Return the lowest and the highest price of the weeks before a day, None if there are no prices."""
    unit = market.instrument(contract_id).unit
    bars = _bars_before(market, contract_id, day, day - timedelta(weeks=weeks))
    if not bars:
        return None
    return min(bar.low for bar in bars) * unit, max(bar.high for bar in bars) * unit


def usual_volume(market: Market, contract_id: int, day: date, days: int = _USUAL_DAYS) -> Decimal | None:
    """Return the average volume of the trading days before a day, None if there are none."""
    bars = _bars_before(market, contract_id, day, date.min, days)
    return Decimal(sum(bar.volume for bar in bars)) / len(bars) if bars else None


def average_volume(market: Market, contract_id: int, day: date) -> int:
    """Return the average daily volume of 90 trading days."""
    return int(usual_volume(market, contract_id, day, _LONG_DAYS) or 0)


@dataclass(frozen=True, slots=True)
class Dividends:
    """USD per share of the past and the next twelve months; the next one and its date, if one is announced."""

    past: Decimal
    coming: Decimal
    next_day: date | None
    next_amount: Decimal | None


def dividends(market: Market, contract_id: int, day: date) -> Dividends:
    paid = [action for action in market.actions(contract_id) if action.kind == "dividend"]
    past = sum((one.value for one in paid if day - _YEAR <= one.day <= day), Decimal(0))
    coming = [one for one in paid if day < one.day <= day + _YEAR]
    following = coming[0] if coming else None
    total = sum((one.value for one in coming), Decimal(0))
    return Dividends(past, total, following.day if following else None, following.value if following else None)
