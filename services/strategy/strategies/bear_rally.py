"""In a downtrend, prices come back up to their resistance and turn down: sell a call spread above it."""

from typing import ClassVar

import numpy as np
import talib
from pydantic import Field

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import before, begins, crosses_above, share
from services.strategy.core.strategy import Signals
from services.strategy.core.vertical import SpreadStrategy, Vertical, VerticalKind

TURN_BARS = 3
"""The turn begins from the extreme of so many bars, the newest among them."""


class BearRally(SpreadStrategy):
    """A rejection at the short moving average below a falling long one, traded as a bear call credit spread."""

    kind: ClassVar = VerticalKind.BEAR_CALL_CREDIT

    trend_bars: int = Field(default=50, ge=10, le=200, description="bars in the average that is the trend")
    slope_bars: int = Field(default=10, ge=1, le=50, description="bars over which the trend must have fallen")
    resistance_bars: int = Field(default=20, ge=3, le=100, description="bars in the average that is the resistance")
    height: float = Field(default=0.03, gt=0, le=2, description="least rise from the resistance_bars' low to the high")
    tolerance: float = Field(default=0.01, ge=0, le=0.1, description="how near to the resistance the high must come")
    vertical: Vertical = Vertical(delta=0.35)

    @property
    def minimum_bars(self) -> int:
        return max(self.trend_bars + self.slope_bars, self.resistance_bars) + 1

    def generate_signals(self, bars: Bars) -> Signals:
        trend, resistance = talib.SMA(bars.close, self.trend_bars), talib.SMA(bars.close, self.resistance_bars)
        falling = (trend < before(trend, self.slope_bars)) & (bars.close < trend)
        high = talib.MAX(bars.high, TURN_BARS)
        risen = high / talib.MIN(bars.low, self.resistance_bars) - 1
        touched = (high >= resistance * (1 - self.tolerance)) & (risen >= self.height)
        turned = (bars.close < before(bars.close)) & (bars.close < resistance)
        rejected = falling & touched & turned
        strength = 0.5 + share(bars.high - bars.close, bars.high - bars.low) / 2
        return Signals(begins(rejected), crosses_above(bars.close, trend), np.where(rejected, strength, 0.0))
