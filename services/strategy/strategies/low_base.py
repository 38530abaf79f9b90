"""After a fall, prices rest in a narrow range near the low: buy a put spread for the next leg down."""

from typing import ClassVar

import numpy as np
import talib
from pydantic import Field

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import begins, highest_before, share
from services.strategy.core.strategy import Signals
from services.strategy.core.vertical import SpreadStrategy, Vertical, VerticalKind


class LowBase(SpreadStrategy):
    """A tight base above the low, traded as a bear put debit spread; left when the base breaks upward."""

    kind: ClassVar = VerticalKind.BEAR_PUT_DEBIT

    fall_bars: int = Field(default=40, ge=5, le=200, description="bars of the fall that ends where the base begins")
    fall: float = Field(default=0.06, gt=0, lt=1, description="least fall, as a fraction of the price before it")
    base_bars: int = Field(default=6, ge=3, le=60, description="bars of the base")
    tightness: float = Field(default=0.06, gt=0, le=0.3, description="most from low to high of the base, of the close")
    near_low: float = Field(default=0.04, gt=0, le=0.2, description="most above the low of fall and base")
    vertical: Vertical = Vertical(delta=0.55)

    @property
    def minimum_bars(self) -> int:
        return self.fall_bars + self.base_bars + 1

    def generate_signals(self, bars: Bars) -> Signals:
        period = self.fall_bars + self.base_bars
        highest, lowest = talib.MAX(bars.high, self.base_bars), talib.MIN(bars.low, self.base_bars)
        depth = (highest - lowest) / bars.close
        near = bars.close <= talib.MIN(bars.low, period) * (1 + self.near_low)
        fallen = talib.ROCP(bars.close, period) <= -self.fall
        based = (depth <= self.tightness) & near & fallen
        broken = bars.close > highest_before(bars.high, self.base_bars)
        strength = 1 - share(depth, self.tightness) / 2
        return Signals(begins(based & ~broken), begins(broken), np.where(based, strength, 0.0))
