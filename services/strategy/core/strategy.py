"""What a strategy is: a frozen model whose fields are its parameters and whose logic is a causal function of bars."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import talib
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.messages.market import Bar

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


class StrategyError(Exception):
    """A strategy answered with something that is no answer; the text says what."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's closed bars, oldest first: arrays of one shape (n,). Prices in USD per share, volume in shares.

    `end` holds the bars' ends, datetime64[us] in UTC.
    """

    end: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.end)

    def first(self, count: int) -> "Bars":
        """The oldest `count` bars."""
        return Bars(
            self.end[:count],
            self.open[:count],
            self.high[:count],
            self.low[:count],
            self.close[:count],
            self.volume[:count],
        )

    @staticmethod
    def of(bars: Sequence[Bar]) -> "Bars":
        """Turn exact bars into arrays for indicators; the only place where prices become floats."""
        ends = [round(bar.end.timestamp() * 1_000_000) for bar in bars]
        rows = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
        columns = np.ascontiguousarray(np.array(rows, dtype=np.float64).reshape(-1, 5).T)
        return Bars(np.array(ends, dtype="datetime64[us]"), *columns)


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
        """Bars that are needed to tell it."""
        return 1 if self.fraction is not None else self.atr_period + 1

    def at_last(self, bars: Bars) -> float:
        """The distance as of the newest bar; NaN while there are too few."""
        if self.fraction is not None:
            return float(bars.close[-1]) * self.fraction
        atr = talib.ATR(bars.high, bars.low, bars.close, timeperiod=self.atr_period)
        return float(atr[-1]) * (self.atr_multiple or 0.0)


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
        StrategyError: they are not boolean arrays with one element per bar.
    """
    signals = strategy.validate_signals(bars, strategy.generate_signals(bars))
    for name, flags in (("entry", signals.entry), ("exit", signals.exit)):
        if flags.dtype != np.bool_ or flags.shape != (len(bars),):
            raise StrategyError(
                f"{name} has dtype {flags.dtype} and shape {flags.shape}; it must be bool with shape ({len(bars)},)"
            )
    return signals


def check_causality(strategy: Strategy, bars: Bars) -> None:
    """Prove on these bars that no signal depends on a later bar: the signals of every prefix are a prefix of all.

    Raises:
        StrategyError: it looks ahead; the text names the first bar where it does.
    """
    whole = signals_of(strategy, bars)
    for count in range(1, len(bars)):
        prefix = signals_of(strategy, bars.first(count))
        for name, flags, all_flags in (("entry", prefix.entry, whole.entry), ("exit", prefix.exit, whole.exit)):
            different = np.flatnonzero(flags != all_flags[:count])
            if different.size:
                raise StrategyError(
                    f"{type(strategy).__name__} looks ahead: its {name} signal at bar {different[0]} is"
                    f" {flags[different[0]]} with {count} bars known, and {all_flags[different[0]]} with {len(bars)}"
                )
