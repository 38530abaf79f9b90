"""The account's value through time as other series: daily returns, drawdowns, months, rolling Sharpe ratio."""

from dataclasses import dataclass
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from services.backtest.core.model import Curve
from services.strategy.core.strategy import Floats
from shared.calendar import NEW_YORK

SESSIONS_A_YEAR = 252
Dates = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """The account by New York date, arrays of one shape (days,).

    `date` is datetime64[D]; `value` and `benchmark` (USD) and `exposure` (a fraction) are the last of each date.
    `returns` and `benchmark_returns` are fractions since the date before, the first since the starting cash, and NaN
    once nothing was left. The benchmark's are NaN where there is none.
    """

    date: Dates
    value: Floats
    exposure: Floats
    returns: Floats
    benchmark: Floats
    benchmark_returns: Floats


def new_york_dates(time: NDArray[np.datetime64]) -> Dates:
    """The date in New York of each UTC time; shape (n,), datetime64[D]."""
    dates = (time - np.timedelta64(5, "h")).astype("datetime64[D]")
    # New York is 5 hours behind UTC, in summer 4: only between 04:00 and 05:00 UTC does the season decide the date.
    for index in np.flatnonzero(time.astype("datetime64[h]").astype(np.int64) % 24 == 4):
        moment = time[index].astype("datetime64[s]").item().replace(tzinfo=UTC)
        dates[index] = moment.astimezone(NEW_YORK).date()
    return dates


def by_day(curve: Curve, cash: float) -> Days:
    """One row a New York date, from a curve of any number of points a day. `cash` is the starting capital in USD."""
    dates = new_york_dates(curve.time)
    last = np.flatnonzero(np.append(dates[1:] != dates[:-1], len(dates) > 0))
    value, benchmark = curve.value[last], curve.benchmark[last]
    returns = _returns(value, cash)
    return Days(dates[last], value, curve.exposure[last], returns, benchmark, _returns(benchmark, cash))


def daily_returns(curve: Curve, cash: float) -> Floats:
    """The account's returns by New York date, as fractions; shape (days,), the first since the starting `cash`."""
    return by_day(curve, cash).returns


def drawdowns(value: Floats, cash: float) -> Floats:
    """How far each value is below the highest so far, 0 to 1 (above 1 in debt); the starting `cash` is the first."""
    peak = np.maximum.accumulate(np.append(cash, value))[1:]
    return 1 - value / peak


def rolling_sharpe(returns: Floats, window: int) -> Floats:
    """Annualised Sharpe ratio (risk-free 0) of each `window` returns; shape (n,), NaN where undefined."""
    rolling = np.full(len(returns), np.nan)
    if len(returns) >= window:
        views = np.lib.stride_tricks.sliding_window_view(returns, window)
        deviation = views.std(axis=1, ddof=1)
        moving = deviation > 0
        rolling[window - 1 :][moving] = views.mean(axis=1)[moving] / deviation[moving] * np.sqrt(SESSIONS_A_YEAR)
    return rolling


def monthly_returns(days: Days) -> dict[int, dict[int, float]]:
    """Compounded return as a fraction by year and month (1 to 12)."""
    table: dict[int, dict[int, float]] = {}
    for month in np.unique(days.date.astype("datetime64[M]")):
        inside = days.date.astype("datetime64[M]") == month
        start = month.astype(object)
        table.setdefault(start.year, {})[start.month] = float(np.prod(1 + days.returns[inside]) - 1)
    return table


def _returns(value: Floats, cash: float) -> Floats:
    """NaN after a value that is not positive: what is not there can't grow."""
    before = np.append(cash, value)[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0, value / before - 1, np.nan)
