"""Buy what has fallen too far too fast, below its Bollinger band with a low RSI; sell it back at its average."""

import talib
from pydantic import Field

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import begins, crosses_above, share, wilder_memory
from services.strategy.core.strategy import Distance, Signals, Strategy


class MeanReversion(Strategy):
    """Bollinger bands and RSI of the close. A close twice as far down as the lower band is as strong as it gets."""

    period: int = Field(default=20, ge=5, le=200, description="bars in the average and in its deviation")
    deviations: float = Field(default=2.0, ge=0.5, le=4, description="standard deviations from the average to a band")
    rsi_period: int = Field(default=14, ge=2, le=50, description="bars in the RSI, Wilder's")
    oversold: float = Field(default=35.0, ge=5, le=50, description="RSI that an entry needs at most")
    stop: Distance | None = Distance(fraction=0.05)
    target: Distance | None = Distance(fraction=0.08)

    @property
    def minimum_bars(self) -> int:
        return max(self.period + 1, wilder_memory(self.rsi_period))

    def generate_signals(self, bars: Bars) -> Signals:
        _, middle, lower = talib.BBANDS(bars.close, self.period, self.deviations, self.deviations)
        rsi = talib.RSI(bars.close, timeperiod=self.rsi_period)
        return Signals(
            entry=begins((bars.close < lower) & (rsi <= self.oversold)),
            exit=crosses_above(bars.close, middle),
            strength=share(middle - bars.close, 2 * (middle - lower)),
        )
