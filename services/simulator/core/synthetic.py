"""A seeded random market: daily bars of a geometric Brownian motion for any symbol name."""

import hashlib
from collections.abc import Sequence
from datetime import date
from math import exp, log, sqrt

import numpy as np

from services.simulator.core.market import DailyBar

_LOWEST_FIRST_PRICE = 20.0
_HIGHEST_FIRST_PRICE = 400.0
_YEARLY_SESSIONS = 252
_OVERNIGHT_SHARE = 0.3
"""Share of a day's variance that falls between close and open."""
_INTRADAY_MOVES = 78
_MEDIAN_VOLUME = 5_000_000


def synthetic_bars(symbol: str, days: Sequence[date], seed: int, drift: float, volatility: float) -> list[DailyBar]:
    """Return one bar per day. `drift` and `volatility` are per year (0.08 and 0.3 for 8 % and 30 %).

    Only seed, symbol and the days decide the result; other symbols and later days do not change it. Each day is drawn
    as an overnight gap and 78 five-minute moves, whose extremes are the day's high and low.
    """
    digest = hashlib.sha256(f"{seed} {symbol}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:16]))
    price = exp(generator.uniform(log(_LOWEST_FIRST_PRICE), log(_HIGHEST_FIRST_PRICE)))
    daily_drift = (drift - volatility**2 / 2) / _YEARLY_SESSIONS
    daily_deviation = volatility / sqrt(_YEARLY_SESSIONS)
    overnight_deviation = daily_deviation * sqrt(_OVERNIGHT_SHARE)
    move_deviation = daily_deviation * sqrt((1 - _OVERNIGHT_SHARE) / _INTRADAY_MOVES)
    found: list[DailyBar] = []
    for day in days:
        draws = generator.standard_normal(_INTRADAY_MOVES + 2)
        opening = price * exp(daily_drift + overnight_deviation * draws[0])
        prices = opening * np.exp(np.append([0.0], np.cumsum(draws[2:]) * move_deviation))
        cents = np.rint(prices * 100).astype(np.int64).clip(100)  # never below a dollar, like a listed stock
        volume = int(_MEDIAN_VOLUME * exp(0.35 * draws[1]))
        found.append(DailyBar(day, int(cents[0]), int(cents.max()), int(cents.min()), int(cents[-1]), max(volume, 1)))
        price = max(float(prices[-1]), 1.0)
    return found
