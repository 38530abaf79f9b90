"""Volatilities of a stock or an index, per year, as IBKR reports them.

- Historical volatility: the standard deviation of the daily changes of the logarithm of the close over the last 30
  trading days, times the square root of 252 (IBKR, "Available tick types": 30-day historical volatility).
- Implied volatility: what the option market uses for 30 days ahead at the money.
"""

from bisect import bisect_left, bisect_right
from datetime import date
from decimal import Decimal
from math import sqrt

import numpy as np

from services.simulator.core.market import Market

_DAYS, _YEARLY_DAYS = 30, 252
_AHEAD_YEARS = 30 / 365
_PLACES = Decimal("0.00000001")


def realized(market: Market, contract_id: int, day: date, *, open_of_day: bool = False) -> Decimal | None:
    """Return the historical volatility at a day's close, or at its open; None of fewer than three closes."""
    series = market.series(contract_id)
    beyond = (bisect_left if open_of_day else bisect_right)(series.days, day)
    bars = [series.bar(one) for one in series.days[max(0, beyond - _DAYS - 1) : beyond]]
    moves = np.diff(np.log([bar.close for bar in bars if bar is not None]))
    if len(moves) < 2:
        return None
    return Decimal(float(np.std(moves, ddof=1)) * sqrt(_YEARLY_DAYS)).quantize(_PLACES)


def implied(market: Market, contract_id: int, day: date, *, open_of_day: bool = False) -> Decimal | None:
    """Return the option market's volatility for the next 30 days, which changes overnight only."""
    if open_of_day:
        days = market.series(contract_id).days
        before = bisect_left(days, day) - 1
        if before < 0:
            return None
        day = days[before]
    volatility = market.options.surface(contract_id, day).volatility(np.asarray(0.0), np.asarray(_AHEAD_YEARS))
    return Decimal(float(volatility)).quantize(_PLACES)
