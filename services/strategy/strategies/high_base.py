"""After a rise, prices rest in a narrow range near the high: buy a call spread for the next leg up."""

from typing import ClassVar

import numpy as np
import talib
from pydantic import Field

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import begins, lowest_before, share
from services.strategy.core.strategy import Signals
from services.strategy.core.vertical import SpreadStrategy, Vertical, VerticalKind


class HighBase(SpreadStrategy):
    """A tight base under the high, traded as a bull call debit spread; left when the base breaks downward."""

    kind: ClassVar = VerticalKind.BULL_CALL_DEBIT

    rise_bars: int = Field(default=40, ge=5, le=200, description="bars of the rise that ends where the base begins")
    rise: float = Field(default=0.06, gt=0, le=2, description="least rise, as a fraction of the price before it")
    base_bars: int = Field(default=6, ge=3, le=60, description="bars of the base")
    tightness: float = Field(default=0.06, gt=0, le=0.3, description="most from low to high of the base, of the close")
    near_high: float = Field(default=0.04, gt=0, le=0.2, description="most below the high of rise and base")
    vertical: Vertical = Vertical(delta=0.55)

    @property
    def minimum_bars(self) -> int:
        return self.rise_bars + self.base_bars + 1

    def generate_signals(self, bars: Bars) -> Signals:
        period = self.rise_bars + self.base_bars
        highest, lowest = talib.MAX(bars.high, self.base_bars), talib.MIN(bars.low, self.base_bars)
        depth = (highest - lowest) / bars.close
        near = bars.close >= talib.MAX(bars.high, period) * (1 - self.near_high)
        risen = talib.ROCP(bars.close, period) >= self.rise
        based = (depth <= self.tightness) & near & risen
        broken = bars.close < lowest_before(bars.low, self.base_bars)
        strength = 1 - share(depth, self.tightness) / 2
        return Signals(begins(based & ~broken), begins(broken), np.where(based, strength, 0.0))
