"""What a strategy is: a frozen model whose fields are its parameters and whose logic is a causal function of bars."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import talib
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.strategy.core.bars import Bars, Flags, Floats
from services.strategy.core.indicators import wilder_memory


class StrategyError(Exception):
    """A strategy answered with something that is no answer; the text says what."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What a strategy wants after each bar: arrays of the bars' shape (n,). An exit outweighs an entry.

    `strength` is the technical evidence for an entry, 0 to 1; None counts as 1 everywhere.
    """

    entry: Flags
    exit: Flags
    strength: Floats | None = None


class Distance(BaseModel):
    """How far from the entry price, in USD per share: a fraction of the close, or a multiple of the average true range.

    Exactly one of `fraction` and `atr_multiple`. The range is Wilder's, as TA-Lib's ATR computes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fraction: float | None = Field(default=None, gt=0, lt=1)
    atr_multiple: float | None = Field(default=None, gt=0, le=20)
    atr_period: int = Field(default=14, ge=2, le=200, description="bars; with atr_multiple only")

    @model_validator(mode="after")
    def _one_of_two(self) -> "Distance":
        if (self.fraction is None) == (self.atr_multiple is None):
            raise ValueError("give exactly one of fraction and atr_multiple")
        return self

    @property
    def minimum_bars(self) -> int:
        """Bars that are needed to tell it, the same whatever came before them."""
        return 1 if self.fraction is not None else wilder_memory(self.atr_period)

    def at_each(self, bars: Bars) -> Floats:
        """The distance as of each bar, shape (n,); NaN where there are too few before it."""
        if self.fraction is not None:
            return bars.close * self.fraction
        atr = talib.ATR(bars.high, bars.low, bars.close, timeperiod=self.atr_period)
        return atr * (self.atr_multiple or 0.0)

    def at_last(self, bars: Bars) -> float:
        """The distance as of the newest bar; NaN while there are too few."""
        return float(self.at_each(bars)[-1])


class Strategy(BaseModel, ABC):
    """Base of every strategy: long only, entered and left at the next opportunity after a bar, one position at a time.

    Subclasses add their parameters as bounded fields. `stop` and `target` are declared here; the broker holds them.
    Without a stop a position ends by an exit signal or by its age, and risk must allow that (`require_stop`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stop: Distance | None = Field(description="loss at which the position is closed")
    target: Distance | None = Field(description="gain at which the position is closed")

    @model_validator(mode="after")
    def _target_has_a_stop(self) -> "Strategy":
        if self.stop is None and self.target is not None:
            raise ValueError("target is set and stop is not; give both, a stop alone, or neither")
        return self

    @property
    @abstractmethod
    def minimum_bars(self) -> int:
        """Bars that are needed before there can be a signal."""

    @abstractmethod
    def generate_signals(self, bars: Bars) -> Signals:
        """Tell entries and exits for every bar, each from that bar and earlier ones only."""

    def validate_signals(self, bars: Bars, signals: Signals) -> Signals:
        """Filter signals, by volume or volatility for instance; as it stands, every signal passes."""
        del bars
        return signals

    def calculate_position_size(self, price: Decimal) -> Decimal | None:
        """Whole shares to buy at about `price` (USD); None leaves it to risk's sizer. Risk's limits hold either way."""
        del price
        return None


def signals_of(strategy: Strategy, bars: Bars) -> Signals:
    """Generated and validated signals.

    Raises:
        StrategyError: they are not boolean arrays with one element per bar, or an entry's strength is not within 0..1;
            or it asked the process to end, which would end the other strategies too.
    """
    try:
        signals = strategy.validate_signals(bars, strategy.generate_signals(bars))
    except SystemExit as error:
        raise StrategyError(f"it called exit({error.code!r}); raise an exception instead") from error
    for name, flags in (("entry", signals.entry), ("exit", signals.exit)):
        if flags.dtype != np.bool_ or flags.shape != (len(bars),):
            raise StrategyError(
                f"{name} has dtype {flags.dtype} and shape {flags.shape}; it must be bool with shape ({len(bars)},)"
            )
    strength = signals.strength
    if strength is None:
        return signals
    if strength.dtype != np.float64 or strength.shape != (len(bars),):
        raise StrategyError(
            f"strength has dtype {strength.dtype} and shape {strength.shape}; it must be float64 with shape"
            f" ({len(bars)},)"
        )
    wrong = np.flatnonzero(signals.entry & ~((strength >= 0) & (strength <= 1)))
    if wrong.size:
        raise StrategyError(f"the strength of the entry at bar {wrong[0]} is {strength[wrong[0]]}; it must be 0 to 1")
    return signals
