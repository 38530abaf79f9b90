"""In an uptrend, prices come back to their support and turn up: sell a put spread below it."""

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


class BullPullback(SpreadStrategy):
    """A bounce off the short moving average above a rising long one, traded as a bull put credit spread."""

    kind: ClassVar = VerticalKind.BULL_PUT_CREDIT

    trend_bars: int = Field(default=50, ge=10, le=200, description="bars in the average that is the trend")
    slope_bars: int = Field(default=10, ge=1, le=50, description="bars over which the trend must have risen")
    support_bars: int = Field(default=20, ge=3, le=100, description="bars in the average that is the support")
    depth: float = Field(default=0.03, gt=0, le=0.5, description="least fall from the support_bars' high to the low")
    tolerance: float = Field(default=0.01, ge=0, le=0.1, description="how near to the support the low must come")
    vertical: Vertical = Vertical(delta=0.35)

    @property
    def minimum_bars(self) -> int:
        return max(self.trend_bars + self.slope_bars, self.support_bars) + 1

    def generate_signals(self, bars: Bars) -> Signals:
        trend, support = talib.SMA(bars.close, self.trend_bars), talib.SMA(bars.close, self.support_bars)
        rising = (trend > before(trend, self.slope_bars)) & (bars.close > trend)
        low = talib.MIN(bars.low, TURN_BARS)
        fallen = 1 - low / talib.MAX(bars.high, self.support_bars)
        touched = (low <= support * (1 + self.tolerance)) & (fallen >= self.depth)
        turned = (bars.close > before(bars.close)) & (bars.close > support)
        bounced = rising & touched & turned
        strength = 0.5 + share(bars.close - bars.low, bars.high - bars.low) / 2
        return Signals(begins(bounced), crosses_above(trend, bars.close), np.where(bounced, strength, 0.0))
