"""Small causal array functions that strategies share; what TA-Lib has, they take from TA-Lib."""

import math

import numpy as np
import talib

from services.strategy.core.bars import SECONDS, Flags, Floats
from shared.types import Timeframe

ROUNDING = 1e-9
FORGOTTEN = 1e-5
"""What is left of an exponential average's beginning when it counts as forgotten."""


def crosses_above(one: Floats, other: Floats) -> Flags:
    """True where `one` is above `other` and was not at the bar before; false while either is NaN. Shapes (n,).

    What differs by less than a billionth is equal: else rounding would decide ties, which depends on the bar that a
    running sum began at, so that a trailing window would cross where all history does not.
    """
    excess = np.abs(other)  # in place: on long histories, memory for each step costs more than the step
    excess *= -ROUNDING
    excess += one
    excess -= other
    crossed = excess > 0
    crossed[1:] &= (excess <= 0)[:-1]
    crossed[:1] = False
    return crossed


def before(values: Floats, bars: int = 1) -> Floats:
    """The values so many bars earlier; NaN where there were none. Shape (n,)."""
    return np.concatenate([np.full(min(bars, len(values)), np.nan), values[: max(len(values) - bars, 0)]])


def highest_before(high: Floats, period: int) -> Floats:
    """The highest of the `period` (2 or more) bars before each bar, without the bar itself. Shape (n,)."""
    return before(talib.MAX(high, timeperiod=period))


def lowest_before(low: Floats, period: int) -> Floats:
    """The lowest of the `period` (2 or more) bars before each bar, without the bar itself. Shape (n,)."""
    return before(talib.MIN(low, timeperiod=period))


def share(value: Floats, of: Floats | float) -> Floats:
    """`value / of` within 0 and 1, as the strength of a signal; 0 where it can't be told. Shape (n,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = value / of
    np.fmax(shares, 0.0, out=shares)  # fmax takes the number where the other is none
    return np.minimum(shares, 1.0, out=shares)


def minutes(timeframe: Timeframe) -> int:
    """Minute bars that make one bar of a timeframe of a minute or more; a session has 390."""
    return 390 if timeframe is Timeframe.DAY else SECONDS[timeframe] // 60


def wilder_memory(period: int) -> int:
    """Bars after which Wilder's average (RSI, ATR) has forgotten where it began.

    Live, a strategy sees a trailing window and such an average begins anew in it: with `minimum_bars` of that many, its
    newest value is the one that all history gives.
    """
    return math.ceil(math.log(FORGOTTEN) / math.log1p(-1 / period)) + 1


def exponential_memory(period: int) -> int:
    """The same for an exponential moving average (EMA, MACD), whose newest weight is 2 / (period + 1)."""
    return math.ceil(math.log(FORGOTTEN) / math.log1p(-2 / (period + 1))) + period


def begins(flags: Flags) -> Flags:
    """True where a flag is set and was not at the bar before; the first bar begins nothing. Shape (n,)."""
    begun = flags.copy()
    begun[:1] = False
    begun[1:] &= ~flags[:-1]
    return begun
