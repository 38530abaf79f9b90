"""Buy when the fast moving average crosses above the slow one; sell when it crosses back below."""

from typing import Literal

import numpy as np
import talib
from pydantic import Field, model_validator

from services.strategy.core.bars import Bars, Floats
from services.strategy.core.indicators import crosses_above, exponential_memory, share
from services.strategy.core.strategy import Distance, Signals, Strategy


class MovingAverageCrossover(Strategy):
    """Two moving averages of the close. A close two standard deviations above the slow one is as strong as it gets."""

    fast: int = Field(default=5, ge=2, le=200, description="bars in the fast average")
    slow: int = Field(default=20, ge=3, le=400, description="bars in the slow average; more than fast")
    average: Literal["simple", "exponential"] = Field(default="simple", description="which moving average")
    stop: Distance | None = Distance(fraction=0.03)
    target: Distance | None = Distance(fraction=0.05)

    @model_validator(mode="after")
    def _slow_is_slower(self) -> "MovingAverageCrossover":
        if self.slow <= self.fast:
            raise ValueError(f"slow = {self.slow} must be more than fast = {self.fast}")
        return self

    @property
    def minimum_bars(self) -> int:
        return self.slow + 1 if self.average == "simple" else exponential_memory(self.slow)

    def generate_signals(self, bars: Bars) -> Signals:
        fast, slow = (self._average(bars.close, period) for period in (self.fast, self.slow))
        entry = crosses_above(fast, slow)
        deviation = talib.STDDEV(bars.close, timeperiod=self.slow)
        strength = np.zeros(len(bars))
        strength[entry] = share(bars.close[entry] - slow[entry], 2 * deviation[entry])
        return Signals(entry, crosses_above(slow, fast), strength)

    def _average(self, close: Floats, period: int) -> Floats:
        return (talib.SMA if self.average == "simple" else talib.EMA)(close, timeperiod=period)
