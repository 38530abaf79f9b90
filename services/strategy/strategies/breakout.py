"""Buy a close above the price channel on high volume; sell a close below a shorter channel."""

import talib
from pydantic import Field

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import crosses_above, highest_before, lowest_before, share
from services.strategy.core.strategy import Distance, Signals, Strategy


class Breakout(Strategy):
    """Channels of the bars before. A close a quarter of the channel's height above it is as strong as it gets."""

    channel: int = Field(default=20, ge=2, le=200, description="bars whose highest high is broken")
    exit_channel: int = Field(default=10, ge=2, le=200, description="bars whose lowest low ends the trade")
    volume_factor: float = Field(default=1.2, ge=0, le=10, description="times the channel's average volume, at least")
    stop: Distance | None = Distance(fraction=0.04)
    target: Distance | None = Distance(fraction=0.1)

    @property
    def minimum_bars(self) -> int:
        return max(self.channel, self.exit_channel) + 2

    def generate_signals(self, bars: Bars) -> Signals:
        top, bottom = highest_before(bars.high, self.channel), lowest_before(bars.low, self.channel)
        floor = lowest_before(bars.low, self.exit_channel)
        return Signals(
            entry=crosses_above(bars.close, top),
            exit=crosses_above(floor, bars.close),
            strength=share(bars.close - top, (top - bottom) / 4),
        )

    def validate_signals(self, bars: Bars, signals: Signals) -> Signals:
        """Enter on high volume only."""
        busy = bars.volume >= self.volume_factor * talib.SMA(bars.volume, timeperiod=self.channel)
        return Signals(signals.entry & busy, signals.exit, signals.strength)
