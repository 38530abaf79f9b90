"""Buy at support, sell at resistance: the newest swing low and swing high."""

import numpy as np
import talib
from pydantic import Field

from services.strategy.core.bars import Bars, Flags, Floats
from services.strategy.core.indicators import before, begins, share
from services.strategy.core.strategy import Distance, Signals, Strategy


class LevelBased(Strategy):
    """A swing low is a low that no bar within `span` bars on either side undercuts; it is known `span` bars later, and
    not before. A bar that touches support and closes above it is the entry; a close at resistance, or one that breaks
    support, the exit. A close at support is as strong as it gets.
    """

    span: int = Field(default=3, ge=1, le=50, description="bars on either side of a swing point")
    longest: int = Field(default=100, ge=5, le=500, description="bars that a level holds after it was confirmed")
    tolerance: float = Field(default=0.01, ge=0, le=0.1, description="of a level, how near counts as touching it")
    least_reward: float = Field(default=0.02, ge=0, le=0.5, description="of the close, least way to resistance")
    stop: Distance | None = Distance(fraction=0.03)
    target: Distance | None = Distance(fraction=0.06)

    @property
    def minimum_bars(self) -> int:
        return 2 * self.span + self.longest + 2

    def generate_signals(self, bars: Bars) -> Signals:
        width = 2 * self.span + 1
        low, high = before(bars.low, self.span), before(bars.high, self.span)
        support = self._newest(low, low == talib.MIN(bars.low, timeperiod=width))
        resistance = self._newest(high, high == talib.MAX(bars.high, timeperiod=width))
        touched = (bars.low <= support * (1 + self.tolerance)) & (bars.close > support)
        worth = resistance - bars.close >= self.least_reward * bars.close
        broken = bars.close < support * (1 - self.tolerance)
        return Signals(
            entry=begins(touched & worth & (bars.close > bars.open)),
            exit=begins((bars.close >= resistance * (1 - self.tolerance)) | broken),
            strength=share(resistance - bars.close, resistance - support),
        )

    def _newest(self, values: Floats, confirmed: Flags) -> Floats:
        """The value at the newest bar that confirmed one, for `longest` bars; else NaN."""
        bars = np.arange(len(values))
        place = np.maximum.accumulate(np.where(confirmed, bars, -1))
        return np.where((place >= 0) & (bars - place <= self.longest), values[place], np.nan)
