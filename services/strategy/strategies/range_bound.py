"""Buy near the low of the previous session, sell near its high; for minute bars."""

import numpy as np
from pydantic import Field

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import begins, minutes, share
from services.strategy.core.strategy import Distance, Signals, Strategy
from shared.types import Timeframe


class RangeBound(Strategy):
    """The previous session's range. A bar that dips into its lowest part and closes higher than it opened is the entry;
    a close in its highest part, or as far below it, is the exit. A close at the low is as strong as it gets.

    It needs two sessions of minute bars: window_bars of 800 or more.
    """

    zone: float = Field(default=0.1, gt=0, lt=0.5, description="of the range, how near counts as at its low or high")
    least_range: float = Field(default=0.005, ge=0, le=0.2, description="range over close that is worth trading")
    stop: Distance | None = Distance(fraction=0.01)
    target: Distance | None = Distance(fraction=0.02)

    @property
    def minimum_bars(self) -> int:
        return 2 * minutes(Timeframe.DAY) + 1

    def generate_signals(self, bars: Bars) -> Signals:
        days = bars.resample(Timeframe.DAY)
        low, high = bars.align(days, days.low), bars.align(days, days.high)
        height = high - low
        dipped = (bars.low <= low + self.zone * height) & (bars.close > low)
        return Signals(
            entry=begins(dipped & (bars.close > bars.open)),
            exit=begins((bars.close >= high - self.zone * height) | (bars.close < low - self.zone * height)),
            strength=share(high - bars.close, np.where(height > 0, height, np.nan)),
        )

    def validate_signals(self, bars: Bars, signals: Signals) -> Signals:
        """Enter only where the range is wide enough to pay for the trade."""
        days = bars.resample(Timeframe.DAY)
        wide = bars.align(days, days.high - days.low) >= self.least_range * bars.close
        return Signals(signals.entry & wide, signals.exit, signals.strength)
