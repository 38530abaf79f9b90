"""Buy a rising market when it turns up again after a pullback; sell when it closes below its price channel."""

from typing import Literal, TypeAlias

import numpy as np
import talib
from pydantic import Field, model_validator

from services.strategy.core.bars import Bars, Flags
from services.strategy.core.indicators import (
    before,
    begins,
    highest_before,
    lowest_before,
    minutes,
    share,
    wilder_memory,
)
from services.strategy.core.strategy import Distance, Signals, Strategy
from shared.types import Timeframe

_ATR_PERIOD = 14
_Longer: TypeAlias = Literal[
    Timeframe.FIVE_MINUTES, Timeframe.FIFTEEN_MINUTES, Timeframe.THIRTY_MINUTES, Timeframe.HOUR, Timeframe.DAY
]


class TrendPullback(Strategy):
    """A channel of the highest high and lowest low of the bars before; its middle must rise. A bar that closes above
    the high of a pulled-back one is the entry. A middle that rose by the channel's height is as strong as it gets.

    On minute bars `trend_timeframe` asks for a close above the average of longer bars as well.
    """

    channel: int = Field(default=20, ge=5, le=200, description="bars in the channel")
    shallowest: float = Field(default=0.25, ge=0, le=1, description="of the channel's height, least pullback")
    deepest: float = Field(default=0.75, ge=0, le=1, description="of the channel's height, most pullback")
    volume_factor: float = Field(default=0.8, ge=0, le=10, description="times the channel's average volume, at least")
    least_volatility: float = Field(default=0.0, ge=0, le=0.2, description="average true range over close")
    most_volatility: float = Field(default=0.06, gt=0, le=0.5, description="average true range over close")
    trend_timeframe: _Longer | None = Field(default=None, description="longer bars, made of minute bars")
    trend_period: int = Field(default=10, ge=2, le=20, description="longer bars in their average")
    stop: Distance | None = Distance(fraction=0.04)
    target: Distance | None = Distance(fraction=0.08)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "TrendPullback":
        if self.deepest <= self.shallowest or self.most_volatility <= self.least_volatility:
            raise ValueError("deepest must be more than shallowest, and most_volatility more than least_volatility")
        return self

    @property
    def minimum_bars(self) -> int:
        trend = 0 if self.trend_timeframe is None else (self.trend_period + 2) * minutes(self.trend_timeframe)
        return max(2 * self.channel + 1, wilder_memory(_ATR_PERIOD), trend)

    def generate_signals(self, bars: Bars) -> Signals:
        top, bottom = highest_before(bars.high, self.channel), lowest_before(bars.low, self.channel)
        middle, height = (top + bottom) / 2, top - bottom
        rise = middle - before(middle, self.channel)
        pullback = before(top - bars.close) / np.where(height > 0, height, np.nan)
        pulled_back = (pullback >= self.shallowest) & (pullback <= self.deepest)
        return Signals(
            entry=(rise > 0) & pulled_back & (bars.close > before(bars.high)) & self._rises_above(bars),
            exit=begins(bars.close < bottom),
            strength=share(rise, height),
        )

    def validate_signals(self, bars: Bars, signals: Signals) -> Signals:
        """Enter on enough volume, and on neither too little nor too much volatility."""
        volatility = talib.NATR(bars.high, bars.low, bars.close, timeperiod=_ATR_PERIOD) / 100
        busy = bars.volume >= self.volume_factor * talib.SMA(bars.volume, timeperiod=self.channel)
        fit = busy & (volatility >= self.least_volatility) & (volatility <= self.most_volatility)
        return Signals(signals.entry & fit, signals.exit, signals.strength)

    def _rises_above(self, bars: Bars) -> Flags:
        if self.trend_timeframe is None:
            return np.ones(len(bars), dtype=np.bool_)
        longer = bars.resample(self.trend_timeframe)
        return bars.close > bars.align(longer, talib.SMA(longer.close, timeperiod=self.trend_period))
