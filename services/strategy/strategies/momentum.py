"""Buy when a rise gathers pace: MACD crosses above its signal, RSI is high, volume too; sell when MACD crosses back."""

import talib
from pydantic import Field, model_validator

from services.strategy.core.bars import Bars
from services.strategy.core.indicators import crosses_above, exponential_memory, share, wilder_memory
from services.strategy.core.strategy import Distance, Signals, Strategy


class Momentum(Strategy):
    """MACD, RSI and volume. Half of the strength is RSI above 50, half is volume, up to three times its average."""

    fast: int = Field(default=12, ge=2, le=100, description="bars in MACD's fast average")
    slow: int = Field(default=26, ge=3, le=200, description="bars in MACD's slow average; more than fast")
    signal: int = Field(default=9, ge=2, le=50, description="bars in the average of MACD")
    rsi_period: int = Field(default=14, ge=2, le=50, description="bars in the RSI, Wilder's")
    minimum_rsi: float = Field(default=50.0, ge=0, le=90, description="RSI that an entry needs")
    volume_period: int = Field(default=20, ge=2, le=200, description="bars in the average volume")
    volume_factor: float = Field(default=1.0, ge=0, le=10, description="times the average that an entry's volume is")
    stop: Distance | None = Distance(fraction=0.04)
    target: Distance | None = Distance(fraction=0.1)

    @model_validator(mode="after")
    def _slow_is_slower(self) -> "Momentum":
        if self.slow <= self.fast:
            raise ValueError(f"slow = {self.slow} must be more than fast = {self.fast}")
        return self

    @property
    def minimum_bars(self) -> int:
        macd = exponential_memory(self.slow) + exponential_memory(self.signal)
        return max(macd, wilder_memory(self.rsi_period), self.volume_period)

    def generate_signals(self, bars: Bars) -> Signals:
        macd, average, _ = talib.MACD(bars.close, self.fast, self.slow, self.signal)
        rsi = talib.RSI(bars.close, timeperiod=self.rsi_period)
        volume = talib.SMA(bars.volume, timeperiod=self.volume_period)
        return Signals(
            entry=crosses_above(macd, average) & (rsi >= self.minimum_rsi),
            exit=crosses_above(average, macd),
            strength=(share(rsi - 50, 50.0) + share(bars.volume, 3 * volume)) / 2,
        )

    def validate_signals(self, bars: Bars, signals: Signals) -> Signals:
        """Enter on high volume only."""
        busy = bars.volume >= self.volume_factor * talib.SMA(bars.volume, timeperiod=self.volume_period)
        return Signals(signals.entry & busy, signals.exit, signals.strength)
