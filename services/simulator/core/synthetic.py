"""A seeded random market: daily bars of a geometric Brownian motion for any symbol name, and what disturbs it.

Only seed, symbol and the days decide a symbol's prices; other symbols and later days do not change them.
- Each day is an overnight gap and 78 five-minute moves, whose extremes are the day's high and low; 30 % of its variance
  falls into the night. Prices end at 1 USD, like a listed stock's.
- Regimes: the whole market is calm, normal or stressed at 0.6, 1 and 2.2 times the same volatility, for 30 sessions on
  average; the average variance is what was asked for.
- Gaps are further overnight moves of 3 to 8 % at a volatility of 30 %, and accordingly at others.
- Halts are pauses of five minutes in a day's trading, as the limit-up-limit-down rules prescribe.
- Two in three stocks pay a dividend of 0.4 % of their first price every 63 sessions; a stock that was first worth 50
  USD or more splits two for one about once in four years. Prices fall accordingly on the ex-date.
- An index moves 0.55 times, a currency pair 0.3 times as much as a stock; neither gaps nor halts.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import accumulate
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from services.simulator.core.bars import DailyBar, DailySeries
from services.simulator.core.corporate import ActionKind, CorporateAction

Floats = NDArray[np.float64]

_LOWEST_FIRST_PRICE = 20.0
_HIGHEST_FIRST_PRICE = 400.0
_YEARLY_SESSIONS = 252
_OVERNIGHT_SHARE = 0.3
"""Share of a day's variance that falls between close and open."""
_INTRADAY_MOVES = 78
_MEDIAN_VOLUME = 5_000_000
_REGIMES, _REGIME_WEIGHTS, _REGIME_SESSIONS = (0.6, 1.0, 2.2), (0.45, 0.4, 0.15), 30
_SMALLEST_GAP, _LARGEST_GAP, _GAP_VOLATILITY = 0.03, 0.08, 0.3
_HALT_SHARE = 5 / 390
_DIVIDEND_SESSIONS, _DIVIDEND_SHARE = 63, Decimal("0.004")
_SPLIT_SESSIONS, _SPLIT_PRICE = 1000, 50
_INDEX_SHARE, _INDEX_VOLUME = 0.55, 100_000_000
_PAIR_SHARE, _PAIR_VOLUME = 0.3, 5_000_000_000
# about where they stood at the beginning of 2010
_INDEX_LEVELS = {"SPX": 1115.0, "NDX": 1860.0, "RUT": 625.0, "INDU": 10_430.0, "VIX": 21.0}
_PAIR_LEVELS = {"EUR.USD": 1.43, "GBP.USD": 1.61, "AUD.USD": 0.9, "NZD.USD": 0.72}


@dataclass(frozen=True, slots=True)
class SyntheticTerms:
    """`drift` and `volatility` are per year (0.08 and 0.3 for 8 % and 30 %), so are the numbers of gaps and halts."""

    seed: int
    drift: float = 0.08
    volatility: float = 0.3
    regimes: bool = False
    gaps: float = 0.0
    halts: float = 0.0


@dataclass(frozen=True, slots=True)
class _Walk:
    """What decides one instrument's bars. Prices in USD, `unit` is one unit of the bars."""

    key: str
    first_price: float
    drift: float
    volatility: float
    unit: float = 0.01
    lowest: float = 1.0
    volume: int = _MEDIAN_VOLUME


def _generator(*key: object) -> np.random.Generator:
    digest = hashlib.sha256(" ".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))


def _first_price(symbol: str, seed: int) -> float:
    return exp(_generator(seed, symbol).uniform(log(_LOWEST_FIRST_PRICE), log(_HIGHEST_FIRST_PRICE)))


def synthetic_stock(
    symbol: str, days: Sequence[date], terms: SyntheticTerms, actions: Sequence[CorporateAction] = ()
) -> DailySeries:
    """Return a stock's prices, one bar per day; they fall on the ex-dates of its `actions`."""
    walk = _Walk(symbol, _first_price(symbol, terms.seed), terms.drift, terms.volatility)
    halting = _generator(terms.seed, symbol, "halts").random(len(days)) < terms.halts / _YEARLY_SESSIONS
    halts = {day: _HALT_SHARE for day, halted in zip(days, halting.tolist(), strict=True) if halted}
    return DailySeries(symbol, _bars(walk, days, terms, _gaps(symbol, len(days), terms), actions), halts)


def synthetic_index(symbol: str, days: Sequence[date], terms: SyntheticTerms) -> DailySeries:
    """Return an index's prices, one bar per day."""
    level = _INDEX_LEVELS.get(symbol, 1000.0)
    walk = _Walk(f"index {symbol}", level, terms.drift, terms.volatility * _INDEX_SHARE, volume=_INDEX_VOLUME)
    return DailySeries(symbol, _bars(walk, days, terms))


def synthetic_pair(name: str, days: Sequence[date], terms: SyntheticTerms) -> DailySeries:
    """Return a currency pair's prices, one bar per day, in units of 0.00005."""
    level = _PAIR_LEVELS.get(name, 1.0)
    walk = _Walk(f"pair {name}", level, 0.0, terms.volatility * _PAIR_SHARE, 0.00005, 0.01, _PAIR_VOLUME)
    return DailySeries(name, _bars(walk, days, terms))


def _bars(
    walk: _Walk,
    days: Sequence[date],
    terms: SyntheticTerms,
    gaps: Floats | None = None,
    actions: Sequence[CorporateAction] = (),
) -> list[DailyBar]:
    generator = _generator(terms.seed, walk.key)
    generator.uniform()  # the draw that a stock's first price is made of
    draws = generator.standard_normal((len(days), _INTRADAY_MOVES + 2))
    deviations = np.asarray(_regimes(len(days), terms)) * (walk.volatility / sqrt(_YEARLY_SESSIONS))
    nights = (walk.drift - walk.volatility**2 / 2) / _YEARLY_SESSIONS + deviations * sqrt(_OVERNIGHT_SHARE) * draws[
        :, 0
    ]
    moves = np.zeros((len(days), _INTRADAY_MOVES + 1))
    moves[:, 1:] = np.cumsum(draws[:, 2:], axis=1)
    moves *= (deviations * sqrt((1 - _OVERNIGHT_SHARE) / _INTRADAY_MOVES))[:, None]
    opens = _opens(walk, days, nights if gaps is None else nights + gaps, moves[:, -1], actions)
    units = np.rint(opens[:, None] * np.exp(moves) / walk.unit).astype(np.int64).clip(round(walk.lowest / walk.unit))
    volumes = (walk.volume * np.exp(0.35 * draws[:, 1])).astype(np.int64).clip(1)
    columns = (units[:, 0], units.max(axis=1), units.min(axis=1), units[:, -1], volumes)
    return [DailyBar(*row) for row in zip(days, *(column.tolist() for column in columns), strict=True)]


def _opens(
    walk: _Walk, days: Sequence[date], nights: Floats, moves: Floats, actions: Sequence[CorporateAction]
) -> Floats:
    """Return each day's opening price; `nights` and `moves` are the changes of its logarithm to it and from it."""
    of_day: dict[date, list[CorporateAction]] = {}
    for action in actions:
        of_day.setdefault(action.day, []).append(action)
    price, found = walk.first_price, np.empty(len(days))
    for number, (day, night, move) in enumerate(zip(days, nights.tolist(), moves.tolist(), strict=True)):
        found[number] = _without(price, of_day.get(day, ())) * exp(night)
        price = max(found[number] * exp(move), walk.lowest)
    return found


def _without(price: float, actions: Sequence[CorporateAction]) -> float:
    """Return a closing price less what happens before the next open."""
    for action in actions:
        value = float(action.value)
        price = price / value if action.kind is ActionKind.SPLIT else max(1.0, price - value)
    return price


def _regimes(count: int, terms: SyntheticTerms) -> list[float]:
    """Return each day's factor of the volatility, the same for the whole market."""
    if not terms.regimes:
        return [1.0] * count
    generator = _generator(terms.seed, "regimes")
    average = sqrt(sum(weight * factor**2 for weight, factor in zip(_REGIME_WEIGHTS, _REGIMES, strict=True)))
    draws = generator.random((count, 2))
    bounds = list(accumulate(_REGIME_WEIGHTS))
    found: list[float] = []
    for change, choice in draws.tolist():
        if not found or change < 1 / _REGIME_SESSIONS:
            state = min(bisect_right(bounds, choice), len(_REGIMES) - 1)
            found.append(_REGIMES[state] / average)
        else:
            found.append(found[-1])
    return found


def _gaps(symbol: str, count: int, terms: SyntheticTerms) -> Floats:
    """Return each day's further overnight move: 0 on most days."""
    draws = _generator(terms.seed, symbol, "gaps").random((count, 3))
    size = (_SMALLEST_GAP + (_LARGEST_GAP - _SMALLEST_GAP) * draws[:, 1]) * terms.volatility / _GAP_VOLATILITY
    sign = np.where(draws[:, 2] < 0.5, -1.0, 1.0)
    return np.where(draws[:, 0] < terms.gaps / _YEARLY_SESSIONS, sign * size, 0.0)


def synthetic_actions(symbol: str, days: Sequence[date], terms: SyntheticTerms) -> list[CorporateAction]:
    """Return a stock's dividends and splits, oldest first."""
    generator = _generator(terms.seed, symbol, "actions")
    pays, offset = generator.random() < 2 / 3, int(generator.integers(_DIVIDEND_SESSIONS))
    first_price = _first_price(symbol, terms.seed)
    amount = (Decimal(round(first_price, 2)) * _DIVIDEND_SHARE).quantize(Decimal("0.01"))
    found: list[CorporateAction] = []
    for number, (day, draw) in enumerate(zip(days, generator.random(len(days)).tolist(), strict=True)):
        if draw < 1 / _SPLIT_SESSIONS and first_price >= _SPLIT_PRICE:
            found.append(CorporateAction(day, ActionKind.SPLIT, Decimal(2)))
            amount = (amount / 2).quantize(Decimal("0.01"))
        elif pays and amount and number % _DIVIDEND_SESSIONS == offset:
            found.append(CorporateAction(day, ActionKind.DIVIDEND, amount))
    return found
