"""What goes into a backtest and what comes out of it.

Two gears: EXACT sends every intent through the risk and execution cores; FAST is one compiled loop, for sweeps. Two
ways to fill: SIMULATOR lets the simulated broker's matching engine trade its ticks, exactly as live-with-simulator
does (exact gear only); BARS fills at the next bar's open and at stops and targets inside bars, as most engines do.
With BARS both gears give the same trades.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from services.strategy.core.strategy import Bars, Floats
from shared.types import Side, Timeframe

PRICE_UNIT = Decimal("0.0001")
"""USD; prices of the BARS way of filling are whole multiples of it, so that both gears can compute exactly."""


class Gear(StrEnum):
    EXACT = "exact"
    FAST = "fast"


class Fills(StrEnum):
    SIMULATOR = "simulator"
    BARS = "bars"


class ExitReason(StrEnum):
    STOP = "stop"
    TARGET = "target"
    SIGNAL = "signal"
    TIME = "time"  # held for too long
    EXPIRY = "expiry"  # of an option
    END = "end"  # still open when the data ended; valued at the last price


class Costs(BaseModel):
    """What trading costs where fills are BARS; the simulated broker has settings of its own. All are assumptions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spread: Decimal = Field(
        Decimal("0.0002"), ge=0, lt=Decimal("0.1"), description="bid to ask, as a fraction of the price"
    )
    slippage: Decimal = Field(
        Decimal("0.0001"), ge=0, lt=Decimal("0.1"), description="fraction lost beyond the quote by stops and exits"
    )
    commission_per_share: Decimal = Field(Decimal("0.005"), ge=0, le=1, description="USD")
    commission_minimum: Decimal = Field(Decimal(1), ge=0, le=100, description="USD an order")
    participation: Decimal = Field(
        Decimal("0.1"), gt=0, le=1, description="of a bar's volume, that an entry takes at most; the rest is cancelled"
    )


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One symbol's closed bars of one timeframe, oldest first; `start` like `bars.end`, shape (n,).

    Bars before the backtest's first day are there for indicators to warm up on; nothing trades in them.
    """

    symbol: str
    timeframe: Timeframe
    start: NDArray[np.datetime64]
    bars: Bars


@dataclass(frozen=True, slots=True)
class Trade:
    """One position from its first fill to its last. Prices are averages in USD per share (or net per combination).

    `profit` is gross in USD, `commission` of both ends. `mid_profit` is what it would have been at mid prices, without
    spread, slippage and commission. `bars` tells how many bars it was open, None where fills are the simulator's.
    """

    order_id: str
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    opened_at: datetime
    entry_price: Decimal
    closed_at: datetime
    exit_price: Decimal
    profit: Decimal
    commission: Decimal
    mid_profit: Decimal
    reason: ExitReason
    bars: int | None = None

    @property
    def net(self) -> Decimal:
        """USD after commissions."""
        return self.profit - self.commission


@dataclass(frozen=True, slots=True)
class OrderSent:
    """One order as the broker received it (`change` is "new", "modify" or "cancel")."""

    time: datetime
    change: str
    order_ref: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    trigger_price: Decimal | None
    time_in_force: str


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The account through time, arrays of one shape (n,): `time` datetime64[us] in UTC; `value` net liquidation in
    USD; `exposure` gross value of what is held as a fraction of `value`; `benchmark` the same cash in the benchmark,
    USD, NaN where there is none. One element per bar end (BARS) or per session's close (SIMULATOR)."""

    time: NDArray[np.datetime64]
    value: Floats
    exposure: Floats
    benchmark: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Everything a backtest found. `refusals` counts risk's refusals by code; `turnover` is USD bought and sold."""

    gear: Gear
    fills: Fills
    cash: Decimal
    trades: tuple[Trade, ...]
    orders: tuple[OrderSent, ...]
    curve: Curve
    assumptions: tuple[str, ...]
    turnover: Decimal
    refusals: Mapping[str, int] = field(default_factory=dict[str, int])
    failures: tuple[str, ...] = ()  # strategies that raised, and what
