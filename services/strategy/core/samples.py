"""Made-up bars to try a strategy on: trends, ranges, gaps and busy hours, so that most strategies find something."""

from datetime import date, datetime, timedelta

import numpy as np

from services.strategy.core.bars import SECONDS, Bars, Times
from shared.calendar import next_session, session_hours
from shared.types import Timeframe

_DAY_BEFORE = date(2014, 1, 1)
_STRETCH = 40  # bars that a trend lasts on average
_DAILY_DEVIATION, _SESSION_SECONDS = 0.015, 23_400


def sample_bars(timeframe: Timeframe, count: int, seed: int = 1) -> Bars:
    """So many bars of real sessions from 2014 on; the same for the same arguments, always. Prices in whole cents."""
    random = np.random.default_rng(seed)
    ends, opening = _ends(timeframe, count)
    fraction = 1.0 if timeframe is Timeframe.DAY else SECONDS[timeframe] / _SESSION_SECONDS
    stretch = np.cumsum(random.random(count) < 1 / _STRETCH)
    trend = random.normal(0, 0.25, count)[stretch]
    calm = random.uniform(0.5, 1.5, count)[stretch]
    deviation = _DAILY_DEVIATION * np.sqrt(fraction) * calm
    moves = deviation * (trend + random.standard_normal(count))
    gaps = np.where(opening, random.normal(0, 0.4 * _DAILY_DEVIATION, count), 0.0)
    close = 100 * np.exp(np.cumsum(moves + gaps))
    start = close / np.exp(moves)
    reach = deviation * np.abs(random.normal(0, 0.6, (2, count)))
    volume = 1e6 * fraction * np.exp(random.normal(0, 0.4, count) + 0.5 * np.abs(moves / deviation))
    open_, high, low, close = (
        np.maximum(np.round(price, 2), 0.01)
        for price in (
            start,
            np.maximum(start, close) * np.exp(reach[0]),
            np.minimum(start, close) * np.exp(-reach[1]),
            close,
        )
    )
    return Bars(ends, open_, high, low, close, np.ceil(volume))


def _ends(timeframe: Timeframe, count: int) -> tuple[Times, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    """The ends of bars of consecutive sessions, and which of them are the first of theirs."""
    ends: list[datetime] = []
    opening: list[bool] = []
    day = _DAY_BEFORE
    while len(ends) < count:
        day = next_session(day)
        hours = session_hours(day)
        assert hours is not None  # noqa: S101 - it is a session
        begin, close = hours
        step = close - begin if timeframe is Timeframe.DAY else timedelta(seconds=SECONDS[timeframe])
        bars = int((close - begin) / step)
        ends += [begin + step * number for number in range(1, bars + 1)]
        opening += [True] + [False] * (bars - 1)
    naive = [end.replace(tzinfo=None) for end in ends[:count]]
    return np.array(naive, dtype="datetime64[us]"), np.array(opening[:count], dtype=np.bool_)
