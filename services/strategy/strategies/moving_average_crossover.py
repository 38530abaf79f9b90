"""Buy when the fast moving average crosses above the slow one; sell when it crosses back below."""

import talib
from pydantic import Field, model_validator

from services.strategy.core.strategy import Bars, Distance, Flags, Floats, Signals, Strategy


class MovingAverageCrossover(Strategy):
    """Two simple moving averages of the close."""

    fast: int = Field(default=5, ge=2, le=200, description="bars in the fast average")
    slow: int = Field(default=20, ge=3, le=400, description="bars in the slow average; more than fast")
    stop: Distance | None = Distance(fraction=0.03)
    target: Distance | None = Distance(fraction=0.05)

    @model_validator(mode="after")
    def _slow_is_slower(self) -> "MovingAverageCrossover":
        if self.slow <= self.fast:
            raise ValueError(f"slow = {self.slow} must be more than fast = {self.fast}")
        return self

    @property
    def minimum_bars(self) -> int:
        return self.slow + 1

    def generate_signals(self, bars: Bars) -> Signals:
        fast = talib.SMA(bars.close, timeperiod=self.fast)
        slow = talib.SMA(bars.close, timeperiod=self.slow)
        return Signals(entry=crosses_above(fast, slow), exit=crosses_above(slow, fast))


def crosses_above(one: Floats, other: Floats) -> Flags:
    """True where `one` is above `other` and was not at the bar before; false while either is NaN."""
    above = one > other
    crossed = above.copy()
    crossed[:1] = False
    crossed[1:] &= one[:-1] <= other[:-1]
    return crossed
